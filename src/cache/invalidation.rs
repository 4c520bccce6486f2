//! Which stored answers did a change make invalid? RFC 9111, section 4.4.
//!
//! An answer is named by more than its target, so a change does not look for all of a target's
//! answers: it notes the time, and an answer that was asked for before that is not used any more.
//! How many notes there are is bounded. When the oldest has to go, everything that was asked for
//! before it counts as invalid: rather too much than what is known to be wrong.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lru::LruCache;

use super::key::TargetKey;

/// Most notes of changes, of some 100 bytes each.
const NOTES_MAX: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// When targets changed.
#[derive(Debug)]
pub struct Invalidations {
    /// Whether there ever was a change: without one, no hit takes the lock.
    any: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Notes {
    changed_at: LruCache<TargetKey, SystemTime>,
    /// Everything that was asked for until then is invalid.
    floor: Option<SystemTime>,
}

impl Default for Invalidations {
    fn default() -> Self {
        Self::new(NOTES_MAX)
    }
}

impl Invalidations {
    fn new(notes_max: NonZeroUsize) -> Self {
        let notes = Notes { changed_at: LruCache::new(notes_max), floor: None };
        Self { any: AtomicBool::new(false), notes: Mutex::new(notes) }
    }

    /// Notes that a target changed.
    pub fn note(&self, target: TargetKey, now: SystemTime) {
        let mut notes = self.lock();
        if let Some((pushed_out, at)) = notes.changed_at.push(target, now)
            && pushed_out != target
        {
            notes.floor = notes.floor.max(Some(at));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Whether an answer for this target that was asked for at `asked_at` is invalid.
    #[must_use]
    pub fn covers(&self, target: &TargetKey, asked_at: SystemTime) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let notes = self.lock();
        // A note that is only looked at stays where it is: the oldest change goes first.
        let changed_at = notes.changed_at.peek(target).copied();
        changed_at.max(notes.floor).is_some_and(|at| asked_at <= at)
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn target(path: &str) -> TargetKey {
        TargetKey::new("h", path)
    }

    #[test]
    fn what_was_asked_for_before_a_change_is_invalid() {
        let changes = Invalidations::default();
        assert!(!changes.covers(&target("/a"), at(1)));
        changes.note(target("/a"), at(10));
        for (path, asked_at, wanted) in
            [("/a", 9, true), ("/a", 10, true), ("/a", 11, false), ("/b", 9, false)]
        {
            assert_eq!(changes.covers(&target(path), at(asked_at)), wanted, "{path} {asked_at}");
        }
        changes.note(target("/a"), at(20));
        assert!(changes.covers(&target("/a"), at(11)) && !changes.covers(&target("/b"), at(11)));
    }

    #[test]
    fn no_change_is_forgotten_when_there_are_too_many() {
        let changes = Invalidations::new(NonZeroUsize::new(2).unwrap());
        for (path, now) in [("/a", 10), ("/b", 20), ("/c", 30)] {
            changes.note(target(path), at(now));
        }
        assert!(changes.covers(&target("/a"), at(10)), "it was pushed out");
        assert!(changes.covers(&target("/x"), at(10)) && !changes.covers(&target("/x"), at(11)));
        assert!(changes.covers(&target("/b"), at(20)) && !changes.covers(&target("/b"), at(21)));
    }
}
