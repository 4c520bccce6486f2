//! Which database is opened, and which is refused?

use std::net::SocketAddr;
use std::time::Duration;

use chassis::database::{DatabaseSettings, DatabaseUrl};
use chassis::metrics::Metrics;
use ndvi::store::{self, StoreError, Stored};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, Postgres, Sqlite, at_once, on_each_database};
use crate::samples::{all, sample};

on_each_database! {
    database_of_a_newer_version_is_refused
    database_opened_by_many_at_once_is_migrated_once
}

async fn database_opened_by_many_at_once_is_migrated_once(bench: &impl Bench) {
    let metrics = || Metrics::new().unwrap();
    let opened = at_once((0..8).map(|_| {
        let (settings, metrics) = (bench.settings(), metrics());
        async move { store::open(&settings, &metrics).await }
    }))
    .await;
    for store in opened {
        store.unwrap().ping().await.unwrap();
    }
}

async fn database_of_a_newer_version_is_refused(bench: &impl Bench) {
    bench.open().await.close().await;
    bench.run(bench.newer_version()).await;
    let error = bench.try_open(&bench.settings()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("9999 was previously applied but is missing"), "{text}");
}

#[tokio::test]
async fn unknown_database_is_refused_without_its_password() {
    for url in ["mysql://user:secret@host/ndvi", "secret", "sqlite+x:secret"] {
        let settings = DatabaseSettings { url: DatabaseUrl::new(url), ..settings().await };
        let error = store::open(&settings, &Metrics::new().unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::Url { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("NDVI_DATABASE_URL=") && !shown.contains("secret"), "{shown}");
    }
}

async fn settings() -> DatabaseSettings {
    Sqlite::new().await.settings()
}

/// Of three writers one writes, one waits and one is told at once.
#[tokio::test]
async fn writers_beyond_the_bound_are_turned_away_at_once() {
    let bench = Sqlite::new().await;
    let patient = Duration::from_secs(15);
    let settings =
        DatabaseSettings { waiting_max: 1, acquire_timeout: patient, ..bench.settings() };
    let store = bench.try_open(&settings).await.unwrap();
    let (first, second, third) = (
        sample("2021-06-17T10:00:00Z", 0.1, None),
        sample("2021-06-17T10:00:00Z", 0.2, None),
        sample("2021-06-17T10:00:00Z", 0.3, None),
    );
    let (first, second, third) =
        tokio::join!(biased; store.insert(&first), store.insert(&second), store.insert(&third));
    first.unwrap();
    second.unwrap();
    assert!(matches!(third.unwrap_err(), StoreError::Busy));
}

/// The table as its operator has it, with samples twice and one that would be refused today.
const OLD_TABLE: &str = "
    CREATE TABLE ndvi_samples (id BIGSERIAL PRIMARY KEY, farm_id UUID NOT NULL,
        timestamp TIMESTAMPTZ NOT NULL, mean DOUBLE PRECISION NOT NULL,
        min DOUBLE PRECISION NOT NULL, max DOUBLE PRECISION NOT NULL, source TEXT NULL,
        geometry JSONB NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT now());
    INSERT INTO ndvi_samples (farm_id, timestamp, mean, min, max, source, geometry)
        SELECT '6f9619ff-8b86-d011-b42d-00cf4fc964ff', '2021-06-17T10:00:00.123456Z', 0.3, -0.9,
        0.9, source, '{\"type\": \"Point\"}'
        FROM unnest(ARRAY[NULL, NULL, '', 'drone', 'drone']) AS source;
    INSERT INTO ndvi_samples (farm_id, timestamp, mean, min, max)
        VALUES ('00000000-0000-0000-0000-000000000000', 'infinity', 'NaN', 7, 'Infinity');";

#[tokio::test]
async fn operators_table_is_taken_over_with_all_its_rows() {
    let bench = Postgres::new().await;
    bench.0.run_as_owner(OLD_TABLE).await;
    let rows = "SELECT id, farm_id, timestamp, mean, min, max, source, geometry, created_at \
                FROM ndvi_samples ORDER BY id";
    let before = bench.run(rows).await;
    assert_eq!(before.len(), 6);
    let store = bench.open().await;
    assert_eq!(bench.run(rows).await, before);
    assert_eq!(store.find(&all()).await.unwrap().len(), 5);

    let time = "2021-06-17T10:00:00.123456Z";
    for (source, stored) in [
        // What the older program has stored is not stored again.
        (None, Stored::Already),
        (Some("drone"), Stored::Already),
        (Some("plane"), Stored::New),
        (Some("plane"), Stored::Already),
    ] {
        assert_eq!(store.insert(&sample(time, 0.3, source)).await.unwrap(), stored, "{source:?}");
    }
    // The older program may go on while it is replaced.
    bench
        .run(
            "INSERT INTO ndvi_samples (farm_id, timestamp, mean, min, max) \
             SELECT farm_id, timestamp, mean, min, max FROM ndvi_samples WHERE id IN (1, 2)",
        )
        .await;
    assert_eq!(store.find(&all()).await.unwrap().len(), 8);
    store.close().await;
    assert_eq!(bench.open().await.find(&all()).await.unwrap().len(), 8);
}

#[tokio::test]
async fn tables_of_other_services_are_left_alone() {
    let bench = Postgres::new().await;
    let others = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT); \
                  INSERT INTO _sqlx_migrations VALUES (7, 'of another service');";
    bench.0.run_as_owner(others).await;
    bench.open().await.ping().await.unwrap();
    assert_eq!(bench.run("SELECT * FROM _sqlx_migrations").await, ["7|of another service"]);
}

#[tokio::test]
async fn caller_who_finds_all_connections_taken_is_turned_away_at_once() {
    let bench = Postgres::new().await;
    let settings = DatabaseSettings { connections_max: 1, waiting_max: 0, ..bench.settings() };
    let store = bench.try_open(&settings).await.unwrap();
    let lock = bench.0.lock("ndvi_samples").await;
    let sample = sample("2021-06-17T10:00:00Z", 0.3, None);
    let (held, refused) = tokio::join!(biased; store.insert(&sample), async {
        let refused = store.insert(&sample).await;
        drop(lock);
        refused
    });
    assert!(matches!(refused.unwrap_err(), StoreError::Busy));
    assert_eq!(held.unwrap(), Stored::New);
}

#[tokio::test]
async fn statement_that_waits_too_long_for_a_lock_is_ended() {
    let bench = Postgres::new().await;
    let statement_timeout = Duration::from_millis(50);
    let settings = DatabaseSettings { statement_timeout, ..bench.settings() };
    let store = bench.try_open(&settings).await.unwrap();
    let lock = bench.0.lock("ndvi_samples").await;
    let error = store.insert(&sample("2021-06-17T10:00:00Z", 0.3, None)).await.unwrap_err();
    assert!(matches!(error, StoreError::Away(_)) && error.is_passing(), "{error}");
    drop(lock);
}

/// Connections that come through here take longer to be made than any caller waits.
async fn slow_way_to(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(4 * PATIENCE_OF_CALLERS).await;
                let mut server = TcpStream::connect(server).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    address
}

const PATIENCE_OF_CALLERS: Duration = Duration::from_millis(50);

#[tokio::test]
async fn server_that_is_slow_to_connect_to_is_connected_to_all_the_same() {
    let bench = Postgres::new().await;
    let (before, rest) =
        bench.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (server, path) = rest.split_once('/').unwrap();
    let slow = slow_way_to(server.parse().unwrap()).await;
    let settings = DatabaseSettings {
        url: DatabaseUrl::new(format!("{before}@{slow}/{path}")),
        acquire_timeout: PATIENCE_OF_CALLERS,
        ..bench.settings()
    };
    let store = bench.try_open(&settings).await.unwrap();
    assert!(matches!(store.ping().await.unwrap_err(), StoreError::Busy));
    let connected = async { while store.ping().await.is_err() {} };
    tokio::time::timeout(harness::PATIENCE, connected).await.unwrap();
}
