//! What does a recorded NASA POWER answer hold?
//!
//! Two kinds exist: JSON answers, from which parameters and days are picked, and CSV answers,
//! which are served whole to the very question they were recorded with.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::params::Params;
use crate::recorded::{DataError, public_name, read_json};

/// Form of a day in POWER's queries and keys.
pub(crate) const DAY_FORM: &str = "%Y%m%d";

/// A JSON answer for one point.
pub(crate) struct JsonRecording {
    pub(crate) file: String,
    /// Latitude and longitude.
    pub(crate) point: (f64, f64),
    /// The answer, from which parts are replaced.
    pub(crate) body: Value,
    /// Values by parameter and `YYYYMMDD`.
    pub(crate) values: BTreeMap<String, BTreeMap<String, Value>>,
    pub(crate) fill_value: Value,
    pub(crate) last_day: Date,
}

#[derive(Deserialize)]
struct Envelope {
    body: Value,
}

#[derive(Deserialize)]
struct Shape {
    geometry: Geometry,
    properties: Properties,
    header: Header,
}

#[derive(Deserialize)]
struct Geometry {
    coordinates: Vec<f64>,
}

#[derive(Deserialize)]
struct Properties {
    parameter: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Header {
    fill_value: Value,
    end: String,
}

impl JsonRecording {
    pub(crate) fn load(data: &Path, path: &Path) -> Result<Self, DataError> {
        let shape = |error: String| DataError::shape(path, error);
        let Envelope { body } = read_json(path)?;
        let wire = Shape::deserialize(&body).map_err(|error| shape(error.to_string()))?;
        let [longitude, latitude, ..] = wire.geometry.coordinates.as_slice() else {
            return Err(shape("geometry has no longitude and latitude".to_owned()));
        };
        let last_day = Date::strptime(DAY_FORM, &wire.header.end)
            .map_err(|error| shape(format!("header.end: {error}")))?;
        Ok(Self {
            file: public_name(data, path),
            point: (*latitude, *longitude),
            values: wire.properties.parameter,
            fill_value: wire.header.fill_value,
            last_day,
            body,
        })
    }

    /// The recorded description of `parameter`, `{units, longname}`.
    pub(crate) fn description(&self, parameter: &str) -> Option<Value> {
        self.body.pointer(&format!("/parameters/{parameter}")).cloned()
    }
}

/// A CSV answer and the question it belongs to.
pub(crate) struct CsvRecording {
    pub(crate) file: String,
    question: BTreeMap<String, String>,
    /// Headers of the answer that tell about POWER itself, such as `x-archive-time`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct Cassette {
    http_interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: CassetteRequest,
    response: CassetteResponse,
}

#[derive(Deserialize)]
struct CassetteRequest {
    uri: String,
}

#[derive(Deserialize)]
struct CassetteResponse {
    headers: Map<String, Value>,
    body: CassetteBody,
}

#[derive(Deserialize)]
struct CassetteBody {
    string: String,
}

/// Recorded headers worth repeating. The others describe the network the recording came through.
const KEPT_HEADERS: [&str; 6] = [
    "content-disposition",
    "x-app-name",
    "x-app-version",
    "x-archive-time",
    "x-data-sources",
    "x-service-time",
];

impl CsvRecording {
    pub(crate) fn load(data: &Path, path: &Path) -> Result<Vec<Self>, DataError> {
        let cassette: Cassette = read_json(path)?;
        let read = |interaction: Interaction| {
            let uri = interaction.request.uri.parse().map_err(|e| DataError::shape(path, e))?;
            let pairs = axum::extract::Query::try_from_uri(&uri)
                .map_err(|error| DataError::shape(path, error))?;
            let kept = |(name, value): (String, Value)| {
                let value = value.as_str()?.to_owned();
                KEPT_HEADERS.contains(&name.as_str()).then_some((name, value))
            };
            Ok(Self {
                file: public_name(data, path),
                question: question(&Params::new(pairs.0)),
                headers: interaction.response.headers.into_iter().filter_map(kept).collect(),
                body: interaction.response.body.string,
            })
        };
        cassette.http_interactions.into_iter().map(read).collect()
    }

    pub(crate) fn answers(&self, params: &Params) -> bool {
        self.question == question(params)
    }
}

/// A query in one form: keys that decide the answer, numbers and cases alike, lists sorted, and
/// the provider's default time standard spelt out.
pub(crate) fn question(params: &Params) -> BTreeMap<String, String> {
    let mut question = BTreeMap::new();
    for key in ["latitude", "longitude"] {
        let number = params.first(key).and_then(|text| text.parse::<f64>().ok());
        question.insert(key.to_owned(), number.map(|n| n.to_string()).unwrap_or_default());
    }
    for key in ["community", "start", "end"] {
        question.insert(key.to_owned(), params.first(key).unwrap_or_default().to_lowercase());
    }
    let mut parameters: Vec<_> =
        params.list("parameters").into_iter().map(str::to_uppercase).collect();
    parameters.sort_unstable();
    question.insert("parameters".to_owned(), parameters.join(","));
    let standard = params.first("time-standard").unwrap_or("LST").to_uppercase();
    question.insert("time-standard".to_owned(), standard);
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        question(&Params::new(
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ))
    }

    #[test]
    fn order_case_and_number_form_do_not_matter() {
        let one = asked(&[
            ("parameters", "T2M,WS10M"),
            ("community", "AG"),
            ("latitude", "-89.50"),
            ("longitude", "-179.5"),
            ("start", "19830101"),
            ("end", "19830101"),
        ]);
        let other = asked(&[
            ("end", "19830101"),
            ("start", "19830101"),
            ("longitude", "-179.5"),
            ("latitude", "-89.5"),
            ("community", "ag"),
            ("time-standard", "lst"),
            ("parameters", "ws10m,t2m"),
            ("user", "somebody"),
        ]);
        assert_eq!(one, other);
    }

    #[test]
    fn time_standard_tells_questions_apart() {
        assert_ne!(asked(&[("time-standard", "UTC")]), asked(&[("time-standard", "LST")]));
    }
}
