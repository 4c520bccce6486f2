//! In which shape do clients know the weather? Keys in their order; new ones only at the end.
//!
//! `time_standard` is told where days or hours follow another clock than that of the zone.

use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::report::{Hour, Observation};
use crate::domain::week::Week;

#[derive(Serialize, ToSchema)]
pub(super) struct CurrentView {
    /// When it holds, with the offset of the zone that was asked for.
    observed_at: String,
    /// Air temperature 2 m above ground in degrees Celsius.
    temperature_c: Option<f64>,
    /// Wind speed 10 m above ground in metres per second.
    wind_speed_mps: Option<f64>,
    /// The provider.
    source: &'static str,
}

impl CurrentView {
    pub(super) fn new(ask: &Ask, observation: &Observation) -> Self {
        Self {
            observed_at: ask.zone.write(observation.observed_at),
            temperature_c: observation.temperature_c,
            wind_speed_mps: observation.wind_speed_mps,
            source: ask.provider.as_str(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct HourlyView {
    hours: Vec<HourView>,
    /// The clock of `nasa_power`: `LST` (local solar time) for days, `UTC` for hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_standard: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct HourView {
    /// When it holds; precipitation is that of the hour before.
    timestamp: String,
    /// Air temperature 2 m above ground in degrees Celsius.
    temperature_c: Option<f64>,
    /// Precipitation sum in millimetres.
    precipitation_mm: Option<f64>,
    /// Wind speed 10 m above ground in metres per second.
    wind_speed_mps: Option<f64>,
    /// Cloud cover in percent.
    cloud_cover_pct: Option<f64>,
    /// The provider.
    source: &'static str,
}

impl HourlyView {
    pub(super) fn new(ask: &Ask, hours: &[Hour], time_standard: Option<&'static str>) -> Self {
        let hours = hours.iter().map(|hour| HourView {
            timestamp: ask.zone.write(hour.timestamp),
            temperature_c: hour.temperature_c,
            precipitation_mm: hour.precipitation_mm,
            wind_speed_mps: hour.wind_speed_mps,
            cloud_cover_pct: hour.cloud_cover_pct,
            source: ask.provider.as_str(),
        });
        Self { hours: hours.collect(), time_standard }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct DailyView {
    forecasts: Vec<DayView>,
    /// The clock of `nasa_power`: `LST` (local solar time) for days, `UTC` for hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_standard: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct DayView {
    /// The calendar day at the place.
    day: Date,
    /// Lowest temperature in degrees Celsius.
    t_min_c: Option<f64>,
    /// Highest temperature in degrees Celsius.
    t_max_c: Option<f64>,
    /// Precipitation sum in millimetres.
    precipitation_mm: Option<f64>,
    /// Highest wind speed in metres per second.
    wind_speed_max_mps: Option<f64>,
    /// Whether anything that was asked for is missing.
    is_partial: bool,
    /// Names of the values that are null.
    missing_fields: Vec<&'static str>,
    /// The provider.
    source: &'static str,
    /// `complete`, `partial`, `not_yet_available` or `missing`.
    availability: &'static str,
}

impl DailyView {
    pub(super) fn new(
        ask: &Ask,
        days: &[Day],
        expected_until: Date,
        time_standard: Option<&'static str>,
    ) -> Self {
        Self { forecasts: day_views(ask, days, expected_until), time_standard }
    }
}

fn day_views(ask: &Ask, days: &[Day], expected_until: Date) -> Vec<DayView> {
    days.iter()
        .map(|day| DayView {
            day: day.day,
            t_min_c: day.t_min_c,
            t_max_c: day.t_max_c,
            precipitation_mm: day.precipitation_mm,
            wind_speed_max_mps: day.wind_speed_max_mps,
            is_partial: day.is_partial(),
            missing_fields: day.missing_fields().collect(),
            source: ask.provider.as_str(),
            availability: day.availability(expected_until).as_str(),
        })
        .collect()
}

#[derive(Serialize, ToSchema)]
pub(super) struct WeeklyView {
    reports: Vec<WeekView>,
    /// The clock of `nasa_power`: `LST` (local solar time) for days, `UTC` for hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_standard: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct WeekView {
    /// The Monday.
    week_start: Date,
    /// The Sunday.
    week_end: Date,
    /// Mean of the daily minima that are known, in degrees Celsius.
    t_min_avg_c: Option<f64>,
    /// Mean of the daily maxima that are known, in degrees Celsius.
    t_max_avg_c: Option<f64>,
    /// Sum of the daily precipitation that is known, in millimetres.
    precipitation_sum_mm: Option<f64>,
    days: Vec<DayView>,
    /// Whether anything that was asked for is missing.
    is_partial: bool,
    /// Days that were asked for and of which nothing is known.
    missing_days_count: usize,
    /// The provider.
    source: &'static str,
    /// Days of which something is known: what the averages stand on.
    days_count: usize,
}

impl WeeklyView {
    pub(super) fn new(
        ask: &Ask,
        weeks: &[Week],
        expected_until: Date,
        time_standard: Option<&'static str>,
    ) -> Self {
        let reports = weeks.iter().map(|week| WeekView {
            week_start: week.start,
            week_end: week.end,
            t_min_avg_c: week.t_min_avg_c,
            t_max_avg_c: week.t_max_avg_c,
            precipitation_sum_mm: week.precipitation_sum_mm,
            days: day_views(ask, &week.days, expected_until),
            is_partial: week.is_partial(),
            missing_days_count: week.missing_days_count,
            source: ask.provider.as_str(),
            days_count: week.days_count(),
        });
        Self { reports: reports.collect(), time_standard }
    }
}
