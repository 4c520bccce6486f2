//! What does the operator see of what is remembered between requests, and of what is lost?

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::Series;

/// What the shared state is asked for.
pub const SHARED_USES: [&str; 6] = ["memory", "nonces", "probe", "purges", "quotas", "revocations"];

/// What is decided without the shared state while it is gone.
pub const DEGRADED_USES: [&str; 2] = ["nonces", "quotas"];

/// Series of what is remembered, and of the places where it is kept.
#[derive(Debug)]
pub struct MemoryMetrics {
    /// Verified tokens remembered.
    pub tokens: IntGauge,
    /// Verified API keys remembered.
    pub keys: IntGauge,
    /// Remembered keys that had to go for others; each costs a slow hash when it comes again.
    pub key_evictions: IntCounter,
    /// Whether the operator's tables of keys answered last time; 1 where there are none.
    pub key_tables_up: IntGauge,
    /// Nonces remembered.
    pub nonces: IntGauge,
    /// Nonces that could not be written to disk; without a shared state their requests are refused.
    pub nonce_write_failures: IntCounter,
    /// Nonces that were let pass while the shared state was gone and wait to be told to it.
    pub nonces_untold: IntGauge,
    /// Windows of quotas held by this process.
    pub quota_windows: IntGauge,
    /// Windows that had to go for others; their principals start afresh.
    pub quota_window_evictions: IntCounter,
    /// Tokens, subjects and clients that are revoked.
    pub revocations: IntGauge,
    /// Revocations that did not come into force, because there were too many.
    pub revocations_left_out: IntCounter,
    /// Whether the shared state answers; 1 where there is none to ask.
    pub shared_state_up: IntGauge,
    /// Calls to the shared state that failed, by what they were for.
    pub shared_state_errors: IntCounterVec,
    /// Requests that were decided without the shared state, by what was decided.
    pub shared_state_degraded: IntCounterVec,
}

impl MemoryMetrics {
    pub(super) fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "Remembered API keys that had to go for others.";
        let key_evictions = series.counter("key_evictions_total", help)?;
        let help = "Whether the tables of API keys answer.";
        let key_tables_up = series.gauge("key_tables_up", help)?;
        key_tables_up.set(1);
        let help = "Nonces that could not be written to disk.";
        let nonce_write_failures = series.counter("nonce_write_failures_total", help)?;
        let help = "Nonces that the shared state has not been told of yet.";
        let nonces_untold = series.gauge("nonces_untold", help)?;
        let help = "Windows of quotas that had to go for others.";
        let quota_window_evictions = series.counter("quota_window_evictions_total", help)?;
        let help = "Revocations not in force, because there were too many.";
        let revocations_left_out = series.counter("revocations_left_out_total", help)?;
        let help = "Whether the shared state answers.";
        let shared_state_up = series.gauge("shared_state_up", help)?;
        shared_state_up.set(1);
        let help = "Calls to the shared state that failed.";
        let shared_state_errors = series.counters("shared_state_errors_total", help, &["use"])?;
        for purpose in SHARED_USES {
            shared_state_errors.with_label_values(&[purpose]).reset();
        }
        let (help, name) = ("Requests decided without the shared state.", "shared_state_degraded");
        let shared_state_degraded = series.counters(&format!("{name}_total"), help, &["use"])?;
        for purpose in DEGRADED_USES {
            shared_state_degraded.with_label_values(&[purpose]).reset();
        }
        Ok(Self {
            tokens: series.gauge("tokens_remembered", "Verified tokens remembered.")?,
            keys: series.gauge("keys_remembered", "Verified API keys remembered.")?,
            key_evictions,
            key_tables_up,
            nonces: series.gauge("nonces", "Nonces of signed requests remembered.")?,
            nonce_write_failures,
            nonces_untold,
            quota_windows: series.gauge("quota_windows", "Windows of quotas held.")?,
            quota_window_evictions,
            revocations: series.gauge("revocations", "Revocations in force.")?,
            revocations_left_out,
            shared_state_up,
            shared_state_errors,
            shared_state_degraded,
        })
    }
}
