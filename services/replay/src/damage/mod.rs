//! What does a fault leave of an answer?
//!
//! | Fault | Module |
//! | --- | --- |
//! | body cut, shortened, slowed or with an error at its end | here |
//! | of a file and its server | [`file`] |
//! | of the link to the next page of a search | [`search`] |

mod file;
mod search;

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

pub(crate) use file::forget_redirect;

use crate::answers::refusal;
use crate::fault::{Drip, Fault};

/// What Open-Meteo appends to a 200 when it fails after the headers were sent.
const ERROR_TAIL: &str = "Unexpected error while streaming data: ...";

/// A damaged or whole answer, and how many body bytes it hands to the connection.
pub(crate) struct Outcome {
    pub(crate) response: Response,
    pub(crate) body_bytes: usize,
}

/// What has to be known of a request once it is answered.
#[derive(Default)]
pub(crate) struct Met {
    asked_range: bool,
    search_body: Option<Bytes>,
}

/// What becomes of a request before it reaches what answers.
pub(crate) enum Before {
    /// It goes on.
    Goes(Request, Met),
    /// The fault answers in place of it.
    Answered(Response),
}

/// Changes `request` as `fault` wants.
pub(crate) async fn before(mut request: Request, fault: &Fault) -> Before {
    if let Some(status) = fault.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        return Before::Answered(refusal(request.uri().path(), status, fault.reason.as_deref()));
    }
    let asked_range = request.headers().contains_key(header::RANGE);
    if fault.ignore_range {
        request.headers_mut().remove(header::RANGE);
    }
    if let Some(answer) = fault.file.and_then(|file| file::before(&mut request, file)) {
        return Before::Answered(answer);
    }
    let (request, search_body) = match fault.search {
        Some(_) => search::remembered(request).await,
        None => (request, None),
    };
    Before::Goes(request, Met { asked_range, search_body })
}

/// Applies `fault` to `response`. Bodies are held in memory already, so collecting one copies
/// nothing. A body that is empty, as for HEAD, has nothing to spoil.
pub(crate) async fn damaged(response: Response, fault: &Fault, met: &Met) -> Outcome {
    let (mut parts, body) = response.into_parts();
    let Ok(mut body) = to_bytes(body, usize::MAX).await else {
        return Outcome {
            response: StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            body_bytes: 0,
        };
    };
    if let Some(file) = fault.file {
        body = file::after(&mut parts, body, file, met.asked_range);
    }
    if let Some(search) = fault.search {
        body = search::after(body, search, met.search_body.as_deref());
    }
    let half = body.slice(..body.len() / 2);
    let sent = if fault.truncate && !body.is_empty() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let body_bytes = half.len();
        return Outcome { response: Response::from_parts(parts, cut_off(half)), body_bytes };
    } else if fault.short_body && !body.is_empty() {
        half
    } else if fault.error_tail && !body.is_empty() {
        parts.status = StatusCode::OK;
        Bytes::from([&half, ERROR_TAIL.as_bytes()].concat())
    } else {
        body
    };
    // The answer to HEAD keeps the length of the body that it leaves out.
    if !sent.is_empty() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.len()));
    }
    let body_bytes = sent.len();
    let body = match fault.drip {
        Some(drip) => dripped(sent, drip),
        None => Body::from(sent),
    };
    Outcome { response: Response::from_parts(parts, body), body_bytes }
}

/// A body that ends in an error. The pause in between lets the connection send what it has:
/// an error in the same step would take the buffered bytes with it.
fn cut_off(bytes: Bytes) -> Body {
    use futures::stream::{StreamExt, iter, once};
    let sent = iter([Ok(bytes)]);
    let error = once(async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    });
    Body::from_stream(sent.chain(error))
}

/// A body in pieces with a pause before each.
fn dripped(bytes: Bytes, drip: Drip) -> Body {
    let pieces = futures::stream::unfold(bytes, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(drip.interval_ms)).await;
        let piece = left.split_to(left.len().min(drip.bytes as usize));
        Some((Ok::<_, Infallible>(piece), left))
    });
    Body::from_stream(pieces)
}
