//! Does the plot of a week show what the provider said?

use std::net::SocketAddr;

use harness::{Directory, OpenApi, Reply, Request};
use jiff::civil::Date;
use replay::Fault;
use roxmltree::Document;
use serde_json::Value;

use crate::bench::{FORECAST, Weather, berlin_day, program, recorded, shifted};

const GOLDEN: &str = include_str!("../data/weather_golden.json");
const WEEK: &str = "/api/v1/weather/week.svg?lat=52.52&lon=13.42&tz=Europe/Berlin";

/// The texts of all elements of this name.
fn texts(svg: &str, tag: &str) -> Vec<String> {
    let document = Document::parse(svg).expect("well-formed XML");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let nodes = document.descendants().filter(|node| node.has_tag_name(tag));
    nodes.filter_map(|node| node.text().map(str::to_owned)).collect()
}

fn conditional(weather: &Weather, tag: &str) -> Request<SocketAddr> {
    weather.request("GET", WEEK).header("if-none-match", tag)
}

fn tag(reply: &Reply) -> String {
    reply.header("etag").expect("a tag").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn plot_of_a_week_shows_the_golden_values() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let reply = weather.get(WEEK).await.expect_status(200);
    let reply = reply
        .expect_header("content-type", "image/svg+xml")
        .expect_header("cache-control", "max-age=900")
        .expect_header("age", "0")
        .expect_header("x-cache", "miss")
        .expect_header("x-upstream-attribution", "Weather data by Open-Meteo.com");
    let svg = reply.text();
    let titles = texts(&svg, "title");
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let days = golden["open_meteo"]["daily"].as_array().unwrap();
    assert_eq!(days.len(), 7);
    for (number, day) in days.iter().enumerate() {
        let date: Date = berlin_day(i64::try_from(number).unwrap());
        for (name, key) in [
            ("highest", "t_max_c"),
            ("lowest", "t_min_c"),
            ("precipitation", "precipitation_mm"),
            ("strongest wind", "wind_speed_max_mps"),
        ] {
            let prefix = format!("{name}, {date}: ");
            let shown: Vec<_> =
                titles.iter().filter_map(|title| title.strip_prefix(&prefix)).collect();
            assert_eq!(shown.len(), 1, "{prefix} in {titles:?}");
            let (shown, expected) = (shown[0].parse::<f64>().unwrap(), day[key].as_f64().unwrap());
            assert!((shown - expected).abs() <= 0.01 + 1e-9, "{prefix}{shown}, not {expected}");
        }
    }
    assert!(!titles.iter().any(|title| title.contains("no data")), "{titles:?}");
    let words = texts(&svg, "text");
    for expected in ["Weather at 52.52° N, 13.42° E", "Weather data by Open-Meteo.com (open_meteo)"]
    {
        assert!(words.iter().any(|text| text == expected), "{expected}: {words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_the_provider_does_not_know_yet_are_gaps() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    // The recording has seven days from today on: of this week it has four.
    let reply = weather.get(&format!("{WEEK}&start={}", berlin_day(3))).await.expect_status(200);
    let titles = texts(&reply.text(), "title");
    let gap = format!("{} to {}: no data (not yet available)", berlin_day(7), berlin_day(9));
    assert_eq!(titles.iter().filter(|title| **title == gap).count(), 3, "{titles:?}");
    assert_eq!(titles.iter().filter(|title| title.starts_with("highest, ")).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_is_sent_once_and_then_named_by_its_tag() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let first = weather.get(WEEK).await.expect_status(200);
    let known = tag(&first);
    let reply = conditional(&weather, &known).send().await.expect_status(304);
    let reply = reply.expect_body("").expect_header("x-cache", "hit").expect_header("etag", &known);
    assert_eq!(reply.header("content-type"), None);
    conditional(&weather, "\"other\"").send().await.expect_status(200).expect_body(first.text());
    let later = weather.get(&format!("{WEEK}&start={}", berlin_day(1))).await;
    assert_ne!(tag(&later), known);
    let head = weather.request("HEAD", WEEK).send().await.expect_status(200);
    assert_eq!(tag(&head), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn week_and_its_days_are_one_call() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let range = format!("start={}&end={}", berlin_day(0), berlin_day(6));
    let place = "lat=52.52&lon=13.42&tz=Europe/Berlin";
    weather.get(&format!("/api/v1/weather/daily/?{place}&{range}")).await.expect_status(200);
    weather.get(WEEK).await.expect_status(200).expect_header("x-cache", "hit");
    assert_eq!(replay.counts().requests_of(FORECAST), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_week_stands_in_when_the_provider_fails() {
    let (directory, replay) = (Directory::new(), shifted());
    let program = program(&directory, &replay.base_url())
        .env("WEATHER_CACHE_TTL_DAILY_S", "0")
        .env("WEATHER_REVALIDATE_FORECAST_S", "0");
    let weather = Weather::start(program).await;
    let fresh = weather.get(WEEK).await.expect_status(200).text();
    replay.set_fault(Fault { status: Some(503), ..Fault::default() }).expect("a possible fault");
    let reply = weather.get(WEEK).await.expect_status(200).expect_header("x-cache", "stale");
    reply.expect_header("cache-control", "max-age=0").expect_body(&fresh);
    let elsewhere = weather.get("/api/v1/weather/week.svg?lat=1&lon=1").await.expect_status(502);
    elsewhere
        .expect_header("content-type", "application/json")
        .expect_header("cache-control", "no-store")
        .expect_json("/message", "Weather upstream error");
}

#[tokio::test(flavor = "multi_thread")]
async fn week_of_nasa_power_ends_today_with_gaps_where_it_lags() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let target = "/api/v1/weather/week.svg?lat=50.11&lon=8.68&tz=UTC&provider=nasa_power";
    let reply = weather.get(target).await.expect_status(200);
    let svg = reply.text();
    let titles = texts(&svg, "title");
    // The recording has precipitation alone, and ends three days before today.
    assert_eq!(
        titles.iter().filter(|title| title.starts_with("precipitation, ")).count(),
        4,
        "{titles:?}"
    );
    assert!(titles.iter().any(|title| title.contains("no data (not yet available)")), "{titles:?}");
    assert!(texts(&svg, "text").iter().any(|text| text.ends_with("Project (nasa_power)")));
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_questions_are_refused_in_json_and_as_documented() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(weather.address).await;
    let operation = "GET /api/v1/weather/week.svg";
    for (query, expected) in [
        (
            "",
            r#"{"status":1,"message":"Request failed","errors":{"lat":["This field is required."],"lon":["This field is required."]}}"#,
        ),
        (
            "lat=1&lon=1&start=soon",
            r#"{"status":1,"message":"Request failed","errors":{"start":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}}"#,
        ),
        (
            "lat=1&lon=1&tz=Mars/Base",
            r#"{"status":1,"message":"Request failed","errors":{"tz":["Invalid timezone."]}}"#,
        ),
    ] {
        let reply = weather.get(&format!("/api/v1/weather/week.svg?{query}")).await;
        let reply = reply.expect_status(400).expect_body(expected);
        document.check(operation, &reply);
    }
    let asked = ["lat", "lon", "provider", "start", "tz"].map(str::to_owned);
    assert_eq!(document.parameters(operation), asked.into());
    assert_eq!(replay.counts().requests_of(FORECAST), 0);
}
