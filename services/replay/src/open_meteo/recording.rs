//! What does a recorded Open-Meteo answer hold?
//!
//! Values stay the very text of the recording (`13.20` is not rewritten as `13.2`).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::recorded::{DataError, public_name, read_json};

/// One variable over the times of its table.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) unit: String,
    pub(super) values: Vec<Box<RawValue>>,
}

/// A columnar block: ascending times and the series over them.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    pub(super) times: Vec<T>,
    pub(super) series: BTreeMap<String, Series>,
}

/// The `current` block: one row, and the seconds it stands for.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) time: DateTime,
    pub(super) interval: Box<RawValue>,
    pub(super) table: Table<DateTime>,
}

/// A recorded answer for one grid cell.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    /// The file, relative to the data directory.
    pub(super) file: String,
    /// Latitude and longitude of the grid cell, for finding the nearest.
    pub(super) point: (f64, f64),
    pub(super) latitude: Box<RawValue>,
    pub(super) longitude: Box<RawValue>,
    pub(super) generationtime_ms: Box<RawValue>,
    pub(super) elevation: Option<Box<RawValue>>,
    pub(super) offset_s: i32,
    pub(super) zone_name: String,
    pub(super) zone: TimeZone,
    pub(super) abbreviation: String,
    pub(super) current: Option<Current>,
    pub(super) hourly: Table<DateTime>,
    pub(super) daily: Table<Date>,
}

type Names = BTreeMap<String, String>;
type Columns = BTreeMap<String, Vec<Box<RawValue>>>;

/// The provider's answer as it goes over the wire.
#[derive(Deserialize)]
struct Wire {
    latitude: Box<RawValue>,
    longitude: Box<RawValue>,
    generationtime_ms: Box<RawValue>,
    utc_offset_seconds: i32,
    timezone: String,
    timezone_abbreviation: String,
    elevation: Option<Box<RawValue>>,
    #[serde(default)]
    current_units: Names,
    #[serde(default)]
    current: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    hourly_units: Names,
    #[serde(default)]
    hourly: Columns,
    #[serde(default)]
    daily_units: Names,
    #[serde(default)]
    daily: Columns,
}

/// A file of several recorded calls, each with its body as a string.
#[derive(Deserialize)]
struct Interactions {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    body: String,
}

impl Recording {
    /// Reads a file that is one answer.
    pub(super) fn load_forecast(data: &Path, path: &Path) -> Result<Self, DataError> {
        Self::new(public_name(data, path), read_json(path)?)
            .map_err(|reason| DataError::shape(path, reason))
    }

    /// Reads a file of several answers into `known`, where calls for the same cell and days
    /// become one recording with the columns of all.
    pub(super) fn load_archive(
        data: &Path,
        path: &Path,
        known: &mut Vec<Self>,
    ) -> Result<(), DataError> {
        let file: Interactions = read_json(path)?;
        for interaction in file.interactions {
            let wire =
                serde_json::from_str(&interaction.body).map_err(|e| DataError::shape(path, e))?;
            let recording = Self::new(public_name(data, path), wire)
                .map_err(|reason| DataError::shape(path, reason))?;
            let same = known.iter_mut().find(|other| {
                other.point == recording.point && other.daily.times == recording.daily.times
            });
            match same {
                Some(other) => other.daily.series.extend(recording.daily.series),
                None => known.push(recording),
            }
        }
        Ok(())
    }

    fn new(file: String, wire: Wire) -> Result<Self, String> {
        let point = (number(&wire.latitude)?, number(&wire.longitude)?);
        let zone = TimeZone::get(&wire.timezone).map_err(text)?;
        Ok(Self {
            file,
            point,
            latitude: wire.latitude,
            longitude: wire.longitude,
            generationtime_ms: wire.generationtime_ms,
            elevation: wire.elevation,
            offset_s: wire.utc_offset_seconds,
            zone_name: wire.timezone,
            zone,
            abbreviation: wire.timezone_abbreviation,
            current: current(wire.current, &wire.current_units)?,
            hourly: table(wire.hourly, &wire.hourly_units)?,
            daily: table(wire.daily, &wire.daily_units)?,
        })
    }

    /// The instant of `current`, which stands for the moment of the recording.
    pub(super) fn recorded_at(&self) -> Option<Timestamp> {
        let time = self.current.as_ref()?.time;
        Offset::from_seconds(self.offset_s).ok()?.to_timestamp(time).ok()
    }

    /// The first recorded day.
    pub(super) fn first_day(&self) -> Option<Date> {
        self.daily.times.first().copied().or_else(|| self.hourly.times.first().map(|t| t.date()))
    }
}

fn current(
    mut columns: BTreeMap<String, Box<RawValue>>,
    units: &Names,
) -> Result<Option<Current>, String> {
    if columns.is_empty() {
        return Ok(None);
    }
    let interval = columns.remove("interval").ok_or("current has no interval")?;
    let columns = columns.into_iter().map(|(name, value)| (name, vec![value])).collect();
    let table: Table<DateTime> = table(columns, units)?;
    let time = *table.times.first().ok_or("current has no time")?;
    Ok(Some(Current { time, interval, table }))
}

fn table<T: std::str::FromStr<Err = jiff::Error> + Ord>(
    mut columns: Columns,
    units: &Names,
) -> Result<Table<T>, String> {
    let times = columns.remove("time").unwrap_or_default();
    let times: Vec<T> = times.iter().map(|raw| time(raw)).collect::<Result<_, _>>()?;
    if !times.is_sorted() {
        return Err("times do not ascend".to_owned());
    }
    let mut series = BTreeMap::new();
    for (name, values) in columns {
        if values.len() != times.len() {
            return Err(format!("{name} has {} values for {} times", values.len(), times.len()));
        }
        let unit = units.get(&name).ok_or_else(|| format!("{name} has no unit"))?.clone();
        series.insert(name, Series { unit, values });
    }
    Ok(Table { times, series })
}

fn time<T: std::str::FromStr<Err = jiff::Error>>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str::<&str>(raw.get()).map_err(text)?.parse().map_err(text)
}

fn number(raw: &RawValue) -> Result<f64, String> {
    serde_json::from_str(raw.get()).map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}
