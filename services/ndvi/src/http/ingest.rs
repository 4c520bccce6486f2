//! Is what a client sent an NDVI sample, and was it stored?

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::openapi::Envelope;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::{Ndvi, body, document, store_failure};
use crate::domain::sample::{Extremes, FarmId, Sample};
use crate::store::Stored;

/// 0001-01-01T00:00:00Z: no field looked like anything before, and not every database can say it.
const FIRST_INSTANT: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// What Postgres cannot keep in any text.
const NULL_CHARACTERS: &str = "Null characters are not allowed.";

/// Longest source text in characters.
const SOURCE_CHARS_MAX: usize = 255;

/// Stores a sample. A sample that is sent again is answered in the same way, so that a client
/// may repeat what it got no answer to.
#[utoipa::path(
    post, path = "/api/v1/ndvi",
    request_body = inline(document::SampleBody),
    responses(
        (status = 201, description = "The sample is kept.", body = inline(Envelope<document::SampleCreated>))
    )
)]
pub(super) async fn ingest(
    State(ndvi): State<Ndvi>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Created {
        status: &'static str,
    }
    let object = body::object(&headers, &bytes)?;
    let sample = sample(&object).map_err(Failure::fields)?;
    let stored = ndvi.store.insert(&sample).await.map_err(|error| store_failure(&error))?;
    if stored == Stored::Already {
        tracing::info!(farm_id = %sample.farm_id, "a sample was sent again");
    }
    let created = Created { status: "created" };
    Ok(envelope::success(StatusCode::CREATED, "Created", &created).into_response())
}

fn sample(object: &Map<String, Value>) -> Result<Sample, FieldErrors> {
    let mut faults = FieldErrors::new();
    let farm_id = body::required(object, "farm_id", &mut faults, farm_id);
    let timestamp = body::required(object, "timestamp", &mut faults, instant);
    let mean = body::required(object, "mean", &mut faults, ndvi);
    let min = body::required(object, "min", &mut faults, ndvi);
    let max = body::required(object, "max", &mut faults, ndvi);
    let source = body::optional(object, "source", &mut faults, source).flatten();
    let geometry = body::optional(object, "geometry", &mut faults, geometry);
    let (Some(farm_id), Some(timestamp), Some(mean), Some(min), Some(max), true) =
        (farm_id, timestamp, mean, min, max, faults.is_empty())
    else {
        return Err(faults);
    };
    let values = Extremes::new(mean, min, max).ok_or_else(|| {
        let text = "NDVI values must satisfy min <= mean <= max <= 1.0.";
        FieldErrors::one(FieldErrors::NON_FIELD, text)
    })?;
    Ok(Sample { farm_id, timestamp, values, source, geometry })
}

fn farm_id(value: &Value) -> Result<FarmId, String> {
    let id = value.as_str().and_then(|text| FarmId::parse(text.trim()));
    id.ok_or_else(|| "Must be a valid UUID.".to_owned())
}

fn instant(value: &Value) -> Result<Timestamp, String> {
    let instant = value.as_str().and_then(|text| text.trim().parse().ok());
    instant.filter(|instant| *instant >= FIRST_INSTANT).ok_or_else(|| {
        "Datetime has wrong format. Use one of these formats instead: \
         YYYY-MM-DDThh:mm:ss[.uuuuuu](+HH:MM|-HH:MM|Z)."
            .to_owned()
    })
}

fn ndvi(value: &Value) -> Result<f64, String> {
    body::number_within(value, -1.0, 1.0)
}

/// A text; blank means that there is none.
fn source(value: &Value) -> Result<Option<String>, String> {
    let text = value.as_str().ok_or_else(|| "Not a valid string.".to_owned())?.trim();
    if text.chars().count() > SOURCE_CHARS_MAX {
        return Err(format!("Ensure this field has no more than {SOURCE_CHARS_MAX} characters."));
    }
    if text.contains('\0') {
        return Err(NULL_CHARACTERS.to_owned());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Any JSON that every database can keep.
fn geometry(value: &Value) -> Result<Box<RawValue>, String> {
    if holds_null_characters(value) {
        return Err(NULL_CHARACTERS.to_owned());
    }
    to_raw_value(value).map_err(|error| error.to_string())
}

fn holds_null_characters(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_null_characters),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_null_characters(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    fn read(mut changes: Value) -> Result<Sample, FieldErrors> {
        let mut whole = json!({
            "farm_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "timestamp": "2021-06-17T10:00:00+03:00",
            "mean": 0.5, "min": 0.1, "max": 0.9,
        });
        whole.as_object_mut().unwrap().append(changes.as_object_mut().unwrap());
        sample(whole.as_object().unwrap())
    }

    #[track_caller]
    fn check(changes: Value, expected: Value) {
        assert_eq!(serde_json::to_value(read(changes).unwrap_err()).unwrap(), expected);
    }

    #[test]
    fn empty_object_names_every_required_field() {
        let faults = sample(&Map::new()).unwrap_err();
        let text = r#"{"farm_id":["This field is required."],"timestamp":["This field is required."],"mean":["This field is required."],"min":["This field is required."],"max":["This field is required."]}"#;
        assert_eq!(serde_json::to_string(&faults).unwrap(), text);
    }

    #[test]
    fn n10_full_ndvi_range_is_accepted() {
        assert!(read(json!({"mean": -0.37, "min": -1.0, "max": -0.1})).is_ok());
        assert!(read(json!({"mean": 1, "min": "0.5", "max": 1.0})).is_ok());
    }

    #[test]
    fn values_out_of_range_are_named_one_by_one() {
        check(
            json!({"min": -1.01, "max": 1.5}),
            json!({
                "min": ["Ensure this value is greater than or equal to -1.0."],
                "max": ["Ensure this value is less than or equal to 1.0."],
            }),
        );
    }

    #[test]
    fn mean_below_min_is_a_fault_between_fields() {
        check(
            json!({"mean": 0.05}),
            json!({"non_field_errors": ["NDVI values must satisfy min <= mean <= max <= 1.0."]}),
        );
    }

    #[test]
    fn wrong_types_get_the_known_texts() {
        check(
            json!({"farm_id": 17, "mean": null, "source": 5}),
            json!({
                "farm_id": ["Must be a valid UUID."],
                "mean": ["This field may not be null."],
                "source": ["Not a valid string."],
            }),
        );
        let local = read(json!({"timestamp": "2021-06-17T10:00:00"})).unwrap_err();
        assert!(serde_json::to_string(&local).unwrap().contains("Datetime has wrong format."));
    }

    #[test]
    fn what_not_every_database_can_keep_is_refused() {
        let texts = ["Null characters are not allowed."];
        check(
            json!({"source": "a\0b", "geometry": {"a": [{"b\0": 1}]}}),
            json!({"source": texts, "geometry": texts}),
        );
        check(json!({"geometry": ["\0"]}), json!({"geometry": texts}));
        assert!(read(json!({"geometry": {"a": "\\u0000"}})).is_ok());
        assert!(read(json!({"timestamp": "-000001-12-31T23:59:59Z"})).is_err());
        assert!(read(json!({"timestamp": "0001-01-01T00:00:00Z"})).is_ok());
    }

    #[test]
    fn blank_source_and_null_geometry_are_absent() {
        let sample = read(json!({"source": " ", "geometry": null})).unwrap();
        assert!(sample.source.is_none() && sample.geometry.is_none());
        assert_eq!(sample.timestamp.to_string(), "2021-06-17T07:00:00Z");
    }
}
