//! What is counted about a database's connections?

use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramVec, IntGauge, IntGaugeVec, Opts};
use sqlx::Pool;

use super::AcquireError;
use crate::metrics::Metrics;

/// The series of one database.
#[derive(Clone, Debug)]
pub struct DatabaseSeries {
    acquires: HistogramVec,
    waiting: IntGauge,
}

impl DatabaseSeries {
    /// Registers the series; connections are counted when they are asked for.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn register<DB: sqlx::Database>(
        metrics: &Metrics,
        pool: &Pool<DB>,
    ) -> Result<Self, prometheus::Error> {
        let connections = Connections::new(pool.clone())?;
        metrics.registry().register(Box::new(connections))?;
        Ok(Self {
            acquires: metrics.duration_histogram(
                "database_acquire_seconds",
                "Time until a connection of the database was had or refused.",
                &["outcome"],
            )?,
            waiting: metrics.gauge(
                "database_waiting",
                "Callers that wait for a connection of the database now.",
            )?,
        })
    }

    pub(super) fn waiting(&self) -> &IntGauge {
        &self.waiting
    }

    pub(super) fn acquired(&self, outcome: Result<(), &AcquireError>, took: Duration) {
        let outcome = match outcome {
            Ok(()) => "acquired",
            Err(AcquireError::Exhausted) => "exhausted",
            Err(AcquireError::TimedOut { .. }) => "timed_out",
            Err(AcquireError::Tables | AcquireError::Failed(_)) => "failed",
        };
        self.acquires.with_label_values(&[outcome]).observe(took.as_secs_f64());
    }
}

/// Reads the pool whenever the metrics are read.
#[derive(Debug)]
struct Connections<DB: sqlx::Database> {
    pool: Pool<DB>,
    gauge: IntGaugeVec,
}

impl<DB: sqlx::Database> Connections<DB> {
    fn new(pool: Pool<DB>) -> Result<Self, prometheus::Error> {
        let options = Opts::new("database_connections", "Connections to the database by state.");
        Ok(Self { pool, gauge: IntGaugeVec::new(options, &["state"])? })
    }
}

impl<DB: sqlx::Database> Collector for Connections<DB> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let idle = i64::try_from(self.pool.num_idle()).unwrap_or(i64::MAX);
        let all = i64::from(self.pool.size());
        self.gauge.with_label_values(&["idle"]).set(idle);
        self.gauge.with_label_values(&["busy"]).set((all - idle).max(0));
        self.gauge.collect()
    }
}
