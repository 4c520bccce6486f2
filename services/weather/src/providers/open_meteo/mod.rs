//! Open-Meteo: how its hosts are asked, as one.
//!
//! The free hosts allow five calls at once from one address and weigh what is asked of them, hence
//! one line with permits and a budget for all of them. A question about days may need two hosts;
//! both are asked at once, under one deadline, and if one fails the question fails, since half a
//! range would look like a gap in the data. What the historical forecast is asked to fill stays a
//! gap when it fails.

pub mod answer;
pub mod batch;
pub mod plan;
pub mod refusal;
pub mod request;

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use chassis::clock::Now;
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::domain::ask::{Ask, ProviderName, Question};
use crate::domain::place::{Cell, Zone};
use crate::domain::report::Report;
use crate::providers::budget::Caller;
use crate::providers::failure::ProviderError;
use crate::providers::line::{Call, Host, Line, Reply, within};
use crate::providers::open_meteo::plan::Plan;
use crate::providers::{Fetched, Provider};

/// The path of the forecast and of the historical forecast.
const FORECAST: &str = "/v1/forecast";

/// The path of the archive.
const ARCHIVE: &str = "/v1/archive";

/// How Open-Meteo is asked.
#[derive(Clone, Debug)]
pub struct OpenMeteoSettings {
    /// One deadline for waiting, connecting, all attempts and the bodies, when a client waits.
    pub deadline: Duration,
    /// The same for a call that no client waits for.
    pub background_deadline: Duration,
    /// What a paying customer is known by.
    pub api_key: Option<ApiKey>,
}

/// A secret that is sent and never shown.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key as the provider wrote it.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

/// The hosts that share one name, one allowance and one format.
#[derive(Clone, Debug)]
pub struct OpenMeteoHosts {
    /// Recent and coming days, hours and the present.
    pub forecast: Host,
    /// Old days.
    pub archive: Host,
    /// Past days that the other two lack.
    pub historical: Host,
}

/// Open-Meteo, with its line.
#[derive(Debug)]
pub struct OpenMeteo {
    hosts: OpenMeteoHosts,
    line: Line,
    settings: OpenMeteoSettings,
}

/// Points that are asked the same.
#[derive(Clone, Copy, Debug)]
struct Points<'a> {
    zone: &'a Zone,
    cells: &'a [Cell],
    caller: Caller,
}

impl OpenMeteo {
    /// A provider that asks these hosts over `line`.
    #[must_use]
    pub fn new(hosts: OpenMeteoHosts, line: Line, settings: OpenMeteoSettings) -> Self {
        Self { hosts, line, settings }
    }

    async fn alone(&self, ask: &Ask, caller: Caller, now: Now) -> Result<Fetched, ProviderError> {
        let fetched = self.together(&[ask], caller, now).await?;
        fetched.into_iter().next().ok_or_else(|| ProviderError::invalid("it is empty"))
    }

    /// Asks about several points that differ in nothing else, within one deadline.
    async fn together(
        &self,
        asks: &[&Ask],
        caller: Caller,
        now: Now,
    ) -> Result<Vec<Fetched>, ProviderError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let cells: Vec<Cell> = asks.iter().map(|ask| ask.cell).collect();
        let points = Points { zone: &first.zone, cells: &cells, caller };
        let today = crate::time::today(&first.zone, now);
        let plan = Plan::new(first.question, today);
        let deadline = self.deadline_of(plan, caller);
        let parts = within(deadline, now, async {
            tokio::try_join!(
                self.part(&self.hosts.archive, ARCHIVE, plan.archive, points),
                self.part(&self.hosts.forecast, FORECAST, plan.forecast, points),
            )
        });
        let (archive, forecast) = parts.await?;
        let mut answers: Vec<Answer> = cells.iter().map(|_| Answer::default()).collect();
        for (question, bodies) in [(plan.archive, archive), (plan.forecast, forecast)] {
            for (answer, body) in answers.iter_mut().zip(bodies) {
                answer.add(body, question);
            }
        }
        self.fill(first.question, today, points, &mut answers, (deadline, now)).await;
        let took = Now::read().instant.saturating_duration_since(now.instant);
        let fetched = |(ask, answer): (&&Ask, Answer)| answer.fetched(ask, took);
        asks.iter().zip(answers).map(fetched).collect()
    }

    /// A point that the archive has not read for long takes it 10 to 20 s. The client goes after
    /// its own deadline, but the call goes on, so that the next one finds the answer.
    fn deadline_of(&self, plan: Plan, caller: Caller) -> Duration {
        match caller {
            Caller::Client if plan.archive.is_none() => self.settings.deadline,
            Caller::Client | Caller::Background => self.settings.background_deadline,
        }
    }

    /// Asks the historical forecast for past days that the other hosts left incomplete.
    async fn fill(
        &self,
        question: Question,
        today: Date,
        points: Points<'_>,
        answers: &mut [Answer],
        (deadline, now): (Duration, Now),
    ) {
        let gaps: Vec<_> = answers.iter().map(|answer| answer.gap(question, today)).collect();
        let first = gaps.iter().flatten().map(|(first, _)| *first).min();
        let last = gaps.iter().flatten().map(|(_, last)| *last).max();
        let Some((start, end)) = first.zip(last) else { return };
        let lacking = |(cell, gap): (&Cell, &Option<_>)| gap.is_some().then_some(*cell);
        let cells: Vec<Cell> = points.cells.iter().zip(&gaps).filter_map(lacking).collect();
        let asked = Some(Question::Daily { start, end });
        let points = Points { cells: &cells, ..points };
        let host = &self.hosts.historical;
        match within(deadline, now, self.part(host, FORECAST, asked, points)).await {
            Ok(bodies) => {
                let lacking = answers.iter_mut().zip(gaps).filter(|(_, gap)| gap.is_some());
                for ((answer, _), body) in lacking.zip(bodies) {
                    answer.add(body, asked);
                }
            }
            Err(error) => {
                tracing::info!(code = error.code(), %error, "incomplete days stay incomplete");
            }
        }
    }

    /// One call to one host; a body for each point, checked to answer `question`.
    async fn part(
        &self,
        host: &Host,
        path: &'static str,
        question: Option<Question>,
        points: Points<'_>,
    ) -> Result<Vec<Bytes>, ProviderError> {
        let Some(question) = question else { return Ok(Vec::new()) };
        let mut query = request::query(question, points.zone, points.cells);
        if let Some(ApiKey(key)) = &self.settings.api_key {
            query.push(("apikey", key.clone()));
        }
        let weight = request::weight(question) * request::count(points.cells);
        let caller = points.caller;
        let patient = caller == Caller::Background || path == ARCHIVE;
        let call = Call { host, path, query, weight, caller, patient };
        self.line.call(&call, |reply| understood(question, reply, points.cells.len())).await
    }
}

fn understood(question: Question, reply: Reply, count: usize) -> Result<Vec<Bytes>, ProviderError> {
    if reply.status != HTTP_OK {
        let Reply { status, body, retry_after } = reply;
        return Err(refusal::meaning(status, &body, retry_after, Now::read()));
    }
    let parts = batch::split(&reply.body, count)?;
    for part in &parts {
        answer::read_one(question, part)?;
    }
    Ok(parts)
}

/// What the hosts said about one point so far.
#[derive(Debug, Default)]
struct Answer {
    parts: Vec<Bytes>,
    weight: f64,
}

impl Answer {
    fn add(&mut self, body: Bytes, question: Option<Question>) {
        self.parts.push(body);
        self.weight += question.map_or(0.0, request::weight);
    }

    fn gap(&self, question: Question, today: Date) -> Option<(Date, Date)> {
        let read = self.parts.iter().filter_map(|part| answer::read_one(question, part).ok());
        let known: Vec<_> = read
            .filter_map(|report| match report {
                Report::Daily(days) => Some(days),
                Report::Current(_) | Report::Hourly(_) => None,
            })
            .flatten()
            .collect();
        plan::gap(question, &known, today)
    }

    fn fetched(self, ask: &Ask, took: Duration) -> Result<Fetched, ProviderError> {
        let body = answer::join(self.parts);
        let report = answer::read(ask, &body)?;
        Ok(Fetched { report, body, http_status: HTTP_OK, took, weight: self.weight })
    }
}

/// The only status that carries an answer.
const HTTP_OK: u16 = 200;

#[async_trait]
impl Provider for OpenMeteo {
    fn name(&self) -> ProviderName {
        ProviderName::OpenMeteo
    }

    fn attribution(&self) -> &'static str {
        "Weather data by Open-Meteo.com"
    }

    fn days_available(&self, today: Date) -> RangeInclusive<Date> {
        // Only the end of the calendar, in the year 9999, cannot be shifted.
        plan::ARCHIVE_FIRST..=today.checked_add(plan::COMING_DAYS_MAX.days()).unwrap_or(today)
    }

    fn lag_days(&self) -> u8 {
        0
    }

    fn time_standard(&self, _question: Question) -> Option<&'static str> {
        None
    }

    fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    async fn fetch(&self, ask: &Ask, now: Now) -> Result<Fetched, ProviderError> {
        self.alone(ask, Caller::Client, now).await
    }

    async fn fetch_many(&self, asks: &[Ask], now: Now) -> Vec<Result<Fetched, ProviderError>> {
        let mut results: Vec<Option<Result<Fetched, ProviderError>>> = vec![None; asks.len()];
        let largest = self.line.largest(Caller::Background);
        let points_max = |question| batch::points_max(request::weight(question), largest);
        for places in batch::groups(asks, points_max) {
            let group: Vec<&Ask> = places.iter().filter_map(|place| asks.get(*place)).collect();
            // Each call has a deadline of its own; the calendar stays that of `now`.
            let now = Now { instant: Now::read().instant, ..now };
            let outcome = self.together(&group, Caller::Background, now).await;
            let alone = group.len() > 1
                && outcome.as_ref().is_err_and(ProviderError::may_concern_one_point);
            for (number, place) in places.into_iter().enumerate() {
                let own = match group.get(number) {
                    // One bad point must not take the answers of its neighbours.
                    Some(ask) if alone => self.alone(ask, Caller::Background, now).await.map(Some),
                    _ => outcome.as_ref().map(|all| all.get(number).cloned()).map_err(Clone::clone),
                };
                if let Some(slot) = results.get_mut(place) {
                    *slot = own.transpose();
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
