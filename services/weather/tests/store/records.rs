//! Which answers do the tests store?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::{Date, date};
use weather::domain::ask::{Ask, ProviderName, Question};
use weather::domain::day::Day;
use weather::domain::place::{Cell, Zone};
use weather::domain::report::Report;
use weather::providers::Fetched;
use weather::store::Record;

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn asked(question: Question) -> Ask {
    Ask {
        provider: ProviderName::OpenMeteo,
        question,
        cell: Cell::of(-1.29, 36.82),
        zone: Zone::named("Africa/Nairobi").unwrap(),
    }
}

pub(crate) fn ask(start: i8, end: i8) -> Ask {
    let november = |day| -> Date { date(2026, 11, day) };
    asked(Question::Daily { start: november(start), end: november(end) })
}

pub(crate) fn day(number: i8, t_min_c: f64) -> Day {
    Day {
        day: date(2026, 11, number),
        t_min_c: Some(t_min_c),
        t_max_c: Some(25.5),
        precipitation_mm: None,
        wind_speed_max_mps: Some(6.8),
    }
}

/// An answer about the days from `start` to `end` that came at `seconds`.
pub(crate) fn record(start: i8, end: i8, t_min_c: f64, seconds: u64) -> Record {
    let days = (start..=end).map(|number| day(number, t_min_c)).collect();
    let body = format!("answer of {seconds}").into_bytes();
    record_of(ask(start, end), Report::Daily(days), body, seconds)
}

pub(crate) fn record_of(ask: Ask, report: Report, body: Vec<u8>, seconds: u64) -> Record {
    let fetched = Fetched {
        report,
        body: body.into(),
        http_status: 200,
        took: Duration::from_millis(12),
        weight: 1.0,
    };
    Record::new(ask, at(seconds), fetched)
}
