//! What is counted about every request, and in which form is it read?

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Path label of a request that no route matched, so that scanners cannot grow the series.
pub const PATH_UNMATCHED: &str = "unmatched";

/// Bounds of the request duration histogram, in seconds: from a cache hit to a slow provider.
const DURATION_BUCKETS_S: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The series every service has, and the registry for its own.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl Metrics {
    /// Registers the common series in a fresh registry.
    ///
    /// # Errors
    /// Never in practice: the names are constants and the registry is new.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Answered requests by route template and status."),
            &["method", "path", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "Time from request head to response head.",
            )
            .buckets(DURATION_BUCKETS_S.to_vec()),
            &["method", "path"],
        )?;
        let in_flight = IntGauge::new("http_requests_in_flight", "Requests being answered now.")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self { registry, requests, durations, in_flight })
    }

    /// Where a service registers series of its own.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Registers a counter with labels.
    ///
    /// # Errors
    /// When the name is taken or not a metric name.
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let series = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    /// Registers a gauge without labels.
    ///
    /// # Errors
    /// When the name is taken or not a metric name.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let series = IntGauge::new(name, help)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    /// Registers a histogram of seconds with the same bounds as the request durations.
    ///
    /// # Errors
    /// When the name is taken or not a metric name.
    pub fn duration_histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS_S.to_vec());
        let series = HistogramVec::new(options, labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    /// All series in the Prometheus text format 0.0.4.
    ///
    /// # Errors
    /// When a series cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Counts one answered request. `path` is a route template or [`PATH_UNMATCHED`].
    pub(crate) fn observe(&self, method: &str, path: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, path, &status.to_string()]).inc();
        self.durations.with_label_values(&[method, path]).observe(took.as_secs_f64());
    }

    /// One more request is being answered until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        InFlight::enter(&self.in_flight)
    }
}

/// Keeps a gauge one higher for as long as it lives, also when a request is cancelled.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl InFlight {
    /// Raises `gauge` by one until the guard is dropped.
    #[must_use]
    pub fn enter(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
