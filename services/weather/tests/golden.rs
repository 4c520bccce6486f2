//! Are the recorded answers read as the golden values say?
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

use jiff::civil::{Date, date};
use serde_json::Value;
use weather::domain::ask::{Ask, ProviderName, Question};
use weather::domain::day::Day;
use weather::domain::place::{Cell, Zone};
use weather::domain::report::{Hour, Report};
use weather::domain::week::weeks;
use weather::providers::open_meteo::answer;

const RECORDED: &[u8] = include_bytes!("data/open_meteo_forecast_berlin_20211124.json");
const GOLDEN: &str = include_str!("data/weather_golden.json");
const TOLERANCE: f64 = 1e-6;
const FIRST: Date = date(2021, 11, 24);
const LAST: Date = date(2021, 11, 30);

fn golden(pointer: &str) -> Value {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    golden.pointer(&format!("/open_meteo/{pointer}")).unwrap().clone()
}

fn ask(question: Question) -> Ask {
    Ask {
        provider: ProviderName::OpenMeteo,
        question,
        cell: Cell::of(52.52, 13.42),
        zone: Zone::named("Europe/Berlin").unwrap(),
    }
}

fn days() -> Vec<Day> {
    match answer::read(&ask(Question::Daily { start: FIRST, end: LAST }), RECORDED) {
        Ok(Report::Daily(days)) => days,
        other => panic!("no days: {other:?}"),
    }
}

fn hours() -> Vec<Hour> {
    match answer::read(&ask(Question::Hourly), RECORDED) {
        Ok(Report::Hourly(hours)) => hours,
        other => panic!("no hours: {other:?}"),
    }
}

#[track_caller]
fn check(value: Option<f64>, expected: &Value, what: &str) {
    let (value, expected) = (value.unwrap(), expected.as_f64().unwrap());
    assert!((value - expected).abs() <= TOLERANCE, "{what}: {value} is not {expected}");
}

#[test]
fn current_weather_equals_the_golden_values() {
    let asked = ask(Question::Current);
    let Ok(Report::Current(observation)) = answer::read(&asked, RECORDED) else {
        panic!("no observation");
    };
    let expected = golden("current");
    assert_eq!(observation.observed_at.to_string(), expected["observed_at_utc"]);
    assert_eq!(asked.zone.write(observation.observed_at), "2021-11-24T23:00:00+01:00");
    check(observation.temperature_c, &expected["temperature_c"], "temperature");
    check(observation.wind_speed_mps, &expected["wind_speed_mps"], "wind");
}

#[test]
fn hourly_weather_equals_the_golden_values() {
    let hours = hours();
    assert_eq!(hours.len() as u64, golden("n_hours").as_u64().unwrap());
    let (first, expected) = (&hours[0], golden("hourly_first"));
    assert_eq!(first.timestamp.to_string(), expected["timestamp_utc"]);
    check(first.temperature_c, &expected["temperature_c"], "temperature");
    check(first.precipitation_mm, &expected["precipitation_mm"], "precipitation");
    check(first.wind_speed_mps, &expected["wind_speed_mps"], "wind");
    check(first.cloud_cover_pct, &expected["cloud_cover_pct"], "cloud cover");
    let (last, expected) = (&hours[167], golden("hourly_last"));
    assert_eq!(last.timestamp.to_string(), expected["timestamp_utc"]);
    check(last.temperature_c, &expected["temperature_c"], "temperature");
}

#[test]
fn daily_weather_equals_the_golden_values() {
    let expected = golden("daily");
    let days = days();
    assert_eq!(days.len(), expected.as_array().unwrap().len());
    for (day, expected) in days.iter().zip(expected.as_array().unwrap()) {
        assert_eq!(day.day.to_string(), expected["day"]);
        check(day.t_min_c, &expected["t_min_c"], "minimum");
        check(day.t_max_c, &expected["t_max_c"], "maximum");
        check(day.precipitation_mm, &expected["precipitation_mm"], "precipitation");
        check(day.wind_speed_max_mps, &expected["wind_speed_max_mps"], "wind");
    }
}

#[test]
fn weekly_weather_equals_the_golden_values() {
    let expected = golden("weekly_iso_monday");
    let weeks = weeks(&days(), FIRST, LAST);
    assert_eq!(weeks.len(), expected.as_array().unwrap().len());
    for (week, expected) in weeks.iter().zip(expected.as_array().unwrap()) {
        assert_eq!(week.start.to_string(), expected["week_start"]);
        assert_eq!(week.end.to_string(), expected["week_end"]);
        assert_eq!(week.days_count() as u64, expected["n_days"].as_u64().unwrap());
        check(week.t_min_avg_c, &expected["t_min_avg_c"], "mean minimum");
        check(week.t_max_avg_c, &expected["t_max_avg_c"], "mean maximum");
        check(week.precipitation_sum_mm, &expected["precipitation_sum_mm"], "precipitation");
    }
}

#[test]
fn daily_extremes_equal_those_of_their_hours() {
    let hours = hours();
    for (number, day) in days().iter().enumerate() {
        let of_day = &hours[number * 24..(number + 1) * 24];
        let highest = |value: fn(&Hour) -> Option<f64>| {
            of_day.iter().filter_map(value).fold(f64::NEG_INFINITY, f64::max)
        };
        assert!((highest(|hour| hour.temperature_c) - day.t_max_c.unwrap()).abs() < TOLERANCE);
        assert!(
            (highest(|hour| hour.wind_speed_mps) - day.wind_speed_max_mps.unwrap()).abs()
                < TOLERANCE
        );
    }
}

#[test]
fn hourly_precipitation_belongs_to_the_hour_before() {
    let hours = hours();
    for (number, day) in days().iter().enumerate() {
        // The last day's closing hour, 24:00, lies beyond the recording.
        let Some(stamped) = hours.get(number * 24 + 1..number * 24 + 25) else { continue };
        let sum: f64 = stamped.iter().filter_map(|hour| hour.precipitation_mm).sum();
        assert!((sum - day.precipitation_mm.unwrap()).abs() <= 0.01 + TOLERANCE, "{}", day.day);
    }
}
