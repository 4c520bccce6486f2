//! From where does an answer come: memory, provider or store?
//!
//! Fresh from memory if it can be; else from the provider, in one flight for all who ask the
//! same; else, when the provider fails, the newest older answer that is not too old.

pub mod flight;
pub mod memory;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chassis::clock::Now;

use crate::answers::flight::{FlightError, Flights};
use crate::answers::memory::Memory;
use crate::domain::ask::{Ask, Question};
use crate::domain::report::Report;
use crate::metrics::WeatherMetrics;
use crate::providers::failure::ProviderError;
use crate::providers::{Fetched, Provider};
use crate::store::writer::StoreWriter;
use crate::store::{Record, StoreError, WeatherStore};

/// Longest wait for the store when the provider has failed.
const STORE_READ_TIMEOUT: Duration = Duration::from_millis(500);

/// For how long answers are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Age up to which the newest observation is given when the provider fails.
    pub stale_current: Duration,
    /// Age up to which a forecast is given when the provider fails.
    pub stale_forecast: Duration,
    /// Answers kept in memory.
    pub entries_max: usize,
}

impl Bounds {
    fn stale(&self, question: Question) -> Duration {
        match question {
            Question::Current => self.stale_current,
            Question::Hourly | Question::Daily { .. } => self.stale_forecast,
        }
    }
}

/// A report and when it was fetched.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What the provider said.
    pub report: Arc<Report>,
    /// When it said so.
    pub fetched_at: SystemTime,
}

impl Kept {
    fn new(report: Report, fetched_at: SystemTime) -> Self {
        Self { report: Arc::new(report), fetched_at }
    }

    /// Time since the provider said so; zero when the clock was set back.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        now.wall.duration_since(self.fetched_at).unwrap_or_default()
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From memory, within its fresh time.
    Hit,
    /// From the provider, now.
    Miss,
    /// From memory or store, past its fresh time, because the provider failed.
    Stale,
}

impl Origin {
    /// The word in the `X-Cache` header and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
        }
    }
}

/// Why there is no answer at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The provider failed and nothing older can stand in.
    #[error(transparent)]
    Provider(ProviderError),
    /// Too many different questions are being asked of the provider now.
    #[error("too many questions are waiting for the provider")]
    Overloaded,
    /// A fault of our own; the log has the panic.
    #[error("the question was dropped before it was answered")]
    Dropped,
}

/// Answers questions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    provider: Arc<dyn Provider>,
    store: Arc<dyn WeatherStore>,
    writer: StoreWriter,
    memory: Memory,
    flights: Flights<Ask, Result<Kept, ProviderError>>,
    bounds: Bounds,
    metrics: WeatherMetrics,
}

impl Answers {
    /// Answers from `provider`, keeping what it says in memory and through `writer`.
    #[must_use]
    pub fn new(
        provider: Arc<dyn Provider>,
        store: Arc<dyn WeatherStore>,
        writer: StoreWriter,
        bounds: Bounds,
        metrics: WeatherMetrics,
    ) -> Self {
        let keep_for = bounds.stale_current.max(bounds.stale_forecast);
        let memory = Memory::new(bounds.entries_max, keep_for);
        let flights = Flights::new();
        let inner = Inner { provider, store, writer, memory, flights, bounds, metrics };
        Self { inner: Arc::new(inner) }
    }

    /// The provider that is asked.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        self.inner.provider.as_ref()
    }

    /// Answers one question. `fresh_for` is how old an answer may be without asking again.
    ///
    /// # Errors
    /// [`NoAnswer`] when the provider fails and nothing older can stand in.
    pub async fn answer(
        &self,
        ask: &Ask,
        fresh_for: Duration,
        now: Now,
    ) -> Result<(Kept, Origin), NoAnswer> {
        let outcome = self.look_up(ask, fresh_for, now).await;
        let label = outcome.as_ref().map_or("none", |(_, origin)| origin.as_str());
        self.inner.metrics.answered(ask.question.kind(), label);
        outcome
    }

    /// Asks for several answers that no client waits for and keeps them, so that the next client
    /// finds them fresh. One result an ask, in the same order.
    pub async fn refresh(&self, asks: &[Ask], now: Now) -> Vec<Result<Kept, ProviderError>> {
        let fetched = self.inner.provider.fetch_many(asks, now).await;
        let keep = |(ask, fetched): (&Ask, Result<Fetched, ProviderError>)| {
            fetched.map(|fetched| self.inner.keep(ask, fetched, now))
        };
        asks.iter().zip(fetched).map(keep).collect()
    }

    async fn look_up(
        &self,
        ask: &Ask,
        fresh_for: Duration,
        now: Now,
    ) -> Result<(Kept, Origin), NoAnswer> {
        if let Some(kept) = self.inner.memory.newest(ask, fresh_for, now) {
            return Ok((kept, Origin::Hit));
        }
        let flight = {
            let (inner, ask) = (Arc::clone(&self.inner), ask.clone());
            move || async move { inner.fetch(&ask, fresh_for, now).await }
        };
        match self.inner.flights.join(ask, flight).await {
            Ok(Ok(kept)) => Ok((kept, Origin::Miss)),
            Ok(Err(error)) => self.stand_in(ask, error, now).await,
            Err(FlightError::Full) => Err(NoAnswer::Overloaded),
            Err(FlightError::Dropped) => Err(NoAnswer::Dropped),
        }
    }

    /// What is given instead when the provider has failed.
    async fn stand_in(
        &self,
        ask: &Ask,
        error: ProviderError,
        now: Now,
    ) -> Result<(Kept, Origin), NoAnswer> {
        if !error.may_be_answered_stale() {
            return Err(NoAnswer::Provider(error));
        }
        let stale_for = self.inner.bounds.stale(ask.question);
        let kept = match self.inner.memory.newest(ask, stale_for, now) {
            Some(kept) => Some(kept),
            None => self.inner.stored(ask, stale_for, now).await,
        };
        kept.map(|kept| (kept, Origin::Stale)).ok_or(NoAnswer::Provider(error))
    }
}

impl Inner {
    /// Asks the provider and keeps the answer. Runs once for all who wait.
    async fn fetch(&self, ask: &Ask, fresh_for: Duration, now: Now) -> Result<Kept, ProviderError> {
        // An earlier flight may have landed between the look into memory and this one's start.
        if let Some(kept) = self.memory.newest(ask, fresh_for, now) {
            return Ok(kept);
        }
        let fetched = self.provider.fetch(ask, now).await.inspect_err(|error| {
            tracing::warn!(
                provider = self.provider.name().as_str(),
                kind = ask.question.kind(),
                code = error.code(),
                %error,
                "the provider did not answer"
            );
        })?;
        Ok(self.keep(ask, fetched, now))
    }

    fn keep(&self, ask: &Ask, fetched: Fetched, now: Now) -> Kept {
        let kept = Kept::new(fetched.report.clone(), now.wall);
        self.memory.keep(ask.clone(), kept.clone(), now);
        self.writer.write(Record::new(ask.clone(), now.wall, fetched));
        kept
    }

    /// The newest stored answer that is not older than `stale_for`, put back into memory.
    async fn stored(&self, ask: &Ask, stale_for: Duration, now: Now) -> Option<Kept> {
        let not_before = now.wall.checked_sub(stale_for)?;
        let read = self.read_store(ask, not_before);
        let kept = match tokio::time::timeout(STORE_READ_TIMEOUT, read).await {
            Ok(Ok(kept)) => kept?,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store could not be read");
                return None;
            }
            Err(_elapsed) => {
                tracing::warn!("the store took too long to read");
                return None;
            }
        };
        self.memory.keep(ask.clone(), kept.clone(), now);
        Some(kept)
    }

    /// The answer to this very question, or days known from answers about other ranges.
    async fn read_store(
        &self,
        ask: &Ask,
        not_before: SystemTime,
    ) -> Result<Option<Kept>, StoreError> {
        if let Some(stored) = self.store.newest(ask, not_before).await? {
            match self.provider.read(ask, &stored.body) {
                Ok(report) => return Ok(Some(Kept::new(report, stored.fetched_at))),
                Err(error) => tracing::warn!(%error, "a stored answer cannot be read any more"),
            }
        }
        let days = self.store.newest_days(ask, not_before).await?;
        Ok(days.map(|(days, fetched_at)| Kept::new(Report::Daily(days), fetched_at)))
    }
}
