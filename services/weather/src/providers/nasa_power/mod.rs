//! NASA POWER: how it is asked.
//!
//! It knows no coming days, and its newest ones come with a lag. Its limits are not published, so
//! it is asked little at once and left alone for as long as it says.

pub mod answer;
pub mod refusal;
pub mod request;

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use chassis::clock::Now;
use jiff::civil::{Date, date};

use crate::domain::ask::{Ask, ProviderName, Question};
use crate::domain::place::Zone;
use crate::domain::report::Report;
use crate::providers::budget::Caller;
use crate::providers::failure::ProviderError;
use crate::providers::line::{Call, Host, Line, Reply, within};
use crate::providers::nasa_power::request::Series;
use crate::providers::{Fetched, Provider};
use crate::time::today;

/// First day of its meteorology.
const FIRST_DAY: Date = date(1981, 1, 1);

/// Every call counts alike: the provider publishes no weights.
const WEIGHT: f64 = 1.0;

/// The only status that carries an answer.
const HTTP_OK: u16 = 200;

/// How NASA POWER is asked.
#[derive(Clone, Debug)]
pub struct NasaPowerSettings {
    /// One deadline for waiting, connecting, all attempts and the bodies, from the moment the
    /// client's question came.
    pub deadline: Duration,
    /// User community, which decides units of what is not meteorology: `AG`, `RE` or `SB`.
    pub community: &'static str,
    /// Days by which its days lag behind the calendar.
    pub lag_days: u8,
}

/// NASA POWER, with its line.
#[derive(Debug)]
pub struct NasaPower {
    host: Host,
    line: Line,
    settings: NasaPowerSettings,
}

impl NasaPower {
    /// A provider that asks `host` over `line`.
    #[must_use]
    pub fn new(host: Host, line: Line, settings: NasaPowerSettings) -> Self {
        Self { host, line, settings }
    }

    async fn ask(&self, ask: &Ask, caller: Caller, now: Now) -> Result<Fetched, ProviderError> {
        let utc_day = today(&Zone::utc(), now);
        let asked = within(self.settings.deadline, now, async {
            match ask.question {
                Question::Daily { start, end } => {
                    self.series(ask, Series::daily(start, end), caller).await
                }
                Question::Hourly => self.series(ask, Series::hourly(utc_day), caller).await,
                Question::Current => {
                    let hours = self.series(ask, Series::current_hours(utc_day), caller).await;
                    match hours {
                        Err(error) if days_may_be_known(&error) => {
                            self.series(ask, Series::current_days(utc_day), caller).await
                        }
                        hours => hours,
                    }
                }
            }
        });
        let fetched = asked.await?;
        let took = Now::read().instant.saturating_duration_since(now.instant);
        Ok(Fetched { took, ..fetched })
    }

    async fn series(
        &self,
        ask: &Ask,
        series: Series,
        caller: Caller,
    ) -> Result<Fetched, ProviderError> {
        let query = series.query(ask.cell, self.settings.community);
        let (host, path, weight) = (&self.host, series.path, WEIGHT);
        let patient = caller == Caller::Background;
        let call = Call { host, path, query, weight, caller, patient };
        self.line.call(&call, |reply| understood(ask, reply)).await
    }
}

fn understood(ask: &Ask, reply: Reply) -> Result<Fetched, ProviderError> {
    let Reply { status, body, retry_after } = reply;
    if status != HTTP_OK {
        return Err(refusal::meaning(status, &body, retry_after));
    }
    let report = answer::read(ask, &body)?;
    Ok(Fetched { report, body, http_status: status, took: Duration::ZERO, weight: WEIGHT })
}

/// Whether the days may be known although the hours are not: hours begin in 2001, come from another
/// service of the provider and may be behind the days.
fn days_may_be_known(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::InvalidResponse { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::Refused { .. }
    )
}

#[async_trait]
impl Provider for NasaPower {
    fn name(&self) -> ProviderName {
        ProviderName::NasaPower
    }

    fn attribution(&self) -> &'static str {
        "Weather data from the NASA Langley Research Center POWER Project"
    }

    fn days_available(&self, today: Date) -> RangeInclusive<Date> {
        FIRST_DAY..=today
    }

    fn lag_days(&self) -> u8 {
        self.settings.lag_days
    }

    fn time_standard(&self, question: Question) -> Option<&'static str> {
        match question {
            // An observation is an instant; it says itself which.
            Question::Current => None,
            Question::Hourly => Some(request::HOURS),
            Question::Daily { .. } => Some(request::DAYS),
        }
    }

    fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    async fn fetch(&self, ask: &Ask, now: Now) -> Result<Fetched, ProviderError> {
        self.ask(ask, Caller::Client, now).await
    }

    async fn fetch_many(&self, asks: &[Ask], now: Now) -> Vec<Result<Fetched, ProviderError>> {
        let mut results = Vec::with_capacity(asks.len());
        for ask in asks {
            // Each call has a deadline of its own; the calendar stays that of `now`.
            let now = Now { instant: Now::read().instant, ..now };
            results.push(self.ask(ask, Caller::Background, now).await);
        }
        results
    }

    fn read(&self, ask: &Ask, body: &[u8]) -> Result<Report, ProviderError> {
        answer::read(ask, body)
    }
}
