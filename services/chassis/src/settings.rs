//! What did the operator ask for in the environment?
//!
//! A service reads each variable once, by name and type. Faults are collected and reported
//! together by [`Settings::finish`], which also refuses variables that carry a prefix of the
//! service but are read by nobody: a misspelt setting must not be silently without effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Largest number of edits between a wrong name and the name it suggests.
const SUGGESTION_EDITS_MAX: usize = 3;

/// The environment being read. An empty value counts as not set.
#[derive(Debug, Default)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    known: BTreeSet<String>,
    faults: Vec<SettingFault>,
}

impl Settings {
    /// The environment of this process. A variable that is not UTF-8 is left out.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// An environment made of pairs, for tests.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, ..Self::default() }
    }

    /// A text, or `default`.
    pub fn text(&mut self, name: &str, default: &str) -> String {
        self.value(name).unwrap_or_else(|| default.to_owned())
    }

    /// A text that has no default.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        self.value(name)
    }

    /// The text of the first of these names that is set. The others are names that other programs
    /// know it by.
    pub fn first_text(&mut self, names: &[&str]) -> Option<String> {
        let texts: Vec<_> = names.iter().map(|name| self.value(name)).collect();
        texts.into_iter().flatten().next()
    }

    /// A secret of at least `bytes_min` bytes, by the first of these names that is set. No message
    /// repeats it.
    pub fn secret(&mut self, names: &[&str], bytes_min: usize) -> Option<Secret> {
        let secret = self.first_text(names)?;
        if secret.len() < bytes_min {
            let name = names.iter().find(|name| self.variables.get(**name) == Some(&secret));
            let why = format!("has {} bytes: write at least {bytes_min} random ones", secret.len());
            self.refuse(name.copied().unwrap_or_default(), why);
        }
        Some(Secret(secret.into_bytes().into()))
    }

    /// A number from 1 to `max`.
    pub fn count(&mut self, name: &str, default: usize, max: usize) -> NonZeroUsize {
        NonZeroUsize::new(self.number(name, default, 1..=max)).unwrap_or(NonZeroUsize::MIN)
    }

    /// Notes a fault that lies between several variables, or whose value must not be shown.
    pub fn refuse(&mut self, name: &str, why: impl Into<String>) {
        self.faults.push(SettingFault::Refused { name: name.to_owned(), why: why.into() });
    }

    /// A value of any type. `wanted` says what to write, as in "a number from 1 to 9".
    pub fn parsed<T>(
        &mut self,
        name: &str,
        default: T,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.value(name) else { return default };
        parse(text.trim()).unwrap_or_else(|| {
            self.faults.push(SettingFault::Value {
                name: name.to_owned(),
                value: text.clone(),
                wanted: wanted.to_owned(),
            });
            default
        })
    }

    /// A number within `range`.
    pub fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        self.parsed(name, default, &wanted, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// A duration given in milliseconds.
    pub fn duration_ms(
        &mut self,
        name: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_millis(self.number(name, default, range))
    }

    /// A duration given in seconds.
    pub fn duration_s(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(name, default, range))
    }

    /// A switch: `true`/`false`, `1`/`0`, `yes`/`no` or `on`/`off`.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, default, "true or false", |text| {
            match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Some(true),
                "0" | "false" | "no" | "off" => Some(false),
                _ => None,
            }
        })
    }

    /// An `http://` or `https://` base address, returned without a slash at the end.
    pub fn base_url(&mut self, name: &str, default: &str) -> String {
        let wanted = "an address such as https://example.org, without query or fragment";
        self.parsed(name, default.to_owned(), wanted, |text| {
            let url = reqwest::Url::parse(text).ok()?;
            let plain = matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none();
            plain.then(|| text.trim_end_matches('/').to_owned())
        })
    }

    /// Accepts a name that other programs read from the same file, and says once in the log that
    /// it does nothing here.
    pub fn without_effect(&mut self, name: &str, why: &str) {
        if self.value(name).is_some() {
            tracing::warn!(variable = name, why, "this variable has no effect on this service");
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults at once: values that could not be read, and variables beginning with one of
    /// `prefixes` that nothing has asked for.
    pub fn finish(mut self, prefixes: &[&str]) -> Result<(), SettingsError> {
        for name in self.variables.keys() {
            let ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
            if ours && !self.known.contains(name) {
                let suggestion = nearest(name, &self.known);
                self.faults.push(SettingFault::Unknown { name: name.clone(), suggestion });
            }
        }
        if self.faults.is_empty() { Ok(()) } else { Err(SettingsError { faults: self.faults }) }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.variables.get(name).filter(|value| !value.trim().is_empty()).cloned()
    }
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The secret itself, as it stands in the environment.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

/// One thing that is wrong in the environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingFault {
    /// The value cannot be used.
    #[error("{name}={value:?} cannot be used: write {wanted}")]
    Value {
        /// The variable.
        name: String,
        /// What it holds.
        value: String,
        /// What it should hold.
        wanted: String,
    },
    /// The variable cannot be used, for a reason that shows no value.
    #[error("{name} {why}")]
    Refused {
        /// The variable.
        name: String,
        /// What is wrong, and what to write.
        why: String,
    },
    /// Nobody reads this variable.
    #[error("{name} is not a setting of this service{}", hint(suggestion.as_deref()))]
    Unknown {
        /// The variable.
        name: String,
        /// The setting that was probably meant.
        suggestion: Option<String>,
    },
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(
        || ": remove it".to_owned(),
        |suggestion| format!("; did you mean {suggestion}?"),
    )
}

/// Everything that is wrong in the environment, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The faults in the order in which they were found.
    pub faults: Vec<SettingFault>,
}

impl Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                formatter.write_str("\n")?;
            }
            fault.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    known
        .iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= SUGGESTION_EDITS_MAX)
        .min()
        .map(|(_, candidate)| candidate.clone())
}

/// Levenshtein distance over bytes, one row at a time.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, byte) in from.bytes().enumerate() {
        let mut diagonal = done;
        let mut left = done + 1;
        let mut next = vec![left];
        for (above, other) in row.iter().skip(1).zip(to.bytes()) {
            let here = (diagonal + usize::from(byte != other)).min(left + 1).min(above + 1);
            diagonal = *above;
            left = here;
            next.push(here);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn empty_value_means_the_default() {
        let mut settings = Settings::from_pairs([("A_TEXT", " ")]);
        assert_eq!(settings.text("A_TEXT", "x"), "x");
        assert_eq!(settings.number("A_NUMBER", 7, 1..=9), 7);
        settings.finish(&["A_"]).unwrap();
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let pairs = [("A_NUMBER", "12"), ("A_URL", "ftp://x"), ("A_NUMBRE", "3"), ("B_X", "1")];
        let mut settings = Settings::from_pairs(pairs);
        settings.number("A_NUMBER", 7, 1..=9);
        settings.base_url("A_URL", "http://y");
        let text = settings.finish(&["A_"]).unwrap_err().to_string();
        assert_eq!(
            text,
            "A_NUMBER=\"12\" cannot be used: write a number from 1 to 9\n\
             A_URL=\"ftp://x\" cannot be used: write an address such as https://example.org, \
             without query or fragment\n\
             A_NUMBRE is not a setting of this service; did you mean A_NUMBER?"
        );
    }

    #[test]
    fn far_names_are_not_suggested() {
        let mut settings = Settings::from_pairs([("A_COMPLETELY_ELSE", "1")]);
        settings.flag("A_FLAG", true);
        let text = settings.finish(&["A_"]).unwrap_err().to_string();
        assert_eq!(text, "A_COMPLETELY_ELSE is not a setting of this service: remove it");
    }

    #[test]
    fn distance_counts_single_edits() {
        for (from, to, expected) in
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 2), ("kitten", "sitting", 3)]
        {
            assert_eq!(edits(from, to), expected, "{from} to {to}");
        }
    }
}
