//! How is a provider asked, and what did it mean?
//!
//! Everything that differs between providers is behind [`Provider`].

pub mod budget;
pub mod failure;
pub mod line;
pub mod nasa_power;
pub mod open_meteo;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use chassis::clock::Now;
use jiff::civil::Date;

use crate::domain::ask::{Ask, ProviderName, Question};
use crate::domain::report::Report;
use crate::providers::failure::ProviderError;

/// Somebody who knows the weather.
#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// Its name.
    fn name(&self) -> ProviderName;

    /// The credit that its licence asks for.
    fn attribution(&self) -> &'static str;

    /// The days it can answer for when it is `today` at the place.
    fn days_available(&self, today: Date) -> RangeInclusive<Date>;

    /// Days by which its daily data lag behind the calendar.
    fn lag_days(&self) -> u8;

    /// The clock that days or hours of its answers follow, where it is not that of the zone.
    fn time_standard(&self, question: Question) -> Option<&'static str>;

    /// Longest time that a client waits for it.
    fn deadline(&self) -> Duration;

    /// Asks it, within one deadline that covers waiting for a free call, all attempts and the
    /// bodies. Where an answer is known to take long the deadline may be later than the one that
    /// a client waits for. The answer has been read in full.
    ///
    /// # Errors
    /// [`ProviderError`], by what the client should be told.
    async fn fetch(&self, ask: &Ask, now: Now) -> Result<Fetched, ProviderError>;

    /// Asks several questions that no client waits for, with as few calls as the provider allows.
    /// One result an ask, in the same order.
    async fn fetch_many(&self, asks: &[Ask], now: Now) -> Vec<Result<Fetched, ProviderError>> {
        let mut results = Vec::with_capacity(asks.len());
        for ask in asks {
            // Each call has a deadline of its own; the calendar stays that of `now`.
            let now = Now { instant: Now::read().instant, ..now };
            results.push(self.fetch(ask, now).await);
        }
        results
    }

    /// Reads an answer that it gave earlier.
    ///
    /// # Errors
    /// [`ProviderError::InvalidResponse`] when the body does not answer `ask` in full.
    fn read(&self, ask: &Ask, body: &[u8]) -> Result<Report, ProviderError>;
}

/// All providers, by name.
#[derive(Clone, Debug)]
pub struct Providers {
    /// Asked unless a client or the settings say otherwise.
    pub open_meteo: Arc<dyn Provider>,
    /// Asked by name, or for past days that the other cannot give.
    pub nasa_power: Arc<dyn Provider>,
}

impl Providers {
    /// The provider of this name.
    #[must_use]
    pub fn named(&self, name: ProviderName) -> &dyn Provider {
        match name {
            ProviderName::OpenMeteo => self.open_meteo.as_ref(),
            ProviderName::NasaPower => self.nasa_power.as_ref(),
        }
    }
}

/// An answer of a provider, as it came and as it was understood.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What it says.
    pub report: Report,
    /// The body it came in.
    pub body: Bytes,
    /// Its HTTP status.
    pub http_status: u16,
    /// Time from asking to the last byte.
    pub took: Duration,
    /// What it costs of the provider's allowance, in calls.
    pub weight: f64,
}
