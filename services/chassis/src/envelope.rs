//! What does an answer look like: `{"status":0,"message":"OK","data":…,"errors":null}`.
//!
//! `status` is 0 for success and 1 for failure. A failure has no `data` key unless asked for,
//! which is the shape the clients of these services already know.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Message of a success that has nothing else to say.
pub const MESSAGE_OK: &str = "OK";

/// Message of an answer to faulty input.
pub const MESSAGE_REQUEST_FAILED: &str = "Request failed";

/// Message of a fault of our own; the cause goes to the log, never to the client.
pub const MESSAGE_INTERNAL: &str = "Internal server error";

/// A 200 with `data` and the message `OK`.
pub fn ok<T: Serialize>(data: &T) -> Response {
    success(StatusCode::OK, MESSAGE_OK, data)
}

/// A success with its own status and message. Keys of `data` keep their order.
pub fn success<T: Serialize>(status: StatusCode, message: &str, data: &T) -> Response {
    #[derive(Serialize)]
    struct Success<'a, T> {
        status: u8,
        message: &'a str,
        data: &'a T,
        errors: (),
    }
    match serde_json::to_vec(&Success { status: 0, message, data, errors: () }) {
        Ok(body) => json(status, body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Failure::internal().into_response()
        }
    }
}

/// An answer that says no: HTTP status, message and errors.
#[derive(Clone, Debug)]
pub struct Failure {
    status: StatusCode,
    message: String,
    errors: Errors,
    data_null: bool,
    headers: HeaderMap,
}

impl Failure {
    /// A failure whose `errors` is `{"detail": message}`.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        let errors = Errors::Detail(message.clone());
        Self { status, message, errors, data_null: false, headers: HeaderMap::new() }
    }

    /// A failure whose `errors` is `{"detail": detail}` with a detail of its own.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.errors = Errors::Detail(detail.into());
        self
    }

    /// The same failure with `"errors":null`.
    #[must_use]
    pub fn without_errors(mut self) -> Self {
        self.errors = Errors::None;
        self
    }

    /// The same failure with a `"data":null` key before `errors`.
    #[must_use]
    pub fn with_null_data(mut self) -> Self {
        self.data_null = true;
        self
    }

    /// The same failure with one more response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// 400 for input that is wrong field by field.
    #[must_use]
    pub fn fields(errors: FieldErrors) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: MESSAGE_REQUEST_FAILED.to_owned(),
            errors: Errors::Fields(errors),
            data_null: false,
            headers: HeaderMap::new(),
        }
    }

    /// 500 that gives nothing away.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, MESSAGE_INTERNAL).without_errors()
    }

    /// The HTTP status of this failure.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", &1)?;
        map.serialize_entry("message", &self.message)?;
        if self.data_null {
            map.serialize_entry("data", &())?;
        }
        map.serialize_entry("errors", &self.errors)?;
        map.end()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // Strings and maps of strings always serialise; an empty body would be the worst case.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = json(self.status, body);
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Faults of input by field, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<(&'static str, Vec<String>)>);

impl FieldErrors {
    /// Key for a fault between fields.
    pub const NON_FIELD: &'static str = "non_field_errors";

    /// No fault so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One fault of one field.
    #[must_use]
    pub fn one(field: &'static str, text: impl Into<String>) -> Self {
        let mut errors = Self::new();
        errors.push(field, text);
        errors
    }

    /// Adds a fault of `field`.
    pub fn push(&mut self, field: &'static str, text: impl Into<String>) {
        match self.0.iter_mut().find(|(name, _)| *name == field) {
            Some((_, texts)) => texts.push(text.into()),
            None => self.0.push((field, vec![text.into()])),
        }
    }

    /// The fields with what is wrong with each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(field, texts)| (*field, texts.as_slice()))
    }

    /// Whether the input was right.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for FieldErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, texts)| (field, texts)))
    }
}

#[derive(Clone, Debug)]
enum Errors {
    None,
    Detail(String),
    Fields(FieldErrors),
}

impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Detail(text) => serializer.collect_map([("detail", text)]),
            Self::Fields(fields) => fields.serialize(serializer),
        }
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[track_caller]
    fn check(failure: &Failure, expected: &str) {
        assert_eq!(serde_json::to_string(failure).unwrap(), expected);
    }

    #[test]
    fn failure_has_the_recorded_shape() {
        check(
            &Failure::new(StatusCode::BAD_GATEWAY, "Weather upstream error"),
            r#"{"status":1,"message":"Weather upstream error","errors":{"detail":"Weather upstream error"}}"#,
        );
    }

    #[test]
    fn field_errors_keep_their_order() {
        let mut errors = FieldErrors::one("lon", "b");
        errors.push("lat", "a");
        errors.push("lon", "c");
        check(
            &Failure::fields(errors),
            r#"{"status":1,"message":"Request failed","errors":{"lon":["b","c"],"lat":["a"]}}"#,
        );
    }

    #[test]
    fn null_data_is_written_when_asked_for() {
        check(
            &Failure::internal().with_null_data(),
            r#"{"status":1,"message":"Internal server error","data":null,"errors":null}"#,
        );
    }
}
