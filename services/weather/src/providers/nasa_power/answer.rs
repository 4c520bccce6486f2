//! What does an answer of NASA POWER say, and can it be trusted?
//!
//! The fill value is in the header and stands for "not known"; units are in the answer, since they
//! depend on the community. Keys are days (`YYYYMMDD`) or hours (`YYYYMMDDHH`) of the time standard
//! that was asked for; an answer in another one is refused, since its days are other days.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use crate::domain::ask::{Ask, Question};
use crate::domain::day::Day;
use crate::domain::place::Cell;
use crate::domain::report::{Hour, Observation, Report};
use crate::domain::units::{self, Conversion};
use crate::providers::failure::ProviderError;
use crate::providers::nasa_power::request::{DAY_FORM, DAYS, HOURS};

/// Form of an hour in keys.
const HOUR_FORM: &str = "%Y%m%d%H";

/// Degrees of longitude in a swath of one solar time.
const DEGREES_PER_HOUR: f64 = 15.0;

/// Values of one parameter by key, converted; `None` where it is the fill value.
type Column = BTreeMap<String, Option<f64>>;

#[derive(Debug, Deserialize)]
struct Body {
    properties: Properties,
    header: Header,
    parameters: BTreeMap<String, Description>,
}

#[derive(Debug, Deserialize)]
struct Properties {
    parameter: BTreeMap<String, BTreeMap<String, Option<f64>>>,
}

#[derive(Debug, Deserialize)]
struct Header {
    fill_value: f64,
    /// Not there before version 2.6.
    time_standard: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Description {
    units: String,
}

/// An answer of which every column has the same keys.
#[derive(Debug)]
pub struct Table {
    body: Body,
    keys: BTreeSet<String>,
}

impl Table {
    /// Reads a whole body in which times follow `time_standard`.
    ///
    /// # Errors
    /// [`ProviderError::InvalidResponse`] when it is not JSON to the last byte, when it has no
    /// value at all, when columns differ in their keys or times follow another standard.
    pub fn read(body: &[u8], time_standard: &str) -> Result<Self, ProviderError> {
        let body: Body = serde_json::from_slice(body).map_err(|error| {
            ProviderError::invalid(format!("it is not the JSON expected: {error}"))
        })?;
        if let Some(other) =
            body.header.time_standard.as_ref().filter(|name| *name != time_standard)
        {
            return Err(ProviderError::invalid(format!(
                "its times are {other}, {time_standard} was asked for"
            )));
        }
        let mut columns = body.properties.parameter.values();
        let keys: BTreeSet<String> =
            columns.next().map(|column| column.keys().cloned().collect()).unwrap_or_default();
        if keys.is_empty() {
            return Err(ProviderError::invalid("it has no values"));
        }
        if columns.any(|column| !column.keys().eq(&keys)) {
            return Err(ProviderError::invalid("its columns differ in their times"));
        }
        Ok(Self { body, keys })
    }

    /// One parameter in the published unit. A parameter that the server does not know is left out
    /// by it: then every value is missing.
    ///
    /// # Errors
    /// [`ProviderError::InvalidResponse`] when its unit is not told or not known.
    pub fn column(
        &self,
        name: &str,
        conversion: fn(&str) -> Option<Conversion>,
    ) -> Result<Column, ProviderError> {
        let Some(values) = self.body.properties.parameter.get(name) else {
            return Ok(self.keys.iter().map(|key| (key.clone(), None)).collect());
        };
        let unit = self.body.parameters.get(name).map(|description| description.units.as_str());
        let known = unit.and_then(conversion).ok_or_else(|| {
            ProviderError::invalid(format!("`{name}` has the unknown unit {unit:?}"))
        })?;
        let fill = self.body.header.fill_value;
        let value = |value: &Option<f64>| known.apply(value.filter(|value| !same(*value, fill)));
        Ok(values.iter().map(|(key, raw)| (key.clone(), value(raw))).collect())
    }
}

/// A fill value is written with as many decimals as the version likes.
fn same(value: f64, fill: f64) -> bool {
    (value - fill).abs() < f64::EPSILON * fill.abs().max(1.0)
}

/// Reads a whole body as the answer to `ask`.
///
/// # Errors
/// As [`Table::read`] and [`Table::column`], and when a key is no time or was not asked for.
pub fn read(ask: &Ask, body: &[u8]) -> Result<Report, ProviderError> {
    match ask.question {
        Question::Current => current(ask.cell, body).map(Report::Current),
        Question::Hourly => hourly(body).map(Report::Hourly),
        Question::Daily { start, end } => daily(body, start, end).map(Report::Daily),
    }
}

fn daily(body: &[u8], start: Date, end: Date) -> Result<Vec<Day>, ProviderError> {
    let table = Table::read(body, DAYS)?;
    let lowest = table.column("T2M_MIN", units::to_celsius)?;
    let highest = table.column("T2M_MAX", units::to_celsius)?;
    let rain = table.column("PRECTOTCORR", units::to_millimetres_a_day)?;
    let wind = table.column("WS10M_MAX", units::to_metres_per_second)?;
    let days = table.keys.iter().map(|key| {
        let day = day_of(key)?;
        if !(start..=end).contains(&day) {
            let why = format!("{day} was not asked for ({start} to {end})");
            return Err(ProviderError::invalid(why));
        }
        Ok(Day {
            day,
            t_min_c: value(&lowest, key),
            t_max_c: value(&highest, key),
            precipitation_mm: value(&rain, key),
            wind_speed_max_mps: value(&wind, key),
        })
    });
    days.collect()
}

/// The hours up to the newest that is known: those after it are not missing but not there yet.
fn hourly(body: &[u8]) -> Result<Vec<Hour>, ProviderError> {
    let table = Table::read(body, HOURS)?;
    let temperature = table.column("T2M", units::to_celsius)?;
    let rain = table.column("PRECTOTCORR", units::to_millimetres_an_hour)?;
    let wind = table.column("WS10M", units::to_metres_per_second)?;
    let hours = table.keys.iter().map(|key| {
        Ok(Hour {
            timestamp: hour_of(key)?,
            temperature_c: value(&temperature, key),
            precipitation_mm: value(&rain, key),
            wind_speed_mps: value(&wind, key),
            cloud_cover_pct: None,
        })
    });
    let mut hours: Vec<Hour> = hours.collect::<Result<_, ProviderError>>()?;
    while hours.pop_if(|hour| is_empty(hour)).is_some() {}
    Ok(hours)
}

fn is_empty(hour: &Hour) -> bool {
    hour.temperature_c.is_none() && hour.precipitation_mm.is_none() && hour.wind_speed_mps.is_none()
}

/// The newest hour or day of which anything is known.
fn current(cell: Cell, body: &[u8]) -> Result<Observation, ProviderError> {
    let hours = Table::read(body, HOURS).and_then(|table| newest(&table, hour_of));
    hours.or_else(|no_hour| {
        let days = Table::read(body, DAYS);
        let newest = days.and_then(|table| newest(&table, |key| noon(cell, day_of(key)?)));
        newest.map_err(|_| no_hour)
    })
}

fn newest(
    table: &Table,
    instant: impl Fn(&str) -> Result<Timestamp, ProviderError>,
) -> Result<Observation, ProviderError> {
    let temperature = table.column("T2M", units::to_celsius)?;
    let wind = table.column("WS10M", units::to_metres_per_second)?;
    let known = |key: &&String| value(&temperature, key).is_some() || value(&wind, key).is_some();
    let key = table.keys.iter().rev().find(known);
    let key = key.ok_or_else(|| ProviderError::invalid("it knows no value of the last days"))?;
    Ok(Observation {
        observed_at: instant(key)?,
        temperature_c: value(&temperature, key),
        wind_speed_mps: value(&wind, key),
    })
}

fn value(column: &Column, key: &str) -> Option<f64> {
    column.get(key).copied().flatten()
}

/// The day as it is written, never shifted through a zone.
fn day_of(key: &str) -> Result<Date, ProviderError> {
    let day = Date::strptime(DAY_FORM, key).ok().filter(|_| key.len() == "YYYYMMDD".len());
    day.ok_or_else(|| ProviderError::invalid(format!("{key:?} is no day")))
}

fn hour_of(key: &str) -> Result<Timestamp, ProviderError> {
    let hour = DateTime::strptime(HOUR_FORM, key).ok().filter(|_| key.len() == "YYYYMMDDHH".len());
    hour.and_then(|hour| Offset::UTC.to_timestamp(hour).ok())
        .ok_or_else(|| ProviderError::invalid(format!("{key:?} is no hour")))
}

/// The middle of a day of local solar time: 12:00 in the swath of 15 degrees that holds the cell.
/// A day's mean stands for its middle better than for either end.
fn noon(cell: Cell, day: Date) -> Result<Timestamp, ProviderError> {
    let hours_east = (cell.lon() / DEGREES_PER_HOUR).round();
    #[expect(clippy::cast_possible_truncation, reason = "±12 fits; a float cast saturates")]
    let hours_east = hours_east as i64;
    let noon = Offset::UTC.to_timestamp(day.at(12, 0, 0, 0));
    noon.and_then(|noon| noon.checked_sub(hours_east.hours()))
        .map_err(|error| ProviderError::invalid(format!("the day {day} is wrong: {error}")))
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
    use crate::domain::place::Zone;
    use jiff::civil::date;
    use serde_json::{Value, json};

    const RECORDED: &str =
        include_str!("../../../tests/data/nasa_power_daily_frankfurt_202401.json");

    fn ask(question: Question) -> Ask {
        Ask {
            provider: ProviderName::NasaPower,
            question,
            cell: Cell::of(50.11, 8.68),
            zone: Zone::named("Europe/Berlin").unwrap(),
        }
    }

    fn week() -> Question {
        Question::Daily { start: date(2024, 1, 1), end: date(2024, 1, 7) }
    }

    /// The recording with one change that is not recorded.
    fn edited(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut file: Value = serde_json::from_str(RECORDED).unwrap();
        edit(&mut file["body"]);
        file["body"].to_string().into_bytes()
    }

    /// Hours of 7 January in the form of the recording; no hours are recorded.
    fn hours(temperatures: &[f64]) -> Vec<u8> {
        edited(|body| {
            let column = |values: &[f64]| -> serde_json::Map<String, Value> {
                let key = |number| format!("20240107{number:02}");
                values.iter().enumerate().map(|(n, value)| (key(n), json!(value))).collect()
            };
            let rain: Vec<_> = temperatures.iter().map(|_| -999.0).collect();
            body["properties"]["parameter"] =
                json!({"T2M": column(temperatures), "PRECTOTCORR": column(&rain)});
            body["parameters"]["PRECTOTCORR"]["units"] = json!("mm/hour");
            body["header"]["time_standard"] = json!("UTC");
        })
    }

    #[track_caller]
    fn check_invalid(question: Question, body: &[u8], expected: &str) {
        match read(&ask(question), body) {
            Err(ProviderError::InvalidResponse { why }) if why.contains(expected) => {}
            other => panic!("expected {expected:?}, got {other:?}"),
        }
    }

    #[test]
    fn w6_fill_value_of_the_header_is_a_gap() {
        let body = edited(|body| {
            body["header"]["fill_value"] = json!(-99);
            body["properties"]["parameter"]["PRECTOTCORR"]["20240102"] = json!(-99.0);
            body["properties"]["parameter"]["PRECTOTCORR"]["20240103"] = json!(-999.0);
        });
        let Ok(Report::Daily(days)) = read(&ask(week()), &body) else { panic!("no days") };
        assert_eq!(days[1].precipitation_mm, None);
        assert_eq!(days[2].precipitation_mm, Some(-999.0), "this header fills with -99");
        let names: Vec<_> = days[1].missing_fields().collect();
        assert_eq!(names, ["t_min_c", "t_max_c", "precipitation_mm", "wind_speed_max_mps"]);
        let body = edited(|body| {
            body["header"].as_object_mut().unwrap().remove("fill_value");
            body["properties"]["fill_value"] = json!(-999.0);
        });
        check_invalid(week(), &body, "fill_value");
    }

    #[test]
    fn w1_units_of_the_answer_decide() {
        let wind = |unit: &str| {
            edited(|body| {
                let column = body["properties"]["parameter"]["T2M"].clone();
                body["properties"]["parameter"]["WS10M_MAX"] = column;
                body["parameters"]["WS10M_MAX"] = json!({"units": unit});
            })
        };
        let Ok(Report::Daily(days)) = read(&ask(week()), &wind("km/h")) else { panic!("no days") };
        assert_eq!(days[0].wind_speed_max_mps, Some(1.577_778));
        check_invalid(week(), &wind("kts"), "`WS10M_MAX` has the unknown unit Some(\"kts\")");
        let body = edited(|body| body["parameters"] = json!({}));
        check_invalid(week(), &body, "`PRECTOTCORR` has the unknown unit None");
    }

    #[test]
    fn w11_empty_and_uneven_answers_are_refused() {
        let body = edited(|body| body["properties"]["parameter"] = json!({}));
        check_invalid(week(), &body, "no values");
        let body = edited(|body| {
            body["properties"]["parameter"]["T2M"].as_object_mut().unwrap().remove("20240104");
        });
        check_invalid(week(), &body, "differ in their times");
        check_invalid(week(), b"{\"header\": {}}", "not the JSON expected");
        let short = Question::Daily { start: date(2024, 1, 2), end: date(2024, 1, 7) };
        check_invalid(short, &edited(|_| {}), "2024-01-01 was not asked for");
    }

    #[test]
    fn newest_known_hour_is_the_observation() {
        let body = hours(&[1.0, 2.0, 3.5, -999.0, -999.0]);
        let Ok(Report::Current(newest)) = read(&ask(Question::Current), &body) else {
            panic!("no observation");
        };
        assert_eq!(newest.observed_at.to_string(), "2024-01-07T02:00:00Z");
        assert_eq!((newest.temperature_c, newest.wind_speed_mps), (Some(3.5), None));
        check_invalid(Question::Current, &hours(&[-999.0; 3]), "no value of the last days");
    }

    #[test]
    fn newest_known_day_is_observed_at_its_solar_noon() {
        for (lon, expected) in [
            (8.68, "2024-01-07T11:00:00Z"),
            (-45.76, "2024-01-07T15:00:00Z"),
            (179.9, "2024-01-07T00:00:00Z"),
        ] {
            let asked = Ask { cell: Cell::of(50.0, lon), ..ask(Question::Current) };
            let Ok(Report::Current(newest)) = read(&asked, &edited(|_| {})) else {
                panic!("no observation");
            };
            assert_eq!(newest.observed_at.to_string(), expected, "{lon}");
            assert_eq!(newest.temperature_c, Some(0.45));
        }
    }

    #[test]
    fn hours_end_with_the_newest_known_one() {
        let body = hours(&[1.0, -999.0, 3.5, -999.0, -999.0]);
        let Ok(Report::Hourly(hours)) = read(&ask(Question::Hourly), &body) else {
            panic!("no hours");
        };
        let temperatures: Vec<_> = hours.iter().map(|hour| hour.temperature_c).collect();
        assert_eq!(temperatures, [Some(1.0), None, Some(3.5)]);
        let Ok(Report::Hourly(none)) = read(&ask(Question::Hourly), &self::hours(&[-999.0])) else {
            panic!("no hours");
        };
        assert_eq!(none, []);
    }
}
