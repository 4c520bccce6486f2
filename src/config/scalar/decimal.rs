//! How far apart are two numbers that are told apart?

use std::str::FromStr;

use super::{ScalarError, read_from_text};
use crate::config::fault::quoted;

/// Most decimal places.
const PLACES_MAX: usize = 9;

/// A decimal number above zero, as it is written: `0.25` is 25 with 2 places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: u32,
    places: usize,
}

impl Decimal {
    /// Its digits, as if there were no point.
    #[must_use]
    pub const fn digits(self) -> u32 {
        self.digits
    }

    /// How many of them stand behind the point.
    #[must_use]
    pub const fn places(self) -> usize {
        self.places
    }
}

impl FromStr for Decimal {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let wrong = || {
            let problem = "write a decimal number above zero, such as 0.1 or 0.25";
            ScalarError::new(format!("{}: {problem}", quoted(text)))
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let all = format!("{whole}{part}");
        let is_plain = !whole.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain || part.len() > PLACES_MAX || text.ends_with('.') {
            return Err(wrong());
        }
        match all.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(digits) => Ok(Self { digits, places: part.len() }),
        }
    }
}

read_from_text! {
    Decimal: "0.1",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_decimal_is_plain_and_above_zero() {
        for (text, digits, places) in [("0.1", 1, 1), ("0.25", 25, 2), ("5", 5, 0), ("1.0", 10, 1)]
        {
            assert_eq!(text.parse::<Decimal>().unwrap(), Decimal { digits, places }, "{text}");
        }
        for text in ["", "0", "0.0", "-1", ".5", "5.", "1e3", "0.0000000001", "99999999999"] {
            let problem = text.parse::<Decimal>().unwrap_err().to_string();
            assert!(problem.contains("write a decimal number above zero"), "{problem}");
        }
    }
}
