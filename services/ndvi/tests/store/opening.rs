//! Which database is opened, and which is refused?

use std::time::Duration;

use chassis::database::{DatabaseSettings, DatabaseUrl};
use chassis::metrics::Metrics;
use ndvi::store::{self, StoreError};

use crate::bench::{Bench, Sqlite, at_once, on_each_database};
use crate::samples::sample;

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
