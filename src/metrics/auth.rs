//! What does the operator see of credentials and quotas?

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::Series;

/// Series of credentials and quotas.
#[derive(Debug)]
pub struct AuthMetrics {
    /// Credentials that were judged, by scheme and result.
    pub credentials: IntCounterVec,
    /// Refusals because an address sent too many credentials that do not hold.
    pub failures_limited: IntCounter,
    /// Refusals by quota.
    pub quota_refusals: IntCounterVec,
    /// Tokens that the gateway issued.
    pub tokens_issued: IntCounter,
    /// Bearer tokens, by whether they were remembered.
    pub token_lookups: IntCounterVec,
    /// Slow hashes that were computed.
    pub key_hashes: IntCounter,
    /// Slow hashes that run or wait now.
    pub key_hashes_in_flight: IntGauge,
    /// API keys that were refused because too many waited for a hash.
    pub key_hashes_refused: IntCounter,
    /// Fetches of issuers' key sets, by result.
    pub key_set_fetches: IntCounterVec,
}

impl AuthMetrics {
    pub(super) fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let (help, by) = ("Credentials that were judged.", ["scheme", "result"]);
        let credentials = series.counters("credentials_total", help, &by)?;
        let help = "Requests refused for the failures of their address.";
        let failures_limited = series.counter("failures_limited_total", help)?;
        let help = "Requests refused by a quota.";
        let quota_refusals = series.counters("quota_refusals_total", help, &["quota"])?;
        let help = "Bearer tokens, by whether they were remembered.";
        let token_lookups = series.counters("token_lookups_total", help, &["result"])?;
        let help = "Slow hashes of API keys that run or wait now.";
        let key_hashes_in_flight = series.gauge("key_hashes_in_flight", help)?;
        let help = "API keys refused because too many waited for a hash.";
        let key_hashes_refused = series.counter("key_hashes_refused_total", help)?;
        let help = "Fetches of issuers' key sets.";
        let key_set_fetches = series.counters("key_set_fetches_total", help, &["result"])?;
        for result in ["hit", "miss"] {
            token_lookups.with_label_values(&[result]).reset();
        }
        for result in ["success", "failure"] {
            key_set_fetches.with_label_values(&[result]).reset();
        }
        for scheme in ["jwt", "api_key", "signature", "anonymous"] {
            credentials.with_label_values(&[scheme, "accepted"]).reset();
            credentials.with_label_values(&[scheme, "refused"]).reset();
        }
        Ok(Self {
            credentials,
            failures_limited,
            quota_refusals,
            tokens_issued: series.counter("tokens_issued_total", "Tokens issued.")?,
            token_lookups,
            key_hashes: series.counter("key_hashes_total", "Slow hashes of API keys.")?,
            key_hashes_in_flight,
            key_hashes_refused,
            key_set_fetches,
        })
    }

    /// Counts a credential that holds; `scheme` is from a closed set.
    pub fn accepted(&self, scheme: &'static str) {
        self.credentials.with_label_values(&[scheme, "accepted"]).inc();
    }

    /// Counts a credential that does not hold; `scheme` is from a closed set.
    pub fn refused(&self, scheme: &'static str) {
        self.credentials.with_label_values(&[scheme, "refused"]).inc();
    }
}
