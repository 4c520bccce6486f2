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
use weather::domain::units;
use weather::domain::week::weeks;
use weather::providers::failure::ProviderError;
use weather::providers::nasa_power::answer::{self as power, Table};
use weather::providers::open_meteo::answer;

const RECORDED: &[u8] = include_bytes!("data/open_meteo_forecast_berlin_20211124.json");
const GOLDEN: &str = include_str!("data/weather_golden.json");
const FRANKFURT: &str = include_str!("data/nasa_power_daily_frankfurt_202401.json");
const BRAZIL: &str = include_str!("data/nasa_power_daily_brazil_202012.json");
const POLE_LST: &str = include_str!("data/nasapower_vcr_daily_sb_point_LST.json");
const POLE_UTC: &str = include_str!("data/nasapower_vcr_daily_sb_point_UTC.json");
const TOLERANCE: f64 = 1e-6;
const FIRST: Date = date(2021, 11, 24);
const LAST: Date = date(2021, 11, 30);

fn golden(pointer: &str) -> Value {
    golden_of("open_meteo", pointer)
}

fn golden_of(provider: &str, pointer: &str) -> Value {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    golden.pointer(&format!("/{provider}/{pointer}")).unwrap().clone()
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

/// The recorded answer inside a file that also says where it is from.
fn body(file: &str) -> Vec<u8> {
    let file: Value = serde_json::from_str(file).unwrap();
    file["body"].to_string().into_bytes()
}

fn in_frankfurt(start: Date, end: Date) -> Ask {
    Ask {
        provider: ProviderName::NasaPower,
        question: Question::Daily { start, end },
        cell: Cell::of(50.11, 8.68),
        zone: Zone::named("America/Los_Angeles").unwrap(),
    }
}

#[test]
fn w5_power_days_are_the_golden_calendar_days() {
    let standard = golden_of("nasa_power", "time_standard");
    let table = Table::read(&body(FRANKFURT), standard.as_str().unwrap()).unwrap();
    let temperature = table.column("T2M", units::to_celsius).unwrap();
    let rain = table.column("PRECTOTCORR", units::to_millimetres_a_day).unwrap();
    assert_eq!(temperature.len() as u64, golden_of("nasa_power", "days").as_u64().unwrap());
    for end in ["first", "last"] {
        let expected = golden_of("nasa_power", end);
        let key = expected["day"].as_str().unwrap().replace('-', "");
        check(temperature[&key], &expected["t2m"], "temperature");
        check(rain[&key], &expected["prectotcorr_mm"], "precipitation");
    }
    let sum = rain.values().flatten().sum::<f64>();
    check(Some(sum), &golden_of("nasa_power", "precip_sum_mm"), "precipitation of all days");
    // West of Greenwich a midnight of UTC is the day before: the days must not move.
    let (first, last) = (date(2024, 1, 1), date(2024, 1, 7));
    let Ok(Report::Daily(days)) = power::read(&in_frankfurt(first, last), &body(FRANKFURT)) else {
        panic!("no days");
    };
    assert_eq!((days.len(), days[0].day, days[6].day), (7, first, last));
    let expected = golden_of("nasa_power", "first/prectotcorr_mm");
    check(days[0].precipitation_mm, &expected, "precipitation");
}

/// The recorded CSV as the JSON that the same server writes; no such JSON is recorded.
fn as_json(cassette: &str, time_standard: &str) -> Vec<u8> {
    let cassette: Value = serde_json::from_str(cassette).unwrap();
    let text = cassette["http_interactions"][0]["response"]["body"]["string"].as_str().unwrap();
    let mut rows = text.lines().skip_while(|line| !line.starts_with("YEAR")).map(str::trim);
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let (mut parameter, mut parameters) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, value) in names.split(',').zip(values.split(',')).skip(3) {
        let value: f64 = value.parse().unwrap();
        let unit = match name {
            "RH2M" => "%",
            "WS10M" => "m/s",
            _ => "C",
        };
        parameter.insert(name.to_owned(), serde_json::json!({"19830101": value}));
        parameters.insert(name.to_owned(), serde_json::json!({"units": unit}));
    }
    serde_json::json!({
        "properties": {"parameter": parameter},
        "header": {"fill_value": -999.0, "time_standard": time_standard},
        "parameters": parameters,
    })
    .to_string()
    .into_bytes()
}

#[test]
fn solar_and_universal_days_of_one_name_differ_as_the_golden_values_do() {
    for (cassette, standard) in [(POLE_LST, "LST"), (POLE_UTC, "UTC")] {
        let table = Table::read(&as_json(cassette, standard), standard).unwrap();
        let expected = golden_of("nasa_lst_vs_utc", standard);
        for (name, value) in expected.as_object().unwrap() {
            let column = match name.as_str() {
                "RH2M" => table.column(name, units::to_percent),
                "WS10M" => table.column(name, units::to_metres_per_second),
                _ => table.column(name, units::to_celsius),
            };
            check(column.unwrap()["19830101"], value, &format!("{standard} {name}"));
        }
    }
}

#[test]
fn w5_days_of_another_time_standard_are_refused() {
    let day = date(1983, 1, 1);
    let lst = power::read(&in_frankfurt(day, day), &as_json(POLE_LST, "LST"));
    let Ok(Report::Daily(days)) = lst else { panic!("no days: {lst:?}") };
    let expected = golden_of("nasa_lst_vs_utc", "LST");
    check(days[0].t_min_c, &expected["T2M_MIN"], "minimum");
    check(days[0].t_max_c, &expected["T2M_MAX"], "maximum");
    match power::read(&in_frankfurt(day, day), &as_json(POLE_UTC, "UTC")) {
        Err(ProviderError::InvalidResponse { why }) => {
            assert!(why.contains("LST was asked"), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn w6_older_header_is_read_too() {
    // Version 2.5.9 names no time standard and writes the fill value without decimals.
    let table = Table::read(&body(BRAZIL), "LST").unwrap();
    let temperature = table.column("T2M", units::to_celsius).unwrap();
    assert_eq!((temperature.len(), temperature["20201201"]), (31, Some(23.52)));
}
