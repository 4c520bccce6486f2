//! What is counted about credentials and slow hashes?

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge};

use super::principal::Scheme;
use crate::metrics::Metrics;

/// The `scheme` of a request without a credential.
const SCHEME_NONE: &str = "none";

/// The `outcome` of a request that is let in.
const ACCEPTED: &str = "accepted";

/// Bounds of the hash histogram, in seconds. A million rounds take about half a second of a core
/// that has nothing else to do, and several where it has.
const HASH_BUCKETS_S: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The series of authentication.
#[derive(Clone, Debug)]
pub(super) struct AuthMetrics {
    requests: IntCounterVec,
    pub(super) hash_seconds: Histogram,
    pub(super) hashes_in_flight: IntGauge,
}

impl AuthMetrics {
    pub(super) fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let requests = metrics.counter(
            "auth_requests_total",
            "Requests that needed a credential, by the one that decided and by the outcome.",
            &["scheme", "outcome"],
        )?;
        let options = HistogramOpts::new("api_key_hash_seconds", "Time of one slow hash of a key.");
        let hash_seconds = Histogram::with_opts(options.buckets(HASH_BUCKETS_S.to_vec()))?;
        metrics.registry().register(Box::new(hash_seconds.clone()))?;
        let hashes_in_flight =
            metrics.gauge("api_key_hashes_in_flight", "Slow hashes that run or wait.")?;
        Ok(Self { requests, hash_seconds, hashes_in_flight })
    }

    /// Counts one decision. `refused` is the word for why a request is not let in.
    pub(super) fn count(&self, scheme: Option<Scheme>, refused: Option<&'static str>) {
        let scheme = scheme.map_or(SCHEME_NONE, Scheme::as_str);
        self.requests.with_label_values(&[scheme, refused.unwrap_or(ACCEPTED)]).inc();
    }
}
