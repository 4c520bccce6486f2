//! Which stored answers did a change make invalid? RFC 9111, section 4.4.
//!
//! An answer is named by more than its target, so a change does not look for all of a target's
//! answers: it notes the time, and an answer that was asked for before that is not used any more.
//! How many notes there are is bounded. When the oldest has to go, everything that was asked for
//! before it counts as invalid: rather too much than what is known to be wrong.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lru::LruCache;

use super::backing::NoteLog;
use super::key::TargetKey;
use super::record;

/// The first byte of a written note: a target, and the time before which everything is invalid.
const TARGET: u8 = b't';
const FLOOR: u8 = b'f';

/// Most notes of changes, of some 100 bytes each.
const NOTES_MAX: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// When targets changed.
#[derive(Debug)]
pub struct Invalidations {
    /// Whether there ever was a change: without one, no hit takes the lock.
    any: AtomicBool,
    notes: Mutex<Notes>,
    /// Where notes are written down, so that no answer that is kept longer comes back.
    log: Option<Arc<dyn NoteLog>>,
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
        Self { any: AtomicBool::new(false), notes: Mutex::new(notes), log: None }
    }

    /// What was noted before, in its order, and where to write what is noted from now on.
    #[must_use]
    pub fn restored(written: &[Vec<u8>], log: Arc<dyn NoteLog>) -> Self {
        let mut restored = Self::default();
        for note in written {
            restored.read(note);
        }
        restored.log = Some(log);
        restored
    }

    /// Takes a note that was written. One that cannot be understood may say anything, so everything
    /// that was asked for until its time counts as invalid; the time is the last there is.
    fn read(&mut self, note: &[u8]) {
        let Some((rest, nanos)) = note.split_last_chunk::<8>() else { return };
        let at = record::time(u64::from_le_bytes(*nanos));
        let target = rest.split_first().filter(|(kind, _)| **kind == TARGET);
        let target = target.and_then(|(_, digest)| <[u8; 16]>::try_from(digest).ok());
        let any = self.any.get_mut();
        *any = true;
        let notes = self.notes.get_mut().unwrap_or_else(PoisonError::into_inner);
        match target {
            Some(target) => notes.push(TargetKey::from_bytes(target), at),
            None => notes.floor = notes.floor.max(Some(at)),
        }
    }

    /// Notes that a target changed.
    pub fn note(&self, target: TargetKey, now: SystemTime) {
        let mut notes = self.lock();
        notes.push(target, now);
        self.any.store(true, Ordering::Release);
        if let Some(log) = &self.log
            && log.append(&written(TARGET, target.as_bytes(), now))
        {
            // One that could not be rewritten is longer than it should be, and nothing worse.
            let _may_be_tried_again = log.rewrite(&mut notes.written());
        }
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

impl Notes {
    fn push(&mut self, target: TargetKey, at: SystemTime) {
        if let Some((pushed_out, at)) = self.changed_at.push(target, at)
            && pushed_out != target
        {
            self.floor = self.floor.max(Some(at));
        }
    }

    /// All notes as they are written down, those that go first first.
    fn written(&self) -> impl Iterator<Item = Vec<u8>> {
        let floor = self.floor.map(|at| written(FLOOR, &[], at));
        let targets = self.changed_at.iter().rev();
        floor.into_iter().chain(targets.map(|(target, at)| written(TARGET, target.as_bytes(), *at)))
    }
}

fn written(kind: u8, what: &[u8], at: SystemTime) -> Vec<u8> {
    [&[kind], what, &record::nanos(at).to_le_bytes()].concat()
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

    /// Notes as a file would have them.
    #[derive(Debug, Default)]
    struct Written(Mutex<Vec<Vec<u8>>>);

    impl NoteLog for Written {
        fn append(&self, note: &[u8]) -> bool {
            let mut notes = self.0.lock().unwrap();
            notes.push(note.to_vec());
            notes.len() > 5
        }

        fn rewrite(&self, notes: &mut dyn Iterator<Item = Vec<u8>>) -> std::io::Result<()> {
            *self.0.lock().unwrap() = notes.collect();
            Ok(())
        }
    }

    #[test]
    fn what_was_written_down_counts_again() {
        let log = Arc::new(Written::default());
        let changes = Invalidations::restored(&[], log.clone());
        for (path, now) in [("/a", 10), ("/b", 20), ("/a", 30)] {
            changes.note(target(path), at(now));
        }
        for _ in 0..4 {
            changes.note(target("/c"), at(40));
        }
        let written = log.0.lock().unwrap().clone();
        assert!(written.len() <= 5, "rewritten, with each target once and what came after");
        let again = Invalidations::restored(&written, log);
        for (path, asked_at, wanted) in [("/a", 30, true), ("/a", 31, false), ("/b", 20, true)] {
            assert_eq!(again.covers(&target(path), at(asked_at)), wanted, "{path} {asked_at}");
        }
        assert!(!again.covers(&target("/x"), at(1)));
    }

    #[test]
    fn note_of_an_unknown_kind_counts_for_everything_until_its_time() {
        let unknown = written(b'?', b"a tag", at(10));
        let changes = Invalidations::restored(&[unknown], Arc::new(Written::default()));
        assert!(changes.covers(&target("/a"), at(10)) && !changes.covers(&target("/a"), at(11)));
    }

    #[test]
    fn floor_outlives_the_notes_that_made_it() {
        let changes = Invalidations::new(NonZeroUsize::new(1).unwrap());
        changes.note(target("/a"), at(10));
        changes.note(target("/b"), at(20));
        let written: Vec<_> = changes.lock().written().collect();
        let again = Invalidations::restored(&written, Arc::new(Written::default()));
        assert!(again.covers(&target("/a"), at(10)) && again.covers(&target("/b"), at(20)));
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
