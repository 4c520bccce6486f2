//! Which scene stands for which day of a series, and why does a day have none?
//!
//! A bucket is a day of a regular series. The best scene within [`REACH_DAYS`] stands for it, so
//! that one scene may stand for several days; its own time says so.

use std::cmp::Ordering;

use jiff::civil::Date;
use serde::Serialize;

use super::coverage::{Coverage, days, days_between, days_later};
use super::seen::Seen;

/// Farthest that a scene may lie from the day it stands for.
pub const REACH_DAYS: i32 = 3;

/// Which days are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketQuery {
    /// The first day.
    pub start: Date,
    /// No bucket lies after this day.
    pub end: Date,
    /// Days from one bucket to the next, at least 1.
    pub step_days: u32,
    /// Largest cloud cover of a whole scene in percent; `None` for any.
    pub max_cloud_percent: Option<f64>,
}

impl BucketQuery {
    /// The days of which scenes may stand in a bucket.
    #[must_use]
    pub fn reach(&self) -> (Date, Date) {
        (days_later(self.start, -REACH_DAYS), days_later(self.end, REACH_DAYS))
    }
}

/// A day and the scene that stands for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket<'a> {
    /// The day.
    pub date: Date,
    /// The scene, or why there is none.
    pub seen: Result<&'a Seen, Gap>,
}

/// Why a day has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Nobody has looked at all days around it yet.
    NotSurveyed,
    /// Somebody looked, and could not read everything.
    Unread,
    /// There is no scene.
    NoScene,
    /// Clouds hide the field, or the whole scene is cloudier than asked for.
    Cloud,
    /// There is a scene, without data where the field is.
    NoData,
    /// It has not come yet.
    Future,
}

impl Gap {
    /// The word in answers.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotSurveyed => "not_surveyed",
            Self::Unread => "unread",
            Self::NoScene => "no_scene",
            Self::Cloud => "cloud",
            Self::NoData => "no_data",
            Self::Future => "future",
        }
    }

    /// A sentence for clients.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotSurveyed => "These days were not looked at yet; a refresh does it.",
            Self::Unread => "A scene of these days could not be read; a refresh tries again.",
            Self::NoScene => "No scene shows this field on these days.",
            Self::Cloud => "Clouds hide this field on these days.",
            Self::NoData => "The scenes of these days have no data where this field is.",
            Self::Future => "These days have not come yet.",
        }
    }
}

/// The days of a series, each with what stands for it.
#[must_use]
pub fn buckets<'a>(
    query: &BucketQuery,
    seen: &'a [Seen],
    coverage: &Coverage,
    today: Date,
) -> Vec<Bucket<'a>> {
    let usable = one_a_day(seen, query.max_cloud_percent);
    let step = usize::try_from(query.step_days.max(1)).unwrap_or(1);
    days(query.start, query.end)
        .step_by(step)
        .map(|date| {
            let near = usable.iter().copied().filter(|seen| is_near(seen, date));
            let best = near.min_by(|a, b| by_cloud_then_distance(a, b, date));
            let seen = best.ok_or_else(|| {
                gap(
                    seen,
                    coverage,
                    days_later(date, -REACH_DAYS),
                    days_later(date, REACH_DAYS),
                    today,
                )
            });
            Bucket { date, seen }
        })
        .collect()
}

/// The newest scene with a value, or why there is none from `start` to `end`.
///
/// # Errors
/// The reason.
pub fn latest<'a>(
    seen: &'a [Seen],
    coverage: &Coverage,
    (start, end): (Date, Date),
    max_cloud_percent: Option<f64>,
    today: Date,
) -> Result<&'a Seen, Gap> {
    let usable = one_a_day(seen, max_cloud_percent);
    usable.last().copied().ok_or_else(|| gap(seen, coverage, start, end, today))
}

/// Why nothing from `start` to `end` has a value.
fn gap(seen: &[Seen], coverage: &Coverage, start: Date, end: Date, today: Date) -> Gap {
    if start > today {
        return Gap::Future;
    }
    let looks: Vec<_> = days(start, end.min(today)).map(|day| coverage.look(day)).collect();
    let here: Vec<&Seen> = seen.iter().filter(|seen| (start..=end).contains(&seen.day())).collect();
    if looks.iter().any(Option::is_none) {
        Gap::NotSurveyed
    } else if looks.iter().flatten().any(|look| look.has_unread) {
        Gap::Unread
    } else if here.is_empty() {
        Gap::NoScene
    } else if here.iter().any(|seen| seen.has_value() || is_clouded(seen)) {
        // A value that was not taken belongs to a scene that is cloudier than asked for.
        Gap::Cloud
    } else {
        Gap::NoData
    }
}

/// Whether cloud was seen over the field itself. A scene that does not reach it says nothing.
fn is_clouded(seen: &Seen) -> bool {
    seen.observation.cloud_fraction.is_some_and(|fraction| fraction > 0.0)
}

/// Of each day the scene that shows most of the field, in order of time. Two neighbouring tiles
/// may show a part of the field each.
fn one_a_day(seen: &[Seen], max_cloud_percent: Option<f64>) -> Vec<&Seen> {
    let mut usable: Vec<&Seen> =
        seen.iter().filter(|seen| seen.has_value() && seen.is_within(max_cloud_percent)).collect();
    usable.sort_by(|a, b| {
        let most = b.observation.valid_count.cmp(&a.observation.valid_count);
        a.day().cmp(&b.day()).then(most).then_with(|| a.scene_id.cmp(&b.scene_id))
    });
    usable.dedup_by_key(|seen| seen.day());
    usable
}

fn is_near(seen: &Seen, date: Date) -> bool {
    days_between(date, seen.day()).abs() <= REACH_DAYS
}

fn by_cloud_then_distance(a: &Seen, b: &Seen, date: Date) -> Ordering {
    let distance = |seen: &Seen| days_between(date, seen.day()).abs();
    a.cloud().total_cmp(&b.cloud()).then_with(|| distance(a).cmp(&distance(b)))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use jiff::civil::date;

    use super::super::footprint::PixelRule;
    use super::super::observation::{Numbers, Observation};
    use super::super::offset::OffsetReason;
    use super::super::seen::Survey;
    use super::super::statistics::Summary;
    use super::*;

    /// A scene of a day of June 2021 whose classification hides this share of the field.
    pub(crate) fn seen(day: i8, cloud: f64) -> Seen {
        let summary = Summary::of(vec![0.5; 4]).filter(|_| cloud < 1.0);
        Seen {
            scene_id: format!("S2_{day:02}"),
            acquired_at: format!("2021-06-{day:02}T10:05:59Z").parse().unwrap(),
            scene_cloud_cover_percent: Some(50.0),
            observation: Observation {
                ndvi: summary.map_or(Numbers::None(Default::default()), Numbers::Some),
                pixel_count: 4,
                valid_count: if cloud < 1.0 { 4 } else { 0 },
                valid_pixel_fraction: None,
                cloud_fraction: Some(cloud),
                offset_dn: 0,
                offset_reason: OffsetReason::BaselineWithoutOffset,
                pixel_rule: PixelRule::Centre,
                flags: Vec::new(),
            },
        }
    }

    fn june(day: i8) -> Date {
        date(2021, 6, day)
    }

    fn all_looked_at() -> Vec<Survey> {
        vec![Survey {
            start: date(2021, 5, 1),
            end: date(2021, 7, 31),
            max_cloud_percent: None,
            at: "2021-09-01T00:00:00Z".parse().unwrap(),
            unread_count: 0,
        }]
    }

    const QUERY: BucketQuery = BucketQuery {
        start: date(2021, 6, 1),
        end: date(2021, 6, 30),
        step_days: 5,
        max_cloud_percent: None,
    };

    fn series(query: &BucketQuery, seen: &[Seen], surveys: &[Survey]) -> Vec<(i8, String)> {
        let (start, end) = query.reach();
        let coverage = Coverage::of(surveys, start, end, query.max_cloud_percent);
        buckets(query, seen, &coverage, date(2021, 9, 1))
            .into_iter()
            .map(|bucket| {
                let word = |seen: &Seen| seen.scene_id.clone();
                let stands = bucket.seen.map_or_else(|gap| gap.code().to_owned(), word);
                (bucket.date.day(), stands)
            })
            .collect()
    }

    fn stands_for(query: &BucketQuery, seen: &[Seen], day: i8) -> String {
        let series = series(query, seen, &all_looked_at());
        series.into_iter().find(|(bucket, _)| *bucket == day).unwrap().1
    }

    #[test]
    fn buckets_run_from_start_by_step_and_never_past_the_end() {
        let days: Vec<i8> = series(&QUERY, &[], &all_looked_at()).iter().map(|b| b.0).collect();
        assert_eq!(days, [1, 6, 11, 16, 21, 26]);
        let one = BucketQuery { end: june(1), ..QUERY };
        assert_eq!(series(&one, &[], &all_looked_at()).len(), 1);
    }

    #[test]
    fn scene_within_three_days_stands_for_the_day_and_may_do_so_twice() {
        let daily = BucketQuery { step_days: 1, ..QUERY };
        let series = series(&daily, &[seen(10, 0.0)], &all_looked_at());
        let days: Vec<i8> =
            series.iter().filter(|bucket| bucket.1 == "S2_10").map(|bucket| bucket.0).collect();
        assert_eq!(days, [7, 8, 9, 10, 11, 12, 13]);
    }

    #[test]
    fn clearest_view_of_the_field_wins_over_the_nearest() {
        assert_eq!(stands_for(&QUERY, &[seen(11, 0.4), seen(13, 0.1)], 11), "S2_13");
        assert_eq!(stands_for(&QUERY, &[seen(10, 0.1), seen(13, 0.1)], 11), "S2_10");
    }

    #[test]
    fn of_two_tiles_of_a_day_the_one_that_shows_more_of_the_field_stands() {
        let mut part = seen(11, 0.0);
        part.scene_id = "S2_a_part".to_owned();
        part.observation.valid_count = 1;
        assert_eq!(stands_for(&QUERY, &[part, seen(11, 0.0)], 11), "S2_11");
    }

    #[test]
    fn gaps_say_why() {
        assert_eq!(stands_for(&QUERY, &[], 11), "no_scene");
        assert_eq!(stands_for(&QUERY, &[seen(11, 1.0)], 11), "cloud");
        let mut empty = seen(11, 1.0);
        empty.observation.cloud_fraction = Some(0.0);
        assert_eq!(stands_for(&QUERY, &[empty.clone()], 11), "no_data");
        // The whole scene is half clouded, and does not reach the field.
        empty.observation.cloud_fraction = None;
        assert_eq!(stands_for(&QUERY, &[empty], 11), "no_data");
        let clear = BucketQuery { max_cloud_percent: Some(10.0), ..QUERY };
        assert_eq!(stands_for(&clear, &[seen(11, 0.0)], 11), "cloud");
    }

    #[test]
    fn days_that_nobody_looked_at_are_not_days_without_a_scene() {
        let mut surveys = all_looked_at();
        surveys[0].end = june(13);
        let series = series(&QUERY, &[], &surveys);
        let words: Vec<&str> = series.iter().map(|bucket| bucket.1.as_str()).collect();
        let rest = ["not_surveyed"; 4];
        assert_eq!(words, [&["no_scene"; 2][..], &rest].concat());
        surveys = all_looked_at();
        surveys[0].unread_count = 2;
        let coverage = Coverage::of(&surveys, june(1), june(30), None);
        let found = latest(&[], &coverage, (june(1), june(30)), None, june(30));
        assert_eq!(found, Err(Gap::Unread));
    }

    #[test]
    fn days_to_come_are_named_as_such() {
        let coverage = Coverage::of(&all_looked_at(), june(1), june(30), None);
        let series = buckets(&QUERY, &[], &coverage, june(7));
        let gaps: Vec<_> = series.iter().map(|bucket| bucket.seen.unwrap_err()).collect();
        assert_eq!(gaps[3..], [Gap::Future; 3]);
    }

    #[test]
    fn latest_is_the_newest_view_with_a_value() {
        let views = [seen(3, 0.0), seen(10, 0.6), seen(12, 1.0)];
        let coverage = Coverage::of(&all_looked_at(), june(1), june(30), None);
        let found = latest(&views, &coverage, (june(1), june(30)), None, june(30)).unwrap();
        assert_eq!(found.scene_id, "S2_10");
    }

    #[test]
    fn n8_cloud_of_a_scene_is_a_percentage() {
        let mut hazy = seen(11, 0.0);
        hazy.observation.cloud_fraction = None;
        hazy.scene_cloud_cover_percent = Some(0.8);
        assert!((hazy.cloud() - 0.008).abs() < 1e-12, "{}", hazy.cloud());
        assert!(hazy.is_within(Some(1.0)) && !hazy.is_within(Some(0.5)));
    }
}
