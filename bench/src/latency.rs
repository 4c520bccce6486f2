//! How long did they wait?

use std::time::Duration;

/// Waits of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Of these waits.
    pub(crate) fn of(waits: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = waits.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The wait that so many hundredths did not exceed, in microseconds; zero when there are none.
    pub(crate) fn percentile_us(&self, percent: usize) -> f64 {
        let place = (self.sorted.len() * percent).div_ceil(100).saturating_sub(1);
        self.sorted.get(place).map_or(0.0, |wait| wait.as_secs_f64() * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_a_wait_that_was_seen() {
        let waits = Latencies::of((1..=200).rev().map(Duration::from_micros));
        assert_eq!([50, 99, 100].map(|p| waits.percentile_us(p).round()), [100.0, 198.0, 200.0]);
        assert_eq!(Latencies::default().percentile_us(99), 0.0);
        assert_eq!(waits.count(), 200);
    }
}
