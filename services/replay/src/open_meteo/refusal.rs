//! How does Open-Meteo say no?
//!
//! The sentences are the provider's own wire strings. Those of `open_meteo_errors.json` are
//! checked against that file in the tests; the others are quoted by public clients. A refusal
//! with status 501 is replay's own: it has no recording to answer from.

use axum::http::StatusCode;
use jiff::civil::Date;
use serde_json::json;
use thiserror::Error;

/// A refused question.
#[derive(Debug, Clone, PartialEq, Error)]
pub(super) enum Refusal {
    #[error("Value of type '{kind}' required for key '{key}'.")]
    Required { key: &'static str, kind: &'static str },
    #[error("Latitude must be in range of -90 to 90°. Given: {0:?}.")]
    Latitude(f64),
    #[error("Longitude must be in range of -180 to 180°. Given: {0:?}.")]
    Longitude(f64),
    #[error("Parameter 'latitude' and 'longitude' must have the same number of elements")]
    PointCounts,
    #[error("Parameter '{key}' is out of allowed range from {from} to {to}")]
    DateRange { key: &'static str, from: Date, to: Date },
    #[error("Invalid timezone")]
    Timezone,
    #[error("Invalid date format. Make sure to use 'YYYY-MM-DD'")]
    DateFormat,
    #[error("End-date must be larger or equals than start-date")]
    DateOrder,
    #[error("Parameter '{0}' is mutually exclusive with 'start_date' and 'end_date'")]
    Exclusive(&'static str),
    #[error("Forecast days is invalid. Allowed range 0 to {max}. Given {given}.")]
    ForecastDays { given: i64, max: i64 },
    #[error("Past days is invalid. Allowed range 0 to {max}. Given {given}.")]
    PastDays { given: i64, max: i64 },
    #[error(
        "Data corrupted at path ''. Cannot initialize {kind} from invalid String value {given}."
    )]
    Unit { kind: &'static str, given: String },
    #[error("Cannot initialize WeatherVariable from invalid String value {given} for key {block}")]
    Variable { given: String, block: &'static str },
    #[error("No data is available for this location")]
    NoData,
    #[error("replay answers at most {max} points in one request")]
    TooManyPoints { max: usize },
    #[error("replay answers at most {cells} values in one request: ask for fewer days or points")]
    TooMuch { cells: usize },
    #[error("replay has no recording for '{0}': leave the parameter out")]
    NotRecorded(&'static str),
    #[error("the answer could not be written: {0}")]
    Unwritable(String),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotRecorded(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Unwritable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn body(&self) -> String {
        json!({"error": true, "reason": self.to_string()}).to_string()
    }
}
