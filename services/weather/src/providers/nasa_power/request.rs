//! Which words does NASA POWER want for a question? Pure.
//!
//! Days are asked for in local solar time, whose midnight is the night's middle at the place, and
//! are calendar days as they are. Hours are asked for in UTC, since an hour is an instant.

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::domain::place::Cell;

/// Days back that are searched for the newest observation.
pub const CURRENT_DAYS: i64 = 10;

/// Days back of which hours are asked for: the 168 a client may want, and the provider's lag.
const HOURLY_DAYS: i64 = 17;

/// Form of a day in queries and keys.
pub const DAY_FORM: &str = "%Y%m%d";

/// A range at one of the provider's paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// The path of the pace.
    pub path: &'static str,
    /// The name of the clock that days and hours follow.
    pub time_standard: &'static str,
    /// Which values.
    pub parameters: &'static str,
    /// First day.
    pub start: Date,
    /// Last day.
    pub end: Date,
}

/// Days in local solar time.
pub const DAYS: &str = "LST";

/// Hours in coordinated universal time.
pub const HOURS: &str = "UTC";

const DAILY_PATH: &str = "/api/temporal/daily/point";
const HOURLY_PATH: &str = "/api/temporal/hourly/point";

impl Series {
    /// The days from `start` to `end`. The wind is the day's highest: `WS10M` would be its mean.
    #[must_use]
    pub fn daily(start: Date, end: Date) -> Self {
        let parameters = "T2M_MIN,T2M_MAX,PRECTOTCORR,WS10M_MAX";
        Self { path: DAILY_PATH, time_standard: DAYS, parameters, start, end }
    }

    /// The newest hours, as many days back as the lag and a client may ask for.
    #[must_use]
    pub fn hourly(today: Date) -> Self {
        let parameters = "T2M,PRECTOTCORR,WS10M";
        let start = back(today, HOURLY_DAYS);
        Self { path: HOURLY_PATH, time_standard: HOURS, parameters, start, end: today }
    }

    /// The hours among which the newest observation is looked for.
    #[must_use]
    pub fn current_hours(today: Date) -> Self {
        let start = back(today, CURRENT_DAYS);
        Self { parameters: "T2M,WS10M", start, ..Self::hourly(today) }
    }

    /// The days among which it is looked for when no hour is known.
    #[must_use]
    pub fn current_days(today: Date) -> Self {
        Self { parameters: "T2M,WS10M", ..Self::daily(back(today, CURRENT_DAYS), today) }
    }

    /// The query about one place.
    #[must_use]
    pub fn query(&self, cell: Cell, community: &str) -> Vec<(&'static str, String)> {
        vec![
            ("parameters", self.parameters.to_owned()),
            ("community", community.to_owned()),
            ("longitude", cell.lon().to_string()),
            ("latitude", cell.lat().to_string()),
            ("start", self.start.strftime(DAY_FORM).to_string()),
            ("end", self.end.strftime(DAY_FORM).to_string()),
            ("format", "JSON".to_owned()),
            ("time-standard", self.time_standard.to_owned()),
        ]
    }
}

/// Only the beginning of the calendar, in the year -9999, cannot be shifted.
fn back(day: Date, days: i64) -> Date {
    day.checked_sub(days.days()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn w5_days_are_asked_for_by_their_own_name() {
        let cell = Cell::of(-23.1664, -45.7622);
        let query = Series::daily(date(2020, 12, 1), date(2020, 12, 31)).query(cell, "AG");
        for pair in [
            ("latitude", "-23.17"),
            ("longitude", "-45.76"),
            ("start", "20201201"),
            ("end", "20201231"),
            ("time-standard", "LST"),
            ("community", "AG"),
        ] {
            assert!(query.contains(&(pair.0, pair.1.to_owned())), "{pair:?} in {query:?}");
        }
    }

    #[test]
    fn newest_observation_is_looked_for_ten_days_back() {
        let today = date(2026, 11, 24);
        let (hours, days) = (Series::current_hours(today), Series::current_days(today));
        assert_eq!((hours.start, hours.end), (date(2026, 11, 14), today));
        assert_eq!((days.start, days.end), (date(2026, 11, 14), today));
        assert_eq!((hours.time_standard, days.time_standard), ("UTC", "LST"));
    }
}
