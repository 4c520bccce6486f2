//! How does farmgate compare with its peers, on this machine, now?
//!
//! One origin, one payload, the servers in turns, and ratios within a round.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use harness::Directory;

use crate::error::BenchError;
use crate::machine::{Circumstances, gateway_program, is_there};
use crate::measure::{Run, Subject};
use crate::options::Options;
use crate::origin::Origin;
use crate::peer::{Kind, Peer};
use crate::report::{Measured, Report};
use crate::row::{ROWS, Row};
use crate::server::{Place, Server};
use crate::{interrupt, pinning, program, say};

/// Measures what the command line asks for, and writes it down.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    program::end("bench", run(&options))
}

fn run(options: &Options) -> Result<(), BenchError> {
    let rows = options.common.choose(&ROWS)?;
    if options.common.list {
        program::list(&rows);
        return Ok(());
    }
    let gateway = gateway_program(options.common.gateway.as_deref())?;
    if !is_there("wrk") {
        return Err(missing("wrk"));
    }
    let (kinds, skipped) = peers_there()?;
    skipped.iter().for_each(|skipped| say(&format!("skipped: {skipped}")));
    interrupt::listen()?;
    let origin = Origin::start()?;
    let pinning = pinning::pin_own();
    let (command, is_named) = (options.command(), options.common.gateway.is_some());
    let circumstances = Circumstances::now(command, &gateway, is_named, pinning).with_peers(&kinds);
    let servers = start(&rows, &kinds, &origin, &gateway)?;
    let scripts = Directory::new();
    let script = scripts.write("wrk.lua", include_str!("../data/wrk.lua"));
    let mut report = Report { circumstances, skipped, rows: Vec::new() };
    for row in rows {
        report.rows.push(measure(row, &servers, &origin, options, &script)?);
    }
    drop(servers);
    say(&format!("\n{}", report.table()));
    if options.common.only.is_empty() {
        report.write(&options.common.results)?;
        say(&format!("written to {}", options.common.results.display()));
    }
    Ok(())
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
) -> Result<Vec<(Peer, Server)>, BenchError> {
    let mut servers: Vec<(Peer, Server)> = Vec::new();
    for peer in rows.iter().flat_map(|row| row.peers) {
        if kinds.contains(&peer.kind) && find(&servers, *peer).is_none() {
            interrupt::check()?;
            let place = Place::new(origin.address());
            let program = peer.program(&place, gateway)?;
            servers.push((*peer, Server::start(peer.kind.name(), place, program)?));
        }
    }
    Ok(servers)
}

fn find(servers: &[(Peer, Server)], wanted: Peer) -> Option<&Server> {
    servers.iter().find(|(peer, _)| *peer == wanted).map(|(_, server)| server)
}

fn measure(
    row: &'static Row,
    servers: &[(Peer, Server)],
    origin: &Origin,
    options: &Options,
    script: &Path,
) -> Result<Measured, BenchError> {
    say(&format!("{}: {}", row.name, row.title));
    let mut subjects: Vec<(&'static str, Subject<'_>, Vec<Run>)> = Vec::new();
    for peer in row.peers {
        let Some(server) = find(servers, *peer) else { continue };
        let subject = Subject::prepare(row, server, peer.logs, origin, script)?;
        subjects.push((server.name, subject, Vec::new()));
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
