//! What do the answers of all providers have in common, refusals included?

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

/// Names the recording an answer was made from.
pub(crate) const RECORDING_HEADER: &str = "x-replay-recording";

/// The `header` of every refusal of NASA POWER.
pub(crate) const POWER_FAILED: &str =
    "The POWER Daily API failed to complete your request; please review the errors below.";

/// Stands for the server's own base address in what is kept on a disk.
pub(crate) const BASE_PLACEHOLDER: &str = "{{BASE}}";

/// Longest `Host` header that is repeated in links.
const HOST_BYTES_MAX: usize = 255;

/// Largest body of a search: a detailed polygon fits many times.
pub(crate) const SEARCH_BODY_BYTES_MAX: usize = 1024 * 1024;

/// The error answer of the provider that owns `path`, in its own shape.
pub(crate) fn refusal(path: &str, status: StatusCode, reason: Option<&str>) -> Response {
    let reason = reason.unwrap_or(match status {
        StatusCode::TOO_MANY_REQUESTS => {
            "Minutely API request limit exceeded. Please try again in one minute."
        }
        StatusCode::SERVICE_UNAVAILABLE => "The service is overloaded",
        other => other.canonical_reason().unwrap_or("Error"),
    });
    let body = if path.starts_with("/v1/") {
        json!({"error": true, "reason": reason})
    } else if path.starts_with("/api/temporal/") {
        json!({"header": POWER_FAILED, "messages": [reason]})
    } else {
        json!({"code": status.as_u16(), "description": reason})
    };
    json_response(status, body.to_string())
}

/// `body` as JSON in the form the providers declare it.
pub(crate) fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// The address under which the client reached us, so that links lead back the same way, also
/// through a container's port mapping.
pub(crate) fn base_url(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let usable = !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(plain);
    usable.then(|| format!("http://{host}"))
}
