//! How long, how large, how often?

use std::str::FromStr;
use std::time::Duration;

use serde::Deserializer;

use super::{ScalarError, from_text, read_from_text};
use crate::config::fault::quoted;

/// A length of time with its unit: `250ms`, `2s`, `5m`, `1h`, `1d`.
///
/// Read from a file it is longer than zero, unless the field says
/// `#[serde(deserialize_with = "Period::or_zero")]`, and never longer than ten years, so that it can
/// be added to any clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

impl Period {
    /// No time at all.
    #[must_use]
    pub const fn zero() -> Self {
        Self(Duration::ZERO)
    }

    /// The period as the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Decodes a period that may be `0s`.
    ///
    /// # Errors
    /// What the deserializer makes of a text that is no period.
    pub fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "1s", Self::from_text_or_zero)
    }

    /// Reads a period that may be `0s`.
    ///
    /// # Errors
    /// The text is not a whole number with a unit, or is longer than ten years.
    pub fn from_text_or_zero(text: &str) -> Result<Self, ScalarError> {
        let (digits, unit) = split_number(text);
        let (Ok(number), Some(milliseconds)) = (digits.parse::<u64>(), milliseconds(unit)) else {
            return Err(ScalarError::new(not_a_period(text, digits, unit)));
        };
        let length = number.checked_mul(milliseconds).map(Duration::from_millis);
        match length {
            Some(length) if length <= PERIOD_MAX => Ok(Self(length)),
            _ => {
                Err(ScalarError::new(format!("{} is too long; write 3650d at most", quoted(text))))
            }
        }
    }
}

impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Period {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        match Self::from_text_or_zero(text)? {
            Self(Duration::ZERO) => Err(ScalarError::new(format!(
                "{} is no time at all; write 1ms or more",
                quoted(text)
            ))),
            period => Ok(period),
        }
    }
}

/// A number of bytes with its unit: `512B`, `64KiB`, `10MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(usize);

impl ByteSize {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl From<usize> for ByteSize {
    fn from(bytes: usize) -> Self {
        Self(bytes)
    }
}

impl FromStr for ByteSize {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let (digits, unit) = split_number(text);
        let (Ok(number), Some(bytes)) = (digits.parse::<usize>(), bytes_in(unit)) else {
            return Err(ScalarError::new(not_a_size(text, digits, unit)));
        };
        let Some(size) = number.checked_mul(bytes) else {
            return Err(ScalarError::new(format!("{} is too large; write less", quoted(text))));
        };
        Ok(Self(size))
    }
}

/// So many in so long: `10/s`, `1000/min`, `5/hour`, `1/day`, and the other spellings of these
/// units in Django REST framework, such as `10/second` or `5/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    period: Duration,
}

impl Rate {
    /// How many; at least 1.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// In how long: a second, a minute, an hour or a day.
    #[must_use]
    pub const fn period(self) -> Duration {
        self.period
    }
}

impl FromStr for Rate {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let (digits, unit) = split_number(text);
        let seconds = match unit {
            "/s" | "/sec" | "/second" => 1,
            "/m" | "/min" | "/minute" => 60,
            "/h" | "/hour" => 60 * 60,
            "/d" | "/day" => 24 * 60 * 60,
            _ => {
                return Err(ScalarError::new(format!(
                    "{} is not a rate; write a number and /s, /min, /hour or /day, such as 100/min",
                    quoted(text)
                )));
            }
        };
        match digits.parse() {
            Ok(count) if count > 0 => Ok(Self { count, period: Duration::from_secs(seconds) }),
            _ => Err(ScalarError::new(format!(
                "{} is not a rate; write a number from 1 to {} before the {unit}",
                quoted(text),
                u32::MAX
            ))),
        }
    }
}

read_from_text! {
    Period: "1s",
    ByteSize: "1KiB",
    Rate: "1/s",
}

/// The digits at the start, and what follows them.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn milliseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        "d" => 24 * 60 * 60 * 1_000,
        _ => return None,
    })
}

fn not_a_period(text: &str, digits: &str, unit: &str) -> String {
    let quoted = quoted(text);
    if digits.is_empty() || digits.len() > NUMBER_DIGITS_MAX {
        return format!("{quoted} is not a period; write a whole number and its unit, such as 2s");
    }
    match unit.trim() {
        "" => format!("{quoted} has no unit; write {digits}s or {digits}ms"),
        "sec" | "secs" | "second" | "seconds" | "S" => format!("{quoted}: write {digits}s"),
        "min" | "mins" | "minute" | "minutes" => format!("{quoted}: write {digits}m"),
        "hour" | "hours" | "H" => format!("{quoted}: write {digits}h"),
        "day" | "days" | "D" => format!("{quoted}: write {digits}d"),
        trimmed if milliseconds(trimmed).is_some() => format!("{quoted}: write {digits}{trimmed}"),
        _ => format!("{quoted} is not a period; write one whole number and ms, s, m, h or d"),
    }
}

fn bytes_in(unit: &str) -> Option<usize> {
    Some(match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    })
}

fn not_a_size(text: &str, digits: &str, unit: &str) -> String {
    let quoted = quoted(text);
    if digits.is_empty() || digits.len() > NUMBER_DIGITS_MAX {
        return format!("{quoted} is not a size; write a whole number and its unit, such as 64KiB");
    }
    match unit.trim().to_ascii_lowercase().as_str() {
        "" => format!("{quoted} has no unit; write {digits}B for bytes, or {digits}KiB"),
        "b" | "byte" | "bytes" => format!("{quoted}: write {digits}B"),
        "k" | "kb" | "kib" => format!("{quoted}: write {digits}KiB"),
        "m" | "mb" | "mib" => format!("{quoted}: write {digits}MiB"),
        "g" | "gb" | "gib" => format!("{quoted}: write {digits}GiB"),
        _ => format!("{quoted} is not a size; write one whole number and B, KiB, MiB or GiB"),
    }
}

/// Ten years: more than any setting means, and less than any clock overflows with.
const PERIOD_MAX: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// The longest number that a message offers again with another unit.
const NUMBER_DIGITS_MAX: usize = 18;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn problem<T: FromStr<Err = ScalarError> + std::fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn a_period_is_a_number_with_a_unit() {
        for (text, milliseconds) in
            [("250ms", 250), ("2s", 2_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.duration(), Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_told_its_unit() {
        assert_eq!(problem::<Period>("30"), "\"30\" has no unit; write 30s or 30ms");
        assert_eq!(problem::<Period>("5min"), "\"5min\": write 5m");
        assert_eq!(problem::<Period>("5 s"), "\"5 s\": write 5s");
        assert!(problem::<Period>("1h30m").contains("one whole number"));
        assert!(problem::<Period>("-1s").contains("not a period"));
        assert!(problem::<Period>("1.5s").contains("not a period"));
    }

    #[test]
    fn zero_is_a_period_only_where_it_is_allowed() {
        assert_eq!(problem::<Period>("0s"), "\"0s\" is no time at all; write 1ms or more");
        assert_eq!(Period::from_text_or_zero("0s"), Ok(Period::zero()));
    }

    #[test]
    fn a_period_has_an_upper_bound() {
        assert!("3650d".parse::<Period>().is_ok());
        assert!(problem::<Period>("3651d").contains("too long"));
        assert!(problem::<Period>("18446744073709551615d").contains("too long"));
        assert!(problem::<Period>("99999999999999999999999s").contains("not a period"));
    }

    #[test]
    fn a_size_is_a_number_with_a_binary_unit() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1GiB", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize::from(bytes)), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_is_told_the_right_one() {
        assert_eq!(problem::<ByteSize>("10MB"), "\"10MB\": write 10MiB");
        assert_eq!(
            problem::<ByteSize>("512"),
            "\"512\" has no unit; write 512B for bytes, or 512KiB"
        );
        assert!(problem::<ByteSize>("18446744073709551615GiB").contains("too large"));
        assert!(problem::<ByteSize>("a lot").contains("not a size"));
    }

    #[test]
    fn a_rate_is_a_count_in_a_period() {
        for (text, count, seconds) in [
            ("10/s", 10, 1),
            ("10/sec", 10, 1),
            ("10/second", 10, 1),
            ("1000/m", 1000, 60),
            ("1000/min", 1000, 60),
            ("1000/minute", 1000, 60),
            ("5/h", 5, 3600),
            ("5/hour", 5, 3600),
            ("1/d", 1, 86_400),
            ("1/day", 1, 86_400),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count(), rate.period().as_secs()), (count, seconds), "{text}");
        }
    }

    #[test]
    fn a_rate_of_none_or_too_many_is_refused() {
        assert!(problem::<Rate>("0/s").contains("from 1 to 4294967295"));
        assert!(problem::<Rate>("4294967296/s").contains("from 1 to 4294967295"));
        assert!(problem::<Rate>("10/secs").contains("/s, /min, /hour or /day"));
        assert!(problem::<Rate>("/s").contains("from 1"));
        assert!(problem::<Rate>("10").contains("not a rate"));
    }

    proptest! {
        #[test]
        fn no_amount_that_passes_is_out_of_bounds(text in "\\PC{0,12}|[0-9]{0,24}[a-zA-Z/ ]{0,4}") {
            if let Ok(period) = text.parse::<Period>() {
                prop_assert!(!period.duration().is_zero() && period.duration() <= PERIOD_MAX);
            }
            if let Ok(rate) = text.parse::<Rate>() {
                prop_assert!(rate.count() > 0);
            }
            if let Err(error) = text.parse::<ByteSize>() {
                prop_assert!(error.to_string().contains("write "));
            }
        }
    }
}
