//! Which queries ask for the same?
//!
//! Two clients who want the weather of one field write its place with other digits, their parameters
//! in another order, and one of them a parameter that nobody reads. A policy says which differences
//! say nothing; then the query is rewritten, for the key and for the upstream alike, so that what is
//! kept is the exact answer to its key.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use http::Uri;
use percent_encoding::percent_decode_str;

/// What a policy says of queries. The empty rules leave every query as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRules {
    /// Parameters whose numbers are rounded, each to a multiple of its step.
    pub round: BTreeMap<String, Step>,
    /// The only parameters that count, where there is such a list.
    pub keep: Option<BTreeSet<String>>,
    /// Parameters that say nothing.
    pub drop: BTreeSet<String>,
    /// What a parameter is that is left out.
    pub defaults: BTreeMap<String, String>,
    /// Whether the order of parameters says nothing; that of equal names always counts.
    pub sort: bool,
}

/// The distance between two values that are told apart, as a decimal: `0.25` is 25 with 2 places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its digits, as if there were no point; at least 1.
    pub units: u32,
    /// How many of them stand behind the point; at most 9, so that powers of ten are exact.
    pub places: usize,
}

impl Step {
    /// The multiple nearest to a number, halves away from zero; `None` for what is no plain decimal
    /// number, or too large to be told exactly.
    fn round(self, text: &str) -> Option<String> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
        let number = text.parse::<f64>().ok().filter(|_| is_plain)?;
        let scale = 10_f64.powi(i32::try_from(self.places).ok()?);
        let multiple = (number * scale / f64::from(self.units)).round();
        if multiple.abs() > f64::from(u32::MAX) {
            return None;
        }
        let nearest = multiple * f64::from(self.units) / scale;
        // There is no negative zero among places.
        let nearest = if nearest == 0.0 { 0.0 } else { nearest };
        Some(format!("{nearest:.*}", self.places))
    }
}

impl QueryRules {
    /// The target that stands for this one and all that ask for the same; nothing where it stands
    /// for itself.
    #[must_use]
    pub fn canonical(&self, target: &Uri) -> Option<Uri> {
        if *self == Self::default() {
            return None;
        }
        let query = target.query().unwrap_or_default();
        let canonical = self.canonical_query(query);
        if canonical == query {
            return None;
        }
        let path = target.path();
        let text =
            if canonical.is_empty() { path.to_owned() } else { format!("{path}?{canonical}") };
        text.parse().ok()
    }

    /// Parameters that the rules name and count, each with two values that are told apart.
    pub fn examples(&self) -> impl Iterator<Item = (&str, String, String)> {
        let rounded = self.round.iter().map(|(name, step)| {
            let value =
                f64::from(step.units) / 10_f64.powi(i32::try_from(step.places).unwrap_or(0));
            (name.as_str(), "0".to_owned(), format!("{value:.*}", step.places))
        });
        let plain = self.defaults.keys().chain(self.keep.iter().flatten());
        let plain = plain.filter(|name| !self.round.contains_key(*name));
        let mut plain: Vec<&str> = plain.map(String::as_str).collect();
        plain.sort_unstable();
        plain.dedup();
        let plain = plain.into_iter().map(|name| (name, "first".to_owned(), "second".to_owned()));
        rounded.chain(plain).filter(|(name, _, _)| is_plain(name) && self.counts(name))
    }

    fn canonical_query(&self, query: &str) -> String {
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let raw = piece.split('=').next().unwrap_or(piece);
            let name = percent_decode_str(raw).decode_utf8_lossy();
            if self.counts(&name) {
                let piece =
                    self.rounded(&name, raw, piece).map_or(Cow::Borrowed(piece), Cow::Owned);
                pairs.push((name, piece));
            }
        }
        for (name, value) in &self.defaults {
            if !pairs.iter().any(|(there, _)| *there == **name) {
                pairs.push((Cow::Borrowed(name), Cow::Owned(format!("{name}={value}"))));
            }
        }
        if self.sort {
            // Stable: the values of one name stay in their order.
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        pairs.into_iter().map(|(_, piece)| piece).collect::<Vec<_>>().join("&")
    }

    fn counts(&self, name: &str) -> bool {
        !self.drop.contains(name) && self.keep.as_ref().is_none_or(|keep| keep.contains(name))
    }

    /// A name that might read otherwise in a query stays as it was written.
    fn rounded(&self, name: &str, raw: &str, piece: &str) -> Option<String> {
        let step = self.round.get(name)?;
        let (_, value) = piece.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?;
        // A list of places is a list of numbers.
        let numbers: Option<Vec<_>> = value.split(',').map(|number| step.round(number)).collect();
        let written = if is_plain(name) { name } else { raw };
        Some(format!("{written}={}", numbers?.join(",")))
    }
}

/// Whether a name stands in a query as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    const TENTH: Step = Step { units: 1, places: 1 };
    const QUARTER: Step = Step { units: 25, places: 2 };

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    fn rules() -> QueryRules {
        QueryRules {
            round: [("lat".to_owned(), TENTH), ("lon".to_owned(), QUARTER)].into(),
            keep: None,
            drop: names(["_", "utm_source"]),
            defaults: [("days".to_owned(), "7".to_owned())].into(),
            sort: true,
        }
    }

    #[track_caller]
    fn check(query: &str, wanted: &str) {
        assert_eq!(rules().canonical_query(query), wanted, "{query}");
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_multiple() {
        for (step, text, wanted) in [
            (TENTH, "52.5244", Some("52.5")),
            (TENTH, "52.55", Some("52.6")),
            (TENTH, "-52.55", Some("-52.6")),
            (TENTH, "-0.04", Some("0.0")),
            (TENTH, "52", Some("52.0")),
            (TENTH, "+1", Some("1.0")),
            (QUARTER, "13.4105", Some("13.50")),
            (QUARTER, "13.37", Some("13.25")),
            (Step { units: 5, places: 0 }, "12.4", Some("10")),
            (TENTH, "1e3", None),
            (TENTH, "NaN", None),
            (TENTH, "inf", None),
            (TENTH, "", None),
            (TENTH, "-", None),
            (TENTH, "99999999999", None),
        ] {
            assert_eq!(step.round(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn queries_that_ask_for_the_same_become_one() {
        let one = "days=7&lat=52.5&lon=13.50";
        for query in [
            "lat=52.5244&lon=13.4105",
            "lon=13.41&lat=52.50001",
            "&lon=13.41&&lat=52.5&",
            "lat=52.5&lon=13.5&days=7&_=1699",
            "l%61t=52.5&lon=13.5&utm_source=mail",
            "lat=%35%32.5&lon=13.5",
            one,
        ] {
            check(query, one);
        }
        check("lat=52.5&lat=13.44&days=", "days=&lat=52.5&lat=13.4");
        check("lat=1.01,2.06&lon=x&b=a%20b", "b=a%20b&days=7&lat=1.0,2.1&lon=x");
    }

    #[test]
    fn only_what_is_kept_counts_and_order_does_unless_it_is_sorted() {
        let rules = QueryRules { keep: Some(names(["b", "a"])), ..QueryRules::default() };
        assert_eq!(rules.canonical_query("b=2&c=3&a=1&A=4"), "b=2&a=1");
    }

    #[test]
    fn target_that_stands_for_itself_is_left_alone() {
        let target = |text: &str| text.parse::<Uri>().unwrap();
        assert_eq!(QueryRules::default().canonical(&target("/x?b=1&a=2")), None);
        assert_eq!(rules().canonical(&target("/x?days=7&lat=52.5")), None);
        let found = rules().canonical(&target("http://a/x?lat=52.52")).unwrap();
        assert_eq!(found, "/x?days=7&lat=52.5");
        let nothing = QueryRules { drop: names(["a"]), ..QueryRules::default() };
        assert_eq!(nothing.canonical(&target("/x?a=1")).unwrap(), "/x");
    }

    proptest! {
        #[test]
        fn canonical_query_is_its_own(query in "[a-z_%0-9&=.,+-]{0,60}") {
            let once = rules().canonical_query(&query);
            prop_assert_eq!(rules().canonical_query(&once), once);
        }

        #[test]
        fn rounding_stays_within_half_a_step(number in -180.0..180.0_f64) {
            let rounded: f64 = QUARTER.round(&number.to_string()).unwrap().parse().unwrap();
            prop_assert!((rounded - number).abs() <= 0.125 + 1e-9);
        }
    }
}
