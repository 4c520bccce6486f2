//! Does a pool keep to its budget when ten times as much is asked for, and who gets an answer?

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::arrivals::{Draws, Keys, Taste};
use super::asking::{Asked, Clients, Source, all};
use super::contender::Contender;
use super::minimum::most_in_window;
use super::options::Options;
use crate::client::now;
use crate::figures::Run;
use crate::latency::Latencies;

/// Calls that the pool may take in a minute.
pub(crate) const BUDGET: u32 = 120;

/// How many requests there are for each call of the budget.
const REQUESTS_PER_CALL: u32 = 10;

/// Longer than a minute, so that the first calls leave the window and others come into it.
const LENGTH: Duration = Duration::from_secs(70);

/// The window that the budget speaks of.
const MINUTE: Duration = Duration::from_secs(60);

/// Answers that are asked for again and again; every other request is for one that nobody has seen.
const REPEATED: usize = 20;

/// Connections that are there before the first request.
const CONNECTIONS: usize = 32;

/// Asks one server for more than its pool may be asked.
///
/// # Errors
/// When an answer does not come, or is neither 200 nor 503.
pub(crate) async fn run(contender: &Contender, options: &Options) -> Result<Run, String> {
    let clients = Clients::connect(contender, CONNECTIONS).await?;
    let (mut draws, keys) = (Draws::of(options.seed), Keys::of(Taste::Zipf, REPEATED));
    let per_second = f64::from(BUDGET * REQUESTS_PER_CALL) / MINUTE.as_secs_f64();
    let times = draws.times(per_second, LENGTH);
    let (mut tasks, begin) = (JoinSet::new(), now());
    for (number, time) in times.into_iter().enumerate() {
        let path = if draws.unit() < 0.5 {
            format!("/new/{number}")
        } else {
            format!("/again/{}", keys.draw(&mut draws))
        };
        sleep_until((begin + time).into()).await;
        let clients = clients.clone();
        tasks.spawn(async move { clients.ask(path).await });
    }
    let asked = all(tasks).await?;
    // A call that came in time has its answer by then.
    sleep(options.delay() + Duration::from_millis(200)).await;
    if let Some(other) = asked.iter().find(|asked| !matches!(asked.status, 200 | 503)) {
        return Err(format!("{} was answered with {}", other.path, other.status));
    }
    let mut came: Vec<Duration> =
        contender.origin.calls().iter().map(|call| call.came_at - begin).collect();
    came.sort_unstable();
    let count =
        |which: &dyn Fn(&Asked) -> bool| asked.iter().filter(|asked| which(asked)).count() as f64;
    let is_stored = |asked: &Asked| asked.source != Source::Elsewhere;
    let is_again = |asked: &Asked| asked.path.starts_with("/again/");
    let again = count(&is_again);
    let waits = Latencies::of(asked.iter().map(|asked| asked.wait));
    Ok(Run::default()
        .with("requests", asked.len() as f64)
        .with("calls", came.len() as f64)
        .with("calls_in_a_minute", most_in_window(&came, MINUTE) as f64)
        .with("answered_200", count(&|asked| asked.status == 200))
        .with("answered_503", count(&|asked| asked.status == 503))
        .with("stored_percent", 100.0 * count(&is_stored) / asked.len().max(1) as f64)
        .with(
            "again_200_percent",
            100.0 * count(&|asked| is_again(asked) && asked.status == 200) / again.max(1.0),
        )
        .with("p50_ms", waits.percentile_us(50) / 1e3)
        .with("p99_ms", waits.percentile_us(99) / 1e3))
}
