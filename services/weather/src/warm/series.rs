//! What is counted about points that are kept warm?

use std::time::{SystemTime, UNIX_EPOCH};

use chassis::metrics::Metrics;
use prometheus::{IntCounterVec, IntGauge};

use crate::domain::point::PointState;

/// The series of the warmer.
#[derive(Clone, Debug)]
pub struct WarmSeries {
    points: IntGauge,
    oldest_success: IntGauge,
    leading: IntGauge,
    answers: IntCounterVec,
}

impl WarmSeries {
    /// Registers the series.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            points: metrics.gauge("warm_points", "Points that are kept warm.")?,
            oldest_success: metrics.gauge(
                "warm_oldest_success_timestamp_seconds",
                "When the point that is least warm was last fetched in full; 0 for never.",
            )?,
            leading: metrics.gauge("warm_leading", "Whether this process fetches for points.")?,
            answers: metrics.counter(
                "warm_answers_total",
                "Answers for points by kind and result: fetched, adopted or failed.",
                &["kind", "result"],
            )?,
        })
    }

    pub(super) fn listed(&self, states: &[PointState]) {
        self.points.set(i64::try_from(states.len()).unwrap_or(i64::MAX));
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let times = states.iter().map(|state| state.last_ok.map_or(0, |ok| seconds(ok).as_secs()));
        self.oldest_success.set(times.min().map_or(0, |s| i64::try_from(s).unwrap_or(i64::MAX)));
    }

    pub(super) fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    pub(super) fn answered(&self, kind: &str, result: &str) {
        self.answers.with_label_values(&[kind, result]).inc();
    }
}
