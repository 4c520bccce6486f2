//! Open-Meteo's forecast interface: how it is called.
//!
//! The free host allows five calls at once from one address and counts faults too, hence the
//! permits, the single retry and the one deadline over everything.

pub mod answer;
pub mod batch;
pub mod refusal;
pub mod request;

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use chassis::client::{BodyError, read_bounded};
use chassis::clock::Now;
use chassis::metrics::InFlight;
use jiff::ToSpan as _;
use jiff::civil::Date;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::domain::ask::{Ask, ProviderName};
use crate::domain::place::Cell;
use crate::domain::report::Report;
use crate::metrics::WeatherMetrics;
use crate::providers::failure::ProviderError;
use crate::providers::{Fetched, Provider};

/// Calls made for one question at most.
const ATTEMPTS_MAX: u32 = 2;

/// Shortest and longest pause before the second attempt, in milliseconds.
const RETRY_PAUSE_MS: RangeInclusive<u64> = 50..=250;

/// Past days the forecast host still has.
const PAST_DAYS_MAX: i64 = 92;

/// Coming days the forecast host has at most; it says itself when it has one less.
const COMING_DAYS_MAX: i64 = 16;

/// Points in one call at most: an answer about so many points and a year of days stays below the
/// bound of a body, and the address below that of any server.
const POINTS_PER_CALL_MAX: usize = 50;

/// How Open-Meteo is reached.
#[derive(Clone, Debug)]
pub struct OpenMeteoSettings {
    /// Base address of the forecast host, without a slash at the end.
    pub base_url: String,
    /// One deadline for waiting, connecting, both attempts and the body.
    pub deadline: Duration,
    /// Calls in flight at once.
    pub calls_max: usize,
    /// Largest body that is read.
    pub body_bytes_max: usize,
}

/// The forecast host, with its share of permits.
#[derive(Debug)]
pub struct OpenMeteo {
    client: reqwest::Client,
    settings: OpenMeteoSettings,
    permits: Semaphore,
    metrics: WeatherMetrics,
}

impl OpenMeteo {
    /// A provider that calls through `client`.
    #[must_use]
    pub fn new(
        client: reqwest::Client,
        settings: OpenMeteoSettings,
        metrics: WeatherMetrics,
    ) -> Self {
        let permits = Semaphore::new(settings.calls_max);
        Self { client, settings, permits, metrics }
    }

    /// One call about several points that differ in nothing else, within one deadline.
    async fn together(&self, asks: &[&Ask], now: Now) -> Result<Vec<Fetched>, ProviderError> {
        let timed_out = || ProviderError::TimedOut { deadline: self.settings.deadline };
        let deadline = Instant::from_std(now.instant) + self.settings.deadline;
        let answered = timeout_at(deadline, async {
            // The semaphore is never closed; if it were, no call would be allowed.
            let _permit = self.permits.acquire().await.map_err(|_closed| timed_out())?;
            self.attempts(asks, now).await
        });
        let usable = answered.await.map_err(|_elapsed| timed_out())??;
        let took = Now::read().instant.saturating_duration_since(now.instant);
        let fetched = |(ask, usable): (&&Ask, Usable)| {
            let weight = request::weight(ask.question);
            let Usable { report, body, http_status } = usable;
            Fetched { report, body, http_status, took, weight }
        };
        Ok(asks.iter().zip(usable).map(fetched).collect())
    }

    async fn attempts(&self, asks: &[&Ask], now: Now) -> Result<Vec<Usable>, ProviderError> {
        let mut attempt = 1;
        loop {
            let outcome = self.call(asks, now).await;
            match outcome {
                Err(error) if attempt < ATTEMPTS_MAX && error.is_worth_a_retry() => {
                    tracing::warn!(code = error.code(), %error, attempt, "asking once more");
                    tokio::time::sleep(retry_pause()).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// One call on the wire, counted by its outcome also when the deadline cancels it.
    async fn call(&self, asks: &[&Ask], now: Now) -> Result<Vec<Usable>, ProviderError> {
        let _in_flight = InFlight::enter(&self.metrics.in_flight(self.name()));
        let mut call = self.metrics.call(self.name());
        let outcome = self.exchange(asks, now).await;
        call.ended(outcome.as_ref().map_or_else(ProviderError::code, |_| "answered"));
        outcome
    }

    async fn exchange(&self, asks: &[&Ask], now: Now) -> Result<Vec<Usable>, ProviderError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let cells: Vec<Cell> = asks.iter().map(|ask| ask.cell).collect();
        let response = self
            .client
            .get(format!("{}/v1/forecast", self.settings.base_url))
            .query(&request::query(first.question, &first.zone, &cells))
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let retry_after = refusal::retry_after_header(response.headers());
        let body =
            read_bounded(response, self.settings.body_bytes_max).await.map_err(
                |error| match &error {
                    BodyError::TooLarge { .. } => ProviderError::invalid(error.to_string()),
                    BodyError::Broken(cause) => unreachable(cause),
                },
            )?;
        if status != 200 {
            return Err(refusal::meaning(status, &body, retry_after, now));
        }
        let parts = batch::split(&body, asks.len())?;
        asks.iter()
            .zip(parts)
            .map(|(ask, body)| {
                Ok(Usable { report: answer::read(ask, &body)?, body, http_status: status })
            })
            .collect()
    }
}

#[async_trait]
impl Provider for OpenMeteo {
    fn name(&self) -> ProviderName {
        ProviderName::OpenMeteo
    }

    fn attribution(&self) -> &'static str {
        "Weather data by Open-Meteo.com"
    }

    fn days_available(&self, today: Date) -> RangeInclusive<Date> {
        // Only the ends of the calendar, in the years -9999 and 9999, cannot be shifted.
        let first = today.checked_sub(PAST_DAYS_MAX.days()).unwrap_or(today);
        let last = today.checked_add(COMING_DAYS_MAX.days()).unwrap_or(today);
        first..=last
    }

    fn lag_days(&self) -> u8 {
        0
    }

    async fn fetch(&self, ask: &Ask, now: Now) -> Result<Fetched, ProviderError> {
        let fetched = self.together(&[ask], now).await?;
        fetched.into_iter().next().ok_or_else(|| ProviderError::invalid("it is empty"))
    }

    async fn fetch_many(&self, asks: &[Ask], now: Now) -> Vec<Result<Fetched, ProviderError>> {
        let mut results: Vec<Option<Result<Fetched, ProviderError>>> = vec![None; asks.len()];
        for places in batch::groups(asks, POINTS_PER_CALL_MAX) {
            let group: Vec<&Ask> = places.iter().filter_map(|place| asks.get(*place)).collect();
            // Each call has a deadline of its own; the calendar stays that of `now`.
            let now = Now { instant: Now::read().instant, ..now };
            let outcome = self.together(&group, now).await;
            for (number, place) in places.into_iter().enumerate() {
                let own = outcome.as_ref().map(|fetched| fetched.get(number).cloned());
                if let Some(slot) = results.get_mut(place) {
                    *slot = own.map_err(Clone::clone).transpose();
                }
            }
        }
        let unanswered = || Err(ProviderError::invalid("a point was left out"));
        results.into_iter().map(|result| result.unwrap_or_else(unanswered)).collect()
    }

    fn read(&self, ask: &Ask, body: &[u8]) -> Result<Report, ProviderError> {
        answer::read(ask, body)
    }
}

/// An answer that was read in full and understood.
struct Usable {
    report: Report,
    body: Bytes,
    http_status: u16,
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
