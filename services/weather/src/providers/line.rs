//! How is one call made, so that no provider is called too often, too much at once or too long?
//!
//! A line is what all hosts of one provider share: permits, budget and counts. Each wire call
//! waits for a permit, spends its weight and is counted; a fault of the provider's own is answered
//! by one more call, if the budget allows it. Calls that may take long leave one permit to those
//! that are quick.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;
use chassis::client::{BodyError, read_bounded};
use chassis::clock::Now;
use chassis::metrics::InFlight;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::domain::ask::ProviderName;
use crate::metrics::WeatherMetrics;
use crate::providers::budget::{Budget, Caller};
use crate::providers::failure::ProviderError;

/// Calls made for one part of a question at most.
const ATTEMPTS_MAX: u32 = 2;

/// Shortest and longest pause before the second attempt, in milliseconds.
const RETRY_PAUSE_MS: RangeInclusive<u64> = 50..=250;

/// One host of a provider.
#[derive(Clone, Debug)]
pub struct Host {
    /// The client that calls it.
    pub client: reqwest::Client,
    /// Its base address, without a slash at the end.
    pub base_url: String,
}

/// One call to be made.
#[derive(Debug)]
pub struct Call<'a> {
    /// Where.
    pub host: &'a Host,
    /// Path below the base address, with the slash before it.
    pub path: &'static str,
    /// Query, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// What it costs of the allowance.
    pub weight: f64,
    /// Who it is made for.
    pub caller: Caller,
    /// Whether it may take long, so that it must not use the last permit.
    pub patient: bool,
}

/// What came back, whole.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// The pause that its `Retry-After` asks for, if it has one in seconds.
    pub retry_after: Option<Duration>,
}

/// The way to one provider.
#[derive(Debug)]
pub struct Line {
    provider: ProviderName,
    permits: Semaphore,
    /// All permits but one: those that calls may hold which take long.
    patient: Semaphore,
    budget: Arc<Budget>,
    metrics: WeatherMetrics,
    body_bytes_max: usize,
}

impl Line {
    /// A line with `calls_max` permits, on which no body may be larger than `body_bytes_max`.
    #[must_use]
    pub fn new(
        budget: Arc<Budget>,
        calls_max: usize,
        body_bytes_max: usize,
        metrics: WeatherMetrics,
    ) -> Self {
        Self {
            provider: budget.provider(),
            permits: Semaphore::new(calls_max),
            patient: Semaphore::new(calls_max.saturating_sub(1).max(1)),
            budget,
            metrics,
            body_bytes_max,
        }
    }

    /// Makes the call, once more if the provider failed by a fault of its own, and understands the
    /// reply with `read`.
    ///
    /// # Errors
    /// [`ProviderError::OverBudget`] without a call; else what the last attempt brought.
    pub async fn call<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(Reply) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        // Who cannot be served anyhow does not wait for a permit first.
        self.allowed(self.budget.check(call.weight, call.caller, Now::read()), call.caller)?;
        let _may_take_long = match call.patient {
            true => Some(permit(&self.patient).await?),
            false => None,
        };
        let _permit = permit(&self.permits).await?;
        self.spend(call)?;
        let mut attempt = 1;
        loop {
            let error = match self.counted(call, &read).await {
                Err(error) if attempt < ATTEMPTS_MAX && error.is_worth_a_retry() => error,
                outcome => return outcome,
            };
            tracing::warn!(code = error.code(), %error, attempt, "asking once more");
            tokio::time::sleep(retry_pause()).await;
            if self.spend(call).is_err() {
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// The heaviest call that the budget would ever allow.
    #[must_use]
    pub fn largest(&self, caller: Caller) -> f64 {
        self.budget.largest(caller)
    }

    fn spend(&self, call: &Call<'_>) -> Result<(), ProviderError> {
        self.allowed(self.budget.take(call.weight, call.caller, Now::read()), call.caller)?;
        self.metrics.spent(self.provider, call.weight);
        Ok(())
    }

    fn allowed(&self, verdict: Result<(), Duration>, caller: Caller) -> Result<(), ProviderError> {
        verdict.map_err(|retry_after| {
            self.metrics.over_budget(self.provider, caller);
            ProviderError::OverBudget { retry_after }
        })
    }

    /// One call on the wire, counted by its outcome also when the deadline cancels it.
    async fn counted<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(Reply) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let _in_flight = InFlight::enter(&self.metrics.in_flight(self.provider));
        let mut count = self.metrics.call(self.provider);
        let outcome = self.exchange(call).await.and_then(read);
        count.ended(outcome.as_ref().map_or_else(ProviderError::code, |_| "answered"));
        if let Err(ProviderError::RateLimited { retry_after, .. }) = &outcome {
            self.budget.close(*retry_after, Now::read());
        }
        outcome
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Reply, ProviderError> {
        let response = call
            .host
            .client
            .get(format!("{}{}", call.host.base_url, call.path))
            .query(&call.query)
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after_header(response.headers());
        let body =
            read_bounded(response, self.body_bytes_max).await.map_err(|error| match &error {
                BodyError::TooLarge { .. } => ProviderError::invalid(error.to_string()),
                BodyError::Broken(cause) => unreachable(cause),
            })?;
        Ok(Reply { status, body, retry_after })
    }
}

async fn permit(permits: &Semaphore) -> Result<SemaphorePermit<'_>, ProviderError> {
    // The semaphore is never closed; if it were, no call would be allowed.
    let closed = |_| ProviderError::Unreachable { why: "no more calls are made".to_owned() };
    permits.acquire().await.map_err(closed)
}

/// Waits for `work` until `deadline` has passed since `now`.
///
/// # Errors
/// [`ProviderError::TimedOut`], or what `work` fails with.
pub async fn within<T>(
    deadline: Duration,
    now: Now,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    timeout_at(Instant::from_std(now.instant) + deadline, work)
        .await
        .unwrap_or(Err(ProviderError::TimedOut { deadline }))
}

fn retry_after_header(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn unreachable(error: &reqwest::Error) -> ProviderError {
    // The cause names the failure; the outer error only repeats the address with the query.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    ProviderError::Unreachable { why: cause.to_string() }
}

/// A pause that differs between callers, so that they do not come back together.
fn retry_pause() -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let (shortest, longest) = (*RETRY_PAUSE_MS.start(), *RETRY_PAUSE_MS.end());
    let random = RandomState::new().hash_one(());
    Duration::from_millis(shortest + random % (longest - shortest + 1))
}
