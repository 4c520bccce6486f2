//! What is remembered of API keys?
//!
//! Keys are told apart by a digest under the pepper, never by themselves. Those that hold and those
//! that do not are remembered apart, so that a flood of wrong keys pushes out no right one.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apikey::flight::Tag;
use lru::LruCache;

use super::principal::Principal;
use crate::clock::Now;

/// How long a key that does not hold is remembered.
pub(super) const WRONG_KEPT: Duration = Duration::from_secs(10);

/// Why a key does not let its caller in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyFault {
    #[error("key malformed")]
    Form,
    #[error("key unknown")]
    Unknown,
    #[error("key revoked")]
    Revoked,
    #[error("key expired")]
    Expired,
    #[error("key owner inactive")]
    OwnerInactive,
    #[error("too many keys wait for a hash")]
    Busy,
    #[error("key database unavailable")]
    Unavailable,
}

impl KeyFault {
    /// Whether the key itself is wrong, which another try would not change.
    fn is_final(self) -> bool {
        !matches!(self, Self::Busy | Self::Unavailable)
    }
}

/// A key that matched the slow hash of its row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proved {
    pub(super) principal: Principal,
    pub(super) row_id: Box<str>,
    /// Of the hash that it matched: another one means another key.
    pub(super) fingerprint: [u8; 32],
    /// From which Unix second on it no longer holds.
    pub(super) expires_at: Option<i64>,
}

/// What is known of a key.
pub(super) type Known = Result<Arc<Proved>, KeyFault>;

/// The memory of one process.
#[derive(Debug)]
pub(super) struct Memory {
    kept: Duration,
    right: Mutex<LruCache<Tag, (Arc<Proved>, Instant)>>,
    wrong: Mutex<LruCache<Tag, (KeyFault, Instant)>>,
}

impl Memory {
    /// Room for so many keys of each kind; one that holds is relied on for `kept`.
    pub(super) fn new(entries_max: NonZeroUsize, kept: Duration) -> Self {
        let (right, wrong) = (LruCache::sparse(entries_max), LruCache::sparse(entries_max));
        Self { kept, right: Mutex::new(right), wrong: Mutex::new(wrong) }
    }

    /// What may be relied on of a key without a question to anybody.
    pub(super) fn known(&self, tag: &Tag, now: Now) -> Option<Known> {
        if let Some((key, until)) = lock(&self.right).get(tag)
            && now.instant < *until
        {
            return Some(Ok(Arc::clone(key)));
        }
        let mut wrong = lock(&self.wrong);
        let (fault, until) = *wrong.get(tag)?;
        if now.instant < until {
            return Some(Err(fault));
        }
        wrong.pop(tag);
        None
    }

    /// A key that was proved before, however long ago: while its row has the same hash, another
    /// hash would find nothing new.
    pub(super) fn proved(&self, tag: &Tag) -> Option<Arc<Proved>> {
        lock(&self.right).peek(tag).map(|(key, _)| Arc::clone(key))
    }

    /// Remembers what was found out; that nothing could be found out is not remembered.
    pub(super) fn remember(&self, tag: Tag, found: &Known, now: Now) {
        match found {
            Ok(key) => {
                lock(&self.right).put(tag, (Arc::clone(key), now.instant + self.kept));
            }
            Err(fault) if fault.is_final() => {
                lock(&self.right).pop(&tag);
                lock(&self.wrong).put(tag, (*fault, now.instant + WRONG_KEPT));
            }
            Err(_) => {}
        }
    }
}

/// No code panics while it holds one of these locks, and what it would leave is usable.
fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::principal::Scheme;
    use super::*;

    const KEPT: Duration = Duration::from_secs(60);

    fn memory(entries_max: usize) -> Memory {
        Memory::new(entries_max.try_into().unwrap(), KEPT)
    }

    fn key() -> Known {
        let (subject, scopes) = ("7".into(), None);
        let principal = Principal { scheme: Scheme::ApiKey, subject, client_id: None, scopes };
        let (row_id, fingerprint) = ("k".into(), [1; 32]);
        Ok(Arc::new(Proved { principal, row_id, fingerprint, expires_at: None }))
    }

    #[test]
    fn both_outcomes_are_relied_on_for_their_time() {
        let (memory, now) = (memory(9), Now::read());
        let (right, wrong) = ([1; 32], [2; 32]);
        memory.remember(right, &key(), now);
        memory.remember(wrong, &Err(KeyFault::Unknown), now);
        let just = |kept: Duration| now.plus(kept - Duration::from_millis(1));
        assert_eq!(memory.known(&right, just(KEPT)), Some(key()));
        assert_eq!(memory.known(&right, now.plus(KEPT)), None);
        assert_eq!(memory.proved(&right).map(Ok), Some(key()), "its hash is not forgotten");
        assert_eq!(memory.known(&wrong, just(WRONG_KEPT)), Some(Err(KeyFault::Unknown)));
        assert_eq!(memory.known(&wrong, now.plus(WRONG_KEPT)), None);
    }

    #[test]
    fn key_that_was_withdrawn_is_not_proved_any_more() {
        let (memory, now, tag) = (memory(9), Now::read(), [1; 32]);
        memory.remember(tag, &key(), now);
        memory.remember(tag, &Err(KeyFault::Unavailable), now);
        assert_eq!(memory.known(&tag, now), Some(key()), "the database is gone, the key is not");
        memory.remember(tag, &Err(KeyFault::Revoked), now);
        assert_eq!(memory.known(&tag, now), Some(Err(KeyFault::Revoked)));
        assert_eq!(memory.proved(&tag), None);
    }

    #[test]
    fn flood_of_wrong_keys_pushes_out_no_right_one() {
        let (memory, now) = (memory(2), Now::read());
        memory.remember([0; 32], &key(), now);
        for byte in 1..=9 {
            memory.remember([byte; 32], &Err(KeyFault::Unknown), now);
        }
        assert_eq!(memory.known(&[0; 32], now), Some(key()));
        assert_eq!(lock(&memory.wrong).len(), 2);
        for byte in 1..=2 {
            memory.remember([byte; 32], &key(), now);
        }
        assert_eq!(memory.known(&[0; 32], now), None, "right keys are bounded as well");
    }
}
