//! Which host knows the days that are asked for? Pure.
//!
//! The forecast host reaches [`PAST_DAYS_MAX`] days back; older days are in the archive. The
//! archive lags some days behind today, all of which the forecast host has, so a range is cut into
//! two parts at most. Past days that come back incomplete, because the archive is behind by more
//! than it should or a model run was lost, are asked of the historical forecast, which keeps the
//! first hours of every run since 2016.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::domain::ask::Question;
use crate::domain::day::Day;

/// Past days the forecast host still has.
pub const PAST_DAYS_MAX: i64 = 92;

/// Coming days the forecast host has at most; it says itself when it has one less.
pub const COMING_DAYS_MAX: i64 = 16;

/// First day of the archive.
pub const ARCHIVE_FIRST: Date = date(1940, 1, 1);

/// First day of the historical forecast.
const HISTORICAL_FIRST: Date = date(2016, 1, 1);

/// The parts of a question, each for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For the archive.
    pub archive: Option<Question>,
    /// For the forecast host.
    pub forecast: Option<Question>,
}

impl Plan {
    /// Cuts `question` when it is `today` at the place.
    #[must_use]
    pub fn new(question: Question, today: Date) -> Self {
        let Question::Daily { start, end } = question else {
            return Self { archive: None, forecast: Some(question) };
        };
        let first = plus(today, -PAST_DAYS_MAX);
        Self {
            archive: days(start, end.min(plus(first, -1))),
            forecast: days(start.max(first), end),
        }
    }
}

/// First and last past day of `question` of which `known` lacks a value and which the historical
/// forecast may have.
#[must_use]
pub fn gap(question: Question, known: &[Day], today: Date) -> Option<(Date, Date)> {
    let (start, end) = question.range()?;
    let (first, last) = (start.max(HISTORICAL_FIRST), end.min(plus(today, -1)));
    let lacks = |day: &Date| !known.iter().any(|known| known.day == *day && !known.is_partial());
    let mut lacking = first.series(1.day()).take_while(|day| *day <= last).filter(lacks);
    let from = lacking.next()?;
    Some((from, lacking.last().unwrap_or(from)))
}

fn days(start: Date, end: Date) -> Option<Question> {
    (start <= end).then_some(Question::Daily { start, end })
}

/// Only the ends of the calendar, in the years -9999 and 9999, cannot be shifted.
fn plus(day: Date, days: i64) -> Date {
    day.checked_add(days.days()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = date(2026, 11, 24);

    fn daily(start: Date, end: Date) -> Question {
        Question::Daily { start, end }
    }

    #[test]
    fn w2_range_is_cut_where_the_forecast_host_begins() {
        // 24 August is 92 days back: the last day that the forecast host has.
        let (before, first) = (date(2026, 8, 23), date(2026, 8, 24));
        let plan = Plan::new(daily(date(2025, 11, 25), TODAY), TODAY);
        assert_eq!(plan.archive, Some(daily(date(2025, 11, 25), before)));
        assert_eq!(plan.forecast, Some(daily(first, TODAY)));
        let plan = Plan::new(daily(first, first), TODAY);
        assert_eq!((plan.archive, plan.forecast), (None, Some(daily(first, first))));
        let plan = Plan::new(daily(before, before), TODAY);
        assert_eq!((plan.archive, plan.forecast), (Some(daily(before, before)), None));
    }

    #[test]
    fn w2_questions_without_a_range_are_for_the_forecast_host() {
        for question in [Question::Current, Question::Hourly] {
            let plan = Plan::new(question, TODAY);
            assert_eq!((plan.archive, plan.forecast), (None, Some(question)));
        }
    }

    #[test]
    fn gap_spans_the_past_days_that_lack_a_value() {
        let day = |number: i8, t_min_c| Day {
            day: date(2026, 11, number),
            t_min_c,
            t_max_c: Some(1.0),
            precipitation_mm: Some(0.0),
            wind_speed_max_mps: Some(2.0),
        };
        let asked = daily(date(2026, 11, 20), date(2026, 11, 25));
        let known = [day(20, Some(1.0)), day(21, None), day(22, Some(1.0)), day(24, None)];
        // The 23rd is not there at all; today may still change and tomorrow is not past.
        assert_eq!(gap(asked, &known, TODAY), Some((date(2026, 11, 21), date(2026, 11, 23))));
        let known = [20, 21, 22, 23].map(|number| day(number, Some(1.0)));
        assert_eq!(gap(asked, &known, TODAY), None);
        let old = daily(date(2015, 12, 1), date(2015, 12, 31));
        assert_eq!(gap(old, &[], TODAY), None, "the historical forecast begins in 2016");
        assert_eq!(gap(Question::Hourly, &[], TODAY), None);
    }
}
