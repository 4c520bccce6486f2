//! What do several rounds say together?

use std::fmt;

use serde::Serialize;

/// A figure over all rounds: the middle one, and how far the others lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of these values; all zero when there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
        let (middle, last) = (sorted.len() / 2, sorted.len().saturating_sub(1));
        let median = match sorted.len() % 2 {
            1 => at(middle),
            _ => f64::midpoint(at(middle.saturating_sub(1)), at(middle)),
        };
        Self { median, min: at(0), max: at(last) }
    }

    /// Of the ratios of two series, round by round: what disturbed a whole round cancels out.
    pub(crate) fn of_ratios(ours: &[f64], theirs: &[f64]) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two digits that count, however small the smallest is.
        let digits = match self.min {
            min if min > 0.0 && min < 0.1 => (1.0 - min.log10().floor()).min(9.0) as usize,
            _ => 2,
        };
        let Self { median, min, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$} to {max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ratios_are_told_with_digits_that_count() {
        let told = |values: [f64; 2]| Spread::of(values).to_string();
        assert_eq!(told([0.88, 1.2]), "1.04 (0.88 to 1.20)");
        assert_eq!(told([0.000_64, 0.000_78]), "0.00071 (0.00064 to 0.00078)");
        assert_eq!(told([0.05, 0.1]), "0.075 (0.050 to 0.100)");
        assert_eq!(told([0.0, 0.5]), "0.25 (0.00 to 0.50)");
    }

    #[test]
    fn median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 9.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(Spread::of([]).median, 0.0);
    }

    #[test]
    fn round_that_was_slow_for_both_keeps_its_ratio() {
        let ratio = Spread::of_ratios(&[10.0, 1.0, 10.0], &[20.0, 2.0, 20.0]);
        assert_eq!(ratio, Spread { median: 0.5, min: 0.5, max: 0.5 });
    }
}
