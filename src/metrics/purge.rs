//! Series of what holds no more.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::Series;

/// What a purge may cover.
const SCOPES: [&str; 6] = ["all", "exact", "prefix", "route", "tag", "target"];

/// Where a purge may come from.
const FROM: [&str; 4] = ["client", "missed", "operator", "other"];

/// Series of purges and changes.
#[derive(Clone, Debug)]
pub struct PurgeMetrics {
    /// What was noted, by what it covers and where it came from.
    pub purges: IntCounterVec,
    /// Purges that other gateways were not told of yet.
    pub untold: IntGauge,
    /// Answers that were removed because something covers them.
    pub reclaimed: IntCounter,
}

impl PurgeMetrics {
    pub(super) fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "Purges noted, and changes that make answers invalid.";
        let purges = series.counters("purges_total", help, &["scope", "from"])?;
        for (scope, from) in
            SCOPES.iter().flat_map(|scope| FROM.iter().map(move |from| (scope, from)))
        {
            purges.with_label_values(&[*scope, *from]).reset();
        }
        let help = "Purges that other gateways were not told of yet.";
        let untold = series.gauge("purges_untold", help)?;
        let help = "Answers removed because something covers them.";
        let reclaimed = series.counter("cache_reclaimed_total", help)?;
        Ok(Self { purges, untold, reclaimed })
    }
}
