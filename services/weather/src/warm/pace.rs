//! How often is each kind of answer fetched for points, and which questions are that? Pure.

use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::domain::ask::{Ask, ProviderName, Question};
use crate::domain::point::Point;
use crate::http::FreshTimes;

/// Part of its fresh time after which an answer is fetched again, so that it never runs out.
const REFRESH_AT: f64 = 0.75;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Kinds of answers that are kept warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The newest observation.
    Current,
    /// The coming hours.
    Hourly,
    /// Today and the days after it.
    Daily,
}

impl Kind {
    /// All of them, the one that runs out first before the others.
    pub(super) const ALL: [Self; 3] = [Self::Current, Self::Hourly, Self::Daily];

    fn fresh(self, fresh: FreshTimes) -> Duration {
        match self {
            Self::Current => fresh.current,
            Self::Hourly => fresh.hourly,
            Self::Daily => fresh.daily,
        }
    }

    /// What is asked about a point where it is `today`. Days are `days` from today on.
    #[must_use]
    pub(super) fn ask(self, point: &Point, provider: ProviderName, today: Date, days: i32) -> Ask {
        let question = match self {
            Self::Current => Question::Current,
            Self::Hourly => Question::Hourly,
            Self::Daily => {
                let end = today.checked_add((days - 1).days()).unwrap_or(today);
                Question::Daily { start: today, end }
            }
        };
        Ask { provider, question, cell: point.cell, zone: point.zone.clone() }
    }
}

/// Ages at which answers are fetched again; `None` for a kind that is never fresh.
///
/// When `points` would need more than `calls_per_day` (0 is no limit), all ages are longer by the
/// same factor: some answers run out then, but none is left to chance. A question about one point
/// costs one call.
#[must_use]
pub(super) fn ages(
    fresh: FreshTimes,
    points: usize,
    calls_per_day: f64,
) -> [(Kind, Option<Duration>); Kind::ALL.len()] {
    let wanted = Kind::ALL.map(|kind| kind.fresh(fresh).mul_f64(REFRESH_AT));
    let points = u32::try_from(points).map_or(f64::from(u32::MAX), f64::from);
    let fresh = wanted.iter().filter(|age| !age.is_zero());
    let needed: f64 = fresh.map(|age| points * SECONDS_PER_DAY / age.as_secs_f64()).sum();
    let factor = if calls_per_day > 0.0 { (needed / calls_per_day).max(1.0) } else { 1.0 };
    let mut ages = Kind::ALL.map(|kind| (kind, None));
    for ((_, age), wanted) in ages.iter_mut().zip(wanted) {
        *age = (!wanted.is_zero()).then(|| wanted.mul_f64(factor));
    }
    ages
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use jiff::civil::date;

    use crate::domain::place::{Cell, Zone};

    fn fresh(current_s: u64) -> FreshTimes {
        let [current, hourly, daily] = [current_s, 600, 900].map(Duration::from_secs);
        FreshTimes { current, hourly, daily, weekly: daily }
    }

    fn seconds(ages: [(Kind, Option<Duration>); 3]) -> [Option<u64>; 3] {
        ages.map(|(_, age)| age.map(|age| age.as_secs()))
    }

    #[test]
    fn answers_are_fetched_before_they_run_out() {
        assert_eq!(seconds(ages(fresh(120), 50, 0.0)), [Some(90), Some(450), Some(675)]);
        assert_eq!(seconds(ages(fresh(120), 1, 10_000.0)), [Some(90), Some(450), Some(675)]);
        assert_eq!(seconds(ages(fresh(0), 50, 0.0)), [None, Some(450), Some(675)]);
    }

    #[test]
    fn pace_fits_into_the_calls_of_a_day() {
        let ages = ages(fresh(120), 50, 5000.0).map(|(_, age)| age.unwrap().as_secs_f64());
        let calls: f64 = ages.iter().map(|age| 50.0 * 86_400.0 / age).sum();
        assert!((calls - 5000.0).abs() < 1.0, "{calls}");
        assert!((ages[1] / ages[0] - 5.0).abs() < 1e-6, "the proportions stay");
    }

    #[test]
    fn days_begin_today() {
        let point = Point { cell: Cell::of(1.0, 2.0), zone: Zone::utc() };
        let today = date(2026, 11, 28);
        let ask = Kind::Daily.ask(&point, ProviderName::OpenMeteo, today, 7);
        let expected = Question::Daily { start: today, end: date(2026, 12, 4) };
        assert_eq!(ask.question, expected);
        assert_eq!(ask.cell, point.cell);
    }
}
