//! How does a server of files go wrong?

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::response::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::fault::{FileFault, without_parameter};

/// Marks a request that was sent to another address already.
const REDIRECTED_PARAMETER: &str = "replay_redirected";
/// The entity tag of a file that was replaced.
const REPLACED_ETAG: &str = "\"replaced\"";

/// Changes `request`, or answers it.
pub(super) fn before(request: &mut Request, fault: FileFault) -> Option<Response> {
    match fault {
        FileFault::RefuseHead if request.method() == Method::HEAD => {
            Some((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response())
        }
        FileFault::Redirect => {
            let query = request.uri().query();
            let was = query.is_some_and(|query| query.contains(REDIRECTED_PARAMETER));
            (!was).then(|| {
                let before = query.map(|query| format!("{query}&")).unwrap_or_default();
                let path = request.uri().path();
                redirect(&format!("{path}?{before}{REDIRECTED_PARAMETER}=1"))
            })
        }
        FileFault::RedirectLoop => Some(redirect(&request.uri().to_string())),
        FileFault::Replaced => {
            if let Some(tag) = request.headers_mut().remove(header::IF_RANGE)
                && tag != REPLACED_ETAG
            {
                request.headers_mut().remove(header::RANGE);
            }
            let tag = request.headers_mut().remove(header::IF_MATCH);
            let fails = tag.is_some_and(|tag| tag != REPLACED_ETAG && tag != "*");
            fails.then(|| StatusCode::PRECONDITION_FAILED.into_response())
        }
        FileFault::RefuseHead
        | FileFault::WrongRange
        | FileFault::WrongEtag
        | FileFault::FewerBytes
        | FileFault::Unsatisfiable
        | FileFault::NoAcceptRanges => None,
    }
}

/// Takes the mark of a redirect out of a request: nothing that answers knows it.
pub(crate) fn forget_redirect(request: &mut Request) {
    let without = without_parameter(request.uri(), REDIRECTED_PARAMETER);
    *request.uri_mut() = without;
}

/// 307, which keeps the method and the body.
fn redirect(target: &str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target)]).into_response()
}

/// Changes the head of an answer and tells which body goes with it.
pub(super) fn after(parts: &mut Parts, body: Bytes, fault: FileFault, asked_range: bool) -> Bytes {
    match fault {
        FileFault::WrongRange => {
            if let Some((first, last, length)) = content_range(parts) {
                set_content_range(parts, &format!("bytes {}-{}/{length}", first + 1, last + 1));
            }
        }
        FileFault::WrongEtag => {
            static ANSWERS: AtomicU64 = AtomicU64::new(0);
            let tag = format!("\"other-{}\"", ANSWERS.fetch_add(1, Ordering::Relaxed));
            set_etag(parts, &tag);
        }
        FileFault::Replaced => set_etag(parts, REPLACED_ETAG),
        FileFault::FewerBytes => {
            if let Some((first, _, length)) = content_range(parts) {
                // One byte cannot be halved: an answer without bytes would be another fault.
                let fewer = body.slice(..body.len().div_ceil(2));
                let last = first + (fewer.len() as u64).saturating_sub(1);
                set_content_range(parts, &format!("bytes {first}-{last}/{length}"));
                return fewer;
            }
        }
        FileFault::Unsatisfiable if asked_range && parts.status.is_success() => {
            let length = content_range(parts).map_or(body.len() as u64, |(_, _, length)| length);
            parts.status = StatusCode::RANGE_NOT_SATISFIABLE;
            set_content_range(parts, &format!("bytes */{length}"));
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            return Bytes::new();
        }
        FileFault::NoAcceptRanges => {
            parts.headers.remove(header::ACCEPT_RANGES);
        }
        FileFault::Unsatisfiable
        | FileFault::RefuseHead
        | FileFault::Redirect
        | FileFault::RedirectLoop => {}
    }
    body
}

/// First byte, last byte and length of the whole.
fn content_range(parts: &Parts) -> Option<(u64, u64, u64)> {
    let text = parts.headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (span, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, length.parse().ok()?))
}

fn set_content_range(parts: &mut Parts, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        parts.headers.insert(header::CONTENT_RANGE, value);
    }
}

fn set_etag(parts: &mut Parts, tag: &str) {
    if let (true, Ok(value)) = (parts.headers.contains_key(header::ETAG), tag.try_into()) {
        parts.headers.insert(header::ETAG, value);
    }
}
