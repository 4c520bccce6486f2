//! From where does an answer come: memory, provider or store?
//!
//! Fresh from memory if it can be, or a little older while a newer one is fetched; else from the
//! provider, in one flight for all who ask the same; else, when the provider fails, the newest
//! older answer that is not too old; else from another provider, if the client chose none.

pub mod answer;
pub mod fallback;
pub mod flight;
pub mod fresh;
pub mod memory;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chassis::clock::Now;

use crate::answers::answer::{Answered, Asked, Kept, NoAnswer, Origin};
use crate::answers::flight::{FlightError, Flights};
use crate::answers::fresh::{Bounds, Lifetime};
use crate::answers::memory::Memory;
use crate::domain::ask::Ask;
use crate::domain::report::Report;
use crate::metrics::WeatherMetrics;
use crate::providers::failure::ProviderError;
use crate::providers::line::within;
use crate::providers::{Fetched, Provider, Providers};
use crate::store::writer::StoreWriter;
use crate::store::{Record, StoreError, WeatherStore};
use crate::time::today;

/// How long an answer of another provider than the first choice is fresh for those in front.
const FALLBACK_FRESH: Duration = Duration::from_secs(60);

/// Longest wait for the store when the provider has failed.
const STORE_READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Pause after a newer answer was looked for in vain, for those that can be given stale.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// Answers questions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    providers: Providers,
    may_fall_back: bool,
    store: Arc<dyn WeatherStore>,
    writer: StoreWriter,
    memory: Memory,
    flights: Flights<Ask, Result<Kept, ProviderError>>,
    bounds: Bounds,
    metrics: WeatherMetrics,
}

impl Answers {
    /// Answers from `providers`, keeping what they say in memory and through `writer`. Without
    /// `may_fall_back` only the provider that is asked answers.
    #[must_use]
    pub fn new(
        providers: Providers,
        may_fall_back: bool,
        store: Arc<dyn WeatherStore>,
        writer: StoreWriter,
        bounds: Bounds,
        metrics: WeatherMetrics,
    ) -> Self {
        let memory = Memory::new(bounds.entries_max, bounds.keep());
        let flights = Flights::new();
        let inner =
            Inner { providers, may_fall_back, store, writer, memory, flights, bounds, metrics };
        Self { inner: Arc::new(inner) }
    }

    /// The providers that are asked.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.inner.providers
    }

    /// Answers one question. `fresh_for` is how old an answer of its kind may be without asking
    /// again; days that are incomplete or settled have times of their own.
    ///
    /// # Errors
    /// [`NoAnswer`] when the provider fails and nothing else can stand in.
    pub async fn answer(
        &self,
        asked: &Asked,
        fresh_for: Duration,
        now: Now,
    ) -> Result<Answered, NoAnswer> {
        let mut outcome = self.look_up(&asked.ask, fresh_for, now).await;
        if let Err(NoAnswer::Provider(error)) = &outcome
            && error.may_be_answered_stale()
            && let Some(other) = self.other(asked, now)
            && let Ok(mut answered) = self.look_up(&other, fresh_for, now).await
            && fallback::is_of_use(&answered.kept.report)
        {
            // Nobody in front should keep what the first choice may answer again in a moment.
            answered.fresh_for = answered.fresh_for.min(FALLBACK_FRESH);
            outcome = Ok(answered);
        }
        let label = outcome.as_ref().map_or("none", |answered| answered.origin.as_str());
        self.inner.metrics.answered(asked.ask.question.kind(), label);
        outcome
    }

    fn other(&self, asked: &Asked, now: Now) -> Option<Ask> {
        let allowed = self.inner.may_fall_back && !asked.provider_named;
        let today = today(&asked.ask.zone, now);
        if allowed { fallback::instead_of(&asked.ask, today) } else { None }
    }

    /// Asks for several answers that no client waits for and keeps them, so that the next client
    /// finds them fresh. All are of the provider of the first. One result an ask, in the same
    /// order.
    pub async fn refresh(&self, asks: &[Ask], now: Now) -> Vec<Result<Kept, ProviderError>> {
        let Some(first) = asks.first() else { return Vec::new() };
        let provider = self.inner.providers.named(first.provider);
        let fetched = provider.fetch_many(asks, now).await;
        let keep = |(ask, fetched): (&Ask, Result<Fetched, ProviderError>)| {
            fetched.map(|fetched| self.inner.keep(ask, fetched, now))
        };
        asks.iter().zip(fetched).map(keep).collect()
    }

    /// Whether an answer younger than `age_max` is in memory.
    #[must_use]
    pub fn is_at_hand(&self, ask: &Ask, age_max: Duration, now: Now) -> bool {
        self.inner.memory.newest(ask, age_max, now).is_some()
    }

    /// Takes an answer younger than `age_max` from the store into memory; `false` when there is
    /// none. Another process may have stored it, or this one before it was started again.
    pub async fn adopt(&self, ask: &Ask, age_max: Duration, now: Now) -> bool {
        self.inner.stored(ask, age_max, now).await.is_some()
    }

    async fn look_up(&self, ask: &Ask, base: Duration, now: Now) -> Result<Answered, NoAnswer> {
        if let Some(kept) = self.inner.memory.newest(ask, self.inner.bounds.keep(), now) {
            let lifetime = self.inner.lifetime(ask, &kept, base, now);
            let origin = match kept.age(now) {
                age if age < lifetime.fresh => Some(Origin::Hit),
                age if age < lifetime.revalidate => Some(self.revalidate(ask, base, now)),
                _ => None,
            };
            if let Some(origin) = origin {
                return Ok(self.inner.answered(ask, kept, origin, base, now));
            }
        }
        let (kept, origin) = self.fetched_or_stale(ask, base, now).await?;
        Ok(self.inner.answered(ask, kept, origin, base, now))
    }

    /// Sees to it that a newer answer is fetched, and says what the older one is meanwhile.
    fn revalidate(&self, ask: &Ask, base: Duration, now: Now) -> Origin {
        let since_failed = self.inner.memory.since_refresh_failed(ask, now);
        if since_failed.is_none_or(|since| since >= REFRESH_PAUSE) {
            let (inner, key) = (Arc::clone(&self.inner), ask.clone());
            let flight = move || async move { inner.renew(&key, base, now).await };
            // With no room for a flight the next client may start one.
            if self.inner.flights.launch(ask, flight).is_err() {
                tracing::warn!("too many questions are waiting for the provider");
            }
        }
        if since_failed.is_some() { Origin::Stale } else { Origin::Revalidating }
    }

    async fn fetched_or_stale(
        &self,
        ask: &Ask,
        base: Duration,
        now: Now,
    ) -> Result<(Kept, Origin), NoAnswer> {
        let flight = {
            let (inner, ask) = (Arc::clone(&self.inner), ask.clone());
            move || async move { inner.fetch(&ask, base, now).await }
        };
        // A flight may take longer than a client will wait.
        let deadline = self.inner.providers.named(ask.provider).deadline();
        let landed =
            within(deadline, now, async { Ok(self.inner.flights.join(ask, flight).await) });
        match landed.await {
            Ok(Ok(Ok(kept))) => Ok((kept, Origin::Miss)),
            Ok(Ok(Err(error))) | Err(error) => self.stand_in(ask, error, base, now).await,
            Ok(Err(FlightError::Full)) => Err(NoAnswer::Overloaded),
            Ok(Err(FlightError::Dropped)) => Err(NoAnswer::Dropped),
        }
    }

    /// What is given instead when the provider has failed.
    async fn stand_in(
        &self,
        ask: &Ask,
        error: ProviderError,
        base: Duration,
        now: Now,
    ) -> Result<(Kept, Origin), NoAnswer> {
        if !error.may_be_answered_stale() {
            return Err(NoAnswer::Provider(error));
        }
        let inner = &self.inner;
        let known = inner.memory.newest(ask, inner.bounds.keep(), now);
        let young = |kept: &Kept| kept.age(now) < inner.lifetime(ask, kept, base, now).stale;
        let kept = match known.filter(young) {
            Some(kept) => Some(kept),
            None => inner.stored(ask, inner.bounds.stale(ask.question), now).await,
        };
        kept.map(|kept| (kept, Origin::Stale)).ok_or(NoAnswer::Provider(error))
    }
}

impl Inner {
    fn provider(&self, ask: &Ask) -> &dyn Provider {
        self.providers.named(ask.provider)
    }

    fn lifetime(&self, ask: &Ask, kept: &Kept, base: Duration, now: Now) -> Lifetime {
        self.bounds.lifetime(ask.question, &kept.report, base, today(&ask.zone, now))
    }

    fn answered(
        &self,
        ask: &Ask,
        kept: Kept,
        origin: Origin,
        base: Duration,
        now: Now,
    ) -> Answered {
        let fresh_for = self.lifetime(ask, &kept, base, now).fresh;
        Answered { ask: ask.clone(), kept, origin, fresh_for }
    }

    /// An earlier flight may have landed between the look into memory and a flight's start.
    fn landed(&self, ask: &Ask, base: Duration, now: Now) -> Option<Kept> {
        let kept = self.memory.newest(ask, self.bounds.keep(), now)?;
        let fresh = self.lifetime(ask, &kept, base, now).fresh;
        (kept.age(now) < fresh).then_some(kept)
    }

    /// Asks the provider and keeps the answer. Runs once for all who wait.
    async fn fetch(&self, ask: &Ask, base: Duration, now: Now) -> Result<Kept, ProviderError> {
        if let Some(kept) = self.landed(ask, base, now) {
            return Ok(kept);
        }
        let fetched = self.provider(ask).fetch(ask, now).await;
        let fetched = fetched.inspect_err(|error| told(ask, error))?;
        Ok(self.keep(ask, fetched, now))
    }

    /// Asks the provider when no client waits, and notes when that is in vain.
    async fn renew(&self, ask: &Ask, base: Duration, now: Now) -> Result<Kept, ProviderError> {
        if let Some(kept) = self.landed(ask, base, now) {
            return Ok(kept);
        }
        let fetched = self.provider(ask).fetch_many(std::slice::from_ref(ask), now).await;
        let none = || Err(ProviderError::invalid("it is empty"));
        let fetched = fetched.into_iter().next().unwrap_or_else(none).inspect_err(|error| {
            told(ask, error);
            self.memory.refresh_failed(ask, Now::read());
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
            match self.provider(ask).read(ask, &stored.body) {
                Ok(report) => return Ok(Some(Kept::new(report, stored.fetched_at))),
                Err(error) => tracing::warn!(%error, "a stored answer cannot be read any more"),
            }
        }
        let days = self.store.newest_days(ask, not_before).await?;
        Ok(days.map(|(days, fetched_at)| Kept::new(Report::Daily(days), fetched_at)))
    }
}

fn told(ask: &Ask, error: &ProviderError) {
    let (provider, kind, code) = (ask.provider.as_str(), ask.question.kind(), error.code());
    // An empty budget is counted; a line for each question would fill the log when it matters.
    if matches!(error, ProviderError::OverBudget { .. }) {
        tracing::debug!(provider, kind, code, %error, "the provider was not asked");
    } else {
        tracing::warn!(provider, kind, code, %error, "the provider did not answer");
    }
}
