//! What does Open-Meteo answer to `/v1/forecast` and `/v1/archive`?
//!
//! The nearest recording answers, whatever point was asked; its own grid cell is echoed, as the
//! provider does. What the recording does not hold (days, hours, known variables) is `null`,
//! the provider's own sign for "no value". Daily rows keep the calendar days of the zone they
//! were recorded in, whatever `timezone` asks for: they cannot be summed anew without inventing
//! values.

mod answer;
mod asked;
mod frame;
mod recording;
mod refusal;
mod units;
mod variables;

use std::path::Path;

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use self::answer::{Answer, Body};
use self::asked::Asked;
use self::frame::Frame;
use self::recording::Recording;
use self::refusal::Refusal;
use crate::answers::{RECORDING_HEADER, json_response};
use crate::clock::Moment;
use crate::params::Params;
use crate::recorded::{DataError, distance, files_named};

/// Most cells one answer may hold over all points, days and variables (about 20 MB of JSON).
const CELLS_MAX: usize = 2_000_000;

/// Which of the two hosts is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// `api.open-meteo.com`: some months back, two weeks ahead.
    Forecast,
    /// `archive-api.open-meteo.com`: 1940 until today, and only with both dates.
    Archive,
}

/// The recordings of both hosts.
pub(crate) struct OpenMeteo {
    forecast: Vec<Recording>,
    archive: Vec<Recording>,
}

impl OpenMeteo {
    /// Reads `open_meteo_forecast_*.json` and `open_meteo_archive_*.json` below `data/weather`.
    pub(crate) fn load(data: &Path) -> Result<Self, DataError> {
        let weather = data.join("weather");
        let mut forecast = Vec::new();
        for path in files_named(&weather, "open_meteo_forecast_")? {
            forecast.push(Recording::load_forecast(data, &path)?);
        }
        let mut archive = Vec::new();
        for path in files_named(&weather, "open_meteo_archive_")? {
            Recording::load_archive(data, &path, &mut archive)?;
        }
        if forecast.is_empty() || archive.is_empty() {
            return Err(DataError::shape(&weather, "no open_meteo_forecast_ or _archive_ file"));
        }
        Ok(Self { forecast, archive })
    }

    /// The answer of `host` to `params`, refusals included.
    pub(crate) fn respond(&self, host: Host, params: &Params, moment: Moment) -> Response {
        match self.answer(host, params, moment) {
            Ok((body, files)) => {
                let mut response = json_response(StatusCode::OK, body);
                if let Ok(value) = HeaderValue::try_from(files.join(", ")) {
                    response.headers_mut().insert(RECORDING_HEADER, value);
                }
                response
            }
            Err(refusal) => json_response(refusal.status(), refusal.body()),
        }
    }

    fn answer(
        &self,
        host: Host,
        params: &Params,
        moment: Moment,
    ) -> Result<(Vec<u8>, Vec<&str>), Refusal> {
        let asked = Asked::parse(host, params)?;
        let recordings = match host {
            Host::Forecast => &self.forecast,
            Host::Archive => &self.archive,
        };
        let (mut answers, mut files, mut cells) = (Vec::new(), Vec::new(), 0_usize);
        for (number, point) in asked.points.iter().enumerate() {
            let Some(recording) = nearest(recordings, *point) else { return Err(Refusal::NoData) };
            let frame = Frame::new(host, recording, &asked.zone, moment)?;
            let days = frame.days(&asked.days)?;
            cells = cells.saturating_add(asked.cells(days));
            if cells > CELLS_MAX {
                return Err(Refusal::TooMuch { cells: CELLS_MAX });
            }
            answers.push(Answer::new(recording, &frame, &asked, days, number));
            if !files.contains(&recording.file.as_str()) {
                files.push(recording.file.as_str());
            }
        }
        let body = Body::of(&answers);
        let body =
            serde_json::to_vec(&body).map_err(|error| Refusal::Unwritable(error.to_string()))?;
        Ok((body, files))
    }
}

fn nearest(recordings: &[Recording], point: (f64, f64)) -> Option<&Recording> {
    recordings.iter().min_by(|a, b| distance(point, a.point).total_cmp(&distance(point, b.point)))
}

#[cfg(test)]
mod tests;
