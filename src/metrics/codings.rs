//! What does compressing stored answers cost, and save?

use prometheus::{HistogramVec, IntCounter, IntCounterVec};

use super::Series;

/// Series of the codings of stored answers.
#[derive(Debug)]
pub struct CodingMetrics {
    /// Codings that were made and kept, by coding.
    pub made: IntCounterVec,
    /// Bytes that those are shorter than what they stand for, by coding.
    pub saved_bytes: IntCounterVec,
    /// Seconds that it took to make one, by coding.
    pub seconds: HistogramVec,
    /// Answers that were not compressed because too many waited.
    pub skipped: IntCounter,
}

impl CodingMetrics {
    pub(super) fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "Codings of stored answers made.";
        let made = series.counters("codings_total", help, &["coding"])?;
        let help = "Bytes that codings are shorter than the answers they stand for.";
        let saved_bytes = series.counters("coding_saved_bytes_total", help, &["coding"])?;
        let help = "Seconds that it took to make a coding.";
        let seconds = series.histograms("coding_duration_seconds", help, &["coding"])?;
        let help = "Answers not compressed because too many waited.";
        let skipped = series.counter("codings_skipped_total", help)?;
        for coding in ["br", "zstd", "gzip"] {
            made.with_label_values(&[coding]).reset();
            saved_bytes.with_label_values(&[coding]).reset();
            let _is_there_from_now_on = seconds.with_label_values(&[coding]);
        }
        Ok(Self { made, saved_bytes, seconds, skipped })
    }
}
