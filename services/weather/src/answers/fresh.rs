//! For how long is an answer fresh, and for how long may it be given after that? Pure.

use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::domain::ask::Question;
use crate::domain::day::Day;
use crate::domain::report::Report;

/// Days after which a day's values no longer change: the archive corrects its newest days.
const SETTLED_AFTER_DAYS: i64 = 10;

/// For how long answers are kept and given, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Age up to which the newest observation is given when the provider fails.
    pub stale_current: Duration,
    /// Age up to which a forecast is given when the provider fails.
    pub stale_forecast: Duration,
    /// Time past its fresh time in which the newest observation is given at once, while a newer
    /// one is fetched.
    pub revalidate_current: Duration,
    /// The same for a forecast.
    pub revalidate_forecast: Duration,
    /// Longest fresh time of days of which past ones lack values: these may come any minute.
    pub fresh_gaps: Duration,
    /// Shortest fresh time of complete days that no longer change.
    pub fresh_settled: Duration,
    /// Answers kept in memory.
    pub entries_max: usize,
}

/// What the age of an answer is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Below this age it is given without asking.
    pub fresh: Duration,
    /// Below this age it is given at once, and a newer one is fetched.
    pub revalidate: Duration,
    /// Below this age it is given when the provider fails.
    pub stale: Duration,
}

impl Bounds {
    /// The lifetime of `report`, which would be fresh for `base` if nothing else were known.
    #[must_use]
    pub fn lifetime(
        &self,
        question: Question,
        report: &Report,
        base: Duration,
        today: Date,
    ) -> Lifetime {
        let fresh = match (question, report) {
            (Question::Daily { start, end }, Report::Daily(days)) => {
                self.fresh_days(days, (start, end), base, today)
            }
            _ => base,
        };
        // What is fresh for longer than others may be stale may stand in for as long again.
        let stale = self.stale(question).max(if fresh > base { fresh * 2 } else { Duration::ZERO });
        let second = match question {
            Question::Current => self.revalidate_current,
            Question::Hourly | Question::Daily { .. } => self.revalidate_forecast,
        };
        Lifetime { fresh, revalidate: (fresh + second).min(stale), stale }
    }

    /// Age up to which any answer to `question` may stand in.
    #[must_use]
    pub fn stale(&self, question: Question) -> Duration {
        match question {
            Question::Current => self.stale_current,
            Question::Hourly | Question::Daily { .. } => self.stale_forecast,
        }
    }

    /// Age beyond which no answer is of use.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.stale_current.max(self.stale_forecast).max(self.fresh_settled * 2)
    }

    fn fresh_days(
        &self,
        days: &[Day],
        (start, end): (Date, Date),
        base: Duration,
        today: Date,
    ) -> Duration {
        let past_end = end.min(today);
        let asked = i64::from((past_end - start).get_days()) + 1;
        let complete = days.iter().filter(|day| day.day <= past_end && !day.is_partial()).count();
        if i64::try_from(complete).is_ok_and(|complete| complete < asked) {
            return base.min(self.fresh_gaps);
        }
        let settled_until = today.checked_sub(SETTLED_AFTER_DAYS.days()).unwrap_or(today);
        if end < settled_until { base.max(self.fresh_settled) } else { base }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 11, 24);
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    const BOUNDS: Bounds = Bounds {
        stale_current: HOUR,
        stale_forecast: Duration::from_secs(86_400),
        revalidate_current: Duration::from_secs(600),
        revalidate_forecast: Duration::from_secs(21_600),
        fresh_gaps: Duration::from_secs(300),
        fresh_settled: Duration::from_secs(86_400),
        entries_max: 1,
    };

    fn lifetime(start: Date, end: Date, lacking: Option<Date>) -> Lifetime {
        let day = |day: Date| Day {
            day,
            t_min_c: (lacking != Some(day)).then_some(1.0),
            t_max_c: Some(2.0),
            precipitation_mm: Some(0.0),
            wind_speed_max_mps: Some(3.0),
        };
        let days = start.series(1.day()).take_while(|day| *day <= end).map(day).collect();
        BOUNDS.lifetime(Question::Daily { start, end }, &Report::Daily(days), 15 * MINUTE, TODAY)
    }

    #[test]
    fn days_that_lack_a_past_value_are_asked_again_soon() {
        let (start, end) = (date(2026, 11, 20), date(2026, 11, 26));
        assert_eq!(lifetime(start, end, None).fresh, 15 * MINUTE);
        for lacking in [date(2026, 11, 20), TODAY] {
            assert_eq!(lifetime(start, end, Some(lacking)).fresh, 5 * MINUTE, "{lacking}");
        }
        // A value of tomorrow is not missing: nobody has it yet.
        assert_eq!(lifetime(start, end, Some(date(2026, 11, 25))).fresh, 15 * MINUTE);
    }

    #[test]
    fn old_days_are_kept_long_only_when_they_are_complete() {
        let (start, end) = (date(2026, 10, 1), date(2026, 11, 13));
        let complete = lifetime(start, end, None);
        assert_eq!(complete.fresh, 24 * HOUR);
        assert_eq!(complete.stale, 48 * HOUR);
        assert_eq!(lifetime(start, end, Some(date(2026, 10, 9))).fresh, 5 * MINUTE);
        assert_eq!(lifetime(start, date(2026, 11, 14), None).fresh, 15 * MINUTE);
    }

    #[test]
    fn day_that_was_not_answered_at_all_is_missing() {
        let question = Question::Daily { start: TODAY, end: TODAY };
        let lifetime = BOUNDS.lifetime(question, &Report::Daily(Vec::new()), 15 * MINUTE, TODAY);
        assert_eq!(lifetime.fresh, 5 * MINUTE);
    }

    #[test]
    fn second_window_ends_with_the_stale_time() {
        let hours = Report::Hourly(Vec::new());
        let lifetime = |question| BOUNDS.lifetime(question, &hours, 55 * MINUTE, TODAY);
        let current = lifetime(Question::Current);
        assert_eq!((current.revalidate, current.stale), (HOUR, HOUR));
        let hourly = lifetime(Question::Hourly);
        assert_eq!((hourly.revalidate, hourly.stale), (6 * HOUR + 55 * MINUTE, 24 * HOUR));
    }
}
