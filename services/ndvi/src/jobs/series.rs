//! What is counted about jobs?

use chassis::metrics::{InFlight, Metrics};
use prometheus::{IntCounterVec, IntGauge};

/// How an attempt ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The work is done.
    Done,
    /// It failed and comes back.
    Again,
    /// It failed for good.
    Failed,
    /// Another worker took it over.
    Lost,
    /// It was given back because the service stops.
    Returned,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Again => "again",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Returned => "returned",
        }
    }
}

/// Counters and gauges of jobs.
#[derive(Clone, Debug)]
pub struct JobSeries {
    attempts: IntCounterVec,
    running: IntGauge,
    waiting: IntGauge,
    oldest: IntGauge,
}

impl JobSeries {
    /// Registers the series.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            attempts: metrics.counter(
                "ndvi_job_attempts_total",
                "Attempts at jobs by kind and how they ended.",
                &["kind", "outcome"],
            )?,
            running: metrics.gauge("ndvi_jobs_running", "Jobs that this process works on now.")?,
            waiting: metrics.gauge("ndvi_jobs_waiting", "Jobs of all processes not ended.")?,
            oldest: metrics.gauge(
                "ndvi_jobs_oldest_seconds",
                "Age of the oldest job of all processes that has not ended.",
            )?,
        })
    }

    /// One more job is being worked on until the guard is dropped.
    pub(super) fn begin(&self) -> InFlight {
        InFlight::enter(&self.running)
    }

    pub(super) fn ended(&self, kind: &str, outcome: Outcome) {
        self.attempts.with_label_values(&[kind, outcome.word()]).inc();
    }

    /// How many jobs have not ended, and how old the oldest of them is.
    pub(super) fn wait(&self, jobs: u64, oldest_s: i64) {
        self.waiting.set(i64::try_from(jobs).unwrap_or(i64::MAX));
        self.oldest.set(oldest_s);
    }
}
