//! What does a service whose database has stopped do to everybody else?
//!
//! The NDVI service with five connections to a real Postgres, beside itself with the bounds of its
//! pool taken away. In each round 200 clients ask for a table that somebody has locked; meanwhile a
//! steady stream asks for what needs no connection.

mod contender;
mod report;
mod round;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use self::contender::{Contender, WHICH, ndvi_program};
use self::report::Report;
use crate::error::{BenchError, Trying};
use crate::figures::{Figures, Run};
use crate::machine::Circumstances;
use crate::program::{ROUNDS_MAX, SECONDS_MAX};
use crate::{interrupt, program, report as results, say};

/// How everything shares the cores.
const PINNING: &str = "nothing is pinned: the services, Postgres and the clients share all cores";

/// Measures who waits when a service's database has stopped.
#[derive(Clone, Debug, Parser)]
#[command(name = "pools", version, about)]
struct Options {
    /// Rounds; the medians are over them.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    rounds: u64,
    /// Seconds of each half of a round: idle, and with the database stopped.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// The NDVI service's program; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    service: Option<std::path::PathBuf>,
    /// Where the results go, as Markdown and as JSON.
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    results: std::path::PathBuf,
}

/// Measures what the command line asks for, and writes it down.
#[must_use]
pub fn main() -> ExitCode {
    program::end("pools", run(&Options::parse()))
}

fn run(options: &Options) -> Result<(), BenchError> {
    let service = ndvi_program(options.service.as_deref())?;
    interrupt::listen()?;
    let Options { rounds, seconds, .. } = options;
    let command = format!("pools --rounds {rounds} --seconds {seconds}");
    let is_named = options.service.is_some();
    let circumstances = Circumstances::now(command, &service, is_named, PINNING.to_owned());
    let idle = circumstances.idle();
    let runtime = Runtime::new().trying(|| "start a runtime".into())?;
    let servers = runtime.block_on(measure(options, &service))?;
    let report = Report { circumstances, idle, servers };
    say(&report.table());
    results::write(&options.results, "pools", &report.markdown(), &report)?;
    say(&format!("written to {}", options.results.display()));
    report.broken().map_or(Ok(()), |broken| Err(BenchError::NotKept { broken }))
}

async fn measure(options: &Options, service: &std::path::Path) -> Result<Vec<Figures>, BenchError> {
    let mut contenders = Vec::new();
    for which in WHICH {
        contenders.push(Contender::start(which, service).await?);
    }
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); contenders.len()];
    for number in 1..=options.rounds {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            interrupt::check()?;
            let played = round::play(contender, options.seconds).await.map_err(|problem| {
                BenchError::WrongAnswer { row: "locked", server: contender.which.name(), problem }
            })?;
            let told = report::COLUMNS.iter().map(|column| column.told(played.get(column.name)));
            let told = told.collect::<Vec<_>>().join(", ");
            say(&format!("  round {number}: {:16} {told}", contender.which.name()));
            runs.push(played);
        }
    }
    let servers = contenders.iter().zip(runs);
    Ok(servers.map(|(one, runs)| Figures::of(one.which.name(), runs, None)).collect())
}
