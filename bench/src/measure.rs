//! How is a row measured, and when does a figure count?
//!
//! The servers of a row take turns: A B C A B C. A disturbance of the machine then falls on all of
//! them, and the ratios within a round stay true. A run whose answers are not exactly what the row
//! is about ends the benchmark: a wrong answer is quick.

use serde::Serialize;

use crate::cpu;
use crate::error::BenchError;
use crate::interrupt;
use crate::load::{self, Seen, Target};
use crate::origin::Origin;
use crate::peer::credential_fields;
use crate::probe::{Answer, ask};
use crate::row::Row;
use crate::server::Server;

use std::path::Path;

/// Seconds of the run that warms a server up and does not count.
const WARM_UP_SECONDS: u64 = 1;

/// How far the mean length of the answers may lie from that of the answer that was looked at:
/// `Age` and what is left of a quota have more or fewer digits.
const LENGTH_TOLERANCE: f64 = 0.03;

/// Least bytes of a line in an access log.
const LOG_LINE_BYTES_MIN: u64 = 80;

/// What was measured of one server in one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Run {
    /// Answers that were counted.
    pub(crate) requests: u64,
    /// Answers a second.
    pub(crate) requests_per_second: f64,
    /// Median latency.
    pub(crate) p50_us: f64,
    /// 99th percentile of the latency.
    pub(crate) p99_us: f64,
    /// Processor time of the server for one request.
    pub(crate) cpu_us_per_request: f64,
}

/// One server in one row, ready to be loaded.
pub(crate) struct Subject<'a> {
    row: &'static Row,
    server: &'a Server,
    logs: bool,
    origin: &'a Origin,
    target: Target,
    expected: Answer,
}

impl<'a> Subject<'a> {
    /// Looks at the server's answers, warms it up, and makes sure that it does what the row says.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn prepare(
        row: &'static Row,
        server: &'a Server,
        logs: bool,
        origin: &'a Origin,
        script: &Path,
    ) -> Result<Self, BenchError> {
        let mut target = Target {
            server: server.address(),
            path: row.path(),
            fields: Vec::new(),
            credentials: credential_fields(row.credential),
        };
        let whole = look(row, server, &target)?;
        let body = row.payload.body();
        ensure(row, server, whole.status == 200 && whole.body == body.as_bytes(), || {
            format!(
                "status {} and {} bytes, not the origin's answer",
                whole.status,
                whole.body.len()
            )
        })?;
        if row.conditional {
            let etag = whole.etag.unwrap_or_default();
            target.fields.push(("If-None-Match".into(), etag));
        }
        let expected = look(row, server, &target)?;
        let status = if row.conditional { 304 } else { 200 };
        ensure(row, server, expected.status == status, || {
            format!("status {} where {status} is wanted", expected.status)
        })?;
        let subject = Self { row, server, logs, origin, target, expected };
        subject.run(WARM_UP_SECONDS, script)?;
        Ok(subject)
    }

    /// Loads the server once.
    ///
    /// # Errors
    /// When an answer is wrong, or the end was asked for.
    pub(crate) fn run(&self, seconds: u64, script: &Path) -> Result<Run, BenchError> {
        interrupt::check()?;
        self.server.empty_log()?;
        let processes = self.server.processes()?;
        let (calls_before, cpu_before) = (self.origin.calls(), cpu::used_us(&processes)?);
        let seen = load::run(&self.target, seconds, script)?;
        let cpu_us = cpu::used_us(&processes)?.saturating_sub(cpu_before);
        let calls = self.origin.calls() - calls_before;
        interrupt::check()?;
        let same = self.server.processes()? == processes;
        self.ensure(same, || "its processes changed in the run".into())?;
        self.check(&seen, calls)?;
        let requests = seen.requests as f64;
        Ok(Run {
            requests: seen.requests,
            requests_per_second: requests * 1e6 / seen.duration_us as f64,
            p50_us: seen.p50_us as f64,
            p99_us: seen.p99_us as f64,
            cpu_us_per_request: cpu_us as f64 / requests,
        })
    }

    fn check(&self, seen: &Seen, calls: u64) -> Result<(), BenchError> {
        self.ensure(seen.requests > 0, || "no request was answered".into())?;
        let failed = (seen.failed_statuses, seen.failed_sockets);
        self.ensure(failed == (0, 0), || {
            format!("{} failed statuses, {} failed sockets", failed.0, failed.1)
        })?;
        let mean = seen.bytes as f64 / seen.requests as f64;
        let wanted = self.expected.wire_bytes as f64;
        self.ensure((mean / wanted - 1.0).abs() < LENGTH_TOLERANCE, || {
            format!("answers of {mean:.0} bytes on average where {wanted} are wanted")
        })?;
        let asked_rightly = if self.row.cached { calls == 0 } else { calls >= seen.requests };
        self.ensure(asked_rightly, || {
            format!("the origin was asked {calls} times for {} answers", seen.requests)
        })?;
        let log_bytes = self.server.log_bytes()?;
        let logged_rightly = match self.logs {
            true => log_bytes >= seen.requests * LOG_LINE_BYTES_MIN,
            false => log_bytes == 0,
        };
        self.ensure(logged_rightly, || {
            format!("{log_bytes} bytes of access log for {} answers", seen.requests)
        })
    }

    fn ensure(&self, holds: bool, problem: impl FnOnce() -> String) -> Result<(), BenchError> {
        ensure(self.row, self.server, holds, problem)
    }
}

fn look(row: &'static Row, server: &Server, target: &Target) -> Result<Answer, BenchError> {
    let fields: Vec<_> = target.fields.iter().chain(target.credentials.first()).cloned().collect();
    ask(target.server, &target.path, &fields).map_err(|error| BenchError::WrongAnswer {
        row: row.name,
        server: server.name,
        problem: error.to_string(),
    })
}

fn ensure(
    row: &'static Row,
    server: &Server,
    holds: bool,
    problem: impl FnOnce() -> String,
) -> Result<(), BenchError> {
    if holds {
        Ok(())
    } else {
        Err(BenchError::WrongAnswer { row: row.name, server: server.name, problem: problem() })
    }
}
