//! Which answers are at hand, and which have to go?

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chassis::clock::Now;
use lru::LruCache;

use crate::answers::answer::Kept;
use crate::domain::ask::Ask;

/// The newest answer to each question, bounded by number and by age.
#[derive(Debug)]
pub struct Memory {
    answers: Mutex<LruCache<Ask, Entry>>,
    keep_for: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    kept: Kept,
    /// When a newer one was looked for in vain, last.
    refresh_failed_at: Option<SystemTime>,
}

impl Memory {
    /// Room for `entries_max` answers (at least one), none older than `keep_for`.
    #[must_use]
    pub fn new(entries_max: usize, keep_for: Duration) -> Self {
        let entries_max = NonZeroUsize::new(entries_max).unwrap_or(NonZeroUsize::MIN);
        Self { answers: Mutex::new(LruCache::new(entries_max)), keep_for }
    }

    /// The newest answer, if it is younger than `age_max`.
    #[must_use]
    pub fn newest(&self, ask: &Ask, age_max: Duration, now: Now) -> Option<Kept> {
        let mut answers = self.lock();
        let entry = answers.get(ask).filter(|entry| entry.kept.age(now) < age_max)?;
        Some(entry.kept.clone())
    }

    /// Keeps an answer, unless a newer one is there, and drops those that nobody asks for any
    /// more and that are too old even to stand in.
    pub fn keep(&self, ask: Ask, kept: Kept, now: Now) {
        let mut answers = self.lock();
        if answers.peek(&ask).is_none_or(|known| known.kept.fetched_at <= kept.fetched_at) {
            answers.put(ask, Entry { kept, refresh_failed_at: None });
        }
        while answers.peek_lru().is_some_and(|(_, entry)| entry.kept.age(now) >= self.keep_for) {
            answers.pop_lru();
        }
    }

    /// Notes that there is no newer answer to be had.
    pub fn refresh_failed(&self, ask: &Ask, now: Now) {
        if let Some(entry) = self.lock().peek_mut(ask) {
            entry.refresh_failed_at = Some(now.wall);
        }
    }

    /// Time since a newer answer was looked for in vain, if the last look was so.
    #[must_use]
    pub fn since_refresh_failed(&self, ask: &Ask, now: Now) -> Option<Duration> {
        let failed_at = self.lock().peek(ask)?.refresh_failed_at?;
        Some(now.wall.duration_since(failed_at).unwrap_or_default())
    }

    /// A thread that panicked while holding the lock cannot have left half an entry behind.
    fn lock(&self) -> MutexGuard<'_, LruCache<Ask, Entry>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::sync::Arc;

    use crate::domain::ask::{ProviderName, Question};
    use crate::domain::place::{Cell, Zone};
    use crate::domain::report::Report;

    fn ask(lat: f64) -> Ask {
        Ask {
            provider: ProviderName::OpenMeteo,
            question: Question::Hourly,
            cell: Cell::of(lat, 36.8),
            zone: Zone::named("Africa/Nairobi").unwrap(),
        }
    }

    fn kept(now: Now) -> Kept {
        Kept { report: Arc::new(Report::Hourly(Vec::new())), fetched_at: now.wall }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn w9_memory_is_bounded_by_number() {
        let (memory, now) = (Memory::new(2, HOUR), Now::read());
        for lat in [1.0, 2.0, 3.0] {
            memory.keep(ask(lat), kept(now), now);
        }
        assert!(memory.newest(&ask(1.0), HOUR, now).is_none());
        assert!(memory.newest(&ask(3.0), HOUR, now).is_some());
    }

    #[test]
    fn w9_old_answers_are_swept() {
        let (memory, now) = (Memory::new(10, HOUR), Now::read());
        memory.keep(ask(1.0), kept(now), now);
        memory.keep(ask(2.0), kept(now), now);
        let later = now.plus(HOUR);
        memory.keep(ask(3.0), kept(later), later);
        assert_eq!(memory.lock().len(), 1);
    }

    #[test]
    fn answer_is_fresh_until_its_time_is_over() {
        let (memory, now) = (Memory::new(2, HOUR), Now::read());
        memory.keep(ask(1.0), kept(now), now);
        let minute = Duration::from_secs(60);
        assert!(memory.newest(&ask(1.0), minute, now.plus(minute / 2)).is_some());
        assert!(memory.newest(&ask(1.0), minute, now.plus(minute)).is_none());
        assert!(memory.newest(&ask(1.0), HOUR, now.plus(minute)).is_some());
    }

    #[test]
    fn failed_refresh_is_known_until_a_newer_answer_comes() {
        let (memory, now) = (Memory::new(2, HOUR), Now::read());
        memory.refresh_failed(&ask(1.0), now);
        assert_eq!(memory.since_refresh_failed(&ask(1.0), now), None, "there is no answer");
        memory.keep(ask(1.0), kept(now), now);
        memory.refresh_failed(&ask(1.0), now);
        let later = now.plus(Duration::from_secs(9));
        let since = memory.since_refresh_failed(&ask(1.0), later);
        assert_eq!(since, Some(Duration::from_secs(9)));
        memory.keep(ask(1.0), kept(later), later);
        assert_eq!(memory.since_refresh_failed(&ask(1.0), later), None);
    }

    #[test]
    fn older_answer_never_replaces_a_newer_one() {
        let (memory, now) = (Memory::new(2, HOUR), Now::read());
        let later = now.plus(Duration::from_secs(9));
        memory.keep(ask(1.0), kept(later), later);
        memory.keep(ask(1.0), kept(now), later);
        assert_eq!(memory.newest(&ask(1.0), HOUR, later).unwrap().fetched_at, later.wall);
    }
}
