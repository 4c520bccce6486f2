//! What is an NDVI sample that somebody else computed?

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A farm's identifier: a UUID, kept in its lower-case form with dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarmId(String);

impl FarmId {
    /// Reads a UUID with or without dashes, in either case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex: String = match text.len() {
            32 => text.to_owned(),
            36 => {
                let bytes = text.as_bytes();
                let dashed = [8, 13, 18, 23].iter().all(|at| bytes.get(*at) == Some(&b'-'));
                dashed.then(|| text.replace('-', ""))?
            }
            _ => return None,
        };
        if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let hex = hex.to_ascii_lowercase();
        let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
        let parts: Option<Vec<&str>> = parts.iter().map(|&(from, to)| hex.get(from..to)).collect();
        Some(Self(parts?.join("-")))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FarmId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for FarmId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Mean, smallest and largest NDVI of a field: `-1 <= min <= mean <= max <= 1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Extremes {
    mean: f64,
    min: f64,
    max: f64,
}

impl Extremes {
    /// Takes three values that are in order; `None` for any other.
    #[must_use]
    pub fn new(mean: f64, min: f64, max: f64) -> Option<Self> {
        let ordered = -1.0 <= min && min <= mean && mean <= max && max <= 1.0;
        // Adding zero turns -0.0 into 0.0, so that equal samples are stored as equal.
        ordered.then_some(Self { mean: mean + 0.0, min: min + 0.0, max: max + 0.0 })
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The smallest value.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }
}

/// One sample. Two samples are the same when all but the geometry are equal.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Whose field.
    pub farm_id: FarmId,
    /// When the field looked so.
    pub timestamp: Timestamp,
    /// The values.
    #[serde(flatten)]
    pub values: Extremes,
    /// Where the values come from; blank counts as absent.
    pub source: Option<String>,
    /// What was sent with it, any JSON.
    pub geometry: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn uuid_is_kept_in_one_form() {
        let canonical = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
        for text in [canonical, "6F9619FF8B86D011B42D00CF4FC964FF"] {
            assert_eq!(FarmId::parse(text).unwrap().as_str(), canonical);
        }
    }

    #[test]
    fn other_texts_are_not_uuids() {
        let dashes = "6f9619ff8-b86-d011-b42d-00cf4fc964ff";
        for text in ["", "17", dashes, &"g".repeat(32), &"é".repeat(16), &"é".repeat(18)] {
            assert_eq!(FarmId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn n10_negative_values_are_samples() {
        assert!(Extremes::new(-0.37, -0.69, -0.1).is_some());
    }

    #[test]
    fn values_out_of_order_are_no_sample() {
        for (mean, min, max) in [
            (0.1, 0.2, 0.3),
            (0.4, 0.2, 0.3),
            (0.0, -1.1, 0.1),
            (0.5, 0.0, 1.1),
            (f64::NAN, 0.0, 1.0),
        ] {
            assert_eq!(Extremes::new(mean, min, max), None);
        }
    }
}
