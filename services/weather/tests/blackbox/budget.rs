//! Is no more asked of a provider than it allows?

use harness::{Answer, Directory, Origin, launch};
use replay::Fault;

use crate::bench::{
    ARCHIVE, CURRENT, FORECAST, Weather, address, answer_days, daily, program, recorded, shifted,
};

const RECORDED: &str = include_str!("../data/open_meteo_forecast_berlin_20211124.json");

fn at(lat: usize) -> String {
    format!("/api/v1/weather/current/?lat={lat}&lon=13.42&provider=open_meteo")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_budget_never_exceeds_it() {
    let (directory, replay) = (Directory::new(), recorded());
    // The day is the longest window, so that none ends while the test runs.
    let program = program(&directory, &replay.base_url())
        .env("OPEN_METEO_BUDGET_MINUTE", "0")
        .env("OPEN_METEO_BUDGET_HOUR", "0")
        .env("OPEN_METEO_BUDGET_DAY", "8");
    let weather = Weather::start(program).await;
    let replies = launch(80, |number| weather.request("GET", &at(number)).send());
    let replies = replies.await.expect("80 clients");
    let refused = replies.iter().filter(|reply| reply.status == 503);
    for reply in refused.clone() {
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
    }
    assert_eq!(refused.count(), 72);
    assert_eq!(replay.counts().requests_of(FORECAST), 8);
    let spent = weather.metric("provider_weight_spent_total", &[("provider", "open_meteo")]).await;
    let over = [("provider", "open_meteo"), ("caller", "client")];
    let over = weather.metric("provider_calls_over_budget_total", &over).await;
    let left = [("provider", "open_meteo"), ("window", "day")];
    let left = weather.metric("provider_budget_remaining", &left).await;
    assert_eq!([spent, over, left], [8.0, 72.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_window_has_a_limit_of_its_own() {
    for window in ["MINUTE", "HOUR", "DAY"] {
        let (directory, replay) = (Directory::new(), recorded());
        let mut program = program(&directory, &replay.base_url());
        for other in ["MINUTE", "HOUR", "DAY"] {
            let limit = if other == window { "1" } else { "0" };
            program = program.env(format!("OPEN_METEO_BUDGET_{other}"), limit);
        }
        let weather = Weather::start(program).await;
        // A window may end between two of the calls, but not between each two.
        let mut statuses = Vec::new();
        for lat in 1..=3 {
            statuses.push(weather.get(&at(lat)).await.status);
        }
        assert_eq!(statuses[0], 200, "{window}");
        assert!(statuses.contains(&503), "{window}: {statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_answer_is_given_when_the_budget_is_used_up() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url())
        .env("OPEN_METEO_BUDGET_DAY", "1")
        .env("WEATHER_CACHE_TTL_CURRENT_S", "0")
        .env("WEATHER_REVALIDATE_CURRENT_S", "0");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "miss");
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "stale");
    assert_eq!(replay.counts().requests_of(FORECAST), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_ranges_weigh_more() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    answer_days(&origin, ARCHIVE, 1.0, Vec::new());
    let weather = Weather::start(program(&directory, &address(&origin))).await;
    // 140 days of 4 variables: 140 / 14 * 4 / 10.
    weather.get(&daily(-239, -100)).await.expect_status(200);
    let spent = weather.metric("provider_weight_spent_total", &[("provider", "open_meteo")]).await;
    assert!((spent - 4.0).abs() < 1e-9, "{spent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_limit_of_the_provider_closes_the_budget() {
    let (directory, replay) = (Directory::new(), recorded());
    let fault = Fault {
        status: Some(429),
        reason: Some("Daily API request limit exceeded. Please try again tomorrow.".to_owned()),
        times: Some(1),
        ..Fault::default()
    };
    replay.set_fault(fault).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    for lat in 1..=3 {
        let reply = weather.get(&at(lat)).await.expect_status(503);
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(replay.counts().requests_of(FORECAST), 1, "no call is made after the limit");
    let labels = [("provider", "open_meteo"), ("result", "rate_limited")];
    assert!((weather.metric("provider_requests_total", &labels).await - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn share_of_clients_is_kept_from_background_work() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url())
        .env("OPEN_METEO_BUDGET_DAY", "2")
        .env("OPEN_METEO_BUDGET_CLIENT_SHARE_PCT", "50")
        .env("RUST_LOG", "info,weather=debug")
        .env("WEATHER_CACHE_TTL_CURRENT_S", "0");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "miss");
    // The second answer starts work that nobody waits for, for which nothing is left.
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "revalidating");
    weather.process.wait_for_line(|line| line.contains("over_budget")).await;
    assert_eq!(replay.counts().requests_of(FORECAST), 1);
    weather.get(&at(1)).await.expect_status(200);
    assert_eq!(replay.counts().requests_of(FORECAST), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_calls_at_once_are_shared_by_all_hosts() {
    let (directory, replay) = (Directory::new(), shifted());
    let fault = Fault { delay_ms: 200, ..Fault::default() };
    replay.set_fault(fault).expect("a possible fault");
    let program = program(&directory, &replay.base_url()).env("WEATHER_PROVIDER_FALLBACK", "none");
    let weather = Weather::start(program).await;
    let replies = launch(6, |number| {
        // Each question is asked of two hosts, and what they lack of a third.
        let target = daily(-94, -92).replace("lat=52.52", &format!("lat={number}"));
        weather.request("GET", &target).send()
    });
    for reply in replies.await.expect("6 clients") {
        reply.expect_status(200);
    }
    let counts = replay.counts();
    assert_eq!((counts.requests_of(ARCHIVE), counts.requests_of(FORECAST)), (6, 12));
    assert_eq!(counts.in_flight_max, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_are_a_setting() {
    let (directory, replay) = (Directory::new(), recorded());
    let fault = Fault { delay_ms: 50, ..Fault::default() };
    replay.set_fault(fault).expect("a possible fault");
    let program = program(&directory, &replay.base_url()).env("OPEN_METEO_CALLS_MAX", "1");
    let weather = Weather::start(program).await;
    let replies = launch(5, |number| weather.request("GET", &at(number)).send());
    for reply in replies.await.expect("5 clients") {
        reply.expect_status(200);
    }
    assert_eq!(replay.counts().in_flight_max, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_one_flight_renews_for_all_and_nobody_waits() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.script(FORECAST, [Answer::json(RECORDED), Answer::json(RECORDED).hold()]);
    let program = program(&directory, &address(&origin)).env("WEATHER_CACHE_TTL_CURRENT_S", "0");
    let weather = Weather::start(program).await;
    let first = weather.get(CURRENT).await.expect_status(200).text();
    let replies = launch(50, |_| weather.request("GET", CURRENT).send());
    for reply in replies.await.expect("50 clients") {
        let reply = reply.expect_status(200).expect_header("x-cache", "revalidating");
        let reply = reply.expect_header("cache-control", "max-age=0");
        assert!(reply.header("age").is_some());
        assert_eq!(reply.text(), first);
    }
    origin.wait_for_calls(FORECAST, 2).await;
    assert_eq!(origin.calls(FORECAST), 2, "one flight renews the answer");
    origin.release(FORECAST);
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_answer_that_cannot_be_renewed_is_called_stale() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url()).env("WEATHER_CACHE_TTL_CURRENT_S", "0");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200);
    replay.set_fault(Fault { status: Some(503), ..Fault::default() }).expect("a possible fault");
    weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "revalidating");
    weather.process.wait_for_line(|line| line.contains("the provider did not answer")).await;
    for _ in 0..3 {
        weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "stale");
    }
    // One call, its retry, and then a pause before the next try.
    assert_eq!(replay.counts().requests_of(FORECAST), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn background_calls_have_a_deadline_of_their_own() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.script(FORECAST, [Answer::json(RECORDED), Answer::json(RECORDED).hold()]);
    let program = program(&directory, &address(&origin))
        .env("WEATHER_CACHE_TTL_CURRENT_S", "0")
        .env("OPEN_METEO_BACKGROUND_TIMEOUT_MS", "200");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200);
    weather.get(CURRENT).await.expect_status(200);
    weather.process.wait_for_line(|line| line.contains("did not answer within 200 ms")).await;
}
