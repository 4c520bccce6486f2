//! Which database does the service take, and what does it do when that is away?

use harness::{Directory, Postgres};
use serde_json::json;

use crate::bench::{Ndvi, program};

const SAMPLES: &str = "/api/v1/ndvi";
const FARM: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";

async fn count(ndvi: &Ndvi) -> u64 {
    let target = format!("{SAMPLES}?farm_id={FARM}");
    ndvi.get(&target).await.expect_status(200).json()["data"]["count"].as_u64().unwrap()
}

async fn post(ndvi: &Ndvi, mean: f64) -> harness::Reply {
    let sample = json!({
        "farm_id": FARM, "timestamp": "2021-06-17T10:00:00Z", "mean": mean, "min": -0.5, "max": 0.9,
    });
    ndvi.post(SAMPLES, &sample).await
}

#[tokio::test]
async fn unknown_database_stops_the_start_without_showing_its_password() {
    let directory = Directory::new();
    let wrong = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", "mysql://user:secret@127.0.0.1/ndvi");
    let finished = wrong.run().await.expect_code(78);
    let text = format!("{}{}", finished.stdout.join("\n"), finished.stderr.join("\n"));
    assert!(text.contains("NDVI_DATABASE_URL=mysql:..."), "{text}");
    assert!(text.contains("SQLite or Postgres") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn two_services_that_start_at_once_share_a_new_database() {
    let postgres = Postgres::start().await;
    for url in [None, Some(postgres.url())] {
        let directory = Directory::new();
        let mut program = program(&directory, "http://127.0.0.1:9");
        if let Some(url) = url {
            program = program.env("NDVI_DATABASE_URL", url);
        }
        let (one, other) = tokio::join!(Ndvi::start(program.clone()), Ndvi::start(program));
        post(&one, 0.1).await.expect_status(201);
        post(&other, 0.1).await.expect_status(201);
        post(&other, 0.2).await.expect_status(201);
        assert_eq!((count(&one).await, count(&other).await), (2, 2));
    }
}

#[tokio::test]
async fn postgres_that_is_away_is_waited_for_and_said_to_be() {
    let directory = Directory::new();
    let mut postgres = Postgres::start().await;
    postgres.kill().await;
    let program = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", postgres.url())
        .env("NDVI_DATABASE_ACQUIRE_TIMEOUT_MS", "200");
    let ndvi = Ndvi::start(program).await;
    ndvi.get("/healthz").await.expect_status(200);
    ndvi.get("/readyz").await.expect_status(503);
    post(&ndvi, 0.1).await.expect_status(503).expect_header("retry-after", "1");
    postgres.restart().await;
    while post(&ndvi, 0.1).await.status != 201 {}
    ndvi.get("/readyz").await.expect_status(200);
    assert_eq!(count(&ndvi).await, 1);
}

/// One request holds the only connection; the next is told to come again.
#[tokio::test]
async fn requests_beyond_the_connections_are_refused_at_once() {
    let directory = Directory::new();
    let postgres = Postgres::start().await;
    let program = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", postgres.url())
        .env("NDVI_DATABASE_CONNECTIONS_MAX", "1")
        .env("NDVI_DATABASE_WAITING_MAX", "0")
        // The only connection is for the test.
        .env("NDVI_WORKERS_MAX", "0")
        .env("NDVI_JOB_POLL_MS", "600000")
        .env("NDVI_DATABASE_STATEMENT_TIMEOUT_MS", "15000");
    let ndvi = Ndvi::start(program).await;
    let lock = postgres.lock("ndvi_samples").await;
    let sample = json!({
        "farm_id": FARM, "timestamp": "2021-06-17T10:00:00Z", "mean": 0.1, "min": -0.5, "max": 0.9,
    });
    let request = ndvi.request("POST", SAMPLES).json(&sample);
    // A worker that looks for a job may have the connection just now.
    let held = tokio::spawn(async move {
        loop {
            let reply = request.clone().send().await;
            if reply.status != 503 {
                return reply;
            }
        }
    });
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while postgres.run(waiting).await != ["1"] {}
    let refused = post(&ndvi, 0.2).await.expect_status(503);
    refused.expect_header("retry-after", "1").expect_json("/message", "Service busy");
    assert!(
        ndvi.metric("database_acquire_seconds_count", &[("outcome", "exhausted")]).await >= 1.0
    );
    drop(lock);
    held.await.unwrap().expect_status(201);
    let kept = format!("SELECT COUNT(*) FROM ndvi_samples WHERE farm_id = '{FARM}'");
    assert_eq!(postgres.run(&kept).await, ["1"]);
}

#[tokio::test]
async fn statement_that_takes_too_long_is_ended() {
    let directory = Directory::new();
    let postgres = Postgres::start().await;
    let program = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", postgres.url())
        .env("NDVI_DATABASE_STATEMENT_TIMEOUT_MS", "100");
    let ndvi = Ndvi::start(program).await;
    let lock = postgres.lock("ndvi_samples").await;
    post(&ndvi, 0.1).await.expect_status(503).expect_header("retry-after", "1");
    drop(lock);
    while post(&ndvi, 0.1).await.status != 201 {}
    assert_eq!(count(&ndvi).await, 1);
}

#[tokio::test]
async fn shared_name_of_the_address_is_taken_when_there_is_no_other() {
    let directory = Directory::new();
    let file = directory.path().join("shared.db");
    let program = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", "")
        .env("DATABASE_URL", format!("sqlite://{}", file.display()));
    let ndvi = Ndvi::start(program).await;
    post(&ndvi, 0.1).await.expect_status(201);
    assert!(file.exists());
}

/// Whoever reads a field does not wait for a database that has no time.
#[tokio::test]
async fn reads_of_a_field_are_refused_at_once_when_the_database_is_busy() {
    let directory = Directory::new();
    let postgres = Postgres::start().await;
    let program = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", postgres.url())
        .env("NDVI_DATABASE_CONNECTIONS_MAX", "1")
        .env("NDVI_DATABASE_WAITING_MAX", "0")
        .env("NDVI_WORKERS_MAX", "0")
        .env("NDVI_JOB_POLL_MS", "600000")
        .env("NDVI_DATABASE_STATEMENT_TIMEOUT_MS", "15000");
    let ndvi = Ndvi::start(program).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let lock = postgres.lock("ndvi_fields").await;
    let held = tokio::spawn(farm.request("GET", "latest/").send());
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while postgres.run(waiting).await != ["1"] {}
    for target in ["latest/", "timeseries/", "timeseries.svg", "raster.png"] {
        let refused = farm.get(target).await.expect_status(503).expect_header("retry-after", "1");
        assert!(refused.elapsed < std::time::Duration::from_secs(1), "{:?}", refused.elapsed);
    }
    let refused = farm.request("POST", "refresh/").send().await.expect_status(503);
    refused.expect_header("retry-after", "1");
    drop(lock);
    held.await.unwrap().expect_status(200);
}
