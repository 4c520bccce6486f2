//! Which days of a field were looked at, and which of them should be looked at again?
//!
//! A day on which nobody looked and a day on which there was nothing to see are both empty. Only
//! the surveys tell them apart.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::seen::Survey;

/// Days after an acquisition during which its scene may still appear or be replaced.
pub const SETTLING_DAYS: i32 = 30;

/// How old a look at a day may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookAges {
    /// At a day that was less than [`SETTLING_DAYS`] past when it was looked at.
    pub recent_max: Duration,
    /// At any earlier day.
    pub settled_max: Duration,
}

/// The newest look at a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When the catalogue was asked.
    pub at: Timestamp,
    /// Whether some scenes of the survey that looked could not be read.
    pub has_unread: bool,
}

/// The newest look at each day of an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    start: Date,
    looks: Vec<Option<Look>>,
}

impl Coverage {
    /// What `surveys`, in any order, looked at from `start` to `end`, both days included. A survey
    /// that left out scenes which `max_cloud_percent` lets in does not count, nor does one for days
    /// that had not yet come.
    #[must_use]
    pub fn of(surveys: &[Survey], start: Date, end: Date, max_cloud_percent: Option<f64>) -> Self {
        let fitting: Vec<&Survey> =
            surveys.iter().filter(|survey| holds_enough(survey, max_cloud_percent)).collect();
        let look = |day: Date| {
            let looks = fitting.iter().filter(|survey| looked_at(survey, day));
            let newest = looks.max_by_key(|survey| survey.at)?;
            Some(Look { at: newest.at, has_unread: newest.unread_count > 0 })
        };
        Self { start, looks: days(start, end).map(look).collect() }
    }

    /// The newest look at a day; `None` also for a day outside the interval.
    #[must_use]
    pub fn look(&self, day: Date) -> Option<Look> {
        let index = usize::try_from(days_between(self.start, day)).ok()?;
        self.looks.get(index).copied().flatten()
    }

    /// The first and the last day up to today that should be looked at: never looked at, or too
    /// long ago.
    #[must_use]
    pub fn to_look_at(&self, now: Timestamp, ages: LookAges) -> Option<(Date, Date)> {
        let today = utc_day(now);
        let mut wanted = days(self.start, today)
            .zip(&self.looks)
            .filter(|(day, look)| look.is_none_or(|look| is_due(*day, look, now, ages)))
            .map(|(day, _)| day);
        let first = wanted.next()?;
        Some((first, wanted.last().unwrap_or(first)))
    }
}

fn holds_enough(survey: &Survey, max_cloud_percent: Option<f64>) -> bool {
    match (survey.max_cloud_percent, max_cloud_percent) {
        (None, _) => true,
        (Some(looked), Some(asked)) => asked <= looked,
        (Some(_), None) => false,
    }
}

fn looked_at(survey: &Survey, day: Date) -> bool {
    (survey.start..=survey.end).contains(&day) && day <= utc_day(survey.at)
}

fn is_due(day: Date, look: Look, now: Timestamp, ages: LookAges) -> bool {
    let settled = days_between(day, utc_day(look.at)) >= SETTLING_DAYS;
    // What could not be read yesterday may be readable today, however old it is.
    let age_max = if settled && !look.has_unread { ages.settled_max } else { ages.recent_max };
    let age_max = SignedDuration::try_from(age_max).unwrap_or(SignedDuration::MAX);
    now.duration_since(look.at) > age_max
}

/// The UTC day of an instant.
#[must_use]
pub fn utc_day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Every day from `start` to `end`, both included; none when they are reversed.
pub fn days(start: Date, end: Date) -> impl Iterator<Item = Date> {
    start.series(jiff::Span::new().days(1)).take_while(move |day| *day <= end)
}

/// Days from `from` to `to`, negative when `to` is earlier.
#[must_use]
pub fn days_between(from: Date, to: Date) -> i32 {
    i32::try_from(to.duration_since(from).as_hours() / 24).unwrap_or(i32::MAX)
}

/// A day so many days later, or the last day there is.
#[must_use]
pub fn days_later(day: Date, count: i32) -> Date {
    day.saturating_add(SignedDuration::from_hours(i64::from(count) * 24))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;

    use super::*;

    const AGES: LookAges = LookAges {
        recent_max: Duration::from_secs(3_600),
        settled_max: Duration::from_secs(30 * 86_400),
    };

    fn june(day: i8) -> Date {
        date(2021, 6, day)
    }

    fn survey(first: i8, last: i8, at: &str) -> Survey {
        Survey {
            start: june(first),
            end: june(last),
            max_cloud_percent: None,
            at: at.parse().unwrap(),
            unread_count: 0,
        }
    }

    fn due(surveys: &[Survey], now: &str) -> Option<(Date, Date)> {
        Coverage::of(surveys, june(1), june(10), None).to_look_at(now.parse().unwrap(), AGES)
    }

    #[test]
    fn days_without_a_survey_are_to_be_looked_at() {
        let seen = [survey(1, 4, "2021-08-01T00:00:00Z"), survey(8, 10, "2021-08-01T00:00:00Z")];
        assert_eq!(due(&seen, "2021-08-02T00:00:00Z"), Some((june(5), june(7))));
        assert_eq!(due(&[], "2021-08-02T00:00:00Z"), Some((june(1), june(10))));
    }

    #[test]
    fn days_to_come_are_not_to_be_looked_at() {
        assert_eq!(due(&[], "2021-06-03T08:00:00Z"), Some((june(1), june(3))));
        assert_eq!(due(&[], "2021-05-03T08:00:00Z"), None);
    }

    #[test]
    fn survey_says_nothing_about_days_after_it() {
        let early = [survey(1, 10, "2021-06-05T12:00:00Z")];
        let coverage = Coverage::of(&early, june(1), june(10), None);
        assert!(coverage.look(june(5)).is_some() && coverage.look(june(6)).is_none());
    }

    #[test]
    fn settled_days_stay_looked_at_for_longer() {
        let late = [survey(1, 10, "2021-08-01T00:00:00Z")];
        assert_eq!(due(&late, "2021-08-30T00:00:00Z"), None);
        assert_eq!(due(&late, "2021-09-01T00:00:00Z"), Some((june(1), june(10))));
        let soon = [survey(1, 10, "2021-06-10T12:00:00Z")];
        assert_eq!(due(&soon, "2021-06-10T13:00:00Z"), None);
        assert_eq!(due(&soon, "2021-06-10T13:00:01Z"), Some((june(1), june(10))));
    }

    #[test]
    fn survey_that_left_out_cloudy_scenes_counts_only_for_who_leaves_them_out_too() {
        let pruned =
            [Survey { max_cloud_percent: Some(40.0), ..survey(1, 10, "2021-08-01T00:00:00Z") }];
        for (asked, counts) in [(None, false), (Some(60.0), false), (Some(40.0), true)] {
            let coverage = Coverage::of(&pruned, june(1), june(10), asked);
            assert_eq!(coverage.look(june(1)).is_some(), counts, "{asked:?}");
        }
    }

    #[test]
    fn newest_look_counts_and_unread_scenes_make_it_due_sooner() {
        let newer = Survey { unread_count: 1, ..survey(3, 3, "2021-08-02T00:00:00Z") };
        let both = [newer, survey(1, 10, "2021-08-01T00:00:00Z")];
        assert_eq!(due(&both, "2021-08-02T01:00:00Z"), None);
        assert_eq!(due(&both, "2021-08-02T01:00:01Z"), Some((june(3), june(3))));
    }
}
