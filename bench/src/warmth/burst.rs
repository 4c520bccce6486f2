//! How many calls does it cost at once when very many stale answers are asked for at once?

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::asking::{Clients, Source, all, must_be_good};
use super::contender::Contender;
use super::options::Options;
use crate::client::now;
use crate::figures::Run;
use crate::latency::Latencies;

/// How many answers there are.
pub(crate) const KEYS: usize = 1_000;

/// How long one is fresh.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// How many refreshes the gateway may make at once.
pub(crate) const REFRESHES_MAX: usize = 32;

/// How many answers are fetched at once before the burst.
const FILLS: usize = 250;

/// How long nothing may happen until the burst is over, and how often that is looked at.
const QUIET_LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(100);

/// Most looks: a refresh that never comes ends the run all the same.
const LOOKS_MAX: u32 = 600;

/// Asks one server for all stale answers at once, with keys of this round.
///
/// # Errors
/// When an answer is wrong or does not come.
pub(crate) async fn run(
    contender: &Contender,
    round: u64,
    options: &Options,
) -> Result<Run, String> {
    let path = |key: usize| format!("/{round}/{key}");
    let clients = Clients::connect(contender, KEYS).await?;
    let keys: Vec<usize> = (0..KEYS).collect();
    for some in keys.chunks(FILLS) {
        let mut tasks = JoinSet::new();
        for key in some {
            let (clients, path) = (clients.clone(), path(*key));
            tasks.spawn(async move { clients.ask(path).await });
        }
        must_be_good(&all(tasks).await?)?;
    }
    // nginx counts in whole seconds, and in its second an answer is still fresh.
    sleep(FRESH + Duration::from_millis(1_200)).await;
    let origin = &contender.origin;
    let (before, _) = (origin.calls_count(), origin.take_most_in_flight());
    let begin = now();
    let mut tasks = JoinSet::new();
    for key in keys {
        let (clients, path) = (clients.clone(), path(key));
        tasks.spawn(async move { clients.ask(path).await });
    }
    let asked = all(tasks).await?;
    must_be_good(&asked)?;
    wait_until_quiet(contender, options.delay()).await;
    let calls = origin.calls();
    let last = calls.last().map_or(begin, |call| call.made_at);
    let stale = asked.iter().filter(|asked| asked.source == Source::Stale).count();
    let waits = Latencies::of(asked.iter().map(|asked| asked.wait));
    Ok(Run::default()
        .with("requests", asked.len() as f64)
        .with("stale", stale as f64)
        .with("calls", (calls.len() - before) as f64)
        .with("most_in_flight", origin.take_most_in_flight() as f64)
        .with("all_fresh_s", last.saturating_duration_since(begin).as_secs_f64())
        .with("p50_ms", waits.percentile_us(50) / 1e3)
        .with("slowest_ms", waits.percentile_us(100) / 1e3))
}

async fn wait_until_quiet(contender: &Contender, delay: Duration) {
    let (mut quiet, mut seen) = (0, contender.origin.calls_count());
    for _ in 0..LOOKS_MAX {
        sleep(LOOK.max(delay)).await;
        let count = contender.origin.calls_count();
        quiet = if count == seen { quiet + 1 } else { 0 };
        if quiet >= QUIET_LOOKS {
            return;
        }
        seen = count;
    }
}
