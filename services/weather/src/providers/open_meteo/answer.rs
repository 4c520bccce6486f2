//! What does an answer of Open-Meteo say, and can it be trusted?
//!
//! An answer is taken whole or not at all: the block that was asked for must be there, with its
//! units, and all its columns must be as long as its time column. A body with an error text after
//! the JSON, which the provider sends under status 200 when it fails half way, does not parse.
//!
//! A range that several hosts answered is kept as the JSON array of their answers.

use std::collections::BTreeMap;

use axum::body::Bytes;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::ask::{Ask, Question};
use crate::domain::day::Day;
use crate::domain::report::{Hour, Observation, Report};
use crate::domain::units::{self, Conversion};
use crate::providers::failure::ProviderError;

type Column = Vec<Option<f64>>;

#[derive(Deserialize)]
struct Body {
    utc_offset_seconds: i32,
    current: Option<Current>,
    current_units: Option<CurrentUnits>,
    hourly: Option<Hourly>,
    hourly_units: Option<HourlyUnits>,
    daily: Option<Daily>,
    daily_units: Option<DailyUnits>,
}

#[derive(Deserialize)]
struct Current {
    time: String,
    temperature_2m: Option<f64>,
    wind_speed_10m: Option<f64>,
}

#[derive(Deserialize)]
struct CurrentUnits {
    temperature_2m: String,
    wind_speed_10m: String,
}

#[derive(Deserialize)]
struct Hourly {
    time: Vec<String>,
    temperature_2m: Column,
    precipitation: Column,
    wind_speed_10m: Column,
    cloud_cover: Column,
}

#[derive(Deserialize)]
struct HourlyUnits {
    temperature_2m: String,
    precipitation: String,
    wind_speed_10m: String,
    cloud_cover: String,
}

#[derive(Deserialize)]
struct Daily {
    time: Vec<String>,
    temperature_2m_max: Column,
    temperature_2m_min: Column,
    precipitation_sum: Column,
    wind_speed_10m_max: Column,
}

#[derive(Deserialize)]
struct DailyUnits {
    temperature_2m_max: String,
    temperature_2m_min: String,
    precipitation_sum: String,
    wind_speed_10m_max: String,
}

/// Reads a whole body as the answer to `ask`.
///
/// # Errors
/// [`ProviderError::InvalidResponse`] when it is not JSON to the last byte, when the block or its
/// units are missing, when columns differ in length or are empty, or when a unit is unknown.
pub fn read(ask: &Ask, body: &[u8]) -> Result<Report, ProviderError> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return read_one(ask.question, body);
    }
    let parts: Vec<&RawValue> = serde_json::from_slice(body).map_err(no_json)?;
    let mut days = BTreeMap::new();
    for part in parts {
        let Report::Daily(read) = read_one(ask.question, part.get().as_bytes())? else {
            return Err(ProviderError::invalid("only days may be answered in parts"));
        };
        for day in read {
            merge(&mut days, day);
        }
    }
    if days.is_empty() {
        return Err(ProviderError::invalid("it has no part"));
    }
    Ok(Report::Daily(days.into_values().collect()))
}

/// One body that holds the answers of several hosts, in the order of their rank.
#[must_use]
pub fn join(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut body = vec![b'['];
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(part);
    }
    body.push(b']');
    Bytes::from(body)
}

/// Of two answers about a day the fuller one counts, whole: values of two models are not mixed.
/// Of equals the first counts.
fn merge(days: &mut BTreeMap<Date, Day>, day: Day) {
    let known = days.entry(day.day).or_insert(day);
    if day.missing_fields().count() < known.missing_fields().count() {
        *known = day;
    }
}

fn no_json(error: serde_json::Error) -> ProviderError {
    ProviderError::invalid(format!("it is not the JSON expected: {error}"))
}

/// Reads the answer of one host.
///
/// # Errors
/// As [`read`].
pub fn read_one(question: Question, body: &[u8]) -> Result<Report, ProviderError> {
    let body: Body = serde_json::from_slice(body).map_err(no_json)?;
    match question {
        Question::Current => {
            let (block, units) = pair("current", body.current, body.current_units)?;
            current(&block, &units, body.utc_offset_seconds).map(Report::Current)
        }
        Question::Hourly => {
            let (block, units) = pair("hourly", body.hourly, body.hourly_units)?;
            hourly(&block, &units, body.utc_offset_seconds).map(Report::Hourly)
        }
        Question::Daily { start, end } => {
            let (block, units) = pair("daily", body.daily, body.daily_units)?;
            daily(&block, &units, start, end).map(Report::Daily)
        }
    }
}

fn current(
    block: &Current,
    units: &CurrentUnits,
    utc_offset_seconds: i32,
) -> Result<Observation, ProviderError> {
    let celsius = known("temperature_2m", &units.temperature_2m, units::to_celsius)?;
    let speed = known("wind_speed_10m", &units.wind_speed_10m, units::to_metres_per_second)?;
    if block.temperature_2m.is_none() && block.wind_speed_10m.is_none() {
        return Err(ProviderError::invalid("the present has no value"));
    }
    Ok(Observation {
        observed_at: instant(&block.time, utc_offset_seconds)?,
        temperature_c: celsius.apply(block.temperature_2m),
        wind_speed_mps: speed.apply(block.wind_speed_10m),
    })
}

fn hourly(
    block: &Hourly,
    units: &HourlyUnits,
    utc_offset_seconds: i32,
) -> Result<Vec<Hour>, ProviderError> {
    let celsius = known("temperature_2m", &units.temperature_2m, units::to_celsius)?;
    let rain = known("precipitation", &units.precipitation, units::to_millimetres)?;
    let speed = known("wind_speed_10m", &units.wind_speed_10m, units::to_metres_per_second)?;
    let percent = known("cloud_cover", &units.cloud_cover, units::to_percent)?;
    let columns =
        [&block.temperature_2m, &block.precipitation, &block.wind_speed_10m, &block.cloud_cover];
    let hours: Vec<Hour> = rows("hourly", &block.time, columns)?
        .map(|(time, [temperature, precipitation, wind, cloud])| {
            Ok(Hour {
                timestamp: instant(time, utc_offset_seconds)?,
                temperature_c: celsius.apply(temperature),
                precipitation_mm: rain.apply(precipitation),
                wind_speed_mps: speed.apply(wind),
                cloud_cover_pct: percent.apply(cloud),
            })
        })
        .collect::<Result<_, ProviderError>>()?;
    in_order(&hours, |hour| hour.timestamp)?;
    let is_empty = |hour: &Hour| {
        let Hour { temperature_c, precipitation_mm, wind_speed_mps, cloud_cover_pct, .. } = hour;
        [temperature_c, precipitation_mm, wind_speed_mps, cloud_cover_pct]
            .iter()
            .all(|value| value.is_none())
    };
    if hours.iter().all(is_empty) {
        return Err(ProviderError::invalid("no hour has a value"));
    }
    Ok(hours)
}

fn daily(
    block: &Daily,
    units: &DailyUnits,
    start: Date,
    end: Date,
) -> Result<Vec<Day>, ProviderError> {
    let highest = known("temperature_2m_max", &units.temperature_2m_max, units::to_celsius)?;
    let lowest = known("temperature_2m_min", &units.temperature_2m_min, units::to_celsius)?;
    let rain = known("precipitation_sum", &units.precipitation_sum, units::to_millimetres)?;
    let speed =
        known("wind_speed_10m_max", &units.wind_speed_10m_max, units::to_metres_per_second)?;
    let columns = [
        &block.temperature_2m_min,
        &block.temperature_2m_max,
        &block.precipitation_sum,
        &block.wind_speed_10m_max,
    ];
    let days: Vec<Day> = rows("daily", &block.time, columns)?
        .map(|(time, [t_min, t_max, precipitation, wind])| {
            Ok(Day {
                day: calendar_day(time, start, end)?,
                t_min_c: lowest.apply(t_min),
                t_max_c: highest.apply(t_max),
                precipitation_mm: rain.apply(precipitation),
                wind_speed_max_mps: speed.apply(wind),
            })
        })
        .collect::<Result<_, ProviderError>>()?;
    in_order(&days, |day| day.day)?;
    Ok(days)
}

fn pair<B, U>(name: &str, block: Option<B>, units: Option<U>) -> Result<(B, U), ProviderError> {
    match (block, units) {
        (Some(block), Some(units)) => Ok((block, units)),
        (None, _) => Err(ProviderError::invalid(format!("`{name}` is missing"))),
        (_, None) => Err(ProviderError::invalid(format!("`{name}_units` is missing"))),
    }
}

fn known(
    variable: &str,
    unit: &str,
    conversion: fn(&str) -> Option<Conversion>,
) -> Result<Conversion, ProviderError> {
    conversion(unit).ok_or_else(|| {
        ProviderError::invalid(format!("`{variable}` has the unknown unit {unit:?}"))
    })
}

/// Turns columns into rows, once it is clear that none is shorter or longer than the others.
fn rows<'a, const N: usize>(
    name: &str,
    times: &'a [String],
    columns: [&'a Column; N],
) -> Result<impl Iterator<Item = (&'a str, [Option<f64>; N])>, ProviderError> {
    if times.is_empty() {
        return Err(ProviderError::invalid(format!("`{name}` is empty")));
    }
    if let Some(column) = columns.iter().find(|column| column.len() != times.len()) {
        return Err(ProviderError::invalid(format!(
            "`{name}` has {} times but a column of {} values",
            times.len(),
            column.len()
        )));
    }
    let mut values = columns.map(|column| column.iter().copied());
    Ok(times
        .iter()
        .map(move |time| (time.as_str(), values.each_mut().map(|column| column.next().flatten()))))
}

fn in_order<T, K: PartialOrd>(rows: &[T], key: impl Fn(&T) -> K) -> Result<(), ProviderError> {
    if rows.is_sorted_by(|earlier, later| key(earlier) < key(later)) {
        return Ok(());
    }
    Err(ProviderError::invalid("its rows are not in the order of time"))
}

/// The whole answer has one offset, the zone's offset at the moment of the call. Looking local
/// times up in the zone instead would lose or double an hour when clocks change.
fn instant(local: &str, utc_offset_seconds: i32) -> Result<Timestamp, ProviderError> {
    let parsed = local
        .parse::<DateTime>()
        .and_then(|time| Offset::from_seconds(utc_offset_seconds)?.to_timestamp(time));
    parsed.map_err(|error| ProviderError::invalid(format!("the time {local:?} is wrong: {error}")))
}

fn calendar_day(text: &str, start: Date, end: Date) -> Result<Date, ProviderError> {
    let day: Date = text
        .parse()
        .map_err(|error| ProviderError::invalid(format!("the day {text:?} is wrong: {error}")))?;
    if (start..=end).contains(&day) {
        return Ok(day);
    }
    Err(ProviderError::invalid(format!("{day} was not asked for ({start} to {end})")))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a failed test panics"
    )]
    use super::*;
    use crate::domain::ask::ProviderName;
    use crate::domain::place::{Cell, Zone};
    use jiff::civil::date;
    use serde_json::{Value, json};

    const RECORDED: &str =
        include_str!("../../../tests/data/open_meteo_forecast_berlin_20211124.json");

    fn ask(question: Question) -> Ask {
        Ask {
            provider: ProviderName::OpenMeteo,
            question,
            cell: Cell::of(52.52, 13.42),
            zone: Zone::named("Europe/Berlin").unwrap(),
        }
    }

    fn days() -> Question {
        Question::Daily { start: date(2021, 11, 24), end: date(2021, 11, 30) }
    }

    /// The recording with one change that is not recorded.
    fn edited(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut body: Value = serde_json::from_str(RECORDED).unwrap();
        edit(&mut body);
        body.to_string().into_bytes()
    }

    #[track_caller]
    fn check_invalid(question: Question, body: &[u8], expected: &str) {
        match read(&ask(question), body) {
            Err(ProviderError::InvalidResponse { why }) if why.contains(expected) => {}
            other => panic!("expected {expected:?}, got {other:?}"),
        }
    }

    #[test]
    fn w11_answer_without_any_value_is_no_weather() {
        let body = edited(|body| {
            body["current"]["temperature_2m"] = Value::Null;
            body["current"]["wind_speed_10m"] = Value::Null;
        });
        check_invalid(Question::Current, &body, "no value");
        let body = edited(|body| {
            for column in ["temperature_2m", "precipitation", "wind_speed_10m", "cloud_cover"] {
                for value in body["hourly"][column].as_array_mut().unwrap() {
                    *value = Value::Null;
                }
            }
        });
        check_invalid(Question::Hourly, &body, "no hour has a value");
    }

    #[test]
    fn w1_unit_of_the_answer_decides() {
        for (unit, expected) in [("km/h", 1.472_222), ("m/s", 5.3), ("kn", 2.726_556)] {
            let body = edited(|body| body["current_units"]["wind_speed_10m"] = json!(unit));
            let Ok(Report::Current(observation)) = read(&ask(Question::Current), &body) else {
                panic!("{unit}: no observation");
            };
            assert_eq!(observation.wind_speed_mps, Some(expected), "{unit}");
        }
    }

    #[test]
    fn w1_unknown_unit_is_refused() {
        let body = edited(|body| body["daily_units"]["wind_speed_10m_max"] = json!("bft"));
        check_invalid(days(), &body, "`wind_speed_10m_max` has the unknown unit \"bft\"");
    }

    #[test]
    fn w4_no_hour_is_lost_when_clocks_change() {
        // Both days have 24 local hours in one offset, that of the call, although clocks in Berlin
        // went back on 31 October 2021.
        let body = edited(|body| {
            body["utc_offset_seconds"] = json!(7200);
            for (number, time) in
                body["hourly"]["time"].as_array_mut().unwrap().iter_mut().enumerate()
            {
                *time = json!(format!("2021-10-{}T{:02}:00", 25 + number / 24, number % 24));
            }
        });
        let ask = ask(Question::Hourly);
        let Ok(Report::Hourly(hours)) = read(&ask, &body) else { panic!("no hours") };
        assert_eq!(hours.len(), 168);
        for pair in hours.windows(2) {
            assert_eq!(pair[1].timestamp.as_second() - pair[0].timestamp.as_second(), 3600);
        }
        let sunday: Vec<_> = hours[146..149].iter().map(|h| ask.zone.write(h.timestamp)).collect();
        assert_eq!(
            sunday,
            ["2021-10-31T02:00:00+02:00", "2021-10-31T02:00:00+01:00", "2021-10-31T03:00:00+01:00"]
        );
    }

    #[test]
    fn w11_missing_block_is_refused() {
        for (question, block) in
            [(Question::Current, "current"), (Question::Hourly, "hourly"), (days(), "daily")]
        {
            for name in [block.to_owned(), format!("{block}_units")] {
                let body = edited(|body| {
                    body.as_object_mut().unwrap().remove(&name);
                });
                check_invalid(question, &body, &format!("`{name}` is missing"));
            }
        }
    }

    #[test]
    fn w11_columns_of_unequal_length_are_refused() {
        let body = edited(|body| {
            body["hourly"]["cloud_cover"].as_array_mut().unwrap().pop();
        });
        check_invalid(Question::Hourly, &body, "168 times but a column of 167 values");
        let body = edited(|body| {
            body["daily"].as_object_mut().unwrap().remove("precipitation_sum");
        });
        check_invalid(days(), &body, "precipitation_sum");
    }

    #[test]
    fn w11_empty_answer_is_refused() {
        let body = edited(|body| {
            for column in body["daily"].as_object_mut().unwrap().values_mut() {
                *column = json!([]);
            }
        });
        check_invalid(days(), &body, "`daily` is empty");
    }

    #[test]
    fn w11_other_days_than_asked_are_refused() {
        let asked = Question::Daily { start: date(2021, 11, 25), end: date(2021, 11, 30) };
        check_invalid(asked, RECORDED.as_bytes(), "2021-11-24 was not asked for");
    }

    #[test]
    fn error_text_after_the_json_is_refused() {
        let half = &RECORDED[..RECORDED.len() / 2];
        for body in [RECORDED, half] {
            let body = format!("{body}Unexpected error while streaming data: timeoutReached");
            check_invalid(Question::Current, body.as_bytes(), "not the JSON expected");
        }
    }

    #[test]
    fn missing_value_is_kept_as_missing() {
        let body = edited(|body| body["daily"]["precipitation_sum"][3] = Value::Null);
        let Ok(Report::Daily(days)) = read(&ask(days()), &body) else { panic!("no days") };
        assert_eq!((days[3].precipitation_mm, days[4].precipitation_mm), (None, Some(0.15)));
    }

    /// The recording cut to the days from `first` to `last`, with a made-up wind of `wind` m/s.
    fn cut(first: usize, last: usize, wind: Option<f64>) -> Bytes {
        let body = edited(|body| {
            for column in body["daily"].as_object_mut().unwrap().values_mut() {
                *column = json!(column.as_array().unwrap()[first..=last]);
            }
            body["daily_units"]["wind_speed_10m_max"] = json!("m/s");
            body["daily"]["wind_speed_10m_max"] = json!(vec![wind; last - first + 1]);
        });
        Bytes::from(body)
    }

    #[test]
    fn w2_answers_of_several_hosts_are_one_range() {
        let body = join(vec![cut(0, 2, Some(1.0)), cut(3, 6, Some(2.0))]);
        let Ok(Report::Daily(days)) = read(&ask(days()), &body) else { panic!("no days") };
        let winds: Vec<_> = days.iter().filter_map(|day| day.wind_speed_max_mps).collect();
        assert_eq!(winds, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
        assert!(days.is_sorted_by_key(|day| day.day));
    }

    #[test]
    fn w2_fuller_answer_about_a_day_counts_whole() {
        let body = join(vec![cut(0, 2, None), cut(3, 6, Some(2.0)), cut(1, 3, Some(3.0))]);
        let Ok(Report::Daily(days)) = read(&ask(days()), &body) else { panic!("no days") };
        let winds: Vec<_> = days.iter().map(|day| day.wind_speed_max_mps).collect();
        let expected = [None, Some(3.0), Some(3.0), Some(2.0), Some(2.0), Some(2.0), Some(2.0)];
        assert_eq!(winds, expected);
    }

    #[test]
    fn one_part_is_kept_as_it_came() {
        let part = Bytes::from_static(RECORDED.as_bytes());
        assert_eq!(join(vec![part.clone()]), part);
    }

    #[test]
    fn only_days_are_answered_in_parts() {
        check_invalid(Question::Current, &join(vec![cut(0, 1, None); 2]), "only days");
        check_invalid(days(), b"[]", "no part");
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let body = edited(|body| body["hourly"]["time"][5] = json!("2021-11-24T04:00"));
        check_invalid(Question::Hourly, &body, "not in the order of time");
    }
}
