//! Whose quota is charged?
//!
//! One sliding window per quota and principal, for the life of the process. The number of windows
//! is bounded: when a shard is full, the window that was charged longest ago goes, and its
//! principal starts afresh. Size the bound well above the principals of one period;
//! [`Buckets::evictions`] says when it was too small.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lru::LruCache;

use super::window::{Quota, Remaining, RetryAfter, Window, nanoseconds};
use crate::clock::Now;

/// Locks that share the principals between them: a power of two well above the worker threads.
const SHARDS: usize = 16;

/// A window's key: two independently keyed hashes of quota and principal. With 128 bits and keys
/// that no client knows, two principals do not meet, and no credential is kept in memory.
type Key = (u64, u64);

/// The windows of all principals. A window's log has at most 201 entries of 16 bytes, in a ring
/// that grows by doubling: 4 KiB for a principal who used all of a large quota, 64 bytes for one
/// who made a few calls.
#[derive(Debug)]
pub struct Buckets {
    shards: [Mutex<LruCache<Key, Window>>; SHARDS],
    hashers: [RandomState; 2],
    epoch: Instant,
    evictions: AtomicU64,
}

impl Buckets {
    /// Room for `windows_max` windows, rounded up to a multiple of the shards. Times before `now`
    /// count as `now`.
    #[must_use]
    pub fn new(windows_max: NonZeroUsize, now: Now) -> Self {
        let shard_max = windows_max.div_ceil(NonZeroUsize::MIN.saturating_add(SHARDS - 1));
        Self {
            shards: std::array::from_fn(|_| Mutex::new(LruCache::new(shard_max))),
            hashers: std::array::from_fn(|_| RandomState::new()),
            epoch: now.instant,
            evictions: AtomicU64::new(0),
        }
    }

    /// Accepts one request of `principal` and charges it to the quota `quota_id`, or refuses it
    /// and charges nothing. Deciding and charging are one step: concurrent calls cannot both take
    /// the last request.
    ///
    /// When a request is under several quotas and a later one refuses, give the earlier charges
    /// back with [`refund`](Self::refund).
    ///
    /// # Errors
    /// [`RetryAfter`] when the quota is used up.
    pub fn charge(
        &self,
        quota_id: &str,
        quota: Quota,
        principal: &str,
        now: Now,
    ) -> Result<Remaining, RetryAfter> {
        let key = self.key(quota_id, principal);
        let now_ns = nanoseconds(now.instant.saturating_duration_since(self.epoch));
        let mut shard = self.shard(key);
        if let Some(window) = shard.get_mut(&key) {
            return window.charge(quota, now_ns);
        }
        let mut window = Window::default();
        let remaining = window.charge(quota, now_ns)?;
        if shard.push(key, window).is_some() {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(remaining)
    }

    /// Gives a charge back, as if its request had never been made. `quota_id`, `quota` and
    /// `principal` are those of the charge.
    pub fn refund(&self, quota_id: &str, quota: Quota, principal: &str, charge: Remaining) {
        let key = self.key(quota_id, principal);
        if let Some(window) = self.shard(key).peek_mut(&key) {
            window.refund(quota, charge);
        }
    }

    /// How many windows are held, those of quiet principals included.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.shards.iter().map(|shard| unpoisoned(shard).len()).sum()
    }

    /// How many windows had to go since the start because there was no room for another.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn key(&self, quota_id: &str, principal: &str) -> Key {
        let [first, second] = &self.hashers;
        (first.hash_one((quota_id, principal)), second.hash_one((quota_id, principal)))
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is below SHARDS")]
    fn shard(&self, key: Key) -> MutexGuard<'_, LruCache<Key, Window>> {
        unpoisoned(&self.shards[key.0 as usize % SHARDS])
    }
}

/// A window is consistent between any two statements that could panic, so a poisoned lock tells
/// nothing about it.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::super::remaining_field;
    use super::*;

    const QUOTA: Quota = Quota { requests: 2, period: Duration::from_secs(60) };

    fn buckets(windows_max: usize) -> (Buckets, Now) {
        let now = Now::read();
        (Buckets::new(NonZeroUsize::new(windows_max).unwrap(), now), now)
    }

    #[test]
    fn principals_and_quotas_are_charged_apart() {
        let (buckets, now) = buckets(100);
        for (quota_id, principal) in [("a", "bc"), ("ab", "c"), ("a", "b"), ("", "abc")] {
            assert!(buckets.charge(quota_id, QUOTA, principal, now).is_ok());
            assert!(buckets.charge(quota_id, QUOTA, principal, now).is_ok());
            assert!(buckets.charge(quota_id, QUOTA, principal, now).is_err());
        }
        assert_eq!((buckets.windows(), buckets.evictions()), (4, 0));
    }

    #[test]
    fn used_up_quota_names_the_wait_and_frees_itself() {
        let (buckets, now) = buckets(100);
        assert!(buckets.charge("q", QUOTA, "p", now).is_ok());
        assert!(buckets.charge("q", QUOTA, "p", now.plus(Duration::from_secs(10))).is_ok());
        let later = now.plus(Duration::from_secs(20));
        assert_eq!(
            buckets.charge("q", QUOTA, "p", later),
            Err(RetryAfter(Duration::from_secs(40)))
        );
        assert!(buckets.charge("q", QUOTA, "p", now.plus(QUOTA.period)).is_ok());
    }

    #[test]
    fn accepted_request_is_told_what_remains() {
        let (buckets, now) = buckets(100);
        let remaining = buckets.charge("q", QUOTA, "p", now).unwrap();
        assert_eq!(remaining_field("q", &remaining), r#""q";r=1;t=60"#);
    }

    #[test]
    fn refunded_request_can_be_made_again() {
        let (buckets, now) = buckets(100);
        assert!(buckets.charge("q", QUOTA, "p", now).is_ok());
        let charge = buckets.charge("q", QUOTA, "p", now).unwrap();
        buckets.refund("q", QUOTA, "p", charge);
        assert_eq!(buckets.charge("q", QUOTA, "p", now).unwrap().remaining, 0);
        assert!(buckets.charge("q", QUOTA, "p", now).is_err());
    }

    #[test]
    fn number_of_windows_is_bounded() {
        let (buckets, now) = buckets(32);
        for principal in 0..1_000 {
            assert!(buckets.charge("q", QUOTA, &principal.to_string(), now).is_ok());
        }
        assert!(buckets.windows() <= 32);
        assert_eq!(buckets.evictions(), 1_000 - buckets.windows() as u64);
    }

    #[test]
    fn refused_newcomer_takes_no_room() {
        let (buckets, now) = buckets(100);
        let none = Quota { requests: 0, ..QUOTA };
        assert!(buckets.charge("q", none, "p", now).is_err());
        assert_eq!(buckets.windows(), 0);
    }

    #[test]
    fn concurrent_calls_share_one_quota_exactly() {
        let (buckets, now) = buckets(100);
        let quota = Quota { requests: 500, ..QUOTA };
        let accepted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if buckets.charge("q", quota, "p", now).is_ok() {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(accepted.into_inner(), 500);
    }
}
