//! What keeps answers fresh, who waits meanwhile, and what does it ask of their services?
//!
//! The gateway with `refresh_ahead`, with `stale_while_revalidate` and with neither, beside nginx,
//! each in front of an origin of its own that counts.

mod arrivals;
mod asking;
mod burst;
mod contender;
mod minimum;
mod options;
mod origin;
mod overload;
mod report;
mod row;
mod steady;

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use tokio::runtime::Runtime;

use self::contender::Contender;
use self::options::Options;
use self::report::{Measured, Report};
use self::row::{ROWS, Row, Scene};
use crate::error::{BenchError, Trying};
use crate::figures::{Figures, Run};
use crate::machine::{Circumstances, gateway_program, is_there, said};
use crate::{interrupt, program, report as results, say};

/// How everything shares the cores.
const PINNING: &str = "nothing is pinned: the servers, the origins and the clients share all cores";

/// Measures what the command line asks for, and writes it down.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    program::end("warmth", run(&options))
}

fn run(options: &Options) -> Result<(), BenchError> {
    let rows = options.common.choose(&ROWS)?;
    if options.common.list {
        program::list(&rows);
        return Ok(());
    }
    let gateway = gateway_program(options.common.gateway.as_deref())?;
    if !is_there("nginx") {
        let remedy = "install it with `apt-get install nginx`".to_owned();
        return Err(BenchError::Missing { program: "nginx".to_owned(), remedy });
    }
    interrupt::listen()?;
    let (command, is_named) = (options.command(), options.common.gateway.is_some());
    let mut circumstances = Circumstances::now(command, &gateway, is_named, PINNING.to_owned());
    let nginx = said(Command::new("nginx").arg("-v")).replace("nginx version: ", "");
    circumstances.versions.push(nginx);
    let idle = circumstances.idle();
    let runtime = Runtime::new().trying(|| "start a runtime".into())?;
    let mut measured = Vec::new();
    for row in rows {
        measured.push(runtime.block_on(measure(row, options, &gateway))?);
    }
    let report = Report { circumstances, idle, rows: measured };
    say(&report.tables());
    if options.common.only.is_empty() {
        results::write(&options.common.results, "warmth", &report.markdown(), &report)?;
        say(&format!("written to {}", options.common.results.display()));
    }
    report.broken().map_or(Ok(()), |broken| Err(BenchError::NotKept { broken }))
}

/// Measures one row, round by round.
async fn measure(
    row: &'static Row,
    options: &Options,
    gateway: &Path,
) -> Result<Measured, BenchError> {
    say(&format!("{}: {}", row.name, row.title));
    let setting = row.scene.setting(options);
    let mut contenders = Vec::new();
    for which in row.servers {
        contenders.push(Contender::start(*which, &setting, options.delay(), gateway)?);
    }
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); contenders.len()];
    for round in 1..=row.scene.rounds(options) {
        interrupt::check()?;
        let played = play(row, &contenders, round, options).await?;
        for ((contender, run), runs) in contenders.iter().zip(played).zip(&mut runs) {
            let told = row.scene.columns().iter().map(|column| column.told(run.get(column.name)));
            let told = told.collect::<Vec<_>>().join(", ");
            say(&format!("  round {round}: {:32} {told}", contender.which.name()));
            runs.push(run);
        }
    }
    let broken = row.scene.broken(runs.first().map(Vec::as_slice).unwrap_or_default());
    let servers = contenders.iter().zip(runs);
    let servers = servers.map(|(one, runs)| Figures::of(one.which.name(), runs, None)).collect();
    Ok(Measured { row: row.name, title: row.title, note: row.note, broken, servers })
}

/// Puts the servers into one situation, once: all together where they can share it, else in turns.
async fn play(
    row: &'static Row,
    contenders: &[Contender],
    round: u64,
    options: &Options,
) -> Result<Vec<Run>, BenchError> {
    let wrong = |server: &'static str| {
        move |problem| BenchError::WrongAnswer { row: row.name, server, problem }
    };
    if let Scene::Steady(taste) = row.scene {
        let seed = options.seed.wrapping_add(round);
        return steady::run(contenders, taste, seed, options).await.map_err(wrong("one of them"));
    }
    let mut runs = Vec::new();
    for contender in contenders {
        interrupt::check()?;
        let run = match row.scene {
            Scene::Overload => overload::run(contender, options).await,
            _ => burst::run(contender, round, options).await,
        };
        runs.push(run.map_err(wrong(contender.which.name()))?);
    }
    Ok(runs)
}
