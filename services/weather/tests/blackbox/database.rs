//! Is the database ever what a client waits for?

use harness::{Directory, MariaDb, launch};
use replay::Fault;

use crate::bench::{CURRENT, FORECAST, Weather, patiently, program, recorded};

const CLIENTS: usize = 200;

fn current(number: usize) -> String {
    format!("/api/v1/weather/current/?lat={}&lon={}", number % 90, number / 90)
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_answers_never_wait_for_a_locked_table() {
    let (directory, server, replay) = (Directory::new(), MariaDb::start().await, recorded());
    let program = program(&directory, &replay.base_url())
        .env("WEATHER_DATABASE_URL", server.writing_url())
        .env("WEATHER_DATABASE_STATEMENT_TIMEOUT_MS", "60000");
    let weather = Weather::start(program).await;
    let lock = server.lock("weather_provider_fetch").await;
    // All of this is answered while the lock is held, or the test would wait for ever.
    for number in 0..20 {
        weather.get(&current(number)).await.expect_status(200).expect_header("x-cache", "miss");
        weather.get(&current(number)).await.expect_status(200).expect_header("x-cache", "hit");
        weather.get("/healthz").await.expect_status(200);
    }
    let stored = [("result", "stored")];
    assert!(weather.metric("store_writes_total", &stored).await < 0.5, "the lock holds");
    drop(lock);
    weather.wait_for_metric("store_writes_total", &stored, |count| count >= 20.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn burst_on_a_locked_table_is_turned_away_and_others_are_served() {
    let (directory, server, replay) = (Directory::new(), MariaDb::start().await, recorded());
    let program = program(&directory, &replay.base_url())
        .env("WEATHER_DATABASE_URL", server.writing_url())
        .env("WEATHER_DATABASE_CONNECTIONS_MAX", "5")
        .env("WEATHER_DATABASE_WAITING_MAX", "10")
        .env("WEATHER_DATABASE_ACQUIRE_TIMEOUT_MS", "200")
        .env("WEATHER_DATABASE_STATEMENT_TIMEOUT_MS", "60000");
    let weather = Weather::start(program).await;
    weather.get(CURRENT).await.expect_status(200);
    let stored = [("result", "stored")];
    weather.wait_for_metric("store_writes_total", &stored, |count| count >= 1.0).await;
    let lock = server.lock("weather_provider_fetch").await;
    let limit = Some("Hourly API request limit exceeded. Please try again later.".to_owned());
    let down = Fault { status: Some(429), reason: limit, ..Fault::default() };
    replay.set_fault(down).expect("a possible fault");
    let burst = launch(CLIENTS, |number| weather.request("GET", &current(number)).send());
    // What is at hand and what needs no database is given in the middle of it.
    for _ in 0..20 {
        weather.get(CURRENT).await.expect_status(200).expect_header("x-cache", "hit");
        weather.get("/healthz").await.expect_status(200);
    }
    for reply in burst.await.expect("all clients") {
        reply.expect_status(503);
    }
    assert!(replay.counts().requests_of(FORECAST) > 1);
    let acquired = |outcome| weather.metric("database_acquire_seconds_count", outcome);
    assert!(acquired(&[("outcome", "exhausted")]).await >= 1.0, "too many were turned away");
    assert!(acquired(&[("outcome", "timed_out")]).await >= 1.0, "some waited in vain");
    drop(lock);
    // The pool is whole again once the lock is gone.
    let busy = [("state", "busy")];
    weather.wait_for_metric("database_connections", &busy, |count| count < 0.5).await;
    patiently("a sound store", async || {
        (!weather.get("/readyz").await.text().contains("degraded")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_ends_statements_after_the_time_that_was_set() {
    let (directory, server, replay) = (Directory::new(), MariaDb::start().await, recorded());
    let program = program(&directory, &replay.base_url())
        .env("WEATHER_DATABASE_URL", server.writing_url())
        .env("WEATHER_DATABASE_STATEMENT_TIMEOUT_MS", "100");
    let weather = Weather::start(program).await;
    let _lock = server.lock("weather_provider_fetch").await;
    weather.get(CURRENT).await.expect_status(200);
    let line =
        weather.process.wait_for_line(|line| line.contains("answers wait to be stored")).await;
    assert!(line.contains("max_statement_time"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_of_another_scheme_is_refused_by_what_to_write() {
    let directory = Directory::new();
    let finished = program(&directory, "http://127.0.0.1:9")
        .env("WEATHER_DATABASE_URL", "postgres://me:secret@host/db")
        .run()
        .await
        .expect_code(1);
    let log = finished.stderr.join("\n");
    assert!(log.contains("mysql://user:password@host/database"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}
