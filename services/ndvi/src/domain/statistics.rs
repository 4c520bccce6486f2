//! What is the NDVI of a pixel, and how do many of them read as a few numbers?

use serde::Serialize;

/// Digital number that means "no data" in Sentinel-2 bands.
pub const NO_DATA: u16 = 0;

/// NDVI from digital numbers: `(nir - red) / (nir + red)` on `DN + offset_dn`.
///
/// The scale of 1/10000 cancels, the offset does not. The value is not clipped. `None` for no
/// data in either band and for 0/0.
#[must_use]
pub fn ndvi(red: u16, nir: u16, offset_dn: i32) -> Option<f64> {
    if red == NO_DATA || nir == NO_DATA {
        return None;
    }
    let (red, nir) = (f64::from(i32::from(red) + offset_dn), f64::from(i32::from(nir) + offset_dn));
    let sum = nir + red;
    (sum != 0.0).then(|| (nir - red) / sum)
}

/// Statistics of the valid pixels of a field.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Standard deviation of the population (division by n).
    pub std: f64,
    /// 50th percentile.
    pub median: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 25th percentile.
    pub p25: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
}

impl Summary {
    /// Summarises finite values; `None` when there are none. A field where every value is the
    /// same is as good as any other.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a field has far fewer than 2^52 pixels")]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let percentile = |share: f64| percentile(&values, share);
        Some(Self {
            mean,
            min,
            max,
            std: variance.sqrt(),
            median: percentile(0.5)?,
            p10: percentile(0.1)?,
            p25: percentile(0.25)?,
            p75: percentile(0.75)?,
            p90: percentile(0.9)?,
        })
    }
}

/// Linear interpolation between the two nearest ranks, as numpy does by default.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank lies between 0 and the number of pixels"
)]
pub(super) fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = share * (sorted.len().checked_sub(1)?) as f64;
    let below = *sorted.get(rank as usize)?;
    let above = sorted.get(rank as usize + 1).copied().unwrap_or(below);
    Some(below + (above - below) * rank.fract())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[track_caller]
    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    #[test]
    fn offset_shifts_both_bands() {
        near(ndvi(500, 3_500, 0).unwrap(), 0.75);
        near(ndvi(1_500, 4_500, -1_000).unwrap(), 0.75);
        near(ndvi(1_500, 4_500, 0).unwrap(), 0.5);
    }

    #[test]
    fn no_data_and_zero_sum_have_no_ndvi() {
        assert_eq!(ndvi(0, 3_500, 0), None);
        assert_eq!(ndvi(500, 0, 0), None);
        assert_eq!(ndvi(1_000, 1_000, -1_000), None);
    }

    #[test]
    fn n10_water_has_a_negative_ndvi() {
        near(ndvi(600, 200, 0).unwrap(), -0.5);
        near(Summary::of(vec![-0.69, -0.37]).unwrap().mean, -0.53);
    }

    #[test]
    fn percentiles_interpolate_between_ranks() {
        let summary = Summary::of(vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        near(summary.median, 2.5);
        near(summary.p10, 1.3);
        near(summary.p25, 1.75);
        near(summary.p90, 3.7);
        near(summary.std, 1.25_f64.sqrt());
    }

    #[test]
    fn n9_uniform_field_is_summarised() {
        let summary = Summary::of(vec![0.25; 40]).unwrap();
        near(summary.mean, 0.25);
        near(summary.std, 0.0);
        near(summary.p90, 0.25);
    }

    #[test]
    fn no_values_have_no_summary() {
        assert_eq!(Summary::of(Vec::new()), None);
    }
}
