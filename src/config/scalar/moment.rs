//! At which moment?

use std::str::FromStr;

use jiff::Timestamp;

use super::{ScalarError, read_from_text};
use crate::config::fault::quoted;

/// A moment, as seconds since 1970 or as RFC 3339 writes it: `2026-12-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// Whole seconds since 1970.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }
}

impl FromStr for Moment {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
        let written = || text.parse::<Timestamp>().ok().map(Timestamp::as_second);
        seconds.or_else(written).map(Self).ok_or_else(|| {
            ScalarError::new(format!(
                "{} is not a moment; write one with its zone, such as 2026-12-01T00:00:00Z, or \
                 seconds since 1970",
                quoted(text)
            ))
        })
    }
}

read_from_text! {
    Moment: "2026-12-01T00:00:00Z",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_from_seconds_and_from_dates() {
        for (text, seconds) in [
            ("0", 0),
            ("1764547200", 1_764_547_200),
            ("2025-12-01T00:00:00Z", 1_764_547_200),
            ("2025-12-01T03:00:00+03:00", 1_764_547_200),
        ] {
            assert_eq!(text.parse::<Moment>().map(Moment::unix_seconds), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn moments_without_a_zone_are_refused() {
        for text in ["", "-1", "2025-12-01", "2025-12-01T00:00:00", "tomorrow", "1.5"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
