//! What is counted beyond requests: calls to providers, where answers came from, and the store.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Now;
use chassis::metrics::Metrics;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    CounterVec, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use crate::domain::ask::ProviderName;
use crate::providers::budget::{Budget, Caller};

/// Result of a call that its deadline cut off before it ended.
const CALL_CANCELLED: &str = "timed_out";

/// The weather service's own series.
#[derive(Clone, Debug)]
pub struct WeatherMetrics {
    provider_requests: IntCounterVec,
    provider_durations: HistogramVec,
    provider_in_flight: IntGaugeVec,
    weight_spent: CounterVec,
    over_budget: IntCounterVec,
    answers: IntCounterVec,
    store_writes: IntCounterVec,
    store_queue_depth: IntGauge,
    store_retries: IntCounter,
    store_up: IntGauge,
}

impl WeatherMetrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let provider_in_flight = IntGaugeVec::new(
            Opts::new("provider_in_flight", "Calls to a provider on the wire now."),
            &["provider"],
        )?;
        metrics.registry().register(Box::new(provider_in_flight.clone()))?;
        let store_retries =
            IntCounter::new("store_retries_total", "Writes that have to be made once more.")?;
        metrics.registry().register(Box::new(store_retries.clone()))?;
        let weight_spent = CounterVec::new(
            Opts::new("provider_weight_spent_total", "Weighted calls made to a provider."),
            &["provider"],
        )?;
        metrics.registry().register(Box::new(weight_spent.clone()))?;
        Ok(Self {
            provider_requests: metrics.counter(
                "provider_requests_total",
                "Calls to a provider, each attempt counted, by result.",
                &["provider", "result"],
            )?,
            provider_durations: metrics.duration_histogram(
                "provider_request_duration_seconds",
                "Time of one call to a provider.",
                &["provider"],
            )?,
            provider_in_flight,
            weight_spent,
            over_budget: metrics.counter(
                "provider_calls_over_budget_total",
                "Calls that were not made because the budget of a provider was used up.",
                &["provider", "caller"],
            )?,
            answers: metrics.counter(
                "weather_answers_total",
                "Answers by kind and by where they came from.",
                &["kind", "cache"],
            )?,
            store_writes: metrics.counter(
                "store_writes_total",
                "Provider answers handed to the store, by result: stored, failed or dropped.",
                &["result"],
            )?,
            store_queue_depth: metrics
                .gauge("store_queue_depth", "Provider answers waiting to be written.")?,
            store_retries,
            store_up: metrics
                .gauge("store_up", "Whether the last write to the store came through.")?,
        })
    }

    /// Series that are registered nowhere, for tests.
    ///
    /// # Errors
    /// Never in practice: the registry is new.
    pub fn detached() -> Result<Self, prometheus::Error> {
        Self::register(&Metrics::new()?)
    }

    pub(crate) fn in_flight(&self, provider: ProviderName) -> IntGauge {
        self.provider_in_flight.with_label_values(&[provider.as_str()])
    }

    /// Begins to count one call.
    pub(crate) fn call(&self, provider: ProviderName) -> ProviderCall<'_> {
        ProviderCall { metrics: self, provider, started: Now::read(), result: CALL_CANCELLED }
    }

    /// Shows what is left of these budgets, as of the moment it is asked for.
    ///
    /// # Errors
    /// When it was called before.
    pub fn watch(metrics: &Metrics, budgets: Vec<Arc<Budget>>) -> Result<(), prometheus::Error> {
        let remaining = GaugeVec::new(
            Opts::new(
                "provider_budget_remaining",
                "Weighted calls left in the present window, where it has a limit.",
            ),
            &["provider", "window"],
        )?;
        metrics.registry().register(Box::new(Remaining { remaining, budgets }))
    }

    pub(crate) fn spent(&self, provider: ProviderName, weight: f64) {
        self.weight_spent.with_label_values(&[provider.as_str()]).inc_by(weight);
    }

    pub(crate) fn over_budget(&self, provider: ProviderName, caller: Caller) {
        self.over_budget.with_label_values(&[provider.as_str(), caller.as_str()]).inc();
    }

    pub(crate) fn answered(&self, kind: &str, cache: &str) {
        self.answers.with_label_values(&[kind, cache]).inc();
    }

    pub(crate) fn queue_depth(&self, answers: usize) {
        self.store_queue_depth.set(i64::try_from(answers).unwrap_or(i64::MAX));
    }

    pub(crate) fn written(&self, result: &str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.store_writes.with_label_values(&[result]).inc_by(count);
    }

    pub(crate) fn retried(&self) {
        self.store_retries.inc();
    }

    pub(crate) fn store_is_up(&self, up: bool) {
        self.store_up.set(i64::from(up));
    }
}

/// Windows end without anybody calling, so what is left is computed when it is read.
struct Remaining {
    remaining: GaugeVec,
    budgets: Vec<Arc<Budget>>,
}

impl Collector for Remaining {
    fn desc(&self) -> Vec<&Desc> {
        self.remaining.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Now::read();
        for budget in &self.budgets {
            for (window, left) in budget.remaining(now) {
                let labels = [budget.provider().as_str(), window];
                self.remaining.with_label_values(&labels).set(left);
            }
        }
        self.remaining.collect()
    }
}

/// One call being counted. It counts when it is dropped, so that a call which its deadline cuts
/// off is counted like any other.
#[derive(Debug)]
pub(crate) struct ProviderCall<'a> {
    metrics: &'a WeatherMetrics,
    provider: ProviderName,
    started: Now,
    result: &'static str,
}

impl ProviderCall<'_> {
    pub(crate) fn ended(&mut self, result: &'static str) {
        self.result = result;
    }

    fn took(&self) -> Duration {
        Now::read().instant.saturating_duration_since(self.started.instant)
    }
}

impl Drop for ProviderCall<'_> {
    fn drop(&mut self) {
        let provider = self.provider.as_str();
        self.metrics.provider_requests.with_label_values(&[provider, self.result]).inc();
        let seconds = self.took().as_secs_f64();
        self.metrics.provider_durations.with_label_values(&[provider]).observe(seconds);
    }
}
