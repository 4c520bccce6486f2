//! Does the service answer as its own document says?

use std::collections::BTreeSet;

use harness::{Directory, OpenApi};

use crate::bench::{Weather, berlin_day, program, shifted};

const PLACE: &str = "lat=52.52&lon=13.42&tz=Europe/Berlin&provider=open_meteo";

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_refusals_fit_the_document() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(weather.address).await;
    let range = format!("{PLACE}&start={}&end={}", berlin_day(0), berlin_day(6));
    for (kind, query) in [
        ("current", PLACE.to_owned()),
        ("hourly", format!("{PLACE}&hours=24")),
        ("daily", range.clone()),
        ("weekly", range),
    ] {
        let path = format!("/api/v1/weather/{kind}/");
        let operation = format!("GET {path}");
        let reply = weather.get(&format!("{path}?{query}")).await.expect_status(200);
        document.check(&operation, &reply);
        document.check(&operation, &weather.get(&path).await.expect_status(400));
        let asked = query.split('&').map(|pair| pair.split('=').next().unwrap().to_owned());
        let asked: BTreeSet<String> = asked.collect();
        assert_eq!(document.parameters(&operation), asked, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_second_provider_fit_too() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(weather.address).await;
    let place = "lat=50.11&lon=8.68&tz=UTC&provider=nasa_power";
    let range = format!("{place}&start={}&end={}", berlin_day(-8), berlin_day(-1));
    for (kind, query) in
        [("current", place), ("hourly", place), ("daily", &range), ("weekly", &range)]
    {
        let path = format!("/api/v1/weather/{kind}/");
        let reply = weather.get(&format!("{path}?{query}")).await.expect_status(200);
        document.check(&format!("GET {path}"), &reply);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_points_fit_the_document() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(weather.address).await;
    let path = "/api/v1/weather/points";
    let body = serde_json::json!({"points": [{"lat": 52.52, "lon": 13.42}]});
    let put = weather.request("PUT", path).json(&body).send().await.expect_status(200);
    document.check(&format!("PUT {path}"), &put);
    document.check(&format!("PUT {path}"), &weather.request("PUT", path).body("x").send().await);
    document.check(&format!("GET {path}"), &weather.get(path).await.expect_status(200));
    let target = format!("{path}?lat=52.52&lon=13.42");
    let deleted = weather.request("DELETE", &target).send().await.expect_status(200);
    document.check(&format!("DELETE {path}"), &deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn document_is_titled_and_carries_the_units() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let reply = weather.get("/openapi.json").await.expect_status(200);
    let reply = reply
        .expect_header("content-type", "application/json")
        .expect_json("/info/title", "weather")
        .expect_json("/info/version", env!("CARGO_PKG_VERSION"));
    assert!(reply.text().contains("Highest wind speed in metres per second."));
}
