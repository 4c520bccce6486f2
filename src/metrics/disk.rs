//! What does the operator see of the cache on disk?

use prometheus::{IntCounter, IntGauge};

use super::Series;

/// Series of the cache on disk; all 0 where there is none.
#[derive(Debug)]
pub struct DiskMetrics {
    /// Bytes of its files.
    pub bytes: IntGauge,
    /// Budget of its files.
    pub bytes_max: IntGauge,
    /// Entries that can be read.
    pub entries: IntGauge,
    /// Entries that had to go for others.
    pub evictions: IntCounter,
    /// Entries that were not written.
    pub writes_dropped: IntCounter,
    /// Records that were found damaged; none of them is served.
    pub damaged: IntCounter,
    /// Calls to the system that failed.
    pub errors: IntCounter,
}

impl DiskMetrics {
    pub(super) fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "Budget of the cache on disk in bytes.";
        let bytes_max = series.gauge("cache_disk_bytes_max", help)?;
        let help = "Entries of the cache on disk evicted to keep the budget.";
        let evictions = series.counter("cache_disk_evictions_total", help)?;
        let help = "Entries not written to disk: the writer was behind, or the disk failed.";
        let writes_dropped = series.counter("cache_disk_writes_dropped_total", help)?;
        let help = "Damaged records found on disk; none is served.";
        let damaged = series.counter("cache_disk_damaged_total", help)?;
        let help = "Failed calls to the disk of the cache.";
        let errors = series.counter("cache_disk_errors_total", help)?;
        Ok(Self {
            bytes: series.gauge("cache_disk_bytes", "Bytes of the cache on disk.")?,
            bytes_max,
            entries: series.gauge("cache_disk_entries", "Entries of the cache on disk.")?,
            evictions,
            writes_dropped,
            damaged,
            errors,
        })
    }
}
