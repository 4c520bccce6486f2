//! How is a server loaded, and what does the load see?

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;

use crate::error::{BenchError, Trying};
use crate::pinning::Side;

/// Connections that are kept busy: enough to fill one core, few enough to leave latency a meaning.
pub(crate) const CONNECTIONS: u32 = 16;

/// What wrk saw in one run; written by `data/wrk.lua`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Seen {
    /// Answers.
    pub(crate) requests: u64,
    /// Bytes of all answers, heads included.
    pub(crate) bytes: u64,
    /// How long it ran, in microseconds.
    pub(crate) duration_us: u64,
    /// Median latency, in microseconds.
    pub(crate) p50_us: u64,
    /// 99th percentile of the latency, in microseconds.
    pub(crate) p99_us: u64,
    /// Answers with a status of 400 or more.
    pub(crate) failed_statuses: u64,
    /// Connections that could not be opened, broke or timed out.
    pub(crate) failed_sockets: u64,
}

/// One request, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The server.
    pub(crate) server: SocketAddr,
    /// The path.
    pub(crate) path: String,
    /// Header fields of each request.
    pub(crate) fields: Vec<(String, String)>,
    /// Fields of which each request has one, in turns.
    pub(crate) credentials: Vec<(String, String)>,
}

/// Loads a target for some seconds.
///
/// # Errors
/// When wrk is missing or does not report.
pub(crate) fn run(target: &Target, seconds: u64, script: &Path) -> Result<Seen, BenchError> {
    let mut command = Side::Load.command(Path::new("wrk"));
    command.args(["--threads", "1", "--connections", &CONNECTIONS.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), "--latency", "--script"]).arg(script);
    for (name, value) in &target.fields {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    command.arg(format!("http://{}{}", target.server, target.path)).arg("--");
    command.args(target.credentials.iter().flat_map(|(name, value)| [name, value]));
    command.stdin(Stdio::null());
    let output = command.output().trying(|| "start wrk".into())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    parse(&text).map_err(|_| BenchError::NoReport { said: said() })
}

fn parse(text: &str) -> io::Result<Seen> {
    let line = text.lines().find_map(|line| line.strip_prefix("report "));
    Ok(serde_json::from_str(line.ok_or(io::ErrorKind::InvalidData)?)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn report_is_found_among_what_wrk_says() {
        let text = "Running 1s test\nreport {\"requests\":3,\"bytes\":9,\"duration_us\":1000000,\
                    \"p50_us\":40,\"p99_us\":90,\"failed_statuses\":0,\"failed_sockets\":1}\n";
        let seen = parse(text).unwrap();
        assert_eq!((seen.requests, seen.p99_us, seen.failed_sockets), (3, 90, 1));
        assert!(parse("unable to connect").is_err());
    }
}
