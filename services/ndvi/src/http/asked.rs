//! What do the pairs of a query string say, and what is wrong with them?

use std::ops::RangeInclusive;

use chassis::envelope::FieldErrors;
use jiff::civil::Date;

use super::query::day;
use crate::domain::coverage::days_between;

/// Text for a day that cannot be read.
pub(super) const DATE_FORMAT: &str =
    "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.";

/// The pairs of a query string as they came.
pub(super) type Pairs = Vec<(String, String)>;

/// Reads pairs by name and collects what is wrong. The last of equal keys counts, an empty value is
/// absent, and other keys are ignored.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pairs: &'a Pairs,
    faults: FieldErrors,
}

impl<'a> Asked<'a> {
    pub(super) fn new(pairs: &'a Pairs) -> Self {
        Self { pairs, faults: FieldErrors::new() }
    }

    pub(super) fn date(&mut self, key: &'static str) -> Option<Date> {
        let read = |text: &str| day(text).ok_or_else(|| DATE_FORMAT.to_owned());
        self.read(key, read)
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, key: &'static str, bounds: RangeInclusive<u32>) -> Option<u32> {
        self.read(key, |text| {
            let number: i64 =
                text.parse().map_err(|_| "A valid integer is required.".to_owned())?;
            let (least, most) = (bounds.start(), bounds.end());
            if number < i64::from(*least) {
                return Err(format!("Ensure this value is greater than or equal to {least}."));
            }
            u32::try_from(number)
                .ok()
                .filter(|number| number <= most)
                .ok_or_else(|| format!("Ensure this value is less than or equal to {most}."))
        })
    }

    /// A percentage from 0 to 100.
    pub(super) fn percent(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, |text| super::body::number_within(&text.into(), 0.0, 100.0))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.read(key, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("\"{text}\" is not a valid choice."))
        })
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("Must be a valid boolean.".to_owned()),
        })
    }

    pub(super) fn fault(&mut self, field: &'static str, text: impl Into<String>) {
        self.faults.push(field, text);
    }

    /// Ends the reading.
    pub(super) fn finish<T>(self, read: T) -> Result<T, FieldErrors> {
        if self.faults.is_empty() { Ok(read) } else { Err(self.faults) }
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let pair = self.pairs.iter().rev().find(|(name, _)| name == key);
        let text = pair.map(|(_, value)| value.trim()).filter(|text| !text.is_empty())?;
        read(text).map_err(|fault| self.faults.push(key, fault)).ok()
    }
}

/// What is wrong with an interval: its order or its length.
pub(super) fn interval_fault(start: Date, end: Date, days_max: u32) -> Option<String> {
    if start > end {
        return Some("start must be on or before end.".to_owned());
    }
    let days = i64::from(days_between(start, end));
    (days > i64::from(days_max)).then(|| format!("The interval is longer than {days_max} days."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn last_of_equal_keys_counts_and_blank_is_absent() {
        let pairs = pairs(&[("a", "1"), ("a", "2"), ("b", " ")]);
        let mut asked = Asked::new(&pairs);
        assert_eq!((asked.whole("a", 1..=9), asked.whole("b", 1..=9)), (Some(2), None));
        assert!(asked.finish(()).is_ok());
    }

    #[test]
    fn every_fault_is_named_with_the_known_texts() {
        let pairs = pairs(&[
            ("whole", "x"),
            ("small", "0"),
            ("large", "99999999999"),
            ("day", "2021-6-1"),
            ("percent", "101"),
            ("word", "blue"),
            ("flag", "maybe"),
        ]);
        let mut asked = Asked::new(&pairs);
        for key in ["whole", "small", "large"] {
            assert_eq!(asked.whole(key, 1..=30), None);
        }
        assert_eq!((asked.date("day"), asked.percent("percent")), (None, None));
        assert_eq!((asked.word("word", &[("red", 1)]), asked.flag("flag")), (None, None));
        let faults = serde_json::to_value(asked.finish(()).unwrap_err()).unwrap();
        let expected = json!({
            "whole": ["A valid integer is required."],
            "small": ["Ensure this value is greater than or equal to 1."],
            "large": ["Ensure this value is less than or equal to 30."],
            "day": [DATE_FORMAT],
            "percent": ["Ensure this value is less than or equal to 100.0."],
            "word": ["\"blue\" is not a valid choice."],
            "flag": ["Must be a valid boolean."],
        });
        assert_eq!(faults, expected);
    }

    #[test]
    fn interval_has_an_order_and_a_length() {
        let (start, end) = (date(2021, 6, 1), date(2021, 6, 30));
        assert_eq!(interval_fault(start, end, 29), None);
        assert!(interval_fault(start, end, 28).unwrap().contains("28 days"));
        assert!(interval_fault(end, start, 366).unwrap().contains("on or before"));
    }
}
