//! What a provider's answer says, in published units.

use jiff::Timestamp;

use crate::domain::day::Day;

/// One observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// When it holds.
    pub observed_at: Timestamp,
    /// Air temperature in degrees Celsius, 2 m above ground.
    pub temperature_c: Option<f64>,
    /// Wind speed in metres per second, 10 m above ground.
    pub wind_speed_mps: Option<f64>,
}

/// One hour. Precipitation is the sum of the hour *before* the timestamp; the rest are values at
/// the timestamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hour {
    /// When it holds.
    pub timestamp: Timestamp,
    /// Air temperature in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Precipitation of the preceding hour in millimetres.
    pub precipitation_mm: Option<f64>,
    /// Wind speed in metres per second.
    pub wind_speed_mps: Option<f64>,
    /// Cloud cover in percent.
    pub cloud_cover_pct: Option<f64>,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// To [`Question::Current`](crate::domain::ask::Question::Current).
    Current(Observation),
    /// To [`Question::Hourly`](crate::domain::ask::Question::Hourly), oldest first.
    Hourly(Vec<Hour>),
    /// To [`Question::Daily`](crate::domain::ask::Question::Daily), oldest first.
    Daily(Vec<Day>),
}

const SECONDS_PER_HOUR: i64 = 3600;

/// The first `count` hours from the running hour on.
///
/// An answer may be some hours old when it is given again: hours that are over are left out. An
/// answer that lies wholly in the past is given as it is, since its timestamps say so.
#[must_use]
pub fn coming_hours(hours: &[Hour], now: Timestamp, count: usize) -> &[Hour] {
    let running = now.as_second() - now.as_second().rem_euclid(SECONDS_PER_HOUR);
    let first = hours.iter().position(|hour| hour.timestamp.as_second() >= running).unwrap_or(0);
    let rest = hours.get(first..).unwrap_or_default();
    rest.get(..count).unwrap_or(rest)
}

/// The last `count` hours, of a provider that knows no coming ones.
#[must_use]
pub fn newest_hours(hours: &[Hour], count: usize) -> &[Hour] {
    hours.get(hours.len().saturating_sub(count)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
    use super::*;

    fn hours() -> Vec<Hour> {
        (0..5)
            .map(|number| Hour {
                timestamp: Timestamp::from_second(number * SECONDS_PER_HOUR).unwrap(),
                temperature_c: None,
                precipitation_mm: None,
                wind_speed_mps: None,
                cloud_cover_pct: None,
            })
            .collect()
    }

    #[track_caller]
    fn check(now_s: i64, count: usize, expected: &[i64]) {
        let hours = hours();
        let now = Timestamp::from_second(now_s).unwrap();
        let starts: Vec<_> = coming_hours(&hours, now, count)
            .iter()
            .map(|hour| hour.timestamp.as_second() / SECONDS_PER_HOUR)
            .collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn hours_begin_with_the_running_one() {
        check(3599, 2, &[0, 1]);
        check(3600, 2, &[1, 2]);
        check(2 * 3600 + 1, 48, &[2, 3, 4]);
    }

    #[test]
    fn newest_hours_are_the_last_ones() {
        let hours = hours();
        assert_eq!(newest_hours(&hours, 2), &hours[3..]);
        assert_eq!(newest_hours(&hours, 9), hours);
    }

    #[test]
    fn answer_from_the_past_is_given_as_it_is() {
        check(100 * 3600, 3, &[0, 1, 2]);
    }
}
