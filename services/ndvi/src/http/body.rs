//! Is the body of a request a JSON object, and what do its members hold?

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use chassis::envelope::{Failure, FieldErrors};
use serde_json::{Map, Value};

/// Text for a member that is missing.
pub(super) const REQUIRED: &str = "This field is required.";

/// Text for a member that is null and must not be.
pub(super) const NOT_NULL: &str = "This field may not be null.";

/// Longest media type that is repeated in an answer.
const MEDIA_TYPE_BYTES_MAX: usize = 128;

/// Why a body is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another media type than JSON.
    MediaType(String),
    /// Not JSON.
    Syntax(String),
    /// JSON whose members are missing or wrong.
    Fields(FieldErrors),
}

impl From<FieldErrors> for Fault {
    fn from(errors: FieldErrors) -> Self {
        Self::Fields(errors)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::MediaType(sent) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Unsupported media type \"{sent}\" in request."),
            ),
            Fault::Syntax(why) => {
                Self::new(StatusCode::BAD_REQUEST, format!("JSON parse error - {why}"))
            }
            Fault::Fields(errors) => Self::fields(errors),
        }
    }
}

/// Reads a JSON object.
pub(super) fn object(headers: &HeaderMap, body: &Bytes) -> Result<Map<String, Value>, Fault> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default();
    if !is_json(media_type) {
        let shown = media_type.get(..MEDIA_TYPE_BYTES_MAX).unwrap_or(media_type);
        return Err(Fault::MediaType(shown.to_owned()));
    }
    let kind = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => return Ok(object),
        Err(error) => return Err(Fault::Syntax(error.to_string())),
        Ok(Value::Array(_)) => "list",
        Ok(Value::String(_)) => "str",
        Ok(Value::Number(_)) => "number",
        Ok(Value::Bool(_)) => "bool",
        Ok(Value::Null) => "null",
    };
    let text = format!("Invalid data. Expected a dictionary, but got {kind}.");
    Err(FieldErrors::one(FieldErrors::NON_FIELD, text).into())
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a required member; a fault is noted and gives `None`.
pub(super) fn required<T>(
    object: &Map<String, Value>,
    field: &'static str,
    faults: &mut FieldErrors,
    read: impl FnOnce(&Value) -> Result<T, String>,
) -> Option<T> {
    let outcome = match object.get(field) {
        None => Err(REQUIRED.to_owned()),
        Some(Value::Null) => Err(NOT_NULL.to_owned()),
        Some(value) => read(value),
    };
    noted(outcome, field, faults)
}

/// Reads a member that may be missing or null; a fault is noted and gives `None`.
pub(super) fn optional<T>(
    object: &Map<String, Value>,
    field: &'static str,
    faults: &mut FieldErrors,
    read: impl FnOnce(&Value) -> Result<T, String>,
) -> Option<T> {
    let value = object.get(field).filter(|value| !value.is_null())?;
    noted(read(value), field, faults)
}

fn noted<T>(
    outcome: Result<T, String>,
    field: &'static str,
    faults: &mut FieldErrors,
) -> Option<T> {
    outcome.map_err(|text| faults.push(field, text)).ok()
}

/// A finite number, which may be written as text as forms do.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| "A valid number is required.".to_owned())
}

/// A finite number within bounds, both included.
pub(super) fn number_within(value: &Value, least: f64, most: f64) -> Result<f64, String> {
    let number = number(value)?;
    if number < least {
        Err(format!("Ensure this value is greater than or equal to {least:.1}."))
    } else if number > most {
        Err(format!("Ensure this value is less than or equal to {most:.1}."))
    } else {
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn status(media_type: &'static str, body: &'static str) -> u16 {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
        match object(&headers, &Bytes::from_static(body.as_bytes())) {
            Ok(_object) => 200,
            Err(fault) => Failure::from(fault).status().as_u16(),
        }
    }

    #[test]
    fn json_in_any_of_its_media_types_is_read() {
        for media_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/geo+json"]
        {
            assert_eq!(status(media_type, "{}"), 200, "{media_type}");
        }
        for media_type in ["application/xml", "", "text/json"] {
            assert_eq!(status(media_type, "{}"), 415, "{media_type}");
        }
    }

    #[test]
    fn other_values_than_objects_are_refused() {
        for body in ["[]", "1", "null", "", "{"] {
            assert_eq!(status("application/json", body), 400, "{body}");
        }
    }

    #[test]
    fn numbers_may_be_text_but_must_be_finite() {
        assert_eq!(number(&json!("-0.5")), Ok(-0.5));
        for wrong in [json!("nan"), json!("inf"), json!(true), json!("x"), json!([1])] {
            assert!(number(&wrong).is_err(), "{wrong}");
        }
    }
}
