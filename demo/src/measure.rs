//! What do many measured times come to, and how is a time written?

use std::time::Duration;

/// Measured times, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// The times in order.
    pub(crate) fn new(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The 50th percentile.
    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The 99th percentile.
    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The longest time.
    pub(crate) fn slowest(&self) -> Duration {
        self.percentile(100)
    }

    /// The smallest measured time that at least this share of all does not exceed (nearest rank);
    /// zero without any time.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

/// A time with three digits and its unit, as `2.21 s`, `14.2 ms` or `430 µs`.
pub(crate) fn written(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..999.5 => format!("{micros:.0} µs"),
        ..99_950.0 => with_unit(micros / 1e3, "ms"),
        ..999_500.0 => format!("{:.0} ms", micros / 1e3),
        _ => with_unit(micros / 1e6, "s"),
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    let decimals = if value < 9.995 { 2 } else { 1 };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: impl IntoIterator<Item = u64>) -> Times {
        Times::new(times.into_iter().map(Duration::from_millis))
    }

    #[test]
    fn percentiles_are_measured_times() {
        let times = millis((1..=200).rev());
        assert_eq!(times.median(), Duration::from_millis(100));
        assert_eq!(times.p99(), Duration::from_millis(198));
        assert_eq!(times.slowest(), Duration::from_millis(200));
    }

    #[test]
    fn few_times_have_percentiles_too() {
        assert_eq!(millis([7]).p99(), Duration::from_millis(7));
        assert_eq!(millis([1, 9]).median(), Duration::from_millis(1));
        assert_eq!(millis([1, 9]).p99(), Duration::from_millis(9));
        assert_eq!(millis([]).slowest(), Duration::ZERO);
    }

    #[test]
    fn times_are_written_with_three_digits() {
        for (micros, text) in [
            (0, "0 µs"),
            (430, "430 µs"),
            (999, "999 µs"),
            (1_234, "1.23 ms"),
            (14_249, "14.2 ms"),
            (99_949, "99.9 ms"),
            (99_960, "100 ms"),
            (431_000, "431 ms"),
            (999_499, "999 ms"),
            (2_214_000, "2.21 s"),
            (12_340_000, "12.3 s"),
        ] {
            assert_eq!(written(Duration::from_micros(micros)), text);
        }
    }
}
