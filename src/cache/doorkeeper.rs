//! Which new answer is let into a full store?
//!
//! The map evicts by use and knows no sizes: one large answer takes the room of many small ones,
//! each of which is asked for as often. So a large one has to be asked for more often before it
//! comes in: by as much as it is larger than what is kept, up to a bound. Small ones always come in.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Bytes of the store's budget for each counter, which costs one byte itself.
const BYTES_PER_COUNTER: usize = 320;

/// Fewest and most counters.
const COUNTERS: (usize, usize) = (1 << 10, 1 << 22);

/// However large it is, an answer that was asked for so often comes in.
const ASKS_MAX: usize = 32;

/// Estimates how often each key was put lately: a count-min sketch that forgets by halves.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    counters: Box<[AtomicU8]>,
    counted: AtomicUsize,
}

impl Doorkeeper {
    /// One for a store with this budget.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (fewest, most) = COUNTERS;
        let wanted = (bytes_max / BYTES_PER_COUNTER).clamp(fewest, most).next_power_of_two();
        let counters = (0..wanted).map(|_| AtomicU8::new(0)).collect();
        Self { counters, counted: AtomicUsize::new(0) }
    }

    /// What it costs itself.
    pub(super) fn cost_bytes(&self) -> usize {
        self.counters.len()
    }

    /// Counts a key that is put anew, and says about how often it was lately, this time included.
    pub(super) fn count(&self, key: &[u8; 16]) -> usize {
        let half = u128::from_le_bytes(*key);
        let at = |bits: u32| {
            // A power of two of counters, so the low bits name one.
            let number = usize::try_from(half >> bits & u128::from(u32::MAX)).unwrap_or_default();
            self.counters.get(number & (self.counters.len() - 1))
        };
        let (Some(first), Some(second)) = (at(0), at(32)) else { return ASKS_MAX };
        let known = first.load(Ordering::Relaxed).min(second.load(Ordering::Relaxed));
        let count = known.saturating_add(1);
        first.fetch_max(count, Ordering::Relaxed);
        second.fetch_max(count, Ordering::Relaxed);
        if self.counted.fetch_add(1, Ordering::Relaxed) + 1 >= self.counters.len() {
            self.forget_half();
        }
        usize::from(count)
    }

    fn forget_half(&self) {
        self.counted.store(0, Ordering::Relaxed);
        for counter in &self.counters {
            counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }
}

/// Whether an answer that costs so much comes in, when it was put so often lately and what is kept
/// costs so much on average.
pub(super) fn lets_in(cost: usize, mean: usize, count: usize) -> bool {
    let is_small = cost.saturating_mul(4) <= mean.saturating_mul(5);
    // Three times the ratio keeps the best part of the room for what is small; the figures are those
    // of `bench`'s program `store`.
    is_small || count >= (cost.saturating_mul(3) / mean.max(1)).min(ASKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_answers_come_in_at_once_and_large_ones_when_they_are_asked_for() {
        for (cost, count, wanted) in [
            (1_000, 1, true),
            (1_250, 1, true),
            (2_000, 5, false),
            (2_000, 6, true),
            (1_000_000, 31, false),
            (1_000_000, 32, true),
        ] {
            assert_eq!(lets_in(cost, 1_000, count), wanted, "{cost} {count}");
        }
        assert!(lets_in(1, 0, 32), "an empty store divides by nothing");
    }

    #[test]
    fn a_key_is_counted_and_forgotten_by_halves() {
        let doorkeeper = Doorkeeper::new(0);
        assert_eq!([0; 8].map(|_| doorkeeper.count(&[7; 16])), [1, 2, 3, 4, 5, 6, 7, 8]);
        doorkeeper.forget_half();
        assert_eq!(doorkeeper.count(&[7; 16]), 5);
        assert_eq!(doorkeeper.count(&[8; 16]), 1);
    }
}
