//! What do days add up to over a week that begins on Monday?

use jiff::civil::Date;
use jiff::{Span, ToSpan as _};

use crate::domain::day::Day;
use crate::domain::units::rounded;

/// One week, of which only the days that were asked for count.
#[derive(Clone, Debug, PartialEq)]
pub struct Week {
    /// The Monday.
    pub start: Date,
    /// The Sunday.
    pub end: Date,
    /// Mean of the daily minima that are known, in degrees Celsius.
    pub t_min_avg_c: Option<f64>,
    /// Mean of the daily maxima that are known, in degrees Celsius.
    pub t_max_avg_c: Option<f64>,
    /// Sum of the daily precipitation that is known, in millimetres.
    pub precipitation_sum_mm: Option<f64>,
    /// The days of this week that the provider answered with.
    pub days: Vec<Day>,
    /// Days that were asked for and of which nothing is known.
    pub missing_days_count: usize,
}

impl Week {
    /// Whether any day that was asked for is missing or incomplete.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.missing_days_count > 0 || self.days.iter().any(Day::is_partial)
    }

    /// Days of which something is known: what the averages stand on.
    #[must_use]
    pub fn days_count(&self) -> usize {
        self.days.iter().filter(|day| !day.is_empty()).count()
    }
}

/// Groups the days from `start` to `end` into weeks, oldest first.
///
/// A week in which nothing was answered is there too, with all its asked days missing.
#[must_use]
pub fn weeks(days: &[Day], start: Date, end: Date) -> Vec<Week> {
    let mut weeks = Vec::new();
    let mut monday = Some(monday_of(start));
    while let Some(from) = monday.filter(|monday| *monday <= end) {
        let until = plus(from, 6.days()).unwrap_or(end);
        weeks.push(week(days, from, until, asked_days(from.max(start), until.min(end))));
        monday = plus(from, 7.days());
    }
    weeks
}

fn week(days: &[Day], start: Date, end: Date, asked: usize) -> Week {
    let days: Vec<Day> =
        days.iter().filter(|day| (start..=end).contains(&day.day)).copied().collect();
    let known = days.iter().filter(|day| !day.is_empty()).count();
    Week {
        start,
        end,
        t_min_avg_c: mean(days.iter().filter_map(|day| day.t_min_c)),
        t_max_avg_c: mean(days.iter().filter_map(|day| day.t_max_c)),
        precipitation_sum_mm: sum(days.iter().filter_map(|day| day.precipitation_mm)),
        missing_days_count: asked.saturating_sub(known),
        days,
    }
}

fn monday_of(day: Date) -> Date {
    let back = i64::from(day.weekday().to_monday_zero_offset());
    plus(day, -back.days()).unwrap_or(day)
}

/// `None` at the end of the calendar, in the year 9999.
fn plus(day: Date, span: Span) -> Option<Date> {
    day.checked_add(span).ok()
}

fn asked_days(first: Date, last: Date) -> usize {
    usize::try_from((last - first).get_days() + 1).unwrap_or(0)
}

fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(|sum, value| sum + value).map(rounded)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| rounded(sum / count))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a failed index is a failed test")]
    use super::*;
    use jiff::civil::date;

    fn day(number: i8, value: Option<f64>) -> Day {
        Day {
            day: date(2021, 11, number),
            t_min_c: value,
            t_max_c: value.map(|value| value + 1.0),
            precipitation_mm: value,
            wind_speed_max_mps: value,
        }
    }

    #[test]
    fn w14_week_says_how_many_days_it_has() {
        let days = [day(28, Some(2.0)), day(29, Some(4.0)), day(30, Some(8.0))];
        let weeks = weeks(&days, date(2021, 11, 28), date(2021, 11, 30));
        assert_eq!(weeks.len(), 2);
        assert_eq!((weeks[0].start, weeks[0].end), (date(2021, 11, 22), date(2021, 11, 28)));
        assert_eq!((weeks[0].days_count(), weeks[1].days_count()), (1, 2));
        assert_eq!((weeks[1].t_min_avg_c, weeks[1].t_max_avg_c), (Some(6.0), Some(7.0)));
        assert_eq!(weeks[1].precipitation_sum_mm, Some(12.0));
        assert!(!weeks[1].is_partial());
    }

    #[test]
    fn missing_days_make_a_week_partial() {
        let days = [day(23, Some(1.0)), day(24, None)];
        let weeks = weeks(&days, date(2021, 11, 23), date(2021, 12, 1));
        assert_eq!((weeks[0].missing_days_count, weeks[0].days_count()), (5, 1));
        assert_eq!((weeks[1].missing_days_count, weeks[1].days_count()), (3, 0));
        assert_eq!((weeks[1].t_min_avg_c, weeks[1].precipitation_sum_mm), (None, None));
        assert!(weeks[0].is_partial() && weeks[1].is_partial());
    }
}
