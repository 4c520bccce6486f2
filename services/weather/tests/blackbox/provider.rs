//! Is the provider treated with care, and are its failures told as what they are?

use harness::{Answer, Directory, Origin, launch};
use replay::Fault;

use crate::bench::{CURRENT, FORECAST, Weather, program, recorded};

const RECORDED: &str = include_str!("../data/open_meteo_forecast_berlin_20211124.json");

async fn with_fault(fault: Fault) -> (Weather, replay::Running, Directory) {
    let (directory, replay) = (Directory::new(), recorded());
    replay.set_fault(fault).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    (weather, replay, directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_wind_in_another_unit_is_converted() {
    // This provider answers in km/h although metres per second were asked for.
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.json(FORECAST, RECORDED);
    let base = format!("http://{}", origin.address());
    let weather = Weather::start(program(&directory, &base)).await;
    weather.get(CURRENT).await.expect_status(200).expect_json("/data/wind_speed_mps", 1.472_222);
    assert!(origin.requests(FORECAST)[0].query().contains("wind_speed_unit=ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_provider_400_is_the_clients_400() {
    let (weather, replay, _directory) = with_fault(Fault {
        status: Some(400),
        reason: Some("No data is available for this location".to_owned()),
        ..Fault::default()
    })
    .await;
    weather.get(CURRENT).await.expect_status(400).expect_body(
        r#"{"status":1,"message":"Request failed","errors":{"non_field_errors":["No data is available for this location"]}}"#,
    );
    assert_eq!(replay.counts().requests_of(FORECAST), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_provider_429_is_503_with_retry_after() {
    let (weather, replay, _directory) = with_fault(Fault {
        status: Some(429),
        reason: Some("Too many concurrent requests".to_owned()),
        ..Fault::default()
    })
    .await;
    weather.get(CURRENT).await.expect_status(503).expect_header("retry-after", "1");
    assert_eq!(replay.counts().requests_of(FORECAST), 1, "a limit is not retried");
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_provider_5xx_is_502_after_one_retry() {
    let (weather, replay, _directory) =
        with_fault(Fault { status: Some(503), ..Fault::default() }).await;
    weather.get(CURRENT).await.expect_status(502).expect_body(
        r#"{"status":1,"message":"Weather upstream error","errors":{"detail":"Weather upstream error"}}"#,
    );
    assert_eq!(replay.counts().requests_of(FORECAST), 2);
    let labels = [("provider", "open_meteo"), ("result", "unavailable")];
    assert!((weather.metric("provider_requests_total", &labels).await - 2.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_one_retry_mends_a_single_fault() {
    for fault in [
        Fault { status: Some(502), times: Some(1), ..Fault::default() },
        Fault { reset: true, times: Some(1), ..Fault::default() },
        Fault { truncate: true, times: Some(1), ..Fault::default() },
    ] {
        let (weather, replay, _directory) = with_fault(fault).await;
        weather.get(CURRENT).await.expect_status(200);
        assert_eq!(replay.counts().requests_of(FORECAST), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_one_deadline_covers_everything() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.on(FORECAST, Answer::json(RECORDED).hold());
    let base = format!("http://{}", origin.address());
    let program = program(&directory, &base).env("OPEN_METEO_TIMEOUT_MS", "300");
    let weather = Weather::start(program).await;
    let reply = weather.get(CURRENT).await.expect_status(504);
    reply.expect_json("/message", "Weather upstream timeout");
    assert_eq!(origin.calls(FORECAST), 1, "a timeout is not retried");
    let labels = [("provider", "open_meteo"), ("result", "timed_out")];
    assert!((weather.metric("provider_requests_total", &labels).await - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_many_clients_cause_one_call() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.on(FORECAST, Answer::json(RECORDED).hold());
    let base = format!("http://{}", origin.address());
    let weather = Weather::start(program(&directory, &base)).await;
    let replies = launch(200, |_| weather.request("GET", CURRENT).send());
    origin.wait_for_calls(FORECAST, 1).await;
    origin.release(FORECAST);
    for reply in replies.await.expect("200 clients") {
        reply.expect_status(200).expect_json("/data/temperature_c", 5.5);
    }
    assert_eq!(origin.calls(FORECAST), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_four_calls_are_in_flight() {
    let (weather, replay, _directory) =
        with_fault(Fault { delay_ms: 200, ..Fault::default() }).await;
    let replies = launch(12, |number| {
        let target = format!("/api/v1/weather/current/?lat={number}&lon=13.42");
        weather.request("GET", &target).send()
    });
    for reply in replies.await.expect("12 clients") {
        reply.expect_status(200);
    }
    assert_eq!(replay.counts().requests_of(FORECAST), 12);
    assert_eq!(replay.counts().in_flight_max, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn w11_broken_answer_is_not_kept() {
    let (weather, replay, _directory) =
        with_fault(Fault { error_tail: true, times: Some(1), ..Fault::default() }).await;
    weather.get(CURRENT).await.expect_status(502);
    assert_eq!(replay.counts().requests_of(FORECAST), 1, "a broken answer is not retried");
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_over_the_size_limit_is_refused() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.on(FORECAST, Answer::json(RECORDED).chunked());
    let base = format!("http://{}", origin.address());
    let program = program(&directory, &base).env("OPEN_METEO_BODY_BYTES_MAX", "2048");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(502);
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_no_hour_is_lost_or_doubled_when_clocks_change() {
    // The recorded week under dates on which clocks in Berlin change, with the one offset that the
    // provider takes for all of an answer: that of the moment of the call.
    for (first, offset_s, changed, expected) in [
        (25, 3600, "2021-03", ["2021-03-28T01:00:00+01:00", "2021-03-28T03:00:00+02:00"]),
        (25, 7200, "2021-10", ["2021-10-31T02:00:00+02:00", "2021-10-31T02:00:00+01:00"]),
    ] {
        let mut body: serde_json::Value = serde_json::from_str(RECORDED).unwrap();
        body["utc_offset_seconds"] = offset_s.into();
        for (number, time) in body["hourly"]["time"].as_array_mut().unwrap().iter_mut().enumerate()
        {
            *time = format!("{changed}-{}T{:02}:00", first + number / 24, number % 24).into();
        }
        let (directory, origin) = (Directory::new(), Origin::start().await);
        origin.json(FORECAST, body.to_string());
        let weather = Weather::start(program(&directory, &crate::bench::address(&origin))).await;
        let target = "/api/v1/weather/hourly/?lat=52.52&lon=13.42&tz=Europe/Berlin&hours=168";
        let body = weather.get(target).await.expect_status(200).json();
        let hours = body["data"]["hours"].as_array().unwrap();
        let stamps: Vec<_> = hours.iter().map(|hour| hour["timestamp"].as_str().unwrap()).collect();
        assert_eq!(stamps.len(), 168);
        let instant = |stamp: &&str| stamp.parse::<jiff::Timestamp>().unwrap().as_second();
        let instants: Vec<_> = stamps.iter().map(instant).collect();
        assert!(instants.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{changed}");
        assert!(stamps.windows(2).any(|pair| pair == expected), "{changed}: {stamps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w14_week_says_how_many_days_it_stands_on() {
    let (directory, replay) = (Directory::new(), crate::bench::shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    // The recording has seven days from today on; the eighth is not known.
    let target = crate::bench::daily(0, 7).replace("/daily/", "/weekly/");
    let body = weather.get(&target).await.expect_status(200).json();
    let weeks = body["data"]["reports"].as_array().unwrap();
    let sum = |key: &str| weeks.iter().map(|week| week[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("days_count"), sum("missing_days_count")), (7, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn w9_memory_holds_as_many_answers_as_it_is_given() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url()).env("WEATHER_CACHE_ENTRIES_MAX", "2");
    let weather = Weather::start(program).await;
    for (lat, expected) in [(1, "miss"), (2, "miss"), (3, "miss"), (3, "hit"), (1, "miss")] {
        let target = format!("/api/v1/weather/current/?lat={lat}&lon=13.42");
        weather.get(&target).await.expect_status(200).expect_header("x-cache", expected);
    }
}
