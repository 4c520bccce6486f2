//! Which days are named below a chart?
//!
//! Days, months or years, at most a given number of them, each as short as it can be: what does
//! not change from one to the next stands once, in a second line.

use jiff::ToSpan as _;
use jiff::civil::Date;

/// Days up to which each is named with its weekday.
const WEEKDAYS_MAX: i32 = 10;

const DAYS_PER_MONTH: f64 = 30.44;
const DAYS_PER_YEAR: f64 = 365.25;

/// Distances between named days, from the shortest.
const STEPS: [Step; 21] = [
    Step::Days(1),
    Step::Days(2),
    Step::Days(4),
    Step::Days(7),
    Step::Days(14),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(5),
    Step::Years(10),
    Step::Years(20),
    Step::Years(50),
    Step::Years(100),
    Step::Years(200),
    Step::Years(500),
    Step::Years(1_000),
    Step::Years(2_000),
    Step::Years(5_000),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// From the first day of the chart on.
    Days(i16),
    /// The first of January, and the first of each so many months after it.
    Months(i8),
    /// The first of January of years that divide evenly.
    Years(i16),
}

/// A named day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) day: Date,
    pub(super) label: String,
    /// What the label leaves out, where it is new.
    pub(super) below: Option<String>,
}

/// Names days from `first` to `last`, at most `count_max` of them.
pub(super) fn ticks(first: Date, last: Date, count_max: usize) -> Vec<Tick> {
    let span_days = days_between(first, last);
    let step = STEPS.into_iter().find(|step| step.fits(span_days, count_max));
    let step = step.unwrap_or(Step::Years(5_000));
    let mut named: Vec<Tick> = Vec::new();
    let mut above = String::new();
    let days = std::iter::successors(step.first(first), |day| step.after(*day));
    for day in days.take_while(|day| *day <= last).take(count_max) {
        let (label, group) = step.label(day, span_days);
        let below = (group != above).then(|| group.clone()).filter(|group| !group.is_empty());
        above = group;
        named.push(Tick { day, label, below });
    }
    named
}

/// Whole days from one day to another.
pub(super) fn days_between(first: Date, last: Date) -> i32 {
    (last - first).get_days()
}

impl Step {
    fn fits(self, span_days: i32, count_max: usize) -> bool {
        let days = match self {
            Self::Days(days) => f64::from(days),
            Self::Months(months) => f64::from(months) * DAYS_PER_MONTH,
            Self::Years(years) => f64::from(years) * DAYS_PER_YEAR,
        };
        let count_max = u32::try_from(count_max).unwrap_or(u32::MAX);
        f64::from(span_days) / days + 1.0 <= f64::from(count_max)
    }

    /// The first day to name, from `from` on.
    fn first(self, from: Date) -> Option<Date> {
        match self {
            Self::Days(_) => Some(from),
            Self::Months(months) => {
                let month = from.month() - (from.month() - 1).rem_euclid(months);
                let begin = Date::new(from.year(), month, 1).ok()?;
                if begin < from { self.after(begin) } else { Some(begin) }
            }
            Self::Years(years) => {
                let begins_a_year = from.month() == 1 && from.day() == 1;
                let whole = from.year() + i16::from(!begins_a_year);
                Date::new(whole + (-whole).rem_euclid(years), 1, 1).ok()
            }
        }
    }

    fn after(self, day: Date) -> Option<Date> {
        let span = match self {
            Self::Days(days) => days.days(),
            Self::Months(months) => months.months(),
            Self::Years(years) => years.years(),
        };
        day.checked_add(span).ok()
    }

    /// How a day is named, and what it shares with its neighbours.
    fn label(self, day: Date, span_days: i32) -> (String, String) {
        let write = |format: &str| day.strftime(format).to_string();
        match self {
            Self::Days(1) if span_days < WEEKDAYS_MAX => (write("%a %-d"), write("%b %Y")),
            Self::Days(_) => (write("%-d %b"), write("%Y")),
            Self::Months(_) => (write("%b"), write("%Y")),
            Self::Years(_) => (write("%Y"), String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;

    use super::*;

    /// Labels with what stands below them in brackets.
    #[track_caller]
    fn check(first: Date, last: Date, expected: &[&str]) {
        let labels: Vec<_> = ticks(first, last, 9)
            .into_iter()
            .map(|tick| match tick.below {
                Some(below) => format!("{} [{below}]", tick.label),
                None => tick.label,
            })
            .collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn days_of_a_week_have_their_names() {
        let expected = ["Sun 28 [Nov 2021]", "Mon 29", "Tue 30", "Wed 1 [Dec 2021]", "Thu 2"];
        check(date(2021, 11, 28), date(2021, 12, 2), &expected);
    }

    #[test]
    fn one_day_is_named() {
        check(date(2021, 6, 17), date(2021, 6, 17), &["Thu 17 [Jun 2021]"]);
    }

    #[test]
    fn weeks_tell_the_year_once() {
        let expected = ["20 Dec [2021]", "27 Dec", "3 Jan [2022]", "10 Jan", "17 Jan", "24 Jan"];
        check(date(2021, 12, 20), date(2022, 1, 25), &expected);
    }

    #[test]
    fn year_is_told_in_months() {
        let expected = ["Mar [2021]", "May", "Jul", "Sep", "Nov", "Jan [2022]"];
        check(date(2021, 1, 15), date(2022, 1, 31), &expected);
    }

    #[test]
    fn decades_are_told_in_years() {
        check(date(1984, 5, 1), date(2026, 1, 1), &["1990", "2000", "2010", "2020"]);
    }

    #[test]
    fn any_span_has_some_names_but_never_too_many() {
        let first = date(2020, 2, 29);
        for days in 0..4_000 {
            let count = ticks(first, first.checked_add(days.days()).unwrap(), 9).len();
            assert!((1..=9).contains(&count), "{days} days have {count} names");
        }
        assert!((2..=9).contains(&ticks(Date::MIN, Date::MAX, 9).len()));
    }
}
