//! What is remembered of keys that cost a slow hash?
//!
//! Keys are told apart by an HMAC under a secret that this process drew for itself, so the memory
//! holds nothing that could be tried elsewhere. Keys that hold and keys that do not are remembered
//! apart: a flood of wrong keys pushes out no right one.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apikey::flight::Tag;
use lru::LruCache;
use rand::RngCore as _;
use rand::rngs::OsRng;
use ring::hmac;

use super::shared::RememberedKey;
use crate::auth::KeyError;
use crate::clock::Now;

/// How long a key that does not hold is remembered.
pub(super) const WRONG_KEPT: Duration = Duration::from_secs(60);

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemorySizes {
    /// Keys that hold.
    pub(super) keys_max: NonZeroUsize,
    /// Keys that do not.
    pub(super) wrong_max: NonZeroUsize,
    /// How long a key that holds is relied on.
    pub(super) kept: Duration,
}

/// What is known of a key.
pub(super) type Known = Result<Arc<RememberedKey>, KeyError>;

/// The memory of one process.
#[derive(Debug)]
pub(super) struct Memory {
    secret: hmac::Key,
    kept: Duration,
    right: Mutex<LruCache<Tag, Right>>,
    wrong: Mutex<LruCache<Tag, (KeyError, Instant)>>,
    evictions: AtomicU64,
}

#[derive(Debug)]
struct Right {
    key: Arc<RememberedKey>,
    until: Instant,
    /// Whether the key was used since its time was last extended.
    used: bool,
}

/// A remembered key that the database is to be asked about again.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) tag: Tag,
    pub(super) key: Arc<RememberedKey>,
}

impl Memory {
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub(super) fn new(sizes: MemorySizes) -> Result<Self, rand::Error> {
        let mut secret = [0; 32];
        OsRng.try_fill_bytes(&mut secret)?;
        Ok(Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            kept: sizes.kept,
            right: Mutex::new(LruCache::sparse(sizes.keys_max)),
            wrong: Mutex::new(LruCache::sparse(sizes.wrong_max)),
            evictions: AtomicU64::new(0),
        })
    }

    /// How this memory tells a key.
    pub(super) fn tag(&self, key: &[u8]) -> Tag {
        let signed = hmac::sign(&self.secret, key);
        let mut tag = Tag::default();
        for (to, from) in tag.iter_mut().zip(signed.as_ref()) {
            *to = *from;
        }
        tag
    }

    /// The key, when it is remembered as one that holds.
    pub(super) fn right(&self, tag: &Tag, now: Now) -> Option<Arc<RememberedKey>> {
        let mut right = self.lock_right();
        let found = right.get_mut(tag)?;
        if now.instant >= found.until {
            right.pop(tag);
            return None;
        }
        found.used = true;
        Some(Arc::clone(&found.key))
    }

    /// What is remembered of a key, whether it holds or not.
    pub(super) fn known(&self, tag: &Tag, now: Now) -> Option<Known> {
        if let Some(key) = self.right(tag, now) {
            return Some(Ok(key));
        }
        let mut wrong = self.lock_wrong();
        let (error, until) = wrong.get(tag)?;
        if now.instant < *until {
            return Some(Err(error.clone()));
        }
        wrong.pop(tag);
        None
    }

    /// Remembers what was found out about a key. That nothing could be found out is not
    /// remembered.
    pub(super) fn remember(&self, tag: Tag, found: &Known, now: Now) {
        match found {
            Ok(key) => {
                let seconds = u64::try_from(key.until - now.unix_seconds()).unwrap_or(0);
                let until = now.instant + Duration::from_secs(seconds).min(self.kept);
                self.lock_wrong().pop(&tag);
                let right = Right { key: Arc::clone(key), until, used: false };
                let pushed_out = self.lock_right().push(tag, right);
                self.count(pushed_out.is_some_and(|(other, _)| other != tag));
            }
            Err(error) if error.is_clients_fault() => {
                let entry = (error.clone(), now.instant + WRONG_KEPT);
                let pushed_out = self.lock_wrong().push(tag, entry);
                self.count(pushed_out.is_some_and(|(other, _)| other != tag));
            }
            Err(_) => {}
        }
    }

    /// All keys that are remembered as ones that hold; those whose time is over are forgotten.
    pub(super) fn doubts(&self, now: Now) -> Vec<Doubt> {
        let mut right = self.lock_right();
        right.retain(|_, entry| now.instant < entry.until);
        right.iter().map(|(tag, entry)| Doubt { tag: *tag, key: Arc::clone(&entry.key) }).collect()
    }

    /// Forgets a key that no longer holds, unless it was proved anew meanwhile.
    pub(super) fn forget(&self, doubt: &Doubt) -> bool {
        let mut right = self.lock_right();
        let is_same =
            right.peek(&doubt.tag).is_some_and(|entry| Arc::ptr_eq(&entry.key, &doubt.key));
        is_same && right.pop(&doubt.tag).is_some()
    }

    /// Takes over what the database says now of a key that still holds. One that is in use is
    /// relied on anew for the full time: its row still has the hash that the key was proved by, so
    /// another hash would find nothing new.
    pub(super) fn confirm(&self, doubt: &Doubt, key: RememberedKey, now: Now) {
        let mut right = self.lock_right();
        let Some(entry) = right.peek_mut(&doubt.tag) else { return };
        if !Arc::ptr_eq(&entry.key, &doubt.key) {
            return;
        }
        if std::mem::take(&mut entry.used) {
            entry.until = now.instant + self.kept;
        }
        if *entry.key != key {
            entry.key = Arc::new(key);
        }
    }

    /// Forgets every key that holds.
    #[cfg(test)]
    pub(super) fn clear(&self) {
        self.lock_right().clear();
    }

    /// How many keys that hold are remembered.
    pub(super) fn keys(&self) -> usize {
        self.lock_right().len()
    }

    /// How many entries were pushed out by others.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn count(&self, is_pushed_out: bool) {
        self.evictions.fetch_add(u64::from(is_pushed_out), Ordering::Relaxed);
    }

    // No code panics while it holds one of these locks for good reason; what it leaves is usable.
    fn lock_right(&self) -> MutexGuard<'_, LruCache<Tag, Right>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_wrong(&self) -> MutexGuard<'_, LruCache<Tag, (KeyError, Instant)>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;
    use crate::auth::{KeyRecord, scopes};

    const KEPT: Duration = Duration::from_secs(600);

    fn memory(keys_max: usize, wrong_max: usize) -> Memory {
        let [keys_max, wrong_max] = [keys_max, wrong_max].map(|max| max.try_into().unwrap());
        Memory::new(MemorySizes { keys_max, wrong_max, kept: KEPT }).unwrap()
    }

    fn key(id: &str, until: i64) -> RememberedKey {
        let record = KeyRecord {
            id: id.into(),
            name: id.into(),
            user: None,
            scopes: scopes("read"),
            expires_at: None,
            revoked: false,
            owner_active: true,
        };
        RememberedKey { record, row_id: id.into(), fingerprint: [1; 32], until }
    }

    fn found(id: &str, now: Now) -> Known {
        Ok(Arc::new(key(id, now.plus(KEPT).unix_seconds())))
    }

    #[test]
    fn a_key_is_told_by_a_secret_of_this_memory() {
        let (one, other) = (memory(1, 1), memory(1, 1));
        assert_eq!(one.tag(b"key"), one.tag(b"key"));
        assert_ne!(one.tag(b"key"), one.tag(b"kez"));
        assert_ne!(one.tag(b"key"), other.tag(b"key"));
    }

    #[test]
    fn both_outcomes_are_known_for_their_time() {
        let (memory, now) = (memory(9, 9), Now::read());
        let (right, wrong) = (memory.tag(b"right"), memory.tag(b"wrong"));
        memory.remember(right, &found("k", now), now);
        memory.remember(wrong, &Err(KeyError::Unknown), now);
        let just = |kept: Duration| now.plus(kept - Duration::from_millis(1));
        assert!(memory.known(&right, just(KEPT)).unwrap().is_ok());
        assert!(memory.known(&right, now.plus(KEPT)).is_none());
        assert_eq!(memory.known(&wrong, just(WRONG_KEPT)), Some(Err(KeyError::Unknown)));
        assert_eq!(memory.known(&wrong, now.plus(WRONG_KEPT)), None);
    }

    #[test]
    fn what_could_not_be_found_out_is_not_remembered() {
        let (memory, now) = (memory(9, 9), Now::read());
        let tag = memory.tag(b"key");
        for error in
            [KeyError::Busy { retry_after: KEPT }, KeyError::Unavailable { retry_after: KEPT }]
        {
            memory.remember(tag, &Err(error), now);
            assert_eq!(memory.known(&tag, now), None);
        }
    }

    #[test]
    fn a_flood_of_wrong_keys_pushes_out_no_right_one() {
        let (memory, now) = (memory(2, 3), Now::read());
        let tags = [0, 1, 2].map(|n| memory.tag(&[n]));
        for tag in tags.iter().take(2) {
            memory.remember(*tag, &found("k", now), now);
        }
        for n in 0..100_u32 {
            memory.remember(memory.tag(&n.to_be_bytes()), &Err(KeyError::Unknown), now);
        }
        assert_eq!((memory.keys(), memory.evictions()), (2, 97));
        let [first, second, third] = tags;
        assert!(memory.known(&first, now).is_some());
        memory.remember(third, &found("k", now), now);
        assert_eq!((memory.keys(), memory.evictions()), (2, 98));
        assert!(memory.known(&first, now).is_some() && memory.known(&second, now).is_none());
    }

    #[test]
    fn a_key_that_was_proved_anew_is_not_forgotten_for_an_old_doubt() {
        let (memory, now) = (memory(9, 9), Now::read());
        let tag = memory.tag(b"key");
        memory.remember(tag, &found("old", now), now);
        let doubt = memory.doubts(now).pop().unwrap();
        memory.remember(tag, &found("new", now), now);
        assert!(!memory.forget(&doubt));
        memory.confirm(&doubt, key("other", 0), now);
        assert_eq!(memory.known(&tag, now), Some(found("new", now)));
        let doubt = memory.doubts(now).pop().unwrap();
        assert!(memory.forget(&doubt));
        assert_eq!(memory.known(&tag, now), None);
    }

    #[test]
    fn a_key_whose_time_is_over_is_not_asked_about() {
        let (memory, now) = (memory(9, 9), Now::read());
        memory.remember(memory.tag(b"key"), &found("k", now), now);
        assert_eq!(memory.doubts(now).len(), 1);
        assert!(memory.doubts(now.plus(KEPT)).is_empty());
        assert_eq!(memory.keys(), 0);
    }
}
