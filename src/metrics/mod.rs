//! What does the operator see?
//!
//! One struct of typed Prometheus series. Label values come from closed sets (routes and pools of
//! the configuration, refusal codes, fixed words), never from a client.

mod auth;
mod codings;
mod disk;
mod memory;
mod purge;
mod refresh;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use auth::AuthMetrics;
pub use codings::CodingMetrics;
pub use disk::DiskMetrics;
pub use memory::{DEGRADED_USES, MemoryMetrics, SHARED_USES};
pub use purge::PurgeMetrics;
pub use refresh::RefreshMetrics;

use crate::refusal::Refusal;

/// Buckets in seconds: from a warm hit to the longest deadline.
const SECONDS_BUCKETS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Every series of the gateway, by name, for the README's table and the dashboards' test.
pub const NAMES: [&str; 70] = [
    "farmgate_build_info",
    "farmgate_cache_bytes",
    "farmgate_cache_bytes_max",
    "farmgate_cache_disk_bytes",
    "farmgate_cache_disk_bytes_max",
    "farmgate_cache_disk_damaged_total",
    "farmgate_cache_disk_entries",
    "farmgate_cache_disk_errors_total",
    "farmgate_cache_disk_evictions_total",
    "farmgate_cache_disk_writes_dropped_total",
    "farmgate_cache_evictions_total",
    "farmgate_cache_lookups_total",
    "farmgate_cache_objects",
    "farmgate_cache_reclaimed_total",
    "farmgate_cache_runway_seconds",
    "farmgate_cache_tier_hits_total",
    "farmgate_coding_duration_seconds",
    "farmgate_coding_saved_bytes_total",
    "farmgate_codings_skipped_total",
    "farmgate_codings_total",
    "farmgate_config_generation",
    "farmgate_config_last_reload_success",
    "farmgate_config_reloads_total",
    "farmgate_credentials_total",
    "farmgate_failures_limited_total",
    "farmgate_fill_duration_seconds",
    "farmgate_fill_waiters",
    "farmgate_fills_total",
    "farmgate_key_evictions_total",
    "farmgate_key_hashes_in_flight",
    "farmgate_key_hashes_refused_total",
    "farmgate_key_hashes_total",
    "farmgate_key_set_fetches_total",
    "farmgate_key_tables_up",
    "farmgate_keys_remembered",
    "farmgate_nonce_write_failures_total",
    "farmgate_nonces",
    "farmgate_nonces_untold",
    "farmgate_prewarm_last_success_timestamp_seconds",
    "farmgate_purges_total",
    "farmgate_purges_untold",
    "farmgate_quota_refusals_total",
    "farmgate_quota_window_evictions_total",
    "farmgate_quota_windows",
    "farmgate_ready",
    "farmgate_refreshes_in_flight",
    "farmgate_refreshes_paused",
    "farmgate_refreshes_skipped_total",
    "farmgate_refreshes_unplanned_total",
    "farmgate_refreshes_waiting",
    "farmgate_refusals_total",
    "farmgate_request_duration_seconds",
    "farmgate_requests_in_flight",
    "farmgate_requests_total",
    "farmgate_revocations",
    "farmgate_revocations_left_out_total",
    "farmgate_shared_state_degraded_total",
    "farmgate_shared_state_errors_total",
    "farmgate_shared_state_up",
    "farmgate_token_lookups_total",
    "farmgate_tokens_issued_total",
    "farmgate_tokens_remembered",
    "farmgate_upstream_attempts_total",
    "farmgate_upstream_budget",
    "farmgate_upstream_budget_left",
    "farmgate_upstream_budget_refusals_total",
    "farmgate_upstream_call_write_failures_total",
    "farmgate_upstream_duration_seconds",
    "farmgate_upstream_in_flight",
    "farmgate_upstream_peer_up",
];

/// All series of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Answers to clients, by route, method and status.
    pub requests: IntCounterVec,
    /// Seconds from the request's head to the end of the answer, by route and cache result.
    pub request_seconds: HistogramVec,
    /// Client requests that are not answered yet.
    pub requests_in_flight: IntGauge,
    /// Answers of the gateway's own, by refusal code.
    pub refusals: IntCounterVec,
    /// Credentials and quotas.
    pub auth: AuthMetrics,
    /// What is remembered between requests.
    pub memory: MemoryMetrics,
    /// Whether the process reports ready.
    pub ready: IntGauge,
    /// The cache and what fills it.
    pub cache: CacheMetrics,
    /// The codings of stored answers.
    pub codings: CodingMetrics,
    /// What brings stored answers up to date.
    pub refresh: RefreshMetrics,
    /// The cache on disk.
    pub disk: DiskMetrics,
    /// What holds no more.
    pub purge: PurgeMetrics,
    /// The pools.
    pub upstream: UpstreamMetrics,
    /// The configuration.
    pub config: ConfigMetrics,
}

/// Series of the cache and of what fills it.
#[derive(Debug)]
pub struct CacheMetrics {
    /// Look-ups for clients, by route and result.
    pub lookups: IntCounterVec,
    /// Answers to clients from what is kept, by where it was found.
    pub tier_hits: IntCounterVec,
    /// Bytes that stored answers cost.
    pub bytes: IntGauge,
    /// Budget of the store.
    pub bytes_max: IntGauge,
    /// Answers stored.
    pub objects: IntGauge,
    /// Answers that had to go for others.
    pub evictions: IntCounter,
    /// Fetches that fill the cache, by route, origin and result.
    pub fills: IntCounterVec,
    /// Seconds that a fetch took, by route.
    pub fill_seconds: HistogramVec,
    /// Clients that wait for a fetch, their own or another's.
    pub fill_waiters: IntGauge,
    /// Seconds until the last usable copy of a route has expired, by route.
    pub runway_seconds: IntGaugeVec,
    /// When a route's pre-warming last fetched all its targets, in Unix seconds.
    pub prewarm_last_success: IntGaugeVec,
}

/// Series of the pools.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// Attempts at a peer, by pool and result.
    pub attempts: IntCounterVec,
    /// Seconds from the attempt to the head of the upstream's answer, by pool.
    pub seconds: HistogramVec,
    /// Requests in flight, by pool.
    pub in_flight: IntGaugeVec,
    /// Whether a peer is taken (1) or passed over (0).
    pub peer_up: IntGaugeVec,
    /// Calls that a pool may take in a window, by pool and window.
    pub budget: IntGaugeVec,
    /// Calls that are left of it.
    pub budget_left: IntGaugeVec,
    /// Calls that were not made because the budget was spent, by pool and origin.
    pub budget_refusals: IntCounterVec,
    /// Calls that could not be written down.
    pub call_write_failures: IntCounter,
}

/// Series of the configuration.
#[derive(Debug)]
pub struct ConfigMetrics {
    /// Number of the configuration that serves.
    pub generation: IntGauge,
    /// Whether the last reload took (1) or was refused (0).
    pub last_reload_success: IntGauge,
    /// Reloads, by result.
    pub reloads: IntCounterVec,
}

impl Metrics {
    /// Registers every series.
    ///
    /// # Errors
    ///
    /// When two series have one name, which a test rules out.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let series = Series { registry: &registry };
        let build = series.gauges("build_info", "The version that runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let by = ["route", "method", "status"];
        let requests = series.counters("requests_total", "Answers to clients.", &by)?;
        let help = "Seconds from a request's head to the end of its answer.";
        let by = ["route", "cache"];
        let request_seconds = series.histograms("request_duration_seconds", help, &by)?;
        let help = "Answers of the gateway's own, by code.";
        let refusals = series.counters("refusals_total", help, &["code"])?;
        for code in Refusal::CODES {
            refusals.with_label_values(&[code]).reset();
        }
        let help = "Requests not answered yet.";
        let requests_in_flight = series.gauge("requests_in_flight", help)?;
        Ok(Self {
            requests,
            request_seconds,
            requests_in_flight,
            refusals,
            ready: series.gauge("ready", "Whether the process reports ready.")?,
            auth: AuthMetrics::new(&series)?,
            memory: MemoryMetrics::new(&series)?,
            cache: CacheMetrics::new(&series)?,
            codings: CodingMetrics::new(&series)?,
            refresh: RefreshMetrics::new(&series)?,
            disk: DiskMetrics::new(&series)?,
            purge: PurgeMetrics::new(&series)?,
            upstream: UpstreamMetrics::new(&series)?,
            config: ConfigMetrics::new(&series)?,
            registry: registry.clone(),
        })
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// When a family cannot be written, which the text format never refuses for our names.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl CacheMetrics {
    fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "When all pre-warm targets of a route were last fetched.";
        let name = "prewarm_last_success_timestamp_seconds";
        let prewarm_last_success = series.gauges(name, help, &["route"])?;
        let help = "Seconds until the last usable copy of a route expires.";
        let runway_seconds = series.gauges("cache_runway_seconds", help, &["route"])?;
        let help = "Seconds that a fetch for the cache took.";
        let fill_seconds = series.histograms("fill_duration_seconds", help, &["route"])?;
        let (help, by) = ("Fetches that fill the cache.", ["route", "origin", "result"]);
        let fills = series.counters("fills_total", help, &by)?;
        let (help, by) = ("Cache look-ups for clients.", ["route", "result"]);
        let lookups = series.counters("cache_lookups_total", help, &by)?;
        let (help, by) = ("Look-ups that found an answer, by where it was.", ["tier"]);
        let tier_hits = series.counters("cache_tier_hits_total", help, &by)?;
        for tier in ["memory", "disk"] {
            tier_hits.with_label_values(&[tier]).reset();
        }
        let help = "Answers evicted to keep the budget.";
        let evictions = series.counter("cache_evictions_total", help)?;
        Ok(Self {
            lookups,
            tier_hits,
            bytes: series.gauge("cache_bytes", "Bytes that stored answers cost.")?,
            bytes_max: series.gauge("cache_bytes_max", "Budget of the store in bytes.")?,
            objects: series.gauge("cache_objects", "Answers stored.")?,
            evictions,
            fills,
            fill_seconds,
            fill_waiters: series.gauge("fill_waiters", "Clients that wait for a fetch.")?,
            runway_seconds,
            prewarm_last_success,
        })
    }
}

impl UpstreamMetrics {
    fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let by = ["pool", "result"];
        let attempts = series.counters("upstream_attempts_total", "Attempts at a peer.", &by)?;
        let help = "Seconds until the head of an upstream's answer.";
        let seconds = series.histograms("upstream_duration_seconds", help, &["pool"])?;
        let help = "Requests in flight at a pool.";
        let in_flight = series.gauges("upstream_in_flight", help, &["pool"])?;
        let help = "Whether a peer is taken (1) or passed over (0).";
        let peer_up = series.gauges("upstream_peer_up", help, &["pool", "peer"])?;
        let help = "Calls that a pool may take in a window.";
        let budget = series.gauges("upstream_budget", help, &["pool", "window"])?;
        let help = "Calls left of a pool's budget.";
        let budget_left = series.gauges("upstream_budget_left", help, &["pool", "window"])?;
        let help = "Calls not made because a pool's budget was spent.";
        let budget_refusals =
            series.counters("upstream_budget_refusals_total", help, &["pool", "origin"])?;
        let help = "Calls that could not be written down.";
        let call_write_failures = series.counter("upstream_call_write_failures_total", help)?;
        Ok(Self {
            attempts,
            seconds,
            in_flight,
            peer_up,
            budget,
            budget_left,
            budget_refusals,
            call_write_failures,
        })
    }
}

impl ConfigMetrics {
    fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        let help = "Number of the configuration that serves.";
        let generation = series.gauge("config_generation", help)?;
        let help = "Whether the last reload took (1) or was refused (0).";
        let last_reload_success = series.gauge("config_last_reload_success", help)?;
        last_reload_success.set(1);
        let reloads = series.counters("config_reloads_total", "Reloads.", &["result"])?;
        for result in ["success", "refused"] {
            reloads.with_label_values(&[result]).reset();
        }
        Ok(Self { generation, last_reload_success, reloads })
    }
}

struct Series<'a> {
    registry: &'a Registry,
}

impl Series<'_> {
    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let series = IntCounter::with_opts(options(name, help))?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn counters(&self, name: &str, help: &str, by: &[&str]) -> prometheus::Result<IntCounterVec> {
        let series = IntCounterVec::new(options(name, help), by)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let series = IntGauge::with_opts(options(name, help))?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn gauges(&self, name: &str, help: &str, by: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let series = IntGaugeVec::new(options(name, help), by)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn histograms(&self, name: &str, help: &str, by: &[&str]) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::from(options(name, help)).buckets(SECONDS_BUCKETS.to_vec());
        let series = HistogramVec::new(options, by)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }
}

/// A duration goes into a histogram in seconds.
pub fn observe(histogram: &Histogram, duration: std::time::Duration) {
    histogram.observe(duration.as_secs_f64());
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("farmgate")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_named_series_is_registered_and_no_other() {
        let metrics = Metrics::new().unwrap();
        metrics.requests.with_label_values(&["r", "GET", "200"]).inc();
        metrics.request_seconds.with_label_values(&["r", "hit"]).observe(0.1);
        metrics.cache.lookups.with_label_values(&["r", "hit"]).inc();
        metrics.cache.fills.with_label_values(&["r", "miss", "stored"]).inc();
        metrics.cache.fill_seconds.with_label_values(&["r"]).observe(0.1);
        metrics.cache.prewarm_last_success.with_label_values(&["r"]).set(1);
        metrics.auth.quota_refusals.with_label_values(&["q"]).inc();
        metrics.upstream.attempts.with_label_values(&["p", "answered"]).inc();
        metrics.upstream.seconds.with_label_values(&["p"]).observe(0.1);
        metrics.upstream.in_flight.with_label_values(&["p"]).set(1);
        metrics.upstream.peer_up.with_label_values(&["p", "a"]).set(1);
        metrics.upstream.budget.with_label_values(&["p", "day"]).set(1);
        metrics.upstream.budget_left.with_label_values(&["p", "day"]).set(1);
        metrics.upstream.budget_refusals.with_label_values(&["p", "client"]).inc();
        metrics.codings.made.with_label_values(&["br"]).inc();
        metrics.codings.saved_bytes.with_label_values(&["br"]).inc();
        metrics.codings.seconds.with_label_values(&["br"]).observe(0.1);
        metrics.refresh.waiting.with_label_values(&["p"]).set(1);
        metrics.refresh.paused.with_label_values(&["p"]).set(1);
        metrics.refresh.skipped.with_label_values(&["p"]).inc();
        metrics.cache.runway_seconds.with_label_values(&["r"]).set(1);
        metrics.config.reloads.with_label_values(&["success"]).inc();
        metrics.purge.purges.with_label_values(&["tag", "operator"]).inc();
        let families = metrics.registry.gather();
        let names: Vec<&str> = families.iter().map(prometheus::proto::MetricFamily::name).collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn every_refusal_code_is_there_before_the_first_refusal() {
        let text = String::from_utf8(Metrics::new().unwrap().render().unwrap()).unwrap();
        for code in Refusal::CODES {
            assert!(text.contains(&format!("farmgate_refusals_total{{code=\"{code}\"}} 0")));
        }
    }
}
