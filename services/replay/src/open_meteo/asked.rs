//! What does an Open-Meteo query ask for, and is it a question the provider would take?

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Host;
use super::refusal::Refusal;
use super::units::Units;
use super::variables::{Block, Variable};
use crate::params::Params;

/// Points the provider takes in one request.
const POINTS_MAX: usize = 1_000;
/// Days ahead the provider takes.
const FORECAST_DAYS_MAX: i64 = 16;
/// Days ahead it gives when nothing is asked.
const FORECAST_DAYS_DEFAULT: i64 = 7;
/// Days back the provider takes as `past_days`.
const PAST_DAYS_MAX: i64 = 92;

/// Parameters that change the answer in a way no recording holds.
const NOT_RECORDED: [&str; 7] = [
    "start_hour",
    "end_hour",
    "forecast_hours",
    "past_hours",
    "forecast_minutely_15",
    "past_minutely_15",
    "minutely_15",
];

/// Which days are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedDays {
    /// `start_date` to `end_date`, both included.
    Range(Date, Date),
    /// `past_days` before today, `forecast_days` from today on.
    Window { past: i64, forecast: i64 },
}

/// The zone of all times in the answer.
#[derive(Debug, Clone)]
pub(super) enum AskedZone {
    /// `timezone=auto`: the zone of the point, so that of the recording.
    Auto,
    /// A zone by the name the answer echoes.
    Named(String, TimeZone),
}

/// A question the provider would take.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Latitude and longitude in degrees.
    pub(super) points: Vec<(f64, f64)>,
    pub(super) current: Vec<Variable>,
    pub(super) hourly: Vec<Variable>,
    pub(super) daily: Vec<Variable>,
    pub(super) zone: AskedZone,
    pub(super) days: AskedDays,
    pub(super) units: Units,
}

impl Asked {
    pub(super) fn parse(host: Host, params: &Params) -> Result<Self, Refusal> {
        let points = points(params)?;
        if let Some(key) = NOT_RECORDED.into_iter().find(|key| params.first(key).is_some()) {
            let by_date = params.first("start_date").is_some();
            let hours = matches!(key, "forecast_hours" | "past_hours");
            return Err(if by_date && hours {
                Refusal::Exclusive(key)
            } else {
                Refusal::NotRecorded(key)
            });
        }
        only(params, "timeformat", "iso8601")?;
        only(params, "format", "json")?;
        if params.list("models").len() > 1 {
            return Err(Refusal::NotRecorded("models"));
        }
        Ok(Self {
            points,
            current: variables(params, Block::Current)?,
            hourly: variables(params, Block::Hourly)?,
            daily: variables(params, Block::Daily)?,
            zone: zone(params)?,
            days: days(host, params)?,
            units: Units::parse(params)?,
        })
    }

    /// Values one point takes over `days`.
    pub(super) fn cells(&self, (first, last): (Date, Date)) -> usize {
        let days = first.until(last).map_or(i32::MAX, |span| span.get_days().saturating_add(1));
        let a_day = 24 * (self.hourly.len() + 1) + self.daily.len() + 1;
        usize::try_from(days).unwrap_or(0).saturating_mul(a_day)
    }
}

fn only(params: &Params, key: &'static str, served: &str) -> Result<(), Refusal> {
    match params.first(key) {
        Some(other) if other != served => Err(Refusal::NotRecorded(key)),
        _ => Ok(()),
    }
}

fn points(params: &Params) -> Result<Vec<(f64, f64)>, Refusal> {
    let latitudes = degrees(params, "latitude")?;
    let longitudes = degrees(params, "longitude")?;
    if latitudes.len() != longitudes.len() {
        return Err(Refusal::PointCounts);
    }
    if latitudes.len() > POINTS_MAX {
        return Err(Refusal::TooManyPoints { max: POINTS_MAX });
    }
    if let Some(wrong) = latitudes.iter().find(|degrees| !(-90.0..=90.0).contains(*degrees)) {
        return Err(Refusal::Latitude(*wrong));
    }
    if let Some(wrong) = longitudes.iter().find(|degrees| !(-180.0..=180.0).contains(*degrees)) {
        return Err(Refusal::Longitude(*wrong));
    }
    Ok(latitudes.into_iter().zip(longitudes).collect())
}

fn degrees(params: &Params, key: &'static str) -> Result<Vec<f64>, Refusal> {
    let required = || Refusal::Required { key, kind: "Float" };
    let degrees: Result<Vec<f64>, _> =
        params.list(key).into_iter().map(str::parse::<f64>).collect();
    degrees.ok().filter(|found| !found.is_empty()).ok_or_else(required)
}

fn variables(params: &Params, block: Block) -> Result<Vec<Variable>, Refusal> {
    let mut found: Vec<Variable> = Vec::new();
    for given in params.list(block.key()) {
        let refused = || Refusal::Variable { given: given.to_owned(), block: block.key() };
        let variable = Variable::find(block, given).ok_or_else(refused)?;
        if !found.contains(&variable) {
            found.push(variable);
        }
    }
    Ok(found)
}

fn zone(params: &Params) -> Result<AskedZone, Refusal> {
    match params.first("timezone") {
        Some("auto") => Ok(AskedZone::Auto),
        None | Some("GMT") => Ok(AskedZone::Named("GMT".to_owned(), TimeZone::UTC)),
        Some(name) => {
            let zone = TimeZone::get(name).map_err(|_| Refusal::Timezone)?;
            Ok(AskedZone::Named(name.to_owned(), zone))
        }
    }
}

fn days(host: Host, params: &Params) -> Result<AskedDays, Refusal> {
    let (start, end) = (date(params, "start_date")?, date(params, "end_date")?);
    let window = ["past_days", "forecast_days"].into_iter().find(|key| params.first(key).is_some());
    match (start, end) {
        (Some(_), Some(_)) if let Some(key) = window => Err(Refusal::Exclusive(key)),
        (Some(start), Some(end)) if end < start => Err(Refusal::DateOrder),
        (Some(start), Some(end)) => Ok(AskedDays::Range(start, end)),
        (None, None) if host == Host::Forecast => {
            let given = number(params, "forecast_days")?.unwrap_or(FORECAST_DAYS_DEFAULT);
            let past = number(params, "past_days")?.unwrap_or(0);
            if !(0..=FORECAST_DAYS_MAX).contains(&given) {
                return Err(Refusal::ForecastDays { given, max: FORECAST_DAYS_MAX });
            }
            if !(0..=PAST_DAYS_MAX).contains(&past) {
                return Err(Refusal::PastDays { given: past, max: PAST_DAYS_MAX });
            }
            Ok(AskedDays::Window { past, forecast: given })
        }
        (None, _) => Err(Refusal::Required { key: "start_date", kind: "String" }),
        (_, None) => Err(Refusal::Required { key: "end_date", kind: "String" }),
    }
}

fn number(params: &Params, key: &'static str) -> Result<Option<i64>, Refusal> {
    let required = |_| Refusal::Required { key, kind: "Int" };
    params.first(key).map(|text| text.parse().map_err(required)).transpose()
}

/// `YYYY-MM-DD` alone: the calendar parser would take more forms than the provider.
fn date(params: &Params, key: &'static str) -> Result<Option<Date>, Refusal> {
    let Some(text) = params.first(key) else { return Ok(None) };
    let date: Date = text.parse().map_err(|_| Refusal::DateFormat)?;
    if date.to_string() == text { Ok(Some(date)) } else { Err(Refusal::DateFormat) }
}
