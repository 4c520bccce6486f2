//! In which shape do clients know the weather? Keys in their order; new ones only at the end.
//!
//! `time_standard` is told where days or hours follow another clock than that of the zone.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::report::{Hour, Observation};
use crate::domain::week::Week;

#[derive(Serialize)]
pub(super) struct CurrentView {
    observed_at: String,
    temperature_c: Option<f64>,
    wind_speed_mps: Option<f64>,
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

#[derive(Serialize)]
pub(super) struct HourlyView {
    hours: Vec<HourView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_standard: Option<&'static str>,
}

#[derive(Serialize)]
struct HourView {
    timestamp: String,
    temperature_c: Option<f64>,
    precipitation_mm: Option<f64>,
    wind_speed_mps: Option<f64>,
    cloud_cover_pct: Option<f64>,
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

#[derive(Serialize)]
pub(super) struct DailyView {
    forecasts: Vec<DayView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_standard: Option<&'static str>,
}

#[derive(Serialize)]
struct DayView {
    day: Date,
    t_min_c: Option<f64>,
    t_max_c: Option<f64>,
    precipitation_mm: Option<f64>,
    wind_speed_max_mps: Option<f64>,
    is_partial: bool,
    missing_fields: Vec<&'static str>,
    source: &'static str,
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

#[derive(Serialize)]
pub(super) struct WeeklyView {
    reports: Vec<WeekView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_standard: Option<&'static str>,
}

#[derive(Serialize)]
struct WeekView {
    week_start: Date,
    week_end: Date,
    t_min_avg_c: Option<f64>,
    t_max_avg_c: Option<f64>,
    precipitation_sum_mm: Option<f64>,
    days: Vec<DayView>,
    is_partial: bool,
    missing_days_count: usize,
    source: &'static str,
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
