//! Does the SQLite store give back what it was given, and forget what it should?
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::Directory;
use jiff::civil::{Date, date};
use weather::domain::ask::{Ask, ProviderName, Question};
use weather::domain::day::Day;
use weather::domain::place::{Cell, Zone};
use weather::domain::report::Report;
use weather::metrics::WeatherMetrics;
use weather::providers::Fetched;
use weather::store::sqlite::SqliteStore;
use weather::store::writer::StoreWriter;
use weather::store::{Record, WeatherStore};

async fn open(directory: &Directory) -> SqliteStore {
    let url = format!("sqlite://{}", directory.path().join("weather.db").display());
    SqliteStore::open(&url, 2).await.unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn ask(start: Date, end: Date) -> Ask {
    Ask {
        provider: ProviderName::OpenMeteo,
        question: Question::Daily { start, end },
        cell: Cell::of(-1.29, 36.82),
        zone: Zone::named("Africa/Nairobi").unwrap(),
    }
}

fn day(number: i8, t_min_c: f64) -> Day {
    Day {
        day: date(2026, 11, number),
        t_min_c: Some(t_min_c),
        t_max_c: Some(25.5),
        precipitation_mm: None,
        wind_speed_max_mps: Some(6.8),
    }
}

fn record(start: i8, end: i8, t_min_c: f64, seconds: u64) -> Record {
    let days = (start..=end).map(|number| day(number, t_min_c)).collect();
    Record {
        ask: ask(date(2026, 11, start), date(2026, 11, end)),
        fetched_at: at(seconds),
        fetched: Fetched {
            report: Report::Daily(days),
            body: format!("answer of {seconds}").into_bytes().into(),
            http_status: 200,
            took: Duration::from_millis(12),
            weight: 1.0,
        },
    }
}

#[tokio::test]
async fn newest_answer_of_a_question_is_found() {
    let directory = Directory::new();
    let store = open(&directory).await;
    store.append(&[record(1, 3, 1.0, 10), record(1, 3, 2.0, 20)]).await.unwrap();
    store.append(&[record(1, 2, 3.0, 30)]).await.unwrap();
    let asked = ask(date(2026, 11, 1), date(2026, 11, 3));
    let stored = store.newest(&asked, at(0)).await.unwrap().unwrap();
    assert_eq!((stored.body.as_slice(), stored.fetched_at), (&b"answer of 20"[..], at(20)));
    assert_eq!(store.newest(&asked, at(21)).await.unwrap(), None);
}

#[tokio::test]
async fn days_are_put_together_from_several_answers() {
    let directory = Directory::new();
    let store = open(&directory).await;
    store.append(&[record(1, 3, 1.0, 10), record(3, 5, 2.0, 20)]).await.unwrap();
    let asked = ask(date(2026, 11, 2), date(2026, 11, 5));
    let (days, oldest) = store.newest_days(&asked, at(0)).await.unwrap().unwrap();
    assert_eq!(days, [day(2, 1.0), day(3, 2.0), day(4, 2.0), day(5, 2.0)]);
    assert_eq!(oldest, at(10));
    assert_eq!(store.newest_days(&asked, at(11)).await.unwrap(), None, "one day is too old");
    let beyond = ask(date(2026, 11, 5), date(2026, 11, 6));
    assert_eq!(store.newest_days(&beyond, at(0)).await.unwrap(), None, "one day is unknown");
}

#[tokio::test]
async fn older_answer_never_replaces_a_newer_day() {
    let directory = Directory::new();
    let store = open(&directory).await;
    store.append(&[record(1, 1, 2.0, 20), record(1, 1, 1.0, 10)]).await.unwrap();
    let asked = ask(date(2026, 11, 1), date(2026, 11, 1));
    let (days, oldest) = store.newest_days(&asked, at(0)).await.unwrap().unwrap();
    assert_eq!((days, oldest), (vec![day(1, 2.0)], at(20)));
}

#[tokio::test]
async fn rows_past_their_retention_are_forgotten() {
    let directory = Directory::new();
    let store = open(&directory).await;
    store.append(&[record(1, 2, 1.0, 10), record(3, 3, 2.0, 20)]).await.unwrap();
    assert_eq!(store.forget(at(15)).await.unwrap(), 3, "one answer and its two days");
    assert_eq!(store.forget(at(15)).await.unwrap(), 0);
    let kept = ask(date(2026, 11, 3), date(2026, 11, 3));
    assert!(store.newest(&kept, at(0)).await.unwrap().is_some());
    assert!(store.newest_days(&kept, at(0)).await.unwrap().is_some());
}

#[tokio::test]
async fn reopened_file_keeps_its_answers() {
    let directory = Directory::new();
    let store = open(&directory).await;
    store.append(&[record(1, 1, 1.0, 10)]).await.unwrap();
    store.close().await;
    let asked = ask(date(2026, 11, 1), date(2026, 11, 1));
    assert!(open(&directory).await.newest(&asked, at(0)).await.unwrap().is_some());
}

#[tokio::test]
async fn queued_answers_are_written_before_the_stop() {
    let directory = Directory::new();
    let store = Arc::new(open(&directory).await);
    let metrics = WeatherMetrics::detached().unwrap();
    let (writer, writing) = StoreWriter::start(
        Arc::clone(&store) as Arc<dyn WeatherStore>,
        100,
        Duration::from_secs(u64::from(u32::MAX)),
        metrics,
    );
    for number in 0..50 {
        writer.write(record(1, 1, 1.0, number));
    }
    writing.finish(Duration::from_secs(30)).await;
    assert!(!writer.is_running());
    let asked = ask(date(2026, 11, 1), date(2026, 11, 1));
    let stored = store.newest(&asked, at(0)).await.unwrap().unwrap();
    assert_eq!(stored.body, b"answer of 49");
}
