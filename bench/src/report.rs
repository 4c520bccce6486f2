//! What does a reader see of it?

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::{BenchError, Trying};
use crate::load::CONNECTIONS;
use crate::machine::Circumstances;
use crate::measure::Run;
use crate::row::Row;
use crate::stats::Spread;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Under which circumstances.
    pub(crate) circumstances: Circumstances,
    /// What was left out, and why.
    pub(crate) skipped: Vec<String>,
    /// The rows.
    pub(crate) rows: Vec<Measured>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) row: &'static str,
    /// What it is.
    pub(crate) title: &'static str,
    /// Where the servers do not do the same work.
    pub(crate) note: &'static str,
    /// Its servers; the gateway is first.
    pub(crate) servers: Vec<Figures>,
}

/// One server's figures in a row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Which server.
    pub(crate) server: &'static str,
    /// Answers a second.
    pub(crate) requests_per_second: Spread,
    /// Median latency.
    pub(crate) p50_us: Spread,
    /// 99th percentile of the latency.
    pub(crate) p99_us: Spread,
    /// Processor time of the server for one request.
    pub(crate) cpu_us_per_request: Spread,
    /// The gateway against this server; the gateway itself has none.
    pub(crate) farmgate_against_it: Option<Ratios>,
    /// Round by round.
    pub(crate) rounds: Vec<Run>,
}

/// The gateway's figures divided by a peer's, round by round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Ratios {
    /// Above 1, the gateway answers more.
    pub(crate) requests_per_second: Spread,
    /// Below 1, the gateway's slow answers are quicker.
    pub(crate) p99: Spread,
    /// Below 1, the gateway works less for an answer.
    pub(crate) cpu_per_request: Spread,
}

impl Measured {
    /// A row from the runs of each server; the first server is the gateway.
    pub(crate) fn of(row: &Row, runs: Vec<(&'static str, Vec<Run>)>) -> Self {
        let ours = runs.first().map(|(_, runs)| runs.clone()).unwrap_or_default();
        let figures = |(place, (server, rounds)): (usize, (&'static str, Vec<Run>))| {
            let ratios = (place > 0).then(|| Ratios::of(&ours, &rounds));
            Figures::of(server, rounds, ratios)
        };
        let servers = runs.into_iter().enumerate().map(figures).collect();
        Self { row: row.name, title: row.title, note: row.note, servers }
    }
}

impl Figures {
    fn of(server: &'static str, rounds: Vec<Run>, ratios: Option<Ratios>) -> Self {
        let spread = |figure: fn(&Run) -> f64| Spread::of(rounds.iter().map(figure));
        Self {
            server,
            requests_per_second: spread(|run| run.requests_per_second),
            p50_us: spread(|run| run.p50_us),
            p99_us: spread(|run| run.p99_us),
            cpu_us_per_request: spread(|run| run.cpu_us_per_request),
            farmgate_against_it: ratios,
            rounds,
        }
    }
}

impl Ratios {
    fn of(ours: &[Run], theirs: &[Run]) -> Self {
        let ratio = |figure: fn(&Run) -> f64| {
            let series = |runs: &[Run]| runs.iter().map(figure).collect::<Vec<_>>();
            Spread::of_ratios(&series(ours), &series(theirs))
        };
        Self {
            requests_per_second: ratio(|run| run.requests_per_second),
            p99: ratio(|run| run.p99_us),
            cpu_per_request: ratio(|run| run.cpu_us_per_request),
        }
    }
}

impl Report {
    /// The report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# farmgate beside its peers\n\n");
        text.push_str(&self.table());
        text.push_str(
            "\nMedians over the rounds. A ratio is farmgate's figure divided by the peer's in the \
             same round, with the smallest and the largest in brackets: for requests/s more than \
             1 is better, for p99 and CPU less than 1 is better. CPU is user and system time of \
             all processes of the server. [README](../README.md) says what each row is.\n\n",
        );
        for Measured { row, note, .. } in self.rows.iter().filter(|row| !row.note.is_empty()) {
            // Writing into a string cannot fail.
            let _infallible = writeln!(text, "* `{row}`: {note}");
        }
        for skipped in &self.skipped {
            let _infallible = writeln!(text, "* Skipped: {skipped}");
        }
        text.push_str("\n## Circumstances\n\n");
        text.push_str(&self.circumstances());
        text
    }

    /// The figures, a line for each server of each row.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| row | what | server | requests/s | p50 µs | p99 µs | CPU µs/request | \
             requests/s ratio | p99 ratio | CPU ratio |\n\
             |---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in &self.rows {
            for (place, figures) in row.servers.iter().enumerate() {
                let (name, title) = if place == 0 { (row.row, row.title) } else { ("", "") };
                let _infallible = writeln!(text, "| {name} | {title} | {} |", figures.line());
            }
        }
        text
    }

    fn circumstances(&self) -> String {
        let Circumstances { date, command, revision, cores, cpu, kernel, .. } = &self.circumstances;
        let Circumstances { load_average, pinning, gateway_profile, .. } = &self.circumstances;
        let versions = self.circumstances.versions.join(", ");
        let origin = match self.circumstances.optimised_origin {
            true => "with optimisation",
            false => "without optimisation: the uncached rows are slower than they could be",
        };
        format!(
            "* {date}, `{command}`, revision {revision}\n\
             * {cores} cores, {cpu}, {kernel}; load average before: {load_average}\n\
             * {pinning}; wrk with 1 thread and {CONNECTIONS} connections; one worker a server\n\
             * {versions}\n\
             * The gateway's build profile is `{gateway_profile}`; the origin was built {origin}.\n"
        )
    }

    /// Writes `latest.md` and `latest.json`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, results: &Path) -> Result<(), BenchError> {
        write(results, "latest", &self.markdown(), self)
    }
}

/// Writes results for people and for programs.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(
    results: &Path,
    name: &str,
    markdown: &str,
    all: &impl Serialize,
) -> Result<(), BenchError> {
    let json = serde_json::to_string_pretty(all).map_err(std::io::Error::from);
    let json = json.trying(|| "write the results as JSON".into())? + "\n";
    fs::create_dir_all(results).trying(|| format!("make {}", results.display()))?;
    for (ending, text) in [("md", markdown), ("json", json.as_str())] {
        let path = results.join(format!("{name}.{ending}"));
        fs::write(&path, text).trying(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

impl Figures {
    fn line(&self) -> String {
        let ratios = match &self.farmgate_against_it {
            None => "| |".to_owned(),
            Some(Ratios { requests_per_second, p99, cpu_per_request }) => {
                format!("{requests_per_second} | {p99} | {cpu_per_request}")
            }
        };
        format!(
            "{} | {:.0} | {:.0} | {:.0} | {:.1} | {ratios}",
            self.server,
            self.requests_per_second.median,
            self.p50_us.median,
            self.p99_us.median,
            self.cpu_us_per_request.median
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::row::ROWS;

    fn run(requests_per_second: f64, cpu_us_per_request: f64) -> Run {
        Run { requests: 1, requests_per_second, p50_us: 10.0, p99_us: 20.0, cpu_us_per_request }
    }

    #[test]
    fn peer_carries_the_ratio_and_the_gateway_none() {
        let ours = vec![run(100.0, 30.0), run(50.0, 60.0)];
        let theirs = vec![run(200.0, 15.0), run(100.0, 30.0)];
        let [row, ..] = &ROWS;
        let measured = Measured::of(row, vec![("farmgate", ours), ("nginx", theirs)]);
        let [gateway, nginx] = measured.servers.as_slice() else { unreachable!("two servers") };
        assert!(gateway.farmgate_against_it.is_none());
        let ratios = nginx.farmgate_against_it.unwrap();
        assert_eq!(ratios.requests_per_second.to_string(), "0.50 (0.50 to 0.50)");
        assert_eq!(ratios.cpu_per_request.to_string(), "2.00 (2.00 to 2.00)");
        assert_eq!(nginx.line().matches('|').count(), 7);
        assert_eq!(gateway.line().matches('|').count(), 7);
    }
}
