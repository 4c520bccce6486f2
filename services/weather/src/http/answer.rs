//! How is an answer, or the lack of one, told over HTTP?

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{AGE, CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use chassis::envelope::{self, Failure, FieldErrors, MESSAGE_INTERNAL};
use serde::Serialize;

use crate::answers::answer::{NoAnswer, Origin};
use crate::providers::failure::ProviderError;

/// Message of every failure that lies with the provider; clients know it.
const UPSTREAM_ERROR: &str = "Weather upstream error";

/// Seconds after which to come back when the service itself has too much to do.
const OVERLOADED_RETRY_AFTER_S: u64 = 1;

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_UPSTREAM_ATTRIBUTION: HeaderName = HeaderName::from_static("x-upstream-attribution");

/// How old an answer is, and how old it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freshness {
    pub(super) origin: Origin,
    pub(super) age: Duration,
    pub(super) fresh_for: Duration,
}

impl Freshness {
    /// Together with `Age` this is what RFC 9111 wants. What is past its fresh time must not be
    /// kept by anybody as if it were fresh.
    fn cache_control(self) -> String {
        let seconds = match self.origin {
            Origin::Hit | Origin::Miss => self.fresh_for.as_secs(),
            Origin::Stale | Origin::Revalidating => 0,
        };
        format!("max-age={seconds}")
    }
}

/// A 200 with the headers that say where it came from and how old it is.
pub(super) fn reported<V: Serialize>(
    view: &V,
    freshness: Freshness,
    attribution: &'static str,
) -> Response {
    let mut response = envelope::ok(view);
    let headers = response.headers_mut();
    headers.insert(AGE, HeaderValue::from(freshness.age.as_secs()));
    headers.insert(X_CACHE, HeaderValue::from_static(freshness.origin.as_str()));
    headers.insert(X_UPSTREAM_ATTRIBUTION, HeaderValue::from_static(attribution));
    if let Ok(value) = HeaderValue::try_from(freshness.cache_control()) {
        headers.insert(CACHE_CONTROL, value);
    }
    response
}

/// The status and body for a question that nobody could answer.
pub(super) fn no_answer(failure: &NoAnswer) -> Response {
    let failure = match failure {
        NoAnswer::Provider(error) => provider_failure(error),
        NoAnswer::Overloaded => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Service overloaded")
            .with_header(RETRY_AFTER, HeaderValue::from(OVERLOADED_RETRY_AFTER_S)),
        NoAnswer::Dropped => {
            tracing::error!("a flight ended without an answer");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, MESSAGE_INTERNAL).without_errors()
        }
    };
    failure.with_header(CACHE_CONTROL, HeaderValue::from_static("no-store")).into_response()
}

fn provider_failure(error: &ProviderError) -> Failure {
    match error {
        ProviderError::Refused { reason } => {
            Failure::fields(FieldErrors::one(FieldErrors::NON_FIELD, reason.clone()))
        }
        ProviderError::RateLimited { retry_after, .. } => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Weather upstream limit reached")
                .with_header(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)))
        }
        ProviderError::OverBudget { retry_after } => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Weather call budget used up")
                .with_header(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)))
        }
        ProviderError::TimedOut { .. } => {
            Failure::new(StatusCode::GATEWAY_TIMEOUT, "Weather upstream timeout")
        }
        ProviderError::Unavailable { .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::InvalidResponse { .. } => {
            Failure::new(StatusCode::BAD_GATEWAY, UPSTREAM_ERROR)
        }
    }
}
