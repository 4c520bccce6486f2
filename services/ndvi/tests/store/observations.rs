//! Is what scenes showed of a field kept whole, exact and apart from its other outlines?

use jiff::civil::{Date, date};
use ndvi::domain::footprint::PixelRule;
use ndvi::domain::observation::{Absent, Flag, Numbers, Observation};
use ndvi::domain::offset::OffsetReason;
use ndvi::domain::statistics::Summary;
use ndvi::store::{Seen, Series, StoreError, Survey};

use crate::bench::{Bench, at, on_each_database};
use crate::fields::id;

on_each_database! {
    damaged_observation_is_named
    days_and_limit_are_kept
    numbers_come_back_exactly
    observations_of_other_outlines_and_rules_are_apart
    refused_observation_leaves_nothing_of_its_survey
    repeated_survey_replaces_what_it_saw
    surveys_are_found_by_common_days_newest_first
}

fn series(revision: i64) -> Series {
    Series { field: id("north-1"), revision, engine_version: "3".to_owned() }
}

fn survey(start: Date, end: Date, seconds: i64) -> Survey {
    Survey { start, end, max_cloud_percent: None, at: at(seconds), unread_count: 0 }
}

fn june() -> (Date, Date) {
    (date(2021, 6, 1), date(2021, 6, 30))
}

fn seen(scene_id: &str, acquired_at: &str, mean: f64) -> Seen {
    let summary = Summary {
        mean,
        min: -1.742,
        max: 0.1 + 0.2,
        std: f64::MIN_POSITIVE,
        median: 1.0 / 3.0,
        p10: -0.0,
        p25: 2.0_f64.sqrt(),
        p75: 1e-300,
        p90: f64::from_bits(0x3FE9_9999_9999_999B),
    };
    Seen {
        scene_id: scene_id.to_owned(),
        acquired_at: acquired_at.parse().unwrap(),
        scene_cloud_cover_percent: Some(12.3),
        observation: Observation {
            ndvi: Numbers::Some(summary),
            pixel_count: 487,
            valid_count: 400,
            valid_pixel_fraction: Some(400.0 / 487.0),
            cloud_fraction: None,
            offset_dn: -1_000,
            offset_reason: OffsetReason::BaselineWithOffset,
            pixel_rule: PixelRule::AllTouched,
            flags: vec![Flag::SubpixelField, Flag::OffsetSuspect],
        },
    }
}

fn cloudy(scene_id: &str, acquired_at: &str) -> Seen {
    let mut seen = seen(scene_id, acquired_at, 0.0);
    seen.scene_cloud_cover_percent = None;
    seen.observation.ndvi = Numbers::None(Absent::default());
    seen.observation.cloud_fraction = Some(1.0);
    seen.observation.flags = Vec::new();
    seen
}

async fn numbers_come_back_exactly(bench: &impl Bench) {
    let store = bench.open().await;
    let put =
        [cloudy("S2A", "2021-06-14T10:05:59.123456Z"), seen("S2B", "2021-06-17T10:05:59Z", 0.5)];
    let (start, end) = june();
    store.put_seen(&series(1), &survey(start, end, 0), &put).await.unwrap();
    assert_eq!(store.seen(&series(1), start, end, 10).await.unwrap(), put);
}

async fn repeated_survey_replaces_what_it_saw(bench: &impl Bench) {
    let store = bench.open().await;
    let (start, end) = june();
    let first = Survey { unread_count: 2, ..survey(start, end, 0) };
    let time = "2021-06-17T10:05:59Z";
    store
        .put_seen(&series(1), &first, &[seen("S2A", time, 0.1), seen("S2B", time, 0.2)])
        .await
        .unwrap();
    let again = survey(start, end, 60);
    store.put_seen(&series(1), &again, &[cloudy("S2B", time)]).await.unwrap();
    let found = store.seen(&series(1), start, end, 10).await.unwrap();
    assert_eq!(found, [seen("S2A", time, 0.1), cloudy("S2B", time)]);
    assert_eq!(store.surveys(&series(1), start, end, 10).await.unwrap(), [again]);
    // What was asked earlier says nothing new.
    store.put_seen(&series(1), &first, &[]).await.unwrap();
    assert_eq!(store.surveys(&series(1), start, end, 10).await.unwrap(), [again]);
}

async fn observations_of_other_outlines_and_rules_are_apart(bench: &impl Bench) {
    let store = bench.open().await;
    let (start, end) = june();
    let one = [seen("S2A", "2021-06-17T10:05:59Z", 0.1)];
    store.put_seen(&series(1), &survey(start, end, 0), &one).await.unwrap();
    let other_rules = Series { engine_version: "4".to_owned(), ..series(1) };
    let other_field = Series { field: id("south"), ..series(1) };
    for other in [series(2), other_rules, other_field] {
        assert!(store.seen(&other, start, end, 10).await.unwrap().is_empty());
        assert!(store.surveys(&other, start, end, 10).await.unwrap().is_empty());
        let mean = [seen("S2A", "2021-06-17T10:05:59Z", 0.2)];
        store.put_seen(&other, &survey(start, end, 0), &mean).await.unwrap();
    }
    assert_eq!(store.seen(&series(1), start, end, 10).await.unwrap(), one);
}

async fn days_and_limit_are_kept(bench: &impl Bench) {
    let store = bench.open().await;
    let times = [
        "2021-05-31T23:59:59.999999Z",
        "2021-06-01T00:00:00Z",
        "2021-06-30T23:59:59.999999Z",
        "2021-07-01T00:00:00Z",
    ];
    let put: Vec<Seen> =
        times.iter().rev().map(|time| seen(&format!("S2-{time}"), time, 0.5)).collect();
    let (start, end) = june();
    store.put_seen(&series(1), &survey(start, end, 0), &put).await.unwrap();
    let found = store.seen(&series(1), start, end, 10).await.unwrap();
    assert_eq!(found, [put[2].clone(), put[1].clone()], "oldest first");
    let newest = store.seen(&series(1), start, end, 1).await.unwrap();
    assert_eq!(newest, [put[1].clone()]);
}

async fn surveys_are_found_by_common_days_newest_first(bench: &impl Bench) {
    let store = bench.open().await;
    let of = |from: i8, to: i8, seconds| survey(date(2021, 6, from), date(2021, 6, to), seconds);
    let clear = Survey { max_cloud_percent: Some(20.5), ..of(10, 19, 20) };
    for survey in [of(1, 9, 0), of(10, 19, 10), clear, of(15, 25, 5), of(20, 30, 40)] {
        store.put_seen(&series(1), &survey, &[]).await.unwrap();
    }
    let (start, end) = (date(2021, 6, 10), date(2021, 6, 19));
    let found = store.surveys(&series(1), start, end, 10).await.unwrap();
    assert_eq!(found, [clear, of(10, 19, 10), of(15, 25, 5)]);
    assert_eq!(store.surveys(&series(1), start, end, 1).await.unwrap(), [clear]);
}

async fn refused_observation_leaves_nothing_of_its_survey(bench: &impl Bench) {
    let store = bench.open().await;
    let (start, end) = june();
    let time = "2021-06-17T10:05:59Z";
    let put = [seen("S2A", time, 0.1), seen("S2B", time, f64::INFINITY)];
    let error = store.put_seen(&series(1), &survey(start, end, 0), &put).await.unwrap_err();
    assert!(matches!(error, StoreError::Statement(_)), "{error}");
    assert!(store.seen(&series(1), start, end, 10).await.unwrap().is_empty());
    assert!(store.surveys(&series(1), start, end, 10).await.unwrap().is_empty());
}

async fn damaged_observation_is_named(bench: &impl Bench) {
    let store = bench.open().await;
    let (start, end) = june();
    let put = [seen("S2A", "2021-06-17T10:05:59Z", 0.1)];
    store.put_seen(&series(1), &survey(start, end, 0), &put).await.unwrap();
    bench.run("UPDATE ndvi_observations SET flags = '[\"a_guess\"]' RETURNING scene_id").await;
    let error = store.seen(&series(1), start, end, 10).await.unwrap_err();
    assert_eq!(error.to_string(), "observation of scene S2A in the database is damaged");
    bench.run("UPDATE ndvi_observations SET flags = '[]', p90 = NULL RETURNING scene_id").await;
    assert!(store.seen(&series(1), start, end, 10).await.is_err(), "a number is missing");
}
