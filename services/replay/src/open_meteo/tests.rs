//! Does replay answer as Open-Meteo does, and with the recorded values?

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed unwrap is the test's failure"
)]

use serde_json::{Value, json};

use super::*;
use crate::recorded::read_json;
use crate::server::recorded_data_dir;

const BERLIN: &str = "latitude=52.52&longitude=13.41&timezone=Europe/Berlin";

fn ask(host: Host, query: &str, moment: Moment) -> Result<Value, Refusal> {
    let uri = format!("/?{query}").parse().unwrap();
    let pairs = axum::extract::Query::try_from_uri(&uri).unwrap().0;
    let provider = OpenMeteo::load(&recorded_data_dir()).unwrap();
    let (body, _) = provider.answer(host, &Params::new(pairs), moment)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn at(now: &str, shift: bool) -> Moment {
    Moment { now: now.parse().unwrap(), shift }
}

fn as_recorded(query: &str) -> Value {
    ask(Host::Forecast, query, at("2026-07-01T10:07:00Z", false)).unwrap()
}

fn shifted(query: &str) -> Value {
    ask(Host::Forecast, query, at("2026-07-01T10:07:00Z", true)).unwrap()
}

fn refusal(query: &str) -> String {
    ask(Host::Forecast, query, at("2026-07-01T10:07:00Z", false)).unwrap_err().to_string()
}

fn recorded_forecast() -> Value {
    read_json(&recorded_data_dir().join("weather/open_meteo_forecast_berlin_20211124.json"))
        .unwrap()
}

fn recorded_reasons() -> Vec<String> {
    let file: Value =
        read_json(&recorded_data_dir().join("weather/open_meteo_errors.json")).unwrap();
    let reason = |case: &Value| case["body"]["reason"].as_str().map(str::to_owned);
    file["cases"].as_array().unwrap().iter().filter_map(reason).collect()
}

#[test]
fn default_units_give_the_recording_back() {
    let recorded = recorded_forecast();
    let answer = as_recorded(&format!(
        "{BERLIN}&current=temperature_2m,wind_speed_10m,wind_direction_10m,weather_code\
         &hourly=temperature_2m,relative_humidity_2m,precipitation,wind_speed_10m,cloud_cover\
         &daily=temperature_2m_max,temperature_2m_min,precipitation_sum,wind_speed_10m_max,sunrise,sunset"
    ));
    assert_eq!(answer, recorded);
}

#[test]
fn recorded_digits_survive_in_the_archive() {
    let query = "latitude=60.39&longitude=5.32&start_date=2025-01-15&end_date=2025-01-17\
                 &daily=temperature_2m_max,temperature_2m_min,precipitation_sum";
    let provider = OpenMeteo::load(&recorded_data_dir()).unwrap();
    let uri = format!("/?{query}").parse().unwrap();
    let pairs = axum::extract::Query::try_from_uri(&uri).unwrap().0;
    let moment = at("2026-09-14T00:00:00Z", false);
    let (body, _) = provider.answer(Host::Archive, &Params::new(pairs), moment).unwrap();
    let file: Value =
        read_json(&recorded_data_dir().join("weather/open_meteo_archive_era5_recorded.json"))
            .unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), file["interactions"][0]["body"].as_str().unwrap());
}

#[test]
fn archive_calls_of_one_cell_become_one_recording() {
    let query = "latitude=59.91&longitude=10.75&start_date=2025-01-15&end_date=2025-01-17\
                 &daily=temperature_2m_max,temperature_2m_mean";
    let answer = ask(Host::Archive, query, at("2026-09-14T00:00:00Z", false)).unwrap();
    assert_eq!(answer["daily"]["temperature_2m_max"], json!([2.8, 3.2, 4.8]));
    assert_eq!(answer["daily"]["temperature_2m_mean"], json!([0.0, 2.3, 3.0]));
}

#[test]
fn metres_per_second_are_a_full_precision_quotient() {
    let answer = as_recorded(&format!(
        "{BERLIN}&wind_speed_unit=ms&current=wind_speed_10m,temperature_2m&daily=wind_speed_10m_max"
    ));
    assert_eq!(answer["current_units"]["wind_speed_10m"], "m/s");
    assert_eq!(answer["current"]["wind_speed_10m"], json!(5.3 / 3.6));
    assert_eq!(answer["current"]["temperature_2m"], json!(5.5));
    assert_eq!(answer["daily_units"]["wind_speed_10m_max"], "m/s");
    assert_eq!(answer["daily"]["wind_speed_10m_max"][0], json!(10.9 / 3.6));
}

#[test]
fn only_asked_variables_are_answered() {
    let answer = as_recorded(&format!("{BERLIN}&hourly=windspeed_10m"));
    let keys: Vec<_> = answer["hourly"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["time", "windspeed_10m"], "a former name is echoed as asked");
    assert_eq!(
        answer["hourly"]["windspeed_10m"][0],
        recorded_forecast()["hourly"]["wind_speed_10m"][0]
    );
    assert!(answer.get("daily").is_none() && answer.get("current").is_none());
}

#[test]
fn known_variable_without_recording_is_null() {
    let answer = as_recorded(&format!("{BERLIN}&daily=uv_index_max&forecast_days=2"));
    assert_eq!(answer["daily"]["uv_index_max"], json!([null, null]));
}

#[test]
fn far_point_is_answered_with_the_recorded_cell() {
    let answer = as_recorded("latitude=-1.29&longitude=36.82&daily=temperature_2m_max");
    assert_eq!(answer["latitude"], json!(52.52));
}

#[test]
fn several_points_are_an_array_with_location_ids() {
    let answer = as_recorded("latitude=52.5,48.3&longitude=13.4,13.1&current=temperature_2m");
    assert!(answer[0].get("location_id").is_none());
    assert_eq!(answer[1]["location_id"], json!(1));
}

#[test]
fn zone_moves_hours_by_its_offset_at_the_recording() {
    // Without a zone the provider answers in GMT. 00:00 GMT is 01:00 in Berlin.
    let recorded = recorded_forecast();
    let answer = as_recorded("latitude=52.52&longitude=13.41&hourly=temperature_2m");
    assert_eq!(answer["utc_offset_seconds"], json!(0));
    assert_eq!(answer["timezone"], "GMT");
    assert_eq!(answer["hourly"]["time"][0], "2021-11-24T00:00");
    assert_eq!(answer["hourly"]["temperature_2m"][0], recorded["hourly"]["temperature_2m"][1]);
    assert_eq!(answer["hourly"]["temperature_2m"][167], Value::Null);
}

#[test]
fn zone_of_half_an_hour_reads_the_hour_it_lies_in() {
    let answer = as_recorded(
        "latitude=52.52&longitude=13.41&timezone=Asia/Kolkata&current=temperature_2m\
         &hourly=temperature_2m&start_date=2021-11-24&end_date=2021-11-24",
    );
    // 05:00 in Kolkata is 00:30 in Berlin.
    let recorded = recorded_forecast();
    assert_eq!(answer["hourly"]["temperature_2m"][5], recorded["hourly"]["temperature_2m"][0]);
    assert_eq!(answer["current"]["time"], "2021-11-25T03:30");
}

#[test]
fn shifted_week_starts_today_and_keeps_its_values() {
    let recorded = recorded_forecast();
    let answer = shifted(&format!(
        "{BERLIN}&current=temperature_2m&hourly=temperature_2m&daily=temperature_2m_max,sunrise"
    ));
    // In July Berlin is two hours east; the week still starts at local midnight.
    assert_eq!(answer["utc_offset_seconds"], json!(7200));
    assert_eq!(answer["timezone_abbreviation"], "CEST");
    assert_eq!(answer["hourly"]["time"][0], "2026-07-01T00:00");
    assert_eq!(answer["hourly"]["time"][167], "2026-07-07T23:00");
    assert_eq!(answer["hourly"]["temperature_2m"], recorded["hourly"]["temperature_2m"]);
    assert_eq!(answer["daily"]["time"][0], "2026-07-01");
    assert_eq!(answer["daily"]["temperature_2m_max"], recorded["daily"]["temperature_2m_max"]);
    assert_eq!(answer["daily"]["sunrise"][0], "2026-07-01T07:41");
    assert_eq!(answer["current"]["time"], "2026-07-01T12:00");
    assert_eq!(answer["current"]["temperature_2m"], recorded["current"]["temperature_2m"]);
}

#[test]
fn days_outside_the_recording_are_null() {
    let answer = shifted(&format!("{BERLIN}&daily=temperature_2m_max&past_days=1&forecast_days=8"));
    let values = answer["daily"]["temperature_2m_max"].as_array().unwrap();
    assert_eq!(answer["daily"]["time"][0], "2026-06-30");
    assert_eq!(values.len(), 9);
    assert!(values[0].is_null() && values[8].is_null() && !values[1].is_null());
}

#[test]
fn asked_dates_bound_the_answer() {
    let answer = as_recorded(&format!(
        "{BERLIN}&daily=precipitation_sum&start_date=2021-11-25&end_date=2021-11-26"
    ));
    assert_eq!(answer["daily"]["time"], json!(["2021-11-25", "2021-11-26"]));
    assert_eq!(answer["daily"]["precipitation_sum"], json!([0.29, 0.76]));
}

#[test]
fn window_of_no_days_is_empty() {
    let answer = as_recorded(&format!("{BERLIN}&daily=precipitation_sum&forecast_days=0"));
    assert_eq!(answer["daily"]["time"], json!([]));
}

#[test]
fn refusals_are_worded_as_recorded() {
    let recorded = recorded_reasons();
    let said = [
        refusal("latitude=95&longitude=13.41"),
        refusal(&format!("{BERLIN}x")),
        refusal(&format!("{BERLIN}&start_date=2021-11-25&end_date=2021-11-24")),
        refusal(&format!("{BERLIN}&start_date=2021-11-24&end_date=2021-11-24&forecast_hours=3")),
        Refusal::NoData.to_string(),
        ask(
            Host::Forecast,
            &format!("{BERLIN}&start_date=2026-01-01&end_date=2026-01-02"),
            at("2026-09-14T12:00:00Z", true),
        )
        .unwrap_err()
        .to_string(),
    ];
    for reason in said {
        assert!(recorded.contains(&reason), "not recorded: {reason}");
    }
}

#[test]
fn malformed_questions_name_their_parameter() {
    for (query, part) in [
        ("longitude=13", "'latitude'"),
        ("latitude=x&longitude=13", "'latitude'"),
        ("latitude=NaN&longitude=13", "Latitude must be in range"),
        ("latitude=1&longitude=181", "Longitude must be in range"),
        ("latitude=1,2&longitude=13", "same number of elements"),
        ("latitude=1&longitude=1&wind_speed_unit=mps", "String value mps"),
        ("latitude=1&longitude=1&hourly=tempeture_2m", "tempeture_2m for key hourly"),
        ("latitude=1&longitude=1&forecast_days=17", "Forecast days is invalid"),
        ("latitude=1&longitude=1&past_days=93", "Past days is invalid"),
        ("latitude=1&longitude=1&start_date=2021-11-24", "'end_date'"),
        ("latitude=1&longitude=1&start_date=20211124&end_date=2021-11-24", "Invalid date format"),
        ("latitude=1&longitude=1&timeformat=unixtime", "no recording for 'timeformat'"),
    ] {
        let reason = refusal(query);
        assert!(reason.contains(part), "{query} was refused with {reason:?}");
    }
}

#[test]
fn archive_without_dates_is_refused() {
    let query = "latitude=60.39&longitude=5.32&daily=precipitation_sum";
    let refused = ask(Host::Archive, query, at("2026-09-14T00:00:00Z", false)).unwrap_err();
    assert_eq!(refused, Refusal::Required { key: "start_date", kind: "String" });
}

#[test]
fn answer_beyond_the_bound_is_refused() {
    let many = vec!["60"; 500].join(",");
    let query = format!(
        "latitude={many}&longitude={many}&start_date=1990-01-01&end_date=2020-01-01&daily=rain_sum"
    );
    let refused = ask(Host::Archive, &query, at("2026-09-14T00:00:00Z", false)).unwrap_err();
    assert_eq!(refused, Refusal::TooMuch { cells: CELLS_MAX });
}
