//! Does the first client of a registered point find its answers, and is the provider spared?

use harness::{Directory, MariaDb, Reply};
use replay::Fault;
use serde_json::{Value, json};

use crate::bench::{FORECAST, Weather, daily, patiently, program, recorded, shifted};

const POINTS: &str = "/api/v1/weather/points";
const BERLIN: &str = "lat=52.52&lon=13.42&tz=Europe/Berlin";

impl Weather {
    async fn put(&self, points: &Value) -> Reply {
        self.request("PUT", POINTS).json(&json!({ "points": points })).send().await
    }

    async fn points(&self) -> Vec<Value> {
        self.get(POINTS).await.expect_status(200).json()["data"].as_array().unwrap().clone()
    }

    /// The list, once each of its points has been fetched or has failed.
    async fn tried_points(&self) -> Vec<Value> {
        let tried = |point: &Value| !point["last_ok"].is_null() || !point["last_error"].is_null();
        patiently("points that were tried", async || {
            let points = self.points().await;
            (!points.is_empty() && points.iter().all(tried)).then_some(points)
        })
        .await
    }

    async fn wait_until_all_are_warm(&self) {
        let is_cold = |point: &Value| point["last_ok"].is_null();
        let all_warm = async || (!self.points().await.iter().any(is_cold)).then_some(());
        patiently("warm points", all_warm).await;
    }
}

fn berlin() -> Value {
    json!([{"lat": 52.52, "lon": 13.42, "tz": "Europe/Berlin"}])
}

fn row(count: usize) -> Value {
    (0..count).map(|lat| json!({"lat": lat, "lon": 13.42, "tz": "Europe/Berlin"})).collect()
}

/// Everything that is warm in Berlin.
fn questions() -> [String; 4] {
    let days = daily(0, 6);
    [
        format!("/api/v1/weather/current/?{BERLIN}"),
        format!("/api/v1/weather/hourly/?{BERLIN}"),
        days.replace("/daily/", "/weekly/"),
        days,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn first_client_of_a_warm_point_causes_no_call() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.put(&berlin()).await.expect_status(200).expect_json("/data/registered", 1);
    let points = weather.tried_points().await;
    assert_eq!(points[0]["last_error"], Value::Null);
    assert_eq!(replay.counts().requests_of(FORECAST), 3);
    for question in questions() {
        weather.get(&question).await.expect_status(200).expect_header("x-cache", "hit");
    }
    assert_eq!(replay.counts().requests_of(FORECAST), 3);
    assert!((weather.metric("warm_points", &[]).await - 1.0).abs() < 1e-9);
    assert!((weather.metric("warm_leading", &[]).await - 1.0).abs() < 1e-9);
    let fetched = weather.metric("warm_answers_total", &[("result", "fetched")]).await;
    assert!((fetched - 3.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_points_are_warmed_with_a_handful_of_calls() {
    let (directory, replay) = (Directory::new(), shifted());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.put(&row(50)).await.expect_status(200);
    assert_eq!(weather.tried_points().await.len(), 50);
    assert_eq!(replay.counts().requests_of(FORECAST), 3);
    assert_eq!(replay.counts().in_flight_max, 1);
    for lat in [0, 25, 49] {
        let target = format!("/api/v1/weather/current/?lat={lat}&lon=13.42&tz=Europe/Berlin");
        weather.get(&target).await.expect_status(200).expect_header("x-cache", "hit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_points_survive_a_restart_without_a_call() {
    let (directory, replay) = (Directory::new(), shifted());
    let mut weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.put(&berlin()).await.expect_status(200);
    let before = weather.tried_points().await;
    assert!(weather.process.stop().await.success());
    replay.reset_counts();
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    let adopted = [("result", "adopted")];
    weather.wait_for_metric("warm_answers_total", &adopted, |count| count >= 3.0).await;
    for question in questions() {
        weather.get(&question).await.expect_status(200).expect_header("x-cache", "hit");
    }
    assert_eq!(replay.counts().requests_of(FORECAST), 0);
    assert_eq!(weather.points().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_that_is_down_is_told_with_the_point() {
    let (directory, replay) = (Directory::new(), recorded());
    replay.set_fault(Fault { status: Some(503), ..Fault::default() }).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.put(&berlin()).await.expect_status(200);
    let point = weather.tried_points().await.remove(0);
    assert_eq!(point["last_ok"], Value::Null);
    assert_eq!(point["last_error"], "current: the provider answered with status 503");
    // It is left alone for a while: one call with its one repetition, not one for each kind.
    assert_eq!(replay.counts().requests_of(FORECAST), 2);
    let failed = weather.metric("warm_answers_total", &[("result", "failed")]).await;
    assert!((failed - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_is_served_while_points_are_fetched() {
    let (directory, replay) = (Directory::new(), recorded());
    // The call for points never ends within the test; that of the client does.
    let slow = Fault { delay_ms: 20_000, times: Some(1), ..Fault::default() };
    replay.set_fault(slow).expect("a possible fault");
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.put(&row(2)).await.expect_status(200);
    let in_flight = [("provider", "open_meteo")];
    weather.wait_for_metric("provider_in_flight", &in_flight, |count| count >= 1.0).await;
    let target = format!("/api/v1/weather/current/?{BERLIN}");
    weather.get(&target).await.expect_status(200).expect_header("x-cache", "miss");
    assert!(weather.points().await.iter().all(|point| point["last_ok"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_of_clients_is_not_spent_on_points() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url())
        .env("OPEN_METEO_BUDGET_DAY", "10")
        .env("OPEN_METEO_BUDGET_CLIENT_SHARE_PCT", "50");
    let weather = Weather::start(program).await;
    weather.put(&row(6)).await.expect_status(200);
    patiently("a point for which no budget was left", async || {
        let points = weather.points().await;
        let mut errors = points.iter().filter_map(|point| point["last_error"].as_str());
        errors.any(|error| error.contains("budget")).then_some(())
    })
    .await;
    assert_eq!(replay.counts().requests_of(FORECAST), 1, "five of six fit into half of ten");
    let target = format!("/api/v1/weather/current/?{BERLIN}");
    weather.get(&target).await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_registered_listed_and_removed_again_and_again() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url()).env("WEATHER_WARM_POINTS_MAX", "2");
    let weather = Weather::start(program).await;
    let two = json!([{"lat": 52.521, "lon": 13.4188, "tz": "europe/berlin"}, {"lat": 1, "lon": 2}]);
    for _ in 0..2 {
        weather.put(&two).await.expect_status(200).expect_json("/data/registered", 2);
    }
    let points = weather.points().await;
    let place = |point: &Value| (point["lat"].clone(), point["lon"].clone(), point["tz"].clone());
    assert_eq!(place(&points[0]), (json!(1.0), json!(2.0), json!("Africa/Nairobi")));
    assert_eq!(place(&points[1]), (json!(52.52), json!(13.42), json!("Europe/Berlin")));
    let refused = weather.put(&json!([{"lat": 3, "lon": 3}])).await.expect_status(400);
    assert!(refused.text().contains("WEATHER_WARM_POINTS_MAX"), "{}", refused.text());
    let refused = weather.put(&json!([{"lat": 91, "lon": 3}])).await.expect_status(400);
    refused.expect_body(
        r#"{"status":1,"message":"Request failed","errors":{"points":["Point 1: lat: Ensure this value is less than or equal to 90.0."]}}"#,
    );
    let target = format!("{POINTS}/?{BERLIN}");
    for removed in [true, false] {
        let reply = weather.request("DELETE", &target).send().await.expect_status(200);
        reply.expect_json("/data/removed", removed);
    }
    weather.request("DELETE", &format!("{POINTS}?lat=1")).send().await.expect_status(400);
    assert_eq!(weather.points().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_a_file_are_registered_at_the_start() {
    let (directory, replay) = (Directory::new(), shifted());
    let file = directory.path().join("points.csv");
    std::fs::write(&file, "name,lat,lon,tz\nfield,52.52,13.42,Europe/Berlin\n").unwrap();
    let with_file = program(&directory, &replay.base_url())
        .env("WEATHER_WARM_POINTS_FILE", &file)
        .env("WEATHER_WARM_DAYS", "3");
    let weather = Weather::start(with_file.clone()).await;
    assert_eq!(weather.tried_points().await.len(), 1);
    weather.get(&daily(0, 2)).await.expect_status(200).expect_header("x-cache", "hit");
    drop(weather);
    std::fs::write(&file, "lat,lon\n1,2\n1,east\n").unwrap();
    let log = with_file.run().await.expect_code(78).stderr.join("\n");
    assert!(log.contains("WEATHER_WARM_POINTS_FILE") && log.contains("line 3"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_point_is_kept_warm_when_there_may_be_none() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url()).env("WEATHER_WARM_POINTS_MAX", "0");
    let weather = Weather::start(program).await;
    weather.put(&berlin()).await.expect_status(400);
    assert!(weather.points().await.is_empty());
    assert!(!weather.get("/metrics").await.text().contains("warm_points"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_fetches_and_both_are_warm() {
    let (server, replay) = (MariaDb::start().await, shifted());
    let directories = [Directory::new(), Directory::new()];
    let start = |directory: &Directory| {
        let program = program(directory, &replay.base_url());
        Weather::start(program.env("WEATHER_DATABASE_URL", server.writing_url()))
    };
    let mut one = start(&directories[0]).await;
    one.put(&berlin()).await.expect_status(200);
    one.tried_points().await;
    let stored = [("result", "stored")];
    one.wait_for_metric("store_writes_total", &stored, |count| count >= 3.0).await;
    let other = start(&directories[1]).await;
    other
        .wait_for_metric("warm_answers_total", &[("result", "adopted")], |count| count >= 3.0)
        .await;
    for question in questions() {
        other.get(&question).await.expect_status(200).expect_header("x-cache", "hit");
    }
    assert_eq!(replay.counts().requests_of(FORECAST), 3);
    // What is new is left to the one that leads.
    other.put(&row(1)).await.expect_status(200);
    one.wait_until_all_are_warm().await;
    assert!(other.metric("warm_leading", &[]).await < 0.5);
    // Once it stops, the other leads at once.
    assert!(one.process.stop().await.success());
    other.put(&json!([{"lat": 3, "lon": 3, "tz": "UTC"}])).await.expect_status(200);
    other.wait_until_all_are_warm().await;
    assert!(other.metric("warm_leading", &[]).await > 0.5);
}
