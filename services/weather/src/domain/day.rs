//! What is known about one day, and why is the rest not known?

use jiff::civil::Date;

/// The weather of one calendar day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// The calendar day at the place.
    pub day: Date,
    /// Lowest temperature in degrees Celsius.
    pub t_min_c: Option<f64>,
    /// Highest temperature in degrees Celsius.
    pub t_max_c: Option<f64>,
    /// Precipitation sum in millimetres.
    pub precipitation_mm: Option<f64>,
    /// Highest wind speed in metres per second.
    pub wind_speed_max_mps: Option<f64>,
}

/// How much of a day is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Every value is there.
    Complete,
    /// Some values are there.
    Partial,
    /// No value is there, and none can be expected yet.
    NotYetAvailable,
    /// No value is there although the provider should have it.
    Missing,
}

impl Availability {
    /// The word in the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::NotYetAvailable => "not_yet_available",
            Self::Missing => "missing",
        }
    }
}

impl Day {
    /// Names of the values that are not there, in the order of the answer's keys.
    pub fn missing_fields(&self) -> impl Iterator<Item = &'static str> {
        [
            ("t_min_c", self.t_min_c),
            ("t_max_c", self.t_max_c),
            ("precipitation_mm", self.precipitation_mm),
            ("wind_speed_max_mps", self.wind_speed_max_mps),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.is_none().then_some(name))
    }

    /// Whether any value is missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.missing_fields().next().is_some()
    }

    /// Whether every value is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing_fields().count() == FIELDS
    }

    /// How much is known, seen from `expected_until`: the last day for which the provider is
    /// expected to have data.
    #[must_use]
    pub fn availability(&self, expected_until: Date) -> Availability {
        if !self.is_partial() {
            Availability::Complete
        } else if !self.is_empty() {
            Availability::Partial
        } else if self.day > expected_until {
            Availability::NotYetAvailable
        } else {
            Availability::Missing
        }
    }
}

const FIELDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn day(values: [Option<f64>; 4]) -> Day {
        let [t_min_c, t_max_c, precipitation_mm, wind_speed_max_mps] = values;
        Day { day: date(2026, 11, 23), t_min_c, t_max_c, precipitation_mm, wind_speed_max_mps }
    }

    #[test]
    fn w13_partial_differs_from_not_yet_available() {
        let (before, after) = (date(2026, 11, 22), date(2026, 11, 23));
        let full = day([Some(1.0); 4]);
        let some = day([Some(1.0), None, Some(0.0), Some(2.0)]);
        let none = day([None; 4]);
        assert_eq!(full.availability(before), Availability::Complete);
        assert_eq!(some.availability(before), Availability::Partial);
        assert_eq!(none.availability(before), Availability::NotYetAvailable);
        assert_eq!(none.availability(after), Availability::Missing);
        assert!(!full.is_partial() && some.is_partial() && none.is_partial());
    }

    #[test]
    fn missing_fields_are_named_in_order() {
        let names: Vec<_> = day([None, Some(1.0), None, None]).missing_fields().collect();
        assert_eq!(names, ["t_min_c", "precipitation_mm", "wind_speed_max_mps"]);
    }
}
