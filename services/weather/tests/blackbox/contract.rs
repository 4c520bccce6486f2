//! Are routes, shapes and refusals those that clients know?

use harness::Directory;
use serde_json::Value;

use crate::bench::{CURRENT, Weather, berlin_day, program, recorded, shifted};

const GOLDEN: &str = include_str!("../data/weather_golden.json");

#[track_caller]
fn check_close(value: &Value, expected: &Value) {
    let (value, expected) = (value.as_f64().unwrap(), expected.as_f64().unwrap());
    // The provider stand-in converts to metres per second and writes two decimals, as the
    // provider does.
    assert!((value - expected).abs() <= 0.005 + 1e-9, "{value} is not {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn current_weather_has_the_recorded_shape() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let reply = weather.get(CURRENT).await.expect_status(200);
    let reply = reply
        .expect_header("content-type", "application/json")
        .expect_header("x-cache", "miss")
        .expect_header("age", "0")
        .expect_header("cache-control", "max-age=120")
        .expect_header("x-upstream-attribution", "Weather data by Open-Meteo.com");
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let body = reply.json();
    check_close(
        &body["data"]["wind_speed_mps"],
        &golden["open_meteo"]["current"]["wind_speed_mps"],
    );
    let wind = &body["data"]["wind_speed_mps"];
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"status":0,"message":"OK","data":{{"observed_at":"2021-11-24T23:00:00+01:00","temperature_c":5.5,"wind_speed_mps":{wind},"source":"open_meteo"}},"errors":null}}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hourly_weather_equals_the_golden_values() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let target = "/api/v1/weather/hourly/?lat=52.52&lon=13.42&tz=Europe/Berlin&hours=168";
    let body = weather.get(target).await.expect_status(200).json();
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let hours = body["data"]["hours"].as_array().unwrap();
    assert_eq!(hours.len() as u64, golden["open_meteo"]["n_hours"].as_u64().unwrap());
    assert_eq!(hours[0]["timestamp"], "2021-11-24T00:00:00+01:00");
    assert_eq!(hours[167]["timestamp"], "2021-11-30T23:00:00+01:00");
    let expected = &golden["open_meteo"]["hourly_first"];
    for key in ["temperature_c", "precipitation_mm", "wind_speed_mps", "cloud_cover_pct"] {
        check_close(&hours[0][key], &expected[key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_weather_equals_the_golden_values() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let (start, end) = (berlin_day(0), berlin_day(6));
    let place = "lat=52.52&lon=13.42&tz=Europe/Berlin";
    let target = format!("/api/v1/weather/daily/?{place}&start={start}&end={end}");
    let body = weather.get(&target).await.expect_status(200).json();
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let days = body["data"]["forecasts"].as_array().unwrap();
    assert_eq!(days.len(), 7);
    for (number, (day, expected)) in
        days.iter().zip(golden["open_meteo"]["daily"].as_array().unwrap()).enumerate()
    {
        assert_eq!(day["day"], berlin_day(i64::try_from(number).unwrap()).to_string());
        for key in ["t_min_c", "t_max_c", "precipitation_mm", "wind_speed_max_mps"] {
            check_close(&day[key], &expected[key]);
        }
        assert_eq!((&day["is_partial"], &day["availability"]), (&false.into(), &"complete".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_and_weekly_keys_keep_their_order() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    // The recording has seven days: the eighth is there, with nothing in it yet.
    let day = berlin_day(7);
    let query = format!("lat=52.52&lon=13.42&tz=Europe/Berlin&start={day}&end={day}");
    let forecast = format!(
        r#"{{"day":"{day}","t_min_c":null,"t_max_c":null,"precipitation_mm":null,"wind_speed_max_mps":null,"is_partial":true,"missing_fields":["t_min_c","t_max_c","precipitation_mm","wind_speed_max_mps"],"source":"open_meteo","availability":"not_yet_available"}}"#
    );
    let reply = weather.get(&format!("/api/v1/weather/daily/?{query}")).await.expect_status(200);
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"status":0,"message":"OK","data":{{"forecasts":[{forecast}]}},"errors":null}}"#
        )
    );
    let reply = weather.get(&format!("/api/v1/weather/weekly/?{query}")).await.expect_status(200);
    let body = reply.json();
    let week = &body["data"]["reports"][0];
    let (start, end) = (week["week_start"].as_str().unwrap(), week["week_end"].as_str().unwrap());
    let start: jiff::civil::Date = start.parse().unwrap();
    assert_eq!(start.weekday(), jiff::civil::Weekday::Monday);
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"status":0,"message":"OK","data":{{"reports":[{{"week_start":"{start}","week_end":"{end}","t_min_avg_c":null,"t_max_avg_c":null,"precipitation_sum_mm":null,"days":[{forecast}],"is_partial":true,"missing_days_count":1,"source":"open_meteo","days_count":0}}]}},"errors":null}}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_questions_get_the_known_bodies() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    for (target, expected) in [
        (
            "/api/v1/weather/current/",
            r#"{"status":1,"message":"Request failed","errors":{"lat":["This field is required."],"lon":["This field is required."]}}"#,
        ),
        (
            "/api/v1/weather/current/?lat=91&lon=x&tz=Mars/Base&provider=none",
            r#"{"status":1,"message":"Request failed","errors":{"lat":["Ensure this value is less than or equal to 90.0."],"lon":["A valid number is required."],"tz":["Invalid timezone."],"provider":["Unknown provider."]}}"#,
        ),
        (
            "/api/v1/weather/daily/?lat=1&lon=1&start=2026-02-02&end=2026-02-01",
            r#"{"status":1,"message":"Request failed","errors":{"non_field_errors":["start must be on or before end."]}}"#,
        ),
        (
            "/api/v1/weather/hourly/?lat=1&lon=1&hours=999",
            r#"{"status":1,"message":"Request failed","errors":{"hours":["Ensure this value is less than or equal to 168."]}}"#,
        ),
    ] {
        weather.get(target).await.expect_status(400).expect_body(expected);
    }
    assert_eq!(replay.counts().requests_of(crate::bench::FORECAST), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_enveloped() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    for path in ["/api/v1/weather/current", "/nothing/here"] {
        weather
            .get(path)
            .await
            .expect_status(404)
            .expect_body(r#"{"status":1,"message":"Not found.","errors":{"detail":"Not found."}}"#);
    }
    let reply = weather.request("POST", CURRENT).send().await.expect_status(405);
    reply.expect_header("allow", "GET,HEAD").expect_body(
        r#"{"status":1,"message":"Method \"POST\" not allowed.","errors":{"detail":"Method \"POST\" not allowed."}}"#,
    );
    let labels = [("path", "unmatched"), ("status", "404"), ("method", "GET")];
    assert!((weather.metric("http_requests_total", &labels).await - 2.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_without_a_provider() {
    let directory = Directory::new();
    let weather = Weather::start(program(&directory, "http://127.0.0.1:9")).await;
    weather
        .get("/healthz")
        .await
        .expect_status(200)
        .expect_body(r#"{"status":0,"message":"ok","data":{"status":"ok"},"errors":null}"#);
    weather.get("/readyz").await.expect_status(200).expect_json("/data/status", "ready");
    weather
        .request("GET", "/healthz")
        .header("x-request-id", "rid-1")
        .send()
        .await
        .expect_header("x-request-id", "rid-1");
}
