//! Is NASA POWER asked and understood as it means itself, and when is it asked at all?

use harness::{Answer, Directory, Origin, launch};
use replay::{Fault, Running};
use serde_json::{Value, json};

use crate::bench::{
    CURRENT, FORECAST, Weather, address, berlin_day, daily, program, recorded, shifted,
};

const DAILY: &str = "/api/temporal/daily/point";
const HOURLY: &str = "/api/temporal/hourly/point";
const FRANKFURT: &str = "lat=50.11&lon=8.68&tz=UTC&provider=nasa_power";

/// The day of UTC that lies `ahead` days after today.
fn utc_day(ahead: i64) -> jiff::civil::Date {
    use jiff::ToSpan as _;
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    today.checked_add(ahead.days()).unwrap()
}

async fn open_meteo_down() -> (Weather, Running, Directory) {
    let (directory, replay) = (Directory::new(), shifted());
    let fault =
        Fault { status: Some(503), path_prefix: Some(FORECAST.to_owned()), ..Fault::default() };
    replay.set_fault(fault).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    (weather, replay, directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_recorded_days_keep_their_dates_everywhere() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    for zone in ["Pacific/Kiritimati", "UTC", "America/Los_Angeles"] {
        let target = format!(
            "/api/v1/weather/daily/?lat=50.11&lon=8.68&provider=nasa_power&tz={zone}\
             &start=2024-01-01&end=2024-01-07"
        );
        let body = weather.get(&target).await.expect_status(200).json();
        let days = body["data"]["forecasts"].as_array().unwrap();
        assert_eq!(days.len(), 7, "{zone}");
        assert_eq!(
            (&days[0]["day"], &days[6]["day"]),
            (&json!("2024-01-01"), &json!("2024-01-07"))
        );
        assert_eq!(days[0]["precipitation_mm"], 0.49, "{zone}");
        assert_eq!(days[6]["precipitation_mm"], 0.28, "{zone}");
    }
    let query = replay.counts().log[0].query.clone().unwrap();
    for pair in ["time-standard=LST", "start=20240101", "end=20240107", "community=AG"] {
        assert!(query.contains(pair), "{pair} in {query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_fill_values_are_gaps_and_say_why() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    // The recording ends three days before today; what comes after is -999.
    let (start, end) = (utc_day(-6), utc_day(0));
    let target = format!("/api/v1/weather/daily/?{FRANKFURT}&start={start}&end={end}");
    let reply = weather.get(&target).await.expect_status(200);
    let reply = reply.expect_header(
        "x-upstream-attribution",
        "Weather data from the NASA Langley Research Center POWER Project",
    );
    assert!(
        reply.text().ends_with(r#"],"time_standard":"LST"},"errors":null}"#),
        "{}",
        reply.text()
    );
    let body = reply.json();
    let days = body["data"]["forecasts"].as_array().unwrap();
    assert_eq!(days.len(), 7);
    assert_eq!((&days[3]["precipitation_mm"], &days[3]["t_min_c"]), (&json!(0.28), &Value::Null));
    assert_eq!(
        (&days[3]["is_partial"], &days[3]["availability"]),
        (&json!(true), &json!("partial"))
    );
    for day in &days[4..] {
        assert_eq!(day["precipitation_mm"], Value::Null);
        assert_eq!(
            (&day["availability"], &day["source"]),
            (&json!("not_yet_available"), &json!("nasa_power"))
        );
        assert_eq!(day["missing_fields"].as_array().unwrap().len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w13_lag_tells_what_is_missing_from_what_is_to_come() {
    let (directory, replay) = (Directory::new(), shifted());
    let program = program(&directory, &replay.base_url())
        .env("NASA_POWER_DAILY_LAG_DAYS", "1")
        .env("WEATHER_NASA_POWER_COMMUNITY", "sb");
    let weather = Weather::start(program).await;
    let (start, end) = (utc_day(-1), utc_day(0));
    let target = format!("/api/v1/weather/weekly/?{FRANKFURT}&start={start}&end={end}");
    let body = weather.get(&target).await.expect_status(200).json();
    let reports = body["data"]["reports"].as_array().unwrap();
    let days = reports.iter().flat_map(|week| week["days"].as_array().unwrap());
    let words: Vec<_> = days.map(|day| day["availability"].as_str().unwrap()).collect();
    assert_eq!(words, ["missing", "not_yet_available"]);
    assert_eq!(body["data"]["time_standard"], "LST");
    assert!(replay.counts().log[0].query.as_deref().unwrap().contains("community=SB"));
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_known_hour_is_the_current_weather() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let body = weather
        .get(&format!("/api/v1/weather/current/?{FRANKFURT}"))
        .await
        .expect_status(200)
        .expect_json("/data/temperature_c", 0.45)
        .expect_json("/data/source", "nasa_power")
        .json();
    assert_eq!(body["data"]["observed_at"], format!("{}T23:00:00+00:00", utc_day(-3)));
    assert_eq!(replay.counts().requests_of(HOURLY), 1);
    assert_eq!(replay.counts().requests_of(DAILY), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_known_day_stands_in_for_hours() {
    let (directory, replay) = (Directory::new(), shifted());
    let fault =
        Fault { status: Some(404), path_prefix: Some(HOURLY.to_owned()), ..Fault::default() };
    replay.set_fault(fault).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let body = weather.get(&format!("/api/v1/weather/current/?{FRANKFURT}")).await;
    let body = body.expect_status(200).expect_json("/data/temperature_c", 0.45).json();
    // Noon of the swath that holds 8.68 degrees east is 11:00 of UTC.
    assert_eq!(body["data"]["observed_at"], format!("{}T11:00:00+00:00", utc_day(-3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_are_the_newest_known_ones() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let target = format!("/api/v1/weather/hourly/?{FRANKFURT}&hours=30");
    let body = weather.get(&target).await.expect_status(200).json();
    let hours = body["data"]["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 30);
    assert_eq!(hours[0]["timestamp"], format!("{}T18:00:00+00:00", utc_day(-4)));
    assert_eq!(hours[29]["timestamp"], format!("{}T23:00:00+00:00", utc_day(-3)));
    assert_eq!(
        (&hours[29]["temperature_c"], &hours[29]["cloud_cover_pct"]),
        (&json!(0.45), &Value::Null)
    );
    assert_eq!(body["data"]["time_standard"], "UTC");
    assert!(replay.counts().log[0].query.as_deref().unwrap().contains("time-standard=UTC"));
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_refusals_of_power_mean_what_they_say() {
    for (status, expected) in [(422, 400), (429, 503), (500, 502), (404, 502)] {
        let (directory, replay) = (Directory::new(), recorded());
        let reason = Some("parameter out of range".to_owned());
        let fault = Fault { status: Some(status), reason, ..Fault::default() };
        replay.set_fault(fault).expect("a possible fault");
        let weather = Weather::start(program(&directory, &replay.base_url())).await;
        let target = format!("/api/v1/weather/daily/?{FRANKFURT}&start=2024-01-01&end=2024-01-07");
        let reply = weather.get(&target).await.expect_status(expected);
        match expected {
            400 => drop(reply.expect_json("/errors/non_field_errors/0", "parameter out of range")),
            503 => drop(reply.expect_header("retry-after", "60")),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_power_has_a_deadline_too() {
    let (directory, replay) = (Directory::new(), recorded());
    replay.set_fault(Fault { delay_ms: 60_000, ..Fault::default() }).expect("a possible fault");
    let program = program(&directory, &replay.base_url()).env("NASA_POWER_TIMEOUT_MS", "200");
    let weather = Weather::start(program).await;
    weather.get(&format!("/api/v1/weather/current/?{FRANKFURT}")).await.expect_status(504);
    assert_eq!(replay.counts().requests_of(HOURLY), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_two_calls_to_power_are_in_flight() {
    for (limit, expected) in [(None, 2), (Some("1"), 1)] {
        let (directory, replay) = (Directory::new(), shifted());
        let fault = Fault { delay_ms: 50, ..Fault::default() };
        replay.set_fault(fault).expect("a possible fault");
        let mut program = program(&directory, &replay.base_url());
        if let Some(limit) = limit {
            program = program.env("NASA_POWER_CALLS_MAX", limit);
        }
        let weather = Weather::start(program).await;
        let replies = launch(6, |number| {
            let target = format!("/api/v1/weather/current/?lat={number}&lon=8&provider=nasa_power");
            weather.request("GET", &target).send()
        });
        for reply in replies.await.expect("6 clients") {
            reply.expect_status(200);
        }
        assert_eq!(replay.counts().in_flight_max, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_of_power_over_the_size_limit_is_refused() {
    let (directory, replay) = (Directory::new(), shifted());
    let program = program(&directory, &replay.base_url()).env("NASA_POWER_BODY_BYTES_MAX", "1024");
    let weather = Weather::start(program).await;
    let target = format!("/api/v1/weather/hourly/?{FRANKFURT}");
    weather.get(&target).await.expect_status(502);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_days_have_a_second_source() {
    let (weather, replay, _directory) = open_meteo_down().await;
    let body = weather.get(&daily(-5, -3)).await.expect_status(200).json();
    assert_eq!(body["data"]["forecasts"][0]["source"], "nasa_power");
    assert_eq!(body["data"]["time_standard"], "LST");
    weather.get(CURRENT).await.expect_status(200).expect_json("/data/source", "nasa_power");
    // Nobody but the provider that the client named answers.
    weather.get(&format!("{}&provider=open_meteo", daily(-5, -3))).await.expect_status(502);
    replay.clear_faults();
    let body = weather.get(&daily(-4, -3)).await.expect_status(200).json();
    assert_eq!(body["data"]["forecasts"][0]["source"], "open_meteo");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_source_has_time_left_when_the_first_is_silent() {
    let (directory, replay, silent) = (Directory::new(), shifted(), Origin::start().await);
    silent.on(FORECAST, Answer::json("{}").hold());
    let program = program(&directory, &replay.base_url())
        .env("OPEN_METEO_BASE_URL", address(&silent))
        .env("OPEN_METEO_TIMEOUT_MS", "200");
    let weather = Weather::start(program).await;
    let reply = weather.get(&daily(-5, -3)).await.expect_status(200);
    reply.expect_json("/data/forecasts/0/source", "nasa_power");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_power_does_not_know_has_no_second_source() {
    let (weather, replay, _directory) = open_meteo_down().await;
    weather.get(&daily(-5, 1)).await.expect_status(502);
    weather.get("/api/v1/weather/hourly/?lat=1&lon=1").await.expect_status(502);
    assert_eq!(replay.counts().requests_of(DAILY), 0);
    // Days of which it has nothing yet are asked for, but are no answer.
    weather.get(&daily(-1, 0)).await.expect_status(502);
    assert_eq!(replay.counts().requests_of(DAILY), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_question_is_not_asked_elsewhere() {
    let (directory, replay) = (Directory::new(), shifted());
    let fault = Fault {
        status: Some(400),
        reason: Some("No data is available for this location".to_owned()),
        path_prefix: Some(FORECAST.to_owned()),
        ..Fault::default()
    };
    replay.set_fault(fault).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.get(&daily(-5, -3)).await.expect_status(400);
    assert_eq!(replay.counts().requests_of(DAILY), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_source_can_be_switched_off() {
    let (directory, replay) = (Directory::new(), shifted());
    let fault =
        Fault { status: Some(503), path_prefix: Some(FORECAST.to_owned()), ..Fault::default() };
    replay.set_fault(fault).expect("a possible fault");
    let program = program(&directory, &replay.base_url()).env("WEATHER_PROVIDER_FALLBACK", "none");
    let weather = Weather::start(program).await;
    weather.get(&daily(-5, -3)).await.expect_status(502);
    assert_eq!(replay.counts().requests_of(DAILY), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn power_may_be_the_default() {
    let (directory, replay) = (Directory::new(), shifted());
    let program =
        program(&directory, &replay.base_url()).env("WEATHER_PROVIDER_DEFAULT", "nasa_power");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200).expect_json("/data/source", "nasa_power");
    assert_eq!(replay.counts().requests_of(FORECAST), 0);
    let end = berlin_day(1);
    let reply = weather.get(&daily(0, 1)).await.expect_status(400);
    let text = reply.json()["errors"]["end"][0].as_str().unwrap().to_owned();
    assert!(text.starts_with("Days after ") && !text.contains(&end.to_string()), "{text}");
}
