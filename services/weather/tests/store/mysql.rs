//! What must a server do that belongs to others too and may be away?

use std::time::Duration;

use chassis::database::DatabaseSettings;
use harness::MariaDb;
use weather::domain::ask::Question;
use weather::domain::place::{Cell, Zone};
use weather::domain::point::{Point, PointState};
use weather::domain::report::Report;

use crate::place::{settings, try_open};
use crate::records::{ask, asked, at, record, record_of};

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_others_are_left_alone() {
    let server = MariaDb::start().await;
    server
        .run(
            "CREATE TABLE _sqlx_migrations (version BIGINT, success BOOLEAN); \
             INSERT INTO _sqlx_migrations VALUES (77, FALSE); \
             CREATE TABLE provider_fetch (a INT); CREATE TABLE lease (a INT);",
        )
        .await;
    let store = try_open(&settings(server.writing_url())).await.unwrap();
    store.append(&[record(1, 1, 1.0, 10)]).await.unwrap();
    assert_eq!(server.run("SELECT version, success FROM _sqlx_migrations").await, ["77\t0"]);
    assert_eq!(server.run("SELECT COUNT(*) FROM provider_fetch").await, ["0"]);
    let ours = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'farm' \
                AND table_name NOT LIKE 'weather_%' AND table_name <> '_weather_migrations'";
    assert_eq!(server.run(ours).await, ["3"], "no other table was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_that_was_cut_off_is_run_again() {
    let server = MariaDb::start().await;
    try_open(&settings(server.writing_url())).await.unwrap().close().await;
    server
        .run(
            "UPDATE _weather_migrations SET success = FALSE WHERE version IN (1, 4); \
             DROP TABLE weather_lease;",
        )
        .await;
    let store = try_open(&settings(server.writing_url())).await.unwrap();
    assert!(store.lead("one", Duration::ZERO).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_away_is_asked_again() {
    let mut server = MariaDb::start().await;
    let settings = DatabaseSettings {
        acquire_timeout: Duration::from_millis(200),
        ..settings(server.writing_url())
    };
    server.kill().await;
    let store = try_open(&settings).await.unwrap();
    let batch = [record(1, 1, 1.0, 10)];
    let error = store.append(&batch).await.unwrap_err();
    assert!(!error.is_refusal(), "{error}");
    assert!(store.ping().await.is_err());
    server.restart().await;
    let stored = async { while store.append(&batch).await.is_err() {} };
    tokio::time::timeout(harness::PATIENCE, stored).await.unwrap();
    assert!(store.newest(&ask(1, 1), at(0)).await.unwrap().is_some());
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn server_ends_a_statement_that_takes_too_long() {
    let server = MariaDb::start().await;
    let settings = DatabaseSettings {
        statement_timeout: Duration::from_millis(100),
        ..settings(server.writing_url())
    };
    let store = try_open(&settings).await.unwrap();
    let _lock = server.lock("weather_provider_fetch").await;
    let error = store.newest(&ask(1, 1), at(0)).await.unwrap_err();
    assert!(error.to_string().contains("max_statement_time"), "{error}");
    assert!(!error.is_refusal());
    let error = store.append(&[record(1, 1, 1.0, 10)]).await.unwrap_err();
    assert!(!error.is_refusal(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn value_that_does_not_fit_is_refused_and_not_cut() {
    let server = MariaDb::start().await;
    server.run("SET GLOBAL sql_mode = ''; SET GLOBAL max_allowed_packet = 64 << 20;").await;
    let store = try_open(&settings(server.writing_url())).await.unwrap();
    let point = Point { cell: Cell::of(1.0, 2.0), zone: Zone::utc() };
    store.register(std::slice::from_ref(&point), 9).await.unwrap();
    let long = PointState { point, last_ok: None, last_error: Some("x".repeat(513)) };
    assert!(store.mark(&[long]).await.unwrap_err().is_refusal());
    let ask = asked(Question::Hourly);
    let large = record_of(ask.clone(), Report::Hourly(Vec::new()), vec![b'x'; 16 << 20], 10);
    assert!(store.append(&[large]).await.unwrap_err().is_refusal());
    assert_eq!(store.newest(&ask, at(0)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn packet_over_the_bound_of_the_server_is_refused() {
    let server = MariaDb::start().await;
    server.run("SET GLOBAL max_allowed_packet = 1 << 20;").await;
    let store = try_open(&settings(server.writing_url())).await.unwrap();
    let large = |bytes| {
        record_of(asked(Question::Hourly), Report::Hourly(Vec::new()), vec![b'x'; bytes], 10)
    };
    let error = store.append(&[large(2 << 20)]).await.unwrap_err();
    assert!(error.is_refusal(), "{error:?}");
    store.append(&[large(1 << 10)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn address_that_cannot_be_used_is_told_without_its_password() {
    for (url, told) in [
        ("postgres://me:secret@host/db", "begins with \"postgres\""),
        ("weather.db", "mysql://user:password@host/database"),
        ("mysql://me:secret@host", "names no database"),
        ("mysql://me:secret@host:port/db", "write for example mysql://"),
    ] {
        let error = try_open(&settings(url)).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(told), "{url}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_stops_the_start() {
    let server = MariaDb::start().await;
    let url = server.writing_url().replace("writing-password", "other-secret");
    let error = try_open(&settings(url)).await.unwrap_err().to_string();
    assert!(error.contains("Access denied") && !error.contains("other-secret"), "{error}");
}
