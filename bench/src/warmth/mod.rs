//! Does anybody wait for a hot answer, and what do calls cost to prevent it?
//!
//! A Poisson stream of clients over some keys, for ten times as long as an answer is fresh, to a gateway
//! that fetches hot answers ahead, to one that refreshes stale ones, and to one that does neither. Calls
//! are compared with the fewest that could serve the same clients.

mod arrivals;
mod play;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

use self::arrivals::{calls_min, poisson};
use self::play::{Told, Warmth, play};
use self::report::{Report, Row};
use crate::error::{BenchError, Trying};
use crate::machine::{Circumstances, gateway_program};
use crate::{report as results, say};

/// Times that an answer is fresh for which the stream lasts after the warm-up.
const LIFETIMES: u32 = 10;

/// Most calls with `refresh_ahead`, as a multiple of the fewest.
const CALLS_MAX: f64 = 1.3;

/// Measures whether hot answers are there in time, and how many calls that takes.
#[derive(Clone, Debug, Parser)]
#[command(name = "warmth", version, about)]
struct Options {
    /// How often the stream is played to each gateway, each time another stream.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Clients a second.
    #[arg(long, default_value_t = 250.0)]
    rate: f64,
    /// Keys that they ask for.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    keys: u64,
    /// How long an answer is fresh, in milliseconds.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    fresh_ms: u64,
    /// How long the upstream takes, in milliseconds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    delay_ms: u64,
    /// The gateway's program; left out, the one beside this.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
    /// Where warmth.md and warmth.json go.
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    results: PathBuf,
}

/// Measures what the command line asks for, and writes it down.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            say(&format!("warmth: somebody missed, or calls are above {CALLS_MAX} of the fewest"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("warmth: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Answers whether the gateway that fetches ahead did what it is for.
fn run(options: &Options) -> Result<bool, BenchError> {
    let program = gateway_program(options.gateway.as_deref())?;
    let Options { rounds, rate, keys, fresh_ms, delay_ms, .. } = options;
    let command = format!(
        "warmth --rounds {rounds} --rate {rate} --keys {keys} --fresh-ms {fresh_ms} --delay-ms {delay_ms}"
    );
    let is_named = options.gateway.is_some();
    let circumstances = Circumstances::now(command, &program, is_named, "nothing is pinned".into());
    let runtime = Runtime::new().trying(|| "start a runtime".into())?;
    let mut rows = Vec::new();
    for round in 1..=options.rounds {
        for warmth in Warmth::ALL {
            let row = runtime.block_on(measure(&program, warmth, round, options));
            say(&row.told());
            rows.push(row);
        }
    }
    let report = Report { circumstances, rows };
    results::write(&options.results, "warmth", &report.markdown(), &report)?;
    let mut ahead = report.rows.iter().filter(|row| row.warmth == Warmth::Ahead.name());
    Ok(ahead.all(|row| row.told.misses == 0 && row.calls_ratio <= CALLS_MAX))
}

async fn measure(program: &std::path::Path, warmth: Warmth, round: u64, options: &Options) -> Row {
    let fresh = Duration::from_millis(options.fresh_ms);
    let delay = Duration::from_millis(options.delay_ms);
    let keys = usize::try_from(options.keys).unwrap_or(usize::MAX);
    let arrivals = poisson(round, options.rate, keys, fresh * (LIFETIMES + 1));
    let calls_min = calls_min(&arrivals, keys, fresh);
    let told: Told = play(program, warmth, &arrivals, (fresh, delay), fresh).await;
    Row {
        warmth: warmth.name(),
        round,
        told,
        calls_min,
        calls_ratio: told.calls as f64 / calls_min.max(1) as f64,
    }
}
