//! Who waits while steady clients ask, and how many calls does it take?
//!
//! All servers get each request at the same moment, in turns first: what disturbs the machine
//! disturbs them all, and they answer the same arrivals.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::arrivals::{Draws, Keys, Taste};
use super::asking::{Asked, Clients, Source, all, must_be_good};
use super::contender::Contender;
use super::minimum::fewest_calls;
use super::options::Options;
use super::origin::Call;
use crate::client::now;
use crate::figures::Run;
use crate::latency::Latencies;

/// How many answers there are.
pub(crate) const KEYS: usize = 50;

/// How many lifetimes are measured.
pub(crate) const LIFETIMES: u32 = 10;

/// How often each answer is asked for at first: to be there, and to be one that is asked for.
const FIRST_REQUESTS: usize = 3;

/// Connections that are there before the first request; busy moments open more.
const CONNECTIONS: usize = 32;

/// What is measured, of all that happens.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    until: Instant,
    fresh: Duration,
}

/// Asks all servers for the same at the same times, once.
///
/// # Errors
/// When an answer is wrong or does not come.
pub(crate) async fn run(
    contenders: &[Contender],
    taste: Taste,
    seed: u64,
    options: &Options,
) -> Result<Vec<Run>, String> {
    let mut clients = Vec::new();
    for contender in contenders {
        let of_one = Clients::connect(contender, CONNECTIONS).await?;
        for _ in 0..FIRST_REQUESTS {
            let mut first = JoinSet::new();
            for key in 0..KEYS {
                let of_one = of_one.clone();
                first.spawn(async move { of_one.ask(path(key)).await });
            }
            must_be_good(&all(first).await?)?;
        }
        clients.push(of_one);
    }
    let fresh = options.fresh();
    // Whoever came together at first has parted by then.
    let warm_up = fresh * 3 / 2;
    let length = warm_up + fresh * LIFETIMES;
    let (mut draws, keys) = (Draws::of(seed), Keys::of(taste, KEYS));
    let times = draws.times(options.rate as f64, length);
    let begin = now();
    let window = Window { from: begin + warm_up, until: begin + length, fresh };
    let mut tasks: Vec<JoinSet<_>> = clients.iter().map(|_| JoinSet::new()).collect();
    for (turn, time) in times.into_iter().enumerate() {
        let key = keys.draw(&mut draws);
        sleep_until((begin + time).into()).await;
        let both = clients.iter().zip(&mut tasks);
        let mut both: Vec<_> = both.collect();
        both.rotate_left(turn % contenders.len());
        for (clients, tasks) in both {
            let clients = clients.clone();
            tasks.spawn(async move { clients.ask(path(key)).await });
        }
    }
    let mut runs = Vec::new();
    sleep_until(window.until.into()).await;
    // A call that came in time has its answer by then.
    sleep(options.delay() + Duration::from_millis(200)).await;
    for (contender, tasks) in contenders.iter().zip(tasks) {
        let asked = all(tasks).await?;
        must_be_good(&asked)?;
        runs.push(window.figures(asked, &contender.origin.calls()));
    }
    Ok(runs)
}

fn path(key: usize) -> String {
    format!("/key/{key}")
}

impl Window {
    fn holds(&self, at: Instant) -> bool {
        (self.from..self.until).contains(&at)
    }

    fn figures(&self, mut asked: Vec<Asked>, calls: &[Call]) -> Run {
        asked.retain(|asked| self.holds(asked.sent_at));
        asked.sort_by_key(|asked| asked.sent_at);
        let made = calls.iter().filter(|call| self.holds(call.came_at)).count();
        let minimum = self.minimum(&asked, calls);
        let from = |source| asked.iter().filter(|asked| asked.source == source).count() as f64;
        let waits = Latencies::of(asked.iter().map(|asked| asked.wait));
        let oldest = asked.iter().filter_map(|asked| asked.age).max().unwrap_or_default();
        Run::default()
            .with("requests", asked.len() as f64)
            .with("misses", from(Source::Elsewhere))
            .with("stale", from(Source::Stale))
            .with("oldest_ms", oldest.as_secs_f64() * 1e3)
            .with("p99_ms", waits.percentile_us(99) / 1e3)
            .with("slowest_ms", waits.percentile_us(100) / 1e3)
            .with("calls", made as f64)
            .with("minimum", f64::from(minimum))
            .with("ratio", made as f64 / f64::from(minimum.max(1)))
    }

    /// The fewest calls for these arrivals, from the copies on that were there at the beginning.
    fn minimum(&self, asked: &[Asked], calls: &[Call]) -> u32 {
        let begin = asked.first().map_or(self.from, |first| first.sent_at.min(self.from));
        let since = |at: Instant| at.saturating_duration_since(begin);
        let mut by_path: HashMap<&str, Vec<Duration>> = HashMap::new();
        for asked in asked {
            by_path.entry(&asked.path).or_default().push(since(asked.sent_at));
        }
        let of_one = |(path, arrivals): (&str, Vec<Duration>)| {
            let before = calls.iter().filter(|call| call.path == path && call.made_at < self.from);
            let latest = before.map(|call| call.made_at).max();
            let fresh_until = latest.map_or(Duration::ZERO, |made| since(made + self.fresh));
            fewest_calls(arrivals, fresh_until, self.fresh)
        };
        by_path.into_iter().map(of_one).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_that_was_there_counts_and_what_lies_outside_does_not() {
        let at = |begin: Instant, s| begin + Duration::from_secs(s);
        let begin = now();
        let window =
            Window { from: at(begin, 10), until: at(begin, 20), fresh: Duration::from_secs(4) };
        let call = |s| Call { path: path(1), came_at: at(begin, s), made_at: at(begin, s) };
        let asked = |s, source| Asked {
            path: path(1),
            sent_at: at(begin, s),
            wait: Duration::from_millis(s),
            status: 200,
            source,
            age: Some(Duration::ZERO),
        };
        let all = [(9, Source::Stale), (12, Source::Fresh), (14, Source::Elsewhere)];
        let later = [(16, Source::Stale), (17, Source::Fresh), (21, Source::Elsewhere)];
        let all = all.into_iter().chain(later).map(|(s, source)| asked(s, source)).collect();
        let run = window.figures(all, &[call(5), call(9), call(13), call(16), call(22)]);
        let told = ["requests", "misses", "stale", "calls", "minimum", "ratio", "slowest_ms"];
        assert_eq!(told.map(|name| run.get(name)), [4.0, 1.0, 1.0, 2.0, 1.0, 2.0, 17.0]);
    }
}
