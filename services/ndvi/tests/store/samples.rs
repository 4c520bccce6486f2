//! Are samples kept once, and found again as they were sent?

use std::sync::Arc;

use ndvi::domain::sample::{Extremes, FarmId, Sample};
use ndvi::store::{SampleQuery, StoreError, Stored};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bench::{Bench, at_once, on_each_database};

on_each_database! {
    any_other_value_makes_another_sample
    damaged_sample_is_named
    identical_samples_sent_at_once_are_kept_once
    interval_and_limit_are_kept
    reopened_database_keeps_its_samples
    samples_come_back_as_they_went_in_newest_first
    same_sample_is_stored_once
    writers_and_readers_at_once_are_all_served
}

const FARM: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";

pub(crate) fn sample(timestamp: &str, mean: f64, source: Option<&str>) -> Sample {
    Sample {
        farm_id: FarmId::parse(FARM).unwrap(),
        timestamp: timestamp.parse().unwrap(),
        values: Extremes::new(mean, -0.9, 0.9).unwrap(),
        source: source.map(str::to_owned),
        geometry: Some(RawValue::from_string(r#"{"type": "Point"}"#.to_owned()).unwrap()),
    }
}

pub(crate) fn all() -> SampleQuery {
    SampleQuery { farm_id: FarmId::parse(FARM).unwrap(), start: None, end: None, limit: 1_000 }
}

async fn same_sample_is_stored_once(bench: &impl Bench) {
    let store = bench.open().await;
    let one = sample("2021-06-17T10:00:00Z", 0.3, None);
    assert_eq!(store.insert(&one).await.unwrap(), Stored::New);
    let same_instant = sample("2021-06-17T13:00:00+03:00", 0.3, None);
    assert_eq!(store.insert(&same_instant).await.unwrap(), Stored::Already);
    assert_eq!(store.find(&all()).await.unwrap().len(), 1);
}

async fn identical_samples_sent_at_once_are_kept_once(bench: &impl Bench) {
    let store = bench.open().await;
    let outcomes =
        at_once(
            (0..32).map(|_| {
                let store = Arc::clone(&store);
                async move {
                    store.insert(&sample("2021-06-17T10:00:00Z", 0.3, Some("x"))).await.unwrap()
                }
            }),
        )
        .await;
    assert_eq!(outcomes.iter().filter(|stored| **stored == Stored::New).count(), 1);
    assert_eq!(store.find(&all()).await.unwrap().len(), 1);
}

async fn any_other_value_makes_another_sample(bench: &impl Bench) {
    let store = bench.open().await;
    for other in [
        sample("2021-06-17T10:00:00Z", 0.3, None),
        sample("2021-06-17T10:00:00Z", 0.300_000_000_000_000_04, None),
        sample("2021-06-17T10:00:00Z", 0.3, Some("drone")),
        sample("2021-06-17T10:00:00.000001Z", 0.3, None),
    ] {
        assert_eq!(store.insert(&other).await.unwrap(), Stored::New);
    }
    assert_eq!(store.find(&all()).await.unwrap().len(), 4);
}

async fn samples_come_back_as_they_went_in_newest_first(bench: &impl Bench) {
    let store = bench.open().await;
    let samples = [
        sample("2262-06-18T10:00:00.123456Z", 0.1 + 0.2, Some("s")),
        sample("2021-06-17T10:00:00Z", -0.3, None),
        sample("0001-01-01T00:00:00Z", f64::from_bits(1), Some("Ähre 🌾")),
    ];
    for sample in samples.iter().rev() {
        store.insert(sample).await.unwrap();
    }
    let found = store.find(&all()).await.unwrap();
    let as_json = |sample: &Sample| -> Value { serde_json::to_value(sample).unwrap() };
    assert_eq!(
        found.iter().map(as_json).collect::<Vec<_>>(),
        samples.iter().map(as_json).collect::<Vec<_>>()
    );
}

async fn interval_and_limit_are_kept(bench: &impl Bench) {
    let store = bench.open().await;
    for day in 10..20 {
        store.insert(&sample(&format!("2021-06-{day}T00:00:00Z"), 0.5, None)).await.unwrap();
    }
    let at = |day: u32| Some(format!("2021-06-{day}T00:00:00Z").parse().unwrap());
    let query = SampleQuery { start: at(12), end: at(17), limit: 4, ..all() };
    let found = store.find(&query).await.unwrap();
    let days: Vec<String> = found.iter().map(|sample| sample.timestamp.to_string()).collect();
    assert_eq!(days, [17, 16, 15, 14].map(|day| format!("2021-06-{day}T00:00:00Z")));
    let farm_id = FarmId::parse(&"0".repeat(32)).unwrap();
    assert!(store.find(&SampleQuery { farm_id, ..all() }).await.unwrap().is_empty());
}

async fn reopened_database_keeps_its_samples(bench: &impl Bench) {
    let store = bench.open().await;
    store.insert(&sample("2021-06-17T10:00:00Z", 0.3, None)).await.unwrap();
    store.close().await;
    let store = bench.open().await;
    assert_eq!(store.find(&all()).await.unwrap().len(), 1);
    store.ping().await.unwrap();
}

async fn damaged_sample_is_named(bench: &impl Bench) {
    let store = bench.open().await;
    store.insert(&sample("2021-06-17T10:00:00Z", 0.3, None)).await.unwrap();
    bench.run(bench.damage_samples()).await;
    let error = store.find(&all()).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(error.to_string(), "sample 1 in the database is damaged");
}

/// Nobody hears of a lock, however many write.
async fn writers_and_readers_at_once_are_all_served(bench: &impl Bench) {
    let store = bench.open().await;
    let second = bench.open().await;
    let outcomes = at_once((0..200).map(|number| {
        let store = Arc::clone(if number % 2 == 0 { &store } else { &second });
        async move {
            let time = format!("2021-06-17T10:{:02}:{:02}Z", number / 60, number % 60);
            store.insert(&sample(&time, 0.3, None)).await.unwrap();
            store.find(&all()).await.unwrap().len()
        }
    }))
    .await;
    assert_eq!(outcomes.len(), 200);
    assert_eq!(store.find(&all()).await.unwrap().len(), 200);
}
