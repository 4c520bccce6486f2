//! What must every database do?

use std::sync::Arc;
use std::time::Duration;

use weather::domain::ask::Question;
use weather::domain::place::{Cell, Zone};
use weather::domain::point::{Point, PointState};
use weather::domain::report::Report;
use weather::metrics::WeatherMetrics;
use weather::store::writer::StoreWriter;
use weather::store::{Record, Store, WeatherStore};

use crate::place::{Place, try_open};
use crate::records::{ask, asked, at, day, record, record_of};

pub(crate) async fn newest_answer_of_a_question_is_found(place: &Place) {
    let store = place.open().await;
    store.append(&[record(1, 3, 1.0, 10), record(1, 3, 2.0, 20)]).await.unwrap();
    store.append(&[record(1, 2, 3.0, 30)]).await.unwrap();
    let stored = store.newest(&ask(1, 3), at(0)).await.unwrap().unwrap();
    assert_eq!((stored.body.as_slice(), stored.fetched_at), (&b"answer of 20"[..], at(20)));
    assert!(store.newest(&ask(1, 3), at(20)).await.unwrap().is_some());
    assert_eq!(store.newest(&ask(1, 3), at(21)).await.unwrap(), None);
}

pub(crate) async fn questions_are_told_apart(place: &Place) {
    let store = place.open().await;
    let here = asked(Question::Current);
    let mut there = here.clone();
    there.cell = Cell::of(-1.28, 36.82);
    let mut elsewhen = here.clone();
    elsewhen.zone = Zone::named("America/Argentina/ComodRivadavia").unwrap();
    let asks = [here, there, elsewhen, asked(Question::Hourly)];
    let named = |number: usize| format!("answer {number}").into_bytes();
    for (number, ask) in asks.iter().enumerate() {
        let report = Report::Hourly(Vec::new());
        store.append(&[record_of(ask.clone(), report, named(number), 10)]).await.unwrap();
    }
    for (number, ask) in asks.iter().enumerate() {
        let stored = store.newest(ask, at(0)).await.unwrap().unwrap();
        assert_eq!(stored.body, named(number));
    }
}

pub(crate) async fn days_are_put_together_from_several_answers(place: &Place) {
    let store = place.open().await;
    store.append(&[record(1, 3, 1.0, 10), record(3, 5, 2.0, 20)]).await.unwrap();
    let (days, oldest) = store.newest_days(&ask(2, 5), at(0)).await.unwrap().unwrap();
    assert_eq!(days, [day(2, 1.0), day(3, 2.0), day(4, 2.0), day(5, 2.0)]);
    assert_eq!(oldest, at(10));
    assert_eq!(store.newest_days(&ask(2, 5), at(11)).await.unwrap(), None, "one is too old");
    assert_eq!(store.newest_days(&ask(5, 6), at(0)).await.unwrap(), None, "one is unknown");
    assert_eq!(store.newest_days(&asked(Question::Current), at(0)).await.unwrap(), None);
}

pub(crate) async fn older_answer_never_replaces_a_newer_day(place: &Place) {
    let store = place.open().await;
    store.append(&[record(1, 1, 2.0, 20), record(1, 1, 1.0, 10)]).await.unwrap();
    let (days, oldest) = store.newest_days(&ask(1, 1), at(0)).await.unwrap().unwrap();
    assert_eq!((days, oldest), (vec![day(1, 2.0)], at(20)));
    store.append(&[record(1, 1, 3.0, 20)]).await.unwrap();
    let (days, _) = store.newest_days(&ask(1, 1), at(0)).await.unwrap().unwrap();
    assert_eq!(days, [day(1, 3.0)], "of two that came together the later counts");
}

pub(crate) async fn answers_are_stored_all_or_none(place: &Place) {
    let store = place.open().await;
    let table = place.table("daily_value");
    place.run(&format!("ALTER TABLE {table} RENAME TO elsewhere")).await;
    let current = record_of(asked(Question::Current), Report::Hourly(Vec::new()), vec![1], 10);
    let batch = [current, record(1, 1, 1.0, 10)];
    let error = store.append(&batch).await.unwrap_err();
    assert!(!error.is_refusal(), "the answers are not at fault: {error}");
    assert_eq!(place.count("provider_fetch").await, 0);
    place.run(&format!("ALTER TABLE elsewhere RENAME TO {table}")).await;
    store.append(&batch).await.unwrap();
    assert_eq!(place.count("provider_fetch").await, 2);
}

pub(crate) async fn fetch_that_is_stored_twice_is_there_once(place: &Place) {
    let store = place.open().await;
    let batch = [record(1, 2, 1.0, 10), record(1, 2, 1.0, 10)];
    store.append(&batch).await.unwrap();
    store.append(&batch).await.unwrap();
    assert_eq!(place.count("provider_fetch").await, 2, "two fetches of one moment are two");
    assert_eq!(place.count("daily_value").await, 2);
}

pub(crate) async fn body_of_a_mebibyte_comes_back_as_it_was(place: &Place) {
    let store = place.open().await;
    let body: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let ask = asked(Question::Hourly);
    let large = record_of(ask.clone(), Report::Hourly(Vec::new()), body.clone(), 10);
    store.append(&[large]).await.unwrap();
    assert!(store.newest(&ask, at(0)).await.unwrap().unwrap().body == body);
}

pub(crate) async fn rows_past_their_retention_are_forgotten(place: &Place) {
    let store = place.open().await;
    store.append(&[record(1, 2, 1.0, 10), record(3, 3, 2.0, 20)]).await.unwrap();
    assert_eq!(store.forget(at(15)).await.unwrap(), 3, "one answer and its two days");
    assert_eq!(store.forget(at(15)).await.unwrap(), 0);
    assert!(store.newest(&ask(3, 3), at(0)).await.unwrap().is_some());
    assert!(store.newest_days(&ask(3, 3), at(0)).await.unwrap().is_some());
}

pub(crate) async fn forgetting_is_bounded(place: &Place) {
    let store = place.open().await;
    let records: Vec<Record> = (0..600).map(|second| record(1, 1, 1.0, second)).collect();
    store.append(&records).await.unwrap();
    assert_eq!(store.forget(at(1000)).await.unwrap(), 501, "500 answers and one day");
    assert_eq!(store.forget(at(1000)).await.unwrap(), 100);
}

pub(crate) async fn reopened_database_keeps_its_answers(place: &Place) {
    let store = place.open().await;
    store.append(&[record(1, 1, 1.0, 10)]).await.unwrap();
    store.close().await;
    let store = place.open().await;
    assert!(store.newest(&ask(1, 1), at(0)).await.unwrap().is_some());
}

pub(crate) async fn queued_answers_are_written_before_the_stop(place: &Place) {
    let store = place.open().await;
    let (writer, writing) = StoreWriter::start(
        Arc::clone(&store) as Arc<dyn WeatherStore>,
        100,
        Duration::from_secs(u64::from(u32::MAX)),
        WeatherMetrics::detached().unwrap(),
    );
    for number in 0..50 {
        writer.write(record(1, 1, 1.0, number));
    }
    writing.finish(Duration::from_secs(30)).await;
    assert!(!writer.is_running());
    let stored = store.newest(&ask(1, 1), at(0)).await.unwrap().unwrap();
    assert_eq!(stored.body, b"answer of 49");
}

pub(crate) async fn two_that_start_together_make_the_tables_once(place: &Place) {
    let settings = place.settings();
    let (one, other) = tokio::join!(try_open(&settings), try_open(&settings));
    one.unwrap().append(&[record(1, 1, 1.0, 10)]).await.unwrap();
    assert!(other.unwrap().newest(&ask(1, 1), at(0)).await.unwrap().is_some());
}

pub(crate) async fn two_that_write_together_lose_nothing(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    let write = |store: Arc<dyn Store>| async move {
        for second in 0..20 {
            let batch = [record(1, 9, 1.0, second), record(5, 14, 2.0, second)];
            // Who loses a dead lock tries again, as the writer does.
            while let Err(error) = store.append(&batch).await {
                assert!(!error.is_refusal(), "{error}");
            }
        }
    };
    tokio::join!(tokio::spawn(write(one)), tokio::spawn(write(Arc::clone(&other)))).0.unwrap();
    assert_eq!(place.count("provider_fetch").await, 80);
    assert_eq!(place.count("daily_value").await, 14);
}

pub(crate) async fn tables_of_a_newer_version_are_refused(place: &Place) {
    place.open().await.close().await;
    let migrations = place.migrations();
    place.run(&format!("UPDATE {migrations} SET version = 9000 WHERE version = 1")).await;
    let error = try_open(&place.settings()).await.unwrap_err().to_string();
    assert!(error.contains("9000") && error.contains("version"), "{error}");
}

fn point(lat: f64, zone: &str) -> Point {
    Point { cell: Cell::of(lat, 36.82), zone: Zone::named(zone).unwrap() }
}

async fn listed(store: &dyn Store) -> Vec<Point> {
    let states = store.points(100).await.unwrap();
    states.into_iter().map(|state| state.point).collect()
}

pub(crate) async fn points_are_listed_once_and_in_order(place: &Place) {
    let store = place.open().await;
    let (north, south) = (point(2.0, "Africa/Nairobi"), point(-1.29, "Africa/Nairobi"));
    let other_zone = point(-1.29, "UTC");
    assert!(store.register(&[north.clone(), south.clone()], 9).await.unwrap());
    assert!(store.register(&[south.clone(), other_zone.clone()], 9).await.unwrap());
    assert_eq!(listed(&*store).await, [south.clone(), other_zone.clone(), north.clone()]);
    assert!(store.remove(&south).await.unwrap());
    assert!(!store.remove(&south).await.unwrap());
    store.close().await;
    assert_eq!(listed(&*place.open().await).await, [other_zone, north]);
}

pub(crate) async fn points_are_bounded_by_number(place: &Place) {
    let store = place.open().await;
    let points: Vec<Point> = (0..4).map(|lat| point(f64::from(lat), "UTC")).collect();
    assert!(store.register(&points[..2], 3).await.unwrap());
    assert!(!store.register(&points[1..], 3).await.unwrap());
    assert_eq!(listed(&*store).await, points[..2], "all or none");
    assert!(store.register(&points[1..3], 3).await.unwrap());
    assert_eq!(store.points(2).await.unwrap().len(), 2);
}

pub(crate) async fn outcome_of_fetching_is_noted(place: &Place) {
    let store = place.open().await;
    let point = point(1.0, "Africa/Nairobi");
    store.register(std::slice::from_ref(&point), 9).await.unwrap();
    let state = |last_ok, last_error: Option<&str>| PointState {
        point: point.clone(),
        last_ok,
        last_error: last_error.map(str::to_owned),
    };
    let told = "the provider said: ungültig, 無効 🌧";
    store.mark(&[state(Some(at(10)), None)]).await.unwrap();
    store.mark(&[state(None, Some(told))]).await.unwrap();
    assert_eq!(store.points(9).await.unwrap(), [state(Some(at(10)), Some(told))]);
    store.mark(&[state(Some(at(20)), None)]).await.unwrap();
    assert_eq!(store.points(9).await.unwrap(), [state(Some(at(20)), None)]);
    store.register(std::slice::from_ref(&point), 9).await.unwrap();
    assert_eq!(store.points(9).await.unwrap(), [state(Some(at(20)), None)]);
    store.remove(&point).await.unwrap();
    store.mark(&[state(Some(at(30)), None)]).await.unwrap();
    assert_eq!(store.points(9).await.unwrap(), [], "what is off the list stays off");
}

pub(crate) async fn one_of_several_leads(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    let minute = Duration::from_secs(60);
    assert!(one.lead("one", minute).await.unwrap());
    assert!(!other.lead("other", minute).await.unwrap());
    assert!(one.lead("one", Duration::ZERO).await.unwrap(), "who leads goes on");
    assert!(other.lead("other", minute).await.unwrap(), "whose time is over is followed");
    assert!(!one.lead("one", minute).await.unwrap());
}
