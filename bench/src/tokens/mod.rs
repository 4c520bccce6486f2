//! What does a token cost, cold and warm, with the gateway and without its memory of keys?
//!
//! The operator's tables in a private MariaDB, keys of a million rounds, the servers in turns, and
//! ratios within a round.

mod busy;
mod cold;
mod contender;
mod farm;
mod flood;
mod forgetful;
mod job;
mod options;
mod report;
mod row;
mod warm;

use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

use self::busy::Busy;
use self::contender::{Contender, Which};
use self::farm::{Farm, Key};
use self::options::{Options, Part};
use self::report::{Measured, Report};
use self::row::{ROWS, Row, Scene};
use crate::error::{BenchError, Trying};
use crate::figures::{Figures, Run};
use crate::machine::{Circumstances, gateway_program, said};
use crate::origin::Origin;
use crate::{interrupt, program, report as results, say};

/// Where packages put MariaDB's server; the path of a plain user leaves that folder out.
const DATABASE: &str = "/usr/sbin/mariadbd";

/// How everything shares the cores.
const PINNING: &str =
    "nothing is pinned: the servers, the database and the clients share all cores";

/// Measures what the command line asks for, and writes it down.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Part::Forgetful(options)) = &options.part {
        return forgetful::main(options);
    }
    program::end("tokens", run(&options))
}

fn run(options: &Options) -> Result<(), BenchError> {
    let rows = options.common.choose(&ROWS)?;
    if options.common.list {
        program::list(&rows);
        return Ok(());
    }
    let gateway = gateway_program(options.common.gateway.as_deref())?;
    if !std::path::Path::new(DATABASE).exists() {
        let remedy = "install it with `apt-get install mariadb-server`".to_owned();
        return Err(BenchError::Missing { program: "mariadbd".to_owned(), remedy });
    }
    interrupt::listen()?;
    let (command, is_named) = (options.command(), options.common.gateway.is_some());
    let mut circumstances = Circumstances::now(command, &gateway, is_named, PINNING.to_owned());
    circumstances.versions.push(said(Command::new(DATABASE).arg("--version")));
    let runtime = Runtime::new().trying(|| "start a runtime".into())?;
    let measured = runtime.block_on(measure_all(&rows, options, &gateway))?;
    let report = Report { circumstances, rows: measured };
    say(&report.tables());
    if options.common.only.is_empty() {
        results::write(&options.common.results, "tokens", &report.markdown(), &report)?;
        say(&format!("written to {}", options.common.results.display()));
    }
    Ok(())
}

async fn measure_all(
    rows: &[&'static Row],
    options: &Options,
    gateway: &std::path::Path,
) -> Result<Vec<Measured>, BenchError> {
    let origin = Origin::start()?;
    let mut farm = Farm::start().await;
    let mut contenders: Vec<Contender> = Vec::new();
    for which in rows.iter().flat_map(|row| row.servers) {
        if !contenders.iter().any(|contender| contender.which == *which) {
            contenders.push(Contender::start(*which, &farm, &origin, gateway)?);
        }
    }
    let mut measured = Vec::new();
    for row in rows {
        measured.push(measure(row, &contenders, &mut farm, options).await?);
    }
    Ok(measured)
}

/// Measures one row, round by round, the servers in turns.
async fn measure(
    row: &'static Row,
    contenders: &[Contender],
    farm: &mut Farm,
    options: &Options,
) -> Result<Measured, BenchError> {
    say(&format!("{}: {}", row.name, row.title));
    let there: Vec<&Contender> = row.servers.iter().filter_map(|w| find(contenders, *w)).collect();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); there.len()];
    for round in 1..=options.rounds {
        // All servers of a round get the same keys; none of them has seen one before.
        let keys = farm.issue(row.scene.keys()).await;
        for (contender, runs) in there.iter().zip(&mut runs) {
            interrupt::check()?;
            let run = play(row.scene, contender, &keys, round, options).await;
            let run = run.map_err(|problem| BenchError::WrongAnswer {
                row: row.name,
                server: contender.which.name(),
                problem,
            })?;
            contender.server.empty_log()?;
            say(&format!("  round {round}: {:20} {}", contender.which.name(), row.told(&run)));
            runs.push(run);
        }
    }
    let ours = runs.first().cloned().unwrap_or_default();
    let figures = there.iter().zip(runs).map(|(contender, runs)| {
        let against = (contender.which != Which::Farmgate).then_some(ours.as_slice());
        Figures::of(contender.which.name(), runs, against)
    });
    let servers = figures.collect();
    Ok(Measured { row: row.name, title: row.title, note: row.note, servers })
}

fn find(contenders: &[Contender], which: Which) -> Option<&Contender> {
    contenders.iter().find(|contender| contender.which == which)
}

/// Puts one server into one situation, once.
async fn play(
    scene: Scene,
    contender: &Contender,
    keys: &[Key],
    round: u64,
    options: &Options,
) -> Result<Run, String> {
    match scene {
        Scene::Cold { bursts, keys: together } => {
            let bursts = if contender.which.remembers() { bursts } else { 1 };
            let groups = keys.chunks(together).take(bursts).map(<[Key]>::to_vec);
            let groups: Vec<Vec<Key>> = groups.collect();
            cold::run(contender, &groups).await
        }
        Scene::Warm { pace, forgetful, busy } => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let _busy = busy.then(|| Busy::start(cores));
            let pace = if contender.which.remembers() { pace } else { forgetful };
            warm::run(contender, keys, pace, Duration::from_secs(options.seconds)).await
        }
        Scene::Flood => {
            let [attacked, honest] = keys else { return Err("two keys are needed".to_owned()) };
            // Each round has an address of its own: failures count for a minute.
            let from = format!("198.51.100.{round}");
            flood::run(contender, (attacked, honest), &from).await
        }
    }
}
