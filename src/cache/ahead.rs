//! Which answers are fetched anew before anyone finds them stale?
//!
//! Those that are asked for. An answer that was used is planned to be looked at a while before it
//! turns stale; what its use has been decides then. The while is random, so that answers that came
//! together are not fetched together again, and it grows with what the fetch takes: the idea of
//! probabilistic early expiration (Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic
//! Cache Stampede Prevention", 2015), drawn once for each copy instead of at each request, so that
//! also an answer that nobody asks for in its last moments is there in time. Pure: the clock and the
//! draw are arguments.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Most answers that are planned for, at some 2 KiB each.
pub const PLANS_MAX: usize = 10_000;

/// Heat from which an answer is fetched ahead.
const HEAT_MIN: f64 = 1.0;

/// Most heat: an answer that was asked for much cools down in three lifetimes without a request.
const HEAT_MAX: f64 = 8.0;

/// How much an answer is asked for: its hits, those of the lifetime before counted half, those before
/// that a quarter, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heat {
    value: f64,
    hits_seen: u64,
}

impl Heat {
    /// No heat yet, of an answer that has so many hits.
    #[must_use]
    pub fn from(hits: u64) -> Self {
        Self { value: 0.0, hits_seen: hits }
    }

    /// The heat after another lifetime, at the end of which there are so many hits in all.
    #[must_use]
    pub fn after(self, hits: u64) -> Self {
        // Far fewer than 2^52 in one lifetime.
        #[allow(clippy::cast_precision_loss, reason = "it is capped at a small number")]
        let anew = hits.saturating_sub(self.hits_seen) as f64;
        Self { value: (self.value / 2.0 + anew).min(HEAT_MAX), hits_seen: hits }
    }

    /// Whether another fetch is worth it.
    #[must_use]
    pub fn is_hot(self) -> bool {
        self.value >= HEAT_MIN
    }
}

/// How long before an answer turns stale it is looked at. `took` is how long its fetch took, `fresh`
/// how long it is fresh in all, `draw` a random number above 0 and at most 1.
#[must_use]
pub fn lead(took: Duration, fresh: Duration, draw: f64) -> Duration {
    let spread = 1.0 - draw.clamp(f64::MIN_POSITIVE, 1.0).ln();
    // And a fiftieth of the lifetime: time for a slower fetch, for little more calls.
    let unit = took + fresh / 50;
    unit.mul_f64(spread.min(1_000.0)).min(fresh / 4)
}

/// What is looked at when, the earliest first.
#[derive(Debug)]
pub struct Plans<T> {
    heap: BinaryHeap<Reverse<Plan<T>>>,
    plans_max: usize,
}

#[derive(Debug)]
struct Plan<T> {
    due: Instant,
    item: T,
}

impl<T> Plans<T> {
    /// No plans yet, and never more than `plans_max`.
    #[must_use]
    pub fn new(plans_max: usize) -> Self {
        Self { heap: BinaryHeap::new(), plans_max }
    }

    /// Plans to look at something; answers it back when there are too many plans.
    pub fn push(&mut self, due: Instant, item: T) -> Option<T> {
        if self.heap.len() >= self.plans_max {
            return Some(item);
        }
        self.heap.push(Reverse(Plan { due, item }));
        None
    }

    /// When the earliest is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(plan)| plan.due)
    }

    /// The earliest, if it is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(plan)| plan.item)
    }
}

impl<T> Ord for Plan<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl<T> PartialOrd for Plan<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Plan<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<T> Eq for Plan<T> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Now;

    #[test]
    fn an_answer_stays_hot_through_a_quiet_lifetime_and_not_for_ever() {
        let often = (1..=20).fold(Heat::default(), |heat, round| heat.after(round * 100));
        let mut quiet = 0;
        let mut heat = often;
        while heat.is_hot() {
            heat = heat.after(2_000);
            quiet += 1;
        }
        assert_eq!(quiet, 4, "three fetches for nobody");
        assert!(!Heat::default().after(0).is_hot());
        assert!(Heat::default().after(1).is_hot());
        assert!(!Heat::default().after(1).after(1).is_hot());
        assert!(Heat::default().after(2).after(2).is_hot());
    }

    #[test]
    fn plans_come_in_the_order_in_which_they_are_due_and_are_bounded() {
        let (mut plans, now) = (Plans::new(3), Now::read().instant);
        let at = |ms| now + Duration::from_millis(ms);
        for ms in [20, 10, 30] {
            assert_eq!(plans.push(at(ms), ms), None);
        }
        assert_eq!(plans.push(at(5), 5), Some(5));
        assert_eq!((plans.next_due(), plans.pop_due(now)), (Some(at(10)), None));
        let popped: Vec<u64> = std::iter::from_fn(|| plans.pop_due(at(20))).collect();
        assert_eq!(popped, [10, 20]);
    }

    proptest! {
        #[test]
        fn an_answer_is_looked_at_in_time_for_its_fetch_and_late_in_its_life(
            took_ms in 0_u64..100_000,
            fresh_ms in 1_u64..100_000_000,
            draw in 0.0_f64..=1.0,
        ) {
            let (took, fresh) = (Duration::from_millis(took_ms), Duration::from_millis(fresh_ms));
            let lead = lead(took, fresh, draw);
            prop_assert!(lead <= fresh / 4);
            prop_assert!(lead >= took.min(fresh / 4) && lead >= fresh / 50);
        }
    }
}
