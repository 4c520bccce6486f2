//! Who gets a connection, who waits for one, and who is turned away?
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use chassis::database::{AcquireError, Database, DatabaseSettings, DatabaseUrl, OpenError};
use chassis::metrics::Metrics;
use harness::Directory;
use sqlx::Sqlite;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;

static MIGRATOR: Migrator = sqlx::migrate!("tests/migrations");

fn settings(connections_max: u32, waiting_max: usize) -> DatabaseSettings {
    DatabaseSettings {
        url: DatabaseUrl::new("sqlite:"),
        connections_max,
        waiting_max,
        acquire_timeout: Duration::from_millis(50),
        statement_timeout: Duration::from_secs(5),
    }
}

async fn open(
    directory: &Directory,
    settings: &DatabaseSettings,
    metrics: &Metrics,
) -> Result<Database<Sqlite>, OpenError> {
    let file = directory.path().join("things.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    Database::open(options, settings, &MIGRATOR, metrics).await
}

#[tokio::test]
async fn tables_are_there_once_a_connection_is() {
    let (directory, metrics) = (Directory::new(), Metrics::new().unwrap());
    let database = open(&directory, &settings(1, 0), &metrics).await.unwrap();
    let mut lease = database.begin().await.unwrap();
    sqlx::query("INSERT INTO things VALUES ('a')").execute(&mut **lease).await.unwrap();
    lease.commit().await.unwrap();
    let mut lease = database.acquire().await.unwrap();
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM things").fetch_one(&mut **lease).await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn who_finds_the_queue_full_is_turned_away_at_once_and_who_waits_not_for_long() {
    let (directory, metrics) = (Directory::new(), Metrics::new().unwrap());
    let database = open(&directory, &settings(1, 1), &metrics).await.unwrap();
    let held = database.acquire().await.unwrap();
    let (waited, refused) = tokio::join!(biased; database.acquire(), database.acquire());
    assert!(matches!(waited.unwrap_err(), AcquireError::TimedOut { .. }));
    assert!(matches!(refused.unwrap_err(), AcquireError::Exhausted));
    drop(held);
    assert!(database.acquire().await.is_ok());
    let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
    for line in [
        r#"database_acquire_seconds_count{outcome="acquired"} 2"#,
        r#"database_acquire_seconds_count{outcome="exhausted"} 1"#,
        r#"database_acquire_seconds_count{outcome="timed_out"} 1"#,
        "database_waiting 0",
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
}

#[tokio::test]
async fn connections_are_counted_by_what_they_do() {
    let (directory, metrics) = (Directory::new(), Metrics::new().unwrap());
    let database = open(&directory, &settings(2, 0), &metrics).await.unwrap();
    let _held = database.acquire().await.unwrap();
    let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
    assert!(text.contains(r#"database_connections{state="busy"} 1"#), "{text}");
}

#[tokio::test]
async fn database_that_will_never_do_is_refused() {
    let (directory, metrics) = (Directory::new(), Metrics::new().unwrap());
    let file = directory.path().join("no/such/folder/things.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let opened = Database::<Sqlite>::open(options, &settings(1, 0), &MIGRATOR, &metrics).await;
    assert!(matches!(opened.unwrap_err(), OpenError::Migrate(_)));
}
