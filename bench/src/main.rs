//! `make bench`: how does farmgate compare with its peers, on this machine, now?
//!
//! One origin, one payload, the servers in turns, and ratios within a round; see `README.md`.

mod cpu;
mod error;
mod interrupt;
mod load;
mod machine;
mod measure;
mod options;
mod origin;
mod peer;
mod pinning;
mod probe;
mod report;
mod row;
mod server;
mod stats;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use harness::Directory;

use crate::error::{BenchError, Trying};
use crate::machine::{Circumstances, is_there};
use crate::measure::{Run, Subject};
use crate::options::Options;
use crate::origin::Origin;
use crate::peer::{Kind, Peer};
use crate::report::{Measured, Report};
use crate::row::{ROWS, Row};
use crate::server::{Place, Server};

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), BenchError> {
    let rows = choose(options)?;
    if options.list {
        rows.iter().for_each(|row| say(&format!("{:10} {}", row.name, row.title)));
        return Ok(());
    }
    let gateway = gateway(options)?;
    if !is_there("wrk") {
        return Err(missing("wrk"));
    }
    let (kinds, skipped) = peers_there()?;
    skipped.iter().for_each(|skipped| say(&format!("skipped: {skipped}")));
    interrupt::listen()?;
    let origin = Origin::start()?;
    let pinning = pinning::pin_own();
    let circumstances = Circumstances::now(options, &gateway, &kinds, pinning);
    let servers = start(&rows, &kinds, &origin, &gateway)?;
    let scripts = Directory::new();
    let script = scripts.write("wrk.lua", include_str!("../data/wrk.lua"));
    let mut report = Report { circumstances, skipped, rows: Vec::new() };
    for row in rows {
        report.rows.push(measure(row, &servers, &origin, options, &script)?);
    }
    drop(servers);
    say(&format!("\n{}", report.table()));
    if options.only.is_empty() {
        report.write(&options.results)?;
        say(&format!("written to {}", options.results.display()));
    }
    Ok(())
}

fn choose(options: &Options) -> Result<Vec<&'static Row>, BenchError> {
    if options.only.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let find = |name: &String| {
        let row = ROWS.iter().find(|row| row.name == name);
        row.ok_or_else(|| BenchError::NoRow { name: name.clone() })
    };
    options.only.iter().map(find).collect()
}

/// The gateway's program: the one that was named, else the one that was built beside this one.
fn gateway(options: &Options) -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().trying(|| "find this program's own place".into())?;
    let beside = own.with_file_name("farmgate");
    let gateway = options.gateway.clone().unwrap_or(beside);
    let absolute = gateway.canonicalize().map_err(|_| BenchError::Missing {
        program: gateway.display().to_string(),
        remedy: "build it with `cargo build --release -p farmgate`".to_owned(),
    })?;
    Ok(absolute)
}

/// The servers that can be measured here, and why others cannot. Without nginx there is nothing to
/// compare a cached answer with, and so no result.
fn peers_there() -> Result<(Vec<Kind>, Vec<String>), BenchError> {
    if !is_there("nginx") && !is_there("caddy") {
        return Err(missing("nginx"));
    }
    let (there, absent): (Vec<_>, Vec<_>) =
        [Kind::Nginx, Kind::Caddy].into_iter().partition(|kind| is_there(kind.name()));
    let skipped = absent.into_iter().map(|kind| missing(kind.name()).to_string()).collect();
    Ok((std::iter::once(Kind::Farmgate).chain(there).collect(), skipped))
}

fn missing(program: &str) -> BenchError {
    let remedy = format!("install it with `apt-get install {program}`");
    BenchError::Missing { program: program.to_owned(), remedy }
}

/// Starts each server that a row needs, once.
fn start(
    rows: &[&Row],
    kinds: &[Kind],
    origin: &Origin,
    gateway: &Path,
) -> Result<Vec<Server>, BenchError> {
    let mut servers: Vec<Server> = Vec::new();
    for peer in rows.iter().flat_map(|row| row.peers) {
        if kinds.contains(&peer.kind) && find(&servers, *peer).is_none() {
            interrupt::check()?;
            servers.push(Server::start(*peer, Place::new(origin.address()), gateway)?);
        }
    }
    Ok(servers)
}

fn find(servers: &[Server], peer: Peer) -> Option<&Server> {
    servers.iter().find(|server| server.peer == peer)
}

fn measure(
    row: &'static Row,
    servers: &[Server],
    origin: &Origin,
    options: &Options,
    script: &Path,
) -> Result<Measured, BenchError> {
    say(&format!("{}: {}", row.name, row.title));
    let mut subjects: Vec<(&'static str, Subject<'_>, Vec<Run>)> = Vec::new();
    for server in row.peers.iter().filter_map(|peer| find(servers, *peer)) {
        let subject = Subject::prepare(row, server, origin, script)?;
        subjects.push((server.peer.kind.name(), subject, Vec::new()));
    }
    for round in 1..=options.rounds {
        let mut line = format!("  round {round}:");
        for (name, subject, runs) in &mut subjects {
            let run = subject.run(options.seconds, script)?;
            let (rate, cpu) = (run.requests_per_second, run.cpu_us_per_request);
            line.push_str(&format!("  {name} {rate:.0}/s {cpu:.1} µs"));
            runs.push(run);
        }
        say(&line);
    }
    Ok(Measured::of(row, subjects.into_iter().map(|(name, _, runs)| (name, runs)).collect()))
}

/// A line for a person; when nobody listens any more there is nobody to tell.
fn say(line: &str) {
    let _reader_may_be_gone = writeln!(std::io::stdout(), "{line}");
}
