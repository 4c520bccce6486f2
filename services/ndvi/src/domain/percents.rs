//! Which value does a given share of a field's pixels not exceed?

use super::statistics::percentile;

/// All whole percentiles from 0 to 100.
#[derive(Clone, Debug, PartialEq)]
pub struct Percents(Vec<f64>);

impl Percents {
    /// Of finite values in any order; `None` when there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let percents = (0..=100_u8).map(|percent| percentile(&sorted, f64::from(percent) / 100.0));
        percents.collect::<Option<Vec<f64>>>().map(Self)
    }

    /// The percentile; `None` beyond 100.
    #[must_use]
    pub fn at(&self, percent: u8) -> Option<f64> {
        self.0.get(usize::from(percent)).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::statistics::Summary;
    use super::*;

    #[test]
    fn percentiles_agree_with_the_summary() {
        let values: Vec<f64> = (0..57).map(|n| f64::from(n * 37 % 57) / 57.0).collect();
        let percents = Percents::of(&values).unwrap();
        let summary = Summary::of(values).unwrap();
        for (percent, expected) in [
            (0, summary.min),
            (10, summary.p10),
            (25, summary.p25),
            (50, summary.median),
            (75, summary.p75),
            (90, summary.p90),
            (100, summary.max),
        ] {
            assert!((percents.at(percent).unwrap() - expected).abs() < 1e-12, "{percent}");
        }
        assert_eq!(percents.at(101), None);
    }

    #[test]
    fn no_values_have_no_percentiles() {
        assert_eq!(Percents::of(&[]), None);
    }
}
