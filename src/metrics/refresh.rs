//! Series of what brings stored answers up to date.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Series;

/// Series of the background refreshes.
#[derive(Debug)]
pub struct RefreshMetrics {
    /// Refreshes that run now.
    pub in_flight: IntGauge,
    /// Refreshes that wait for their turn, by pool.
    pub waiting: IntGaugeVec,
    /// Whether a pool's refreshes pause (1), by pool.
    pub paused: IntGaugeVec,
    /// Refreshes that were dropped because too many waited, by pool.
    pub skipped: IntCounterVec,
    /// Answers that are not fetched ahead because too many are.
    pub unplanned: IntCounter,
}

impl RefreshMetrics {
    pub(super) fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "Background refreshes that run now.";
        let in_flight = series.gauge("refreshes_in_flight", help)?;
        let help = "Refreshes dropped because too many waited.";
        let skipped = series.counters("refreshes_skipped_total", help, &["pool"])?;
        let help = "Answers not fetched ahead because too many are.";
        let unplanned = series.counter("refreshes_unplanned_total", help)?;
        let help = "Refreshes that wait for their turn.";
        let waiting = series.gauges("refreshes_waiting", help, &["pool"])?;
        let help = "Whether refreshes pause (1), for the upstream fails or has few calls left.";
        let paused = series.gauges("refreshes_paused", help, &["pool"])?;
        Ok(Self { in_flight, waiting, paused, skipped, unplanned })
    }
}
