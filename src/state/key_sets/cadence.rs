//! May a set of keys be fetched now, and when is it due? Pure: time and chance are arguments.

use std::time::{Duration, Instant};

/// How far a refresh may be off its time, so that many gateways do not ask at once.
const JITTER: f64 = 0.1;
/// The pause after a first fetch that failed. It doubles with each failure, up to the cooldown: as
/// long as there are no keys at all, every request of the issuer's users is refused.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The doublings after which no pause is shorter than the longest cooldown.
const DOUBLINGS_MAX: u32 = 16;

/// How often one set may be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence {
    /// How long until it is fetched again in the background.
    pub(super) refresh: Duration,
    /// The least time between two fetches because of a key that is not known.
    pub(super) cooldown: Duration,
}

/// What is known of the fetches of one set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// When the last fetch began.
    pub(super) began: Option<Instant>,
    /// How many fetches failed since the last one that did not.
    pub(super) failures: u32,
    /// Whether any fetch ever brought keys.
    pub(super) has_keys: bool,
}

impl Cadence {
    /// Whether a token may cause a fetch now. It is counted from the beginning of the last fetch,
    /// whoever caused that.
    pub(super) fn may_refetch(&self, history: &History, now: Instant) -> bool {
        let pause = self.pause(history);
        history.began.is_none_or(|began| now.saturating_duration_since(began) >= pause)
    }

    /// When the next fetch is due that nobody asked for. `chance` lies in 0 to 1.
    pub(super) fn due(&self, history: &History, chance: f64) -> Option<Instant> {
        let pause = if history.failures == 0 {
            self.refresh.mul_f64(1.0 + JITTER * (2.0 * chance.clamp(0.0, 1.0) - 1.0))
        } else {
            self.pause(history).min(self.refresh)
        };
        history.began.map(|began| began + pause)
    }

    fn pause(&self, history: &History) -> Duration {
        match history.failures.checked_sub(1) {
            Some(doublings) if !history.has_keys => {
                let longer = FIRST_PAUSE * (1 << doublings.min(DOUBLINGS_MAX));
                longer.min(self.cooldown)
            }
            _ => self.cooldown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;

    const CADENCE: Cadence =
        Cadence { refresh: Duration::from_secs(600), cooldown: Duration::from_secs(30) };

    fn after(failures: u32, has_keys: bool) -> (History, Instant) {
        let began = Now::read().instant;
        (History { began: Some(began), failures, has_keys }, began)
    }

    #[test]
    fn the_first_fetch_waits_for_nothing() {
        let history = History::default();
        assert!(CADENCE.may_refetch(&history, Now::read().instant));
        assert_eq!(CADENCE.due(&history, 0.5), None);
    }

    #[test]
    fn unknown_keys_wait_for_the_cooldown() {
        for failures in [0, 1, 9] {
            let (history, began) = after(failures, true);
            let at = |seconds| began + Duration::from_secs(seconds);
            assert!(!CADENCE.may_refetch(&history, at(0)), "{failures}");
            assert!(!CADENCE.may_refetch(&history, at(29)), "{failures}");
            assert!(CADENCE.may_refetch(&history, at(30)), "{failures}");
        }
    }

    #[test]
    fn without_any_keys_the_pause_begins_short_and_doubles() {
        for (failures, seconds) in
            [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30), (u32::MAX, 30)]
        {
            let (history, began) = after(failures, false);
            let free = began + Duration::from_secs(seconds);
            assert!(CADENCE.may_refetch(&history, free), "{failures}");
            let early = free.checked_sub(Duration::from_millis(1));
            assert!(early.is_some_and(|at| !CADENCE.may_refetch(&history, at)), "{failures}");
            assert_eq!(CADENCE.due(&history, 0.5), Some(free), "{failures}");
        }
    }

    #[test]
    fn a_refresh_is_due_about_its_time() {
        let (history, began) = after(0, true);
        for (chance, seconds) in [(0.0, 540), (0.5, 600), (1.0, 660), (9.0, 660), (-9.0, 540)] {
            let due = CADENCE.due(&history, chance);
            assert_eq!(due, Some(began + Duration::from_secs(seconds)), "{chance}");
        }
    }

    #[test]
    fn a_failed_refresh_is_tried_again_after_the_cooldown() {
        let (history, began) = after(1, true);
        assert_eq!(CADENCE.due(&history, 0.5), Some(began + Duration::from_secs(30)));
        let brisk = Cadence { refresh: Duration::from_secs(10), ..CADENCE };
        assert_eq!(brisk.due(&history, 0.5), Some(began + Duration::from_secs(10)));
    }

    #[test]
    fn a_clock_that_went_back_is_no_reason_to_fetch() {
        let (history, began) = after(0, true);
        let earlier = began.checked_sub(Duration::from_secs(60));
        assert!(earlier.is_none_or(|at| !CADENCE.may_refetch(&history, at)));
    }
}
