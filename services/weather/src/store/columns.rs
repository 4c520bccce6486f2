//! In which form do values stand in columns? The same in every database.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::place::{Cell, Zone};
use crate::domain::point::{Point, PointState};

/// A row of the newest values of days.
#[derive(sqlx::FromRow)]
pub(super) struct DayRow {
    day: String,
    t_min: Option<f64>,
    t_max: Option<f64>,
    precip: Option<f64>,
    wind_max: Option<f64>,
    fetched_at: i64,
}

impl DayRow {
    fn day(&self) -> Option<Day> {
        Some(Day {
            day: self.day.parse().ok()?,
            t_min_c: self.t_min,
            t_max_c: self.t_max,
            precipitation_mm: self.precip,
            wind_speed_max_mps: self.wind_max,
        })
    }
}

/// The days from `start` to `end` and when the oldest of them came; `None` when one is missing.
pub(super) fn whole(rows: &[DayRow], start: Date, end: Date) -> Option<(Vec<Day>, SystemTime)> {
    let asked = usize::try_from((end - start).get_days() + 1).unwrap_or(0);
    let days: Vec<Day> = rows.iter().filter_map(DayRow::day).collect();
    let oldest = rows.iter().map(|row| row.fetched_at).min()?;
    (days.len() == asked).then_some((days, from_millis(oldest)))
}

/// A row of the points that are kept warm.
#[derive(sqlx::FromRow)]
pub(super) struct PointRow {
    cell_lat: i32,
    cell_lon: i32,
    tz: String,
    last_ok: Option<i64>,
    last_error: Option<String>,
}

impl PointRow {
    /// `None` when the zone is not known any more.
    pub(super) fn state(self) -> Option<PointState> {
        let cell = Cell::of_hundredths(self.cell_lat, self.cell_lon);
        let point = Point { cell, zone: Zone::named(&self.tz)? };
        let last_ok = self.last_ok.map(from_millis);
        Some(PointState { point, last_ok, last_error: self.last_error })
    }
}

/// First and last day as text; empty where the question has none, so that the index is exact.
pub(super) fn range(ask: &Ask) -> (String, String) {
    ask.question
        .range()
        .map_or_else(Default::default, |(start, end)| (start.to_string(), end.to_string()))
}

pub(super) fn to_millis(time: SystemTime) -> i64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A number of rows as databases count them.
pub(super) fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
