//! Which refreshes wait, and may the next one start?
//!
//! One queue for each pool: so many at once, so many waiting, each key once. An upstream that fails
//! one refresh after the other is left alone for a while, then one tries for all. Pure: `T` is what
//! a refresh needs, and the clock is an argument.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::key::Key;

/// Failures in a row after which there is a pause.
const FAILURES_BEFORE_PAUSE: u32 = 3;

/// The first pause; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The refreshes of one pool.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: VecDeque<(Key, T)>,
    /// What waits or runs.
    known: HashSet<Key>,
    running: usize,
    failures: u32,
    paused_until: Option<Instant>,
}

/// What became of a refresh that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for its turn.
    Queued,
    /// It was asked for already.
    Known,
    /// Too many wait.
    Full,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The upstream answered.
    Done,
    /// It did not need to be asked, which says nothing of it.
    NotAsked,
    /// The upstream failed.
    Failed,
    /// The upstream may not be asked before this time has passed.
    NotNow(Duration),
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            known: HashSet::new(),
            running: 0,
            failures: 0,
            paused_until: None,
        }
    }
}

impl<T> Queue<T> {
    /// Puts a refresh at the end, unless it is known or `waiting_max` wait.
    pub fn push(&mut self, key: Key, item: T, waiting_max: usize) -> Pushed {
        if self.known.contains(&key) {
            return Pushed::Known;
        }
        if self.waiting.len() >= waiting_max {
            return Pushed::Full;
        }
        self.known.insert(key);
        self.waiting.push_back((key, item));
        Pushed::Queued
    }

    /// The next refresh, if one may start now: at most `running_max` run, none in a pause, and one
    /// alone after it.
    pub fn start(&mut self, running_max: usize, now: Instant) -> Option<(Key, T)> {
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let is_probing = self.failures >= FAILURES_BEFORE_PAUSE;
        if self.running >= if is_probing { 1 } else { running_max } {
            return None;
        }
        let started = self.waiting.pop_front()?;
        self.running += 1;
        Some(started)
    }

    /// A refresh that was started ended so.
    pub fn end(&mut self, key: &Key, how: Ended, now: Instant) {
        self.known.remove(key);
        self.running = self.running.saturating_sub(1);
        let pause = match how {
            Ended::NotAsked => return,
            Ended::Done => {
                self.failures = 0;
                self.paused_until = None;
                return;
            }
            Ended::Failed => {
                self.failures = self.failures.saturating_add(1);
                let Some(further) = self.failures.checked_sub(FAILURES_BEFORE_PAUSE) else {
                    return;
                };
                PAUSE_MIN.saturating_mul(2_u32.saturating_pow(further))
            }
            Ended::NotNow(wait) => wait,
        };
        self.paused_until = Some(now + pause.min(PAUSE_MAX));
    }

    /// Until when nothing starts.
    #[must_use]
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| now < *until)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::key::TargetKey;
    use super::*;
    use crate::clock::Now;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(number: usize) -> Key {
        TargetKey::new("h", &number.to_string()).into()
    }

    fn filled(count: usize) -> Queue<usize> {
        let mut queue = Queue::default();
        for number in 0..count {
            assert_eq!(queue.push(key(number), number, usize::MAX), Pushed::Queued);
        }
        queue
    }

    #[test]
    fn so_many_run_and_the_rest_wait_in_turn() {
        let (mut queue, now) = (filled(3), Now::read().instant);
        let started = [queue.start(2, now).unwrap().1, queue.start(2, now).unwrap().1];
        assert_eq!((started, queue.start(2, now)), ([0, 1], None));
        queue.end(&key(0), Ended::Done, now);
        assert_eq!(queue.start(2, now).unwrap().1, 2);
    }

    #[test]
    fn a_key_waits_once_and_again_when_it_has_ended() {
        let (mut queue, now) = (filled(1), Now::read().instant);
        assert_eq!(queue.push(key(0), 0, 9), Pushed::Known);
        let _running = queue.start(1, now).unwrap();
        assert_eq!(queue.push(key(0), 0, 9), Pushed::Known);
        queue.end(&key(0), Ended::Done, now);
        assert_eq!(queue.push(key(0), 0, 9), Pushed::Queued);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut queue = filled(2);
        assert_eq!(queue.push(key(7), 7, 2), Pushed::Full);
        assert_eq!((queue.push(key(7), 7, 3), queue.waiting()), (Pushed::Queued, 3));
    }

    #[test]
    fn an_upstream_that_fails_in_a_row_is_left_alone_then_probed_by_one() {
        let (mut queue, now) = (filled(9), Now::read().instant);
        for number in 0..3 {
            queue.start(3, now).unwrap();
            queue.end(&key(number), Ended::Failed, now);
        }
        assert_eq!(queue.start(3, now), None);
        let later = now + SECOND;
        assert_eq!(queue.start(3, later).unwrap().1, 3);
        assert_eq!(queue.start(3, later), None, "one alone");
        queue.end(&key(3), Ended::Failed, later);
        assert_eq!(queue.paused_until(later), Some(later + 2 * SECOND));
        let later = later + 2 * SECOND;
        queue.start(3, later).unwrap();
        queue.end(&key(4), Ended::Done, later);
        let started = std::iter::from_fn(|| queue.start(3, later)).count();
        assert_eq!(started, 3, "all again");
    }

    #[test]
    fn pauses_have_an_end() {
        let (mut queue, now) = (filled(200), Now::read().instant);
        let mut at = now;
        for number in 0..100 {
            queue.start(1, at).unwrap();
            queue.end(&key(number), Ended::Failed, at);
            at = queue.paused_until(at).unwrap_or(at);
        }
        assert!(at - now <= 100 * PAUSE_MAX);
        queue.start(1, at).unwrap();
        queue.end(&key(100), Ended::NotNow(Duration::from_secs(86_400)), at);
        assert_eq!(queue.paused_until(at), Some(at + PAUSE_MAX));
    }
}
