//! Which answers does the store keep, and what memory does it take?
//!
//! The same traces for every policy, with one budget and one cost of an answer: the share that each
//! could answer. Then ten million answers through the store, each with a key of its own, in a process
//! that does nothing else: how much it has grown.

mod answer;
mod policy;
mod report;
mod resident;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use self::policy::{NAMES, policy};
use self::report::{Report, Row};
use self::trace::{KINDS, Kind, Trace};
use crate::error::BenchError;
use crate::machine::Circumstances;
use crate::{program, report as results, say};

/// The store's budget: the gateway's default.
const BUDGET_BYTES: usize = 64 << 20;

/// Most requests of a trace.
const REQUESTS_MAX: u64 = 1_000_000_000;

/// Measures the hit ratio of the store beside other policies, and its memory.
#[derive(Clone, Debug, Parser)]
#[command(name = "store", version, about)]
struct Options {
    /// Requests of each trace.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX))]
    requests: u64,
    /// Answers that are put in the run for memory.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX))]
    answers: u64,
    /// Run these traces only (may be repeated); nothing is written then.
    #[arg(long, value_name = "TRACE")]
    only: Vec<String>,
    /// Where store.md and store.json go.
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    results: PathBuf,
    /// Another part of the program; left out, it measures.
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Clone, Debug, Subcommand)]
enum Part {
    /// Puts answers through a store and prints how the process grew.
    #[command(hide = true)]
    Resident,
}

/// Measures what the command line asks for, and writes it down.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.part {
        Some(Part::Resident) => resident::run(options.answers, BUDGET_BYTES),
        None => run(&options),
    };
    program::end("store", done)
}

fn run(options: &Options) -> Result<(), BenchError> {
    let program = std::env::current_exe().unwrap_or_default();
    let command = format!("store --requests {} --answers {}", options.requests, options.answers);
    let circumstances = Circumstances::now(command, &program, false, "nothing is pinned".into());
    let is_wanted =
        |kind: &&Kind| options.only.is_empty() || options.only.iter().any(|name| name == kind.name);
    let mut rows = Vec::new();
    for kind in KINDS.iter().filter(is_wanted) {
        let ratios: Vec<f64> =
            NAMES.iter().map(|name| hit_percent(name, *kind, options.requests)).collect();
        let row = Row::new(kind.name, ratios);
        say(&row.told());
        rows.push(row);
    }
    let resident = resident::measure(&program, options.answers)?;
    say(&resident.told());
    let report = Report::new(circumstances, rows, resident);
    if options.only.is_empty() {
        results::write(&options.results, "store", &report.markdown(), &report)?;
        say(&format!("written to {}", options.results.display()));
    }
    Ok(())
}

/// The share of the requests that come again which a policy could answer, in percent.
#[allow(clippy::disallowed_methods, reason = "how long a run takes is real time")]
fn hit_percent(name: &str, kind: Kind, requests: u64) -> f64 {
    let Some(policy) = policy(name, kind, BUDGET_BYTES) else { return f64::NAN };
    let (mut hits, mut counted) = (0_u64, 0_u64);
    let began = Instant::now();
    let requests_left = usize::try_from(requests).unwrap_or(usize::MAX);
    for asked in Trace::new(kind).take(requests_left) {
        let is_hit = policy.get(asked.key);
        if asked.is_counted {
            counted += 1;
            hits += u64::from(is_hit);
        }
        if !is_hit {
            policy.put(asked.key, asked.bytes);
        }
    }
    say(&format!("  {} {name}: {:.1} s", kind.name, began.elapsed().as_secs_f64()));
    100.0 * hits as f64 / counted.max(1) as f64
}
