//! What is written as the answer for one point?

use jiff::civil::{Date, DateTime};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::asked::Asked;
use super::frame::Frame;
use super::recording::{Current, Recording, Series, Table};
use super::units::Units;
use super::variables::Variable;

/// The whole body: an object for one point, an array for several.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a, 'r> {
    One(&'a Answer<'r>),
    Several(&'a [Answer<'r>]),
}

impl<'a, 'r> Body<'a, 'r> {
    pub(super) fn of(answers: &'a [Answer<'r>]) -> Self {
        match answers {
            [one] => Self::One(one),
            several => Self::Several(several),
        }
    }
}

/// The answer for one point, in the provider's order of keys.
#[derive(Serialize)]
pub(super) struct Answer<'r> {
    latitude: &'r RawValue,
    longitude: &'r RawValue,
    generationtime_ms: &'r RawValue,
    utc_offset_seconds: i32,
    timezone: String,
    timezone_abbreviation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    elevation: Option<&'r RawValue>,
    /// Absent for the first point, as the provider leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    location_id: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_units: Option<Keyed<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Keyed<Cell<'r>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hourly_units: Option<Keyed<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hourly: Option<Keyed<Vec<Cell<'r>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_units: Option<Keyed<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily: Option<Keyed<Vec<Cell<'r>>>>,
}

impl<'r> Answer<'r> {
    pub(super) fn new(
        recording: &'r Recording,
        frame: &Frame,
        asked: &Asked,
        days: (Date, Date),
        number: usize,
    ) -> Self {
        let (current_units, current) = optional(recording.current.as_ref().and_then(|current| {
            (!asked.current.is_empty()).then(|| current_block(current, frame, asked))
        }));
        let (hourly_units, hourly) = optional(
            (!asked.hourly.is_empty()).then(|| hourly_block(&recording.hourly, frame, asked, days)),
        );
        let (daily_units, daily) = optional(
            (!asked.daily.is_empty()).then(|| daily_block(&recording.daily, frame, asked, days)),
        );
        Self {
            latitude: &recording.latitude,
            longitude: &recording.longitude,
            generationtime_ms: &recording.generationtime_ms,
            utc_offset_seconds: frame.offset_s,
            timezone: frame.zone_name.clone(),
            timezone_abbreviation: frame.abbreviation.clone(),
            elevation: recording.elevation.as_deref(),
            location_id: (number > 0).then_some(number),
            current_units,
            current,
            hourly_units,
            hourly,
            daily_units,
            daily,
        }
    }
}

/// Pairs written as an object in their own order.
struct Keyed<V>(Vec<(String, V)>);

impl<V: Serialize> Serialize for Keyed<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// One value of a block.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell<'r> {
    /// The recorded digits.
    Recorded(&'r RawValue),
    /// The recorded value in another unit.
    Converted(f64),
    /// A time.
    Time(String),
    /// Nothing was recorded: `null`.
    Missing(()),
}

fn optional<A, B>(pair: Option<(A, B)>) -> (Option<A>, Option<B>) {
    pair.map_or((None, None), |(a, b)| (Some(a), Some(b)))
}

fn current_block<'r>(
    current: &'r Current,
    frame: &Frame,
    asked: &Asked,
) -> (Keyed<String>, Keyed<Cell<'r>>) {
    let mut units = vec![
        ("time".to_owned(), "iso8601".to_owned()),
        ("interval".to_owned(), "seconds".to_owned()),
    ];
    let mut cells = vec![
        ("time".to_owned(), Cell::Time(minute(frame.current(current.time)))),
        ("interval".to_owned(), Cell::Recorded(&current.interval)),
    ];
    for variable in &asked.current {
        let column = Column::new(&current.table, variable, &asked.units);
        units.push((variable.asked.clone(), column.unit()));
        cells.push((variable.asked.clone(), column.cell(Some(0), frame)));
    }
    (Keyed(units), Keyed(cells))
}

fn hourly_block<'r>(
    table: &'r Table<DateTime>,
    frame: &Frame,
    asked: &Asked,
    days: (Date, Date),
) -> (Keyed<String>, Keyed<Vec<Cell<'r>>>) {
    let hours = each_day(days).flat_map(|day| (0..24).map(move |hour| day.at(hour, 0, 0, 0)));
    let rows: Vec<_> = hours
        .map(|time| (minute(time), table.times.binary_search(&frame.recorded_hour(time)).ok()))
        .collect();
    block(table, &rows, &asked.hourly, &asked.units, frame)
}

fn daily_block<'r>(
    table: &'r Table<Date>,
    frame: &Frame,
    asked: &Asked,
    days: (Date, Date),
) -> (Keyed<String>, Keyed<Vec<Cell<'r>>>) {
    let rows: Vec<_> = each_day(days)
        .map(|day| (day.to_string(), table.times.binary_search(&frame.recorded_day(day)).ok()))
        .collect();
    block(table, &rows, &asked.daily, &asked.units, frame)
}

/// `rows` are the answer's times, each with the recorded row that holds its values.
fn block<'r, T>(
    table: &'r Table<T>,
    rows: &[(String, Option<usize>)],
    variables: &[Variable],
    units: &Units,
    frame: &Frame,
) -> (Keyed<String>, Keyed<Vec<Cell<'r>>>) {
    let mut names = vec![("time".to_owned(), "iso8601".to_owned())];
    let times = rows.iter().map(|(time, _)| Cell::Time(time.clone())).collect();
    let mut columns = vec![("time".to_owned(), times)];
    for variable in variables {
        let column = Column::new(table, variable, units);
        names.push((variable.asked.clone(), column.unit()));
        let cells = rows.iter().map(|(_, row)| column.cell(*row, frame)).collect();
        columns.push((variable.asked.clone(), cells));
    }
    (Keyed(names), Keyed(columns))
}

/// A variable on its way from a recording, if it has one, into the answer.
struct Column<'r, 'u> {
    series: Option<&'r Series>,
    recorded_unit: &'r str,
    units: &'u Units,
}

impl<'r, 'u> Column<'r, 'u> {
    fn new<T>(table: &'r Table<T>, variable: &Variable, units: &'u Units) -> Self {
        let series = table.series.get(variable.name);
        let recorded_unit = series.map_or(variable.unit, |series| series.unit.as_str());
        Self { series, recorded_unit, units }
    }

    fn unit(&self) -> String {
        let converted = self.units.conversion(self.recorded_unit);
        converted.map_or(self.recorded_unit, |conversion| conversion.unit).to_owned()
    }

    fn cell(&self, row: Option<usize>, frame: &Frame) -> Cell<'r> {
        let recorded = self.series.zip(row).and_then(|(series, row)| series.values.get(row));
        let Some(recorded) = recorded else { return Cell::Missing(()) };
        if self.recorded_unit == "iso8601" {
            let time =
                serde_json::from_str::<&str>(recorded.get()).ok().and_then(|t| t.parse().ok());
            return time
                .map_or(Cell::Recorded(recorded), |time| Cell::Time(minute(frame.replayed(time))));
        }
        let conversion = self.units.conversion(self.recorded_unit);
        match (conversion, serde_json::from_str::<f64>(recorded.get())) {
            (Some(conversion), Ok(value)) => Cell::Converted((conversion.apply)(value)),
            _ => Cell::Recorded(recorded),
        }
    }
}

fn each_day((first, last): (Date, Date)) -> impl Iterator<Item = Date> {
    first.series(jiff::Span::new().days(1)).take_while(move |day| *day <= last)
}

/// The provider's form of a local time: minutes, and no offset.
fn minute(time: DateTime) -> String {
    time.strftime("%Y-%m-%dT%H:%M").to_string()
}
