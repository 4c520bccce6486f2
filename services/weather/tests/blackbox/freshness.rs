//! How old may an answer be, and does it say so?

use harness::{Directory, Origin};
use replay::Fault;

use crate::bench::{
    ARCHIVE, CURRENT, FORECAST, Weather, address, answer_days, berlin_day, daily, program,
    recorded, shifted,
};

fn down() -> Fault {
    Fault { status: Some(503), ..Fault::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_answer_is_a_hit() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let first = weather.get(CURRENT).await.expect_header("x-cache", "miss").text();
    let second = weather.get(CURRENT).await.expect_header("x-cache", "hit").text();
    assert_eq!(first, second);
    assert_eq!(replay.counts().requests_of(FORECAST), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w10_neighbours_share_one_call() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    for point in ["lat=52.5211&lon=13.4188", "lat=52.5189&lon=13.4222"] {
        let target = format!("/api/v1/weather/current/?{point}&tz=europe/berlin");
        weather.get(&target).await.expect_status(200);
    }
    assert_eq!(replay.counts().requests_of(FORECAST), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_older_answer_stands_in_when_the_provider_fails() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url())
        .env("WEATHER_CACHE_TTL_CURRENT_S", "0")
        .env("WEATHER_REVALIDATE_CURRENT_S", "0");
    let weather = Weather::start(program).await;
    let fresh = weather.get(CURRENT).await.expect_status(200).text();
    replay.set_fault(down()).expect("a possible fault");
    let reply = weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "stale");
    let reply = reply.expect_header("cache-control", "max-age=0");
    assert!(reply.header("age").is_some());
    assert_eq!(reply.text(), fresh);
    replay.clear_faults();
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_past_its_stale_time_is_not_given() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url())
        .env("WEATHER_CACHE_TTL_CURRENT_S", "0")
        .env("WEATHER_STALE_MAX_CURRENT_S", "0");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200);
    replay.set_fault(down()).expect("a possible fault");
    weather.get(CURRENT).await.expect_status(502);
}

#[tokio::test(flavor = "multi_thread")]
async fn w12_answers_survive_a_restart() {
    let (directory, replay) = (Directory::new(), shifted());
    let (start, end) = (berlin_day(0), berlin_day(6));
    let range = format!("lat=52.52&lon=13.42&tz=Europe/Berlin&start={start}&end={end}");
    let targets = [
        CURRENT.to_owned(),
        "/api/v1/weather/hourly/?lat=52.52&lon=13.42&tz=Europe/Berlin".to_owned(),
        format!("/api/v1/weather/daily/?{range}"),
        format!("/api/v1/weather/weekly/?{range}"),
    ];
    let mut before = Vec::new();
    let mut weather = Weather::start(program(&directory, &replay.base_url())).await;
    for target in &targets {
        before.push(weather.get(target).await.expect_status(200).text());
    }
    weather.process.stop().await;

    replay.set_fault(down()).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    for (target, before) in targets.iter().zip(&before) {
        let reply = weather.get(target).await.expect_status(200);
        assert_eq!(&reply.text(), before, "{target}");
        assert!(matches!(reply.header("x-cache"), Some("stale" | "hit")), "{target}");
    }
    // Days are known one by one: a range that was never asked for is put together from them.
    let (start, end) = (berlin_day(2), berlin_day(4));
    let range = format!("lat=52.52&lon=13.42&tz=Europe/Berlin&start={start}&end={end}");
    let body = weather.get(&format!("/api/v1/weather/daily/?{range}")).await.expect_status(200);
    assert_eq!(body.json()["data"]["forecasts"].as_array().unwrap().len(), 3);
    weather.get("/api/v1/weather/current/?lat=1&lon=1").await.expect_status(502);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_past_days_are_never_kept_as_complete() {
    for (gaps_s, expected) in [("0", 2), ("900", 1)] {
        let (directory, origin) = (Directory::new(), Origin::start().await);
        answer_days(&origin, ARCHIVE, 1.0, vec![berlin_day(-100)]);
        let program = program(&directory, &address(&origin))
            .env("WEATHER_CACHE_TTL_GAPS_S", gaps_s)
            .env("WEATHER_REVALIDATE_FORECAST_S", "0");
        let weather = Weather::start(program).await;
        for _ in 0..2 {
            let reply = weather.get(&daily(-101, -99)).await.expect_status(200);
            reply.expect_header("cache-control", &format!("max-age={gaps_s}"));
        }
        assert_eq!(origin.calls(ARCHIVE), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn complete_old_days_stay_fresh_for_long() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    answer_days(&origin, ARCHIVE, 1.0, Vec::new());
    answer_days(&origin, FORECAST, 2.0, Vec::new());
    let program = program(&directory, &address(&origin))
        .env("WEATHER_CACHE_TTL_DAILY_S", "60")
        .env("WEATHER_CACHE_TTL_SETTLED_S", "5000");
    let weather = Weather::start(program).await;
    for (target, fresh_s) in
        [(daily(-101, -99), 5000), (daily(-20, -11), 5000), (daily(-20, -1), 60)]
    {
        let reply = weather.get(&target).await.expect_status(200);
        reply.expect_header("cache-control", &format!("max-age={fresh_s}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_window_of_a_forecast_is_a_setting() {
    for (window_s, expected) in [("0", "miss"), ("3600", "revalidating")] {
        let (directory, replay) = (Directory::new(), shifted());
        let program = program(&directory, &replay.base_url())
            .env("WEATHER_CACHE_TTL_DAILY_S", "0")
            .env("WEATHER_REVALIDATE_FORECAST_S", window_s);
        let weather = Weather::start(program).await;
        weather.get(&daily(0, 2)).await.expect_status(200).expect_header("x-cache", "miss");
        weather.get(&daily(0, 2)).await.expect_status(200).expect_header("x-cache", expected);
    }
}
