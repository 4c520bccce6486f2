//! What does a fault leave of an answer?

use std::io;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::fault::Fault;

/// What Open-Meteo appends to a 200 when it fails after the headers were sent.
const ERROR_TAIL: &str = "Unexpected error while streaming data: ...";

/// A damaged or whole answer, and how many body bytes it hands to the connection.
pub(crate) struct Outcome {
    pub(crate) response: Response,
    pub(crate) body_bytes: usize,
}

/// Applies `fault` to `response`. Bodies are held in memory already, so collecting one copies
/// nothing. A body that is empty, as for HEAD, has nothing to spoil.
pub(crate) async fn damaged(response: Response, fault: Option<&Fault>) -> Outcome {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Outcome {
            response: StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            body_bytes: 0,
        };
    };
    let half = body.slice(..body.len() / 2);
    let sent = match fault {
        Some(fault) if fault.truncate && !body.is_empty() => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            let body_bytes = half.len();
            return Outcome { response: Response::from_parts(parts, cut_off(half)), body_bytes };
        }
        Some(fault) if fault.short_body && !body.is_empty() => half,
        Some(fault) if fault.error_tail && !body.is_empty() => {
            parts.status = StatusCode::OK;
            Bytes::from([&half, ERROR_TAIL.as_bytes()].concat())
        }
        _ => body.clone(),
    };
    if sent.len() != body.len() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.len()));
    }
    let body_bytes = sent.len();
    Outcome { response: Response::from_parts(parts, Body::from(sent)), body_bytes }
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
