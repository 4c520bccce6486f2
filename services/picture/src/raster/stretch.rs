//! Which values do the ends of the colour scale stand for?

/// Percentiles that a histogram stretch takes as its ends.
const PERCENTILES: (f64, f64) = (0.02, 0.98);

/// The whole scale of NDVI.
const NDVI: Range = Range { low: -1.0, high: 1.0 };

/// A field that differs by less than this looks the same everywhere: to stretch it would show
/// noise, and two numbers of its scale would read the same.
const SPREAD_MIN: f64 = 0.01;

/// How values are spread over the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stretch {
    /// From -1 to 1: colours of two pictures can be compared.
    #[default]
    Fixed,
    /// From the 2nd to the 98th percentile of the picture's own values, so that differences
    /// within a field are seen. A field without differences is shown as [`Stretch::Fixed`] does.
    Histogram,
}

/// The values at the ends of the colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// The range of a picture of these values.
    pub(super) fn of(values: &[Option<f32>], stretch: Stretch) -> Self {
        match stretch {
            Stretch::Fixed => NDVI,
            Stretch::Histogram => Self::percentiles(values).unwrap_or(NDVI),
        }
    }

    fn percentiles(values: &[Option<f32>]) -> Option<Self> {
        let mut sorted: Vec<f32> =
            values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let low = percentile(&sorted, PERCENTILES.0)?;
        let high = percentile(&sorted, PERCENTILES.1)?;
        (high - low >= SPREAD_MIN).then_some(Self { low, high })
    }

    /// How far a value lies on the way from the low end to the high one.
    pub(super) fn share(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Linear interpolation between the two nearest ranks.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank lies between 0 and the number of values"
)]
fn percentile(sorted: &[f32], share: f64) -> Option<f64> {
    let rank = share * sorted.len().checked_sub(1)? as f64;
    let below = f64::from(*sorted.get(rank as usize)?);
    let above = sorted.get(rank as usize + 1).map_or(below, |value| f64::from(*value));
    Some(below + (above - below) * rank.fract())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_precision_loss, reason = "small whole numbers")]
    use super::*;

    #[test]
    fn histogram_reaches_from_the_2nd_to_the_98th_percentile() {
        let values: Vec<_> = (0..=100).map(|number| Some(number as f32 / 100.0)).collect();
        let range = Range::of(&values, Stretch::Histogram);
        assert!((range.low - 0.02).abs() < 1e-6 && (range.high - 0.98).abs() < 1e-6, "{range:?}");
    }

    #[test]
    fn n9_field_without_differences_is_shown_on_the_fixed_scale() {
        for values in [&[Some(0.8_f32); 40][..], &[Some(0.8), Some(0.8001)], &[None], &[]] {
            assert_eq!(Range::of(values, Stretch::Histogram), NDVI, "{values:?}");
        }
    }

    #[test]
    fn values_that_are_no_numbers_do_not_count() {
        let values = [Some(f32::NAN), Some(0.0), Some(1.0), Some(f32::INFINITY), None];
        let range = Range::of(&values, Stretch::Histogram);
        assert!((range.low - 0.02).abs() < 1e-6 && (range.high - 0.98).abs() < 1e-6, "{range:?}");
    }
}
