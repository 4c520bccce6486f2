//! What keeps one bad request from hurting: a panic, a hang, a huge body or a bare refusal.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::envelope::Failure;

/// Longest text of the framework that is carried over into an envelope.
const REJECTION_BYTES_MAX: usize = 1024;

/// Limits that hold for every request of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) request_timeout: Duration,
    pub(crate) body_bytes_max: usize,
}

/// Turns a panic of a handler into a 500 and leaves the process running.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    let caught = CatchPanic { inner: Box::pin(next.run(request)) }.await;
    caught.unwrap_or_else(|text| {
        tracing::error!(panic = text, "a request handler panicked");
        Failure::internal().into_response()
    })
}

/// Ends a request that takes longer than the service allows.
pub(crate) async fn limit_time(
    State(limits): State<Limits>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(limits.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Failure::new(StatusCode::GATEWAY_TIMEOUT, "Request timed out")
            .with_detail(format!(
                "The service did not answer within {} ms.",
                limits.request_timeout.as_millis()
            ))
            .into_response(),
    }
}

/// Refuses a body that announces more than the limit before a byte of it is read.
///
/// A body without a length is cut by the extractors at the same limit.
pub(crate) async fn limit_body(
    State(limits): State<Limits>,
    request: Request,
    next: Next,
) -> Response {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let bytes_max = u64::try_from(limits.body_bytes_max).unwrap_or(u64::MAX);
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return too_large(limits.body_bytes_max).into_response();
    }
    next.run(request).await
}

/// Puts refusals of the framework (404, 405, 413, 415 …), which are bare text, into the envelope.
pub(crate) async fn envelope_refusals(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if response.status().as_u16() < 400 || is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, REJECTION_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let (own, body) = refusal(parts.status, &method, text.trim()).into_response().into_parts();
    // Headers of the refusal such as `Allow` stay; those of the replaced body do not.
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(own.headers);
    Response::from_parts(parts, body)
}

fn refusal(status: StatusCode, method: &Method, text: &str) -> Failure {
    match status {
        StatusCode::NOT_FOUND => Failure::new(status, "Not found."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Failure::new(status, format!("Method \"{method}\" not allowed."))
        }
        _ if text.is_empty() => {
            Failure::new(status, status.canonical_reason().unwrap_or("Request failed"))
        }
        _ => Failure::new(status, text),
    }
}

fn too_large(body_bytes_max: usize) -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("The request body is larger than {body_bytes_max} bytes."),
    )
}

/// Polls a future and hands a panic out as text.
struct CatchPanic<F> {
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Nothing of the future is used after a panic: it is only dropped.
        let polled =
            std::panic::catch_unwind(AssertUnwindSafe(|| self.inner.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(panic_text(payload.as_ref()))),
        }
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned())
}
