//! Which series are there, and which labels has each?

use std::collections::{BTreeMap, BTreeSet};

use farmgate::metrics::{
    AuthMetrics, CodingMetrics, DiskMetrics, MemoryMetrics, Metrics, NAMES, PurgeMetrics,
    RefreshMetrics, UpstreamMetrics,
};
use prometheus::core::Collector;

use crate::sources;

/// What can be asked for: the labels of each series, by name.
pub(crate) type Catalogue = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::from([("up".to_owned(), BTreeSet::new())]);
    let names = gateway_series(&mut catalogue);
    assert_eq!(names, NAMES.map(str::to_owned), "a series is missing in this test");
    for service in ["chassis", "weather", "ndvi"] {
        service_series(&sources(&format!("services/{service}/src")), &mut catalogue);
    }
    catalogue
}

/// Asks the gateway's own series for their labels; returns their names in order.
fn gateway_series(catalogue: &mut Catalogue) -> Vec<String> {
    let Metrics {
        requests,
        request_seconds,
        requests_in_flight,
        refusals,
        ready,
        auth,
        memory,
        cache,
        codings,
        refresh,
        disk,
        purge,
        upstream,
        config,
        ..
    } = Metrics::new().unwrap();
    let histograms: [&dyn Collector; 4] =
        [&request_seconds, &cache.fill_seconds, &codings.seconds, &upstream.seconds];
    let plain: [&dyn Collector; 20] = [
        &requests,
        &requests_in_flight,
        &refusals,
        &ready,
        &cache.lookups,
        &cache.tier_hits,
        &cache.bytes,
        &cache.bytes_max,
        &cache.objects,
        &cache.evictions,
        &cache.fills,
        &cache.fill_waiters,
        &cache.runway_seconds,
        &cache.prewarm_last_success,
        &upstream.attempts,
        &upstream.in_flight,
        &upstream.peer_up,
        &config.generation,
        &config.last_reload_success,
        &config.reloads,
    ];
    // The version is set once and kept by nobody.
    let mut names = vec!["farmgate_build_info".to_owned()];
    add(catalogue, &names[0], &["version"], false);
    let identity = of_identity(&auth, &memory);
    let warmth = of_warmth(&refresh, &upstream);
    let disk = of_the_disk(&disk);
    let purges = of_purges(&purge);
    let plain = plain.into_iter().chain(identity).chain(warmth).chain(disk).chain(purges);
    let plain = plain.chain(of_codings(&codings));
    let plain = plain.map(|series| (series, false));
    for (series, histogram) in plain.chain(histograms.map(|series| (series, true))) {
        names.extend(described(series, histogram, catalogue));
    }
    names.sort();
    names
}

/// All of the codings of stored answers, but for the histogram.
fn of_codings(codings: &CodingMetrics) -> [&dyn Collector; 3] {
    [&codings.made, &codings.saved_bytes, &codings.skipped]
}

/// All of refreshes, and of the calls that they cost.
fn of_warmth<'a>(
    refresh: &'a RefreshMetrics,
    upstream: &'a UpstreamMetrics,
) -> [&'a dyn Collector; 9] {
    [
        &refresh.in_flight,
        &refresh.waiting,
        &refresh.paused,
        &refresh.skipped,
        &refresh.unplanned,
        &upstream.budget,
        &upstream.budget_left,
        &upstream.budget_refusals,
        &upstream.call_write_failures,
    ]
}

/// All of the cache on disk.
fn of_the_disk(disk: &DiskMetrics) -> [&dyn Collector; 7] {
    let DiskMetrics { bytes, bytes_max, entries, evictions, writes_dropped, damaged, errors } =
        disk;
    [bytes, bytes_max, entries, evictions, writes_dropped, damaged, errors]
}

/// All of what holds no more.
fn of_purges(purge: &PurgeMetrics) -> [&dyn Collector; 3] {
    [&purge.purges, &purge.untold, &purge.reclaimed]
}

/// All of credentials, and of what is remembered.
fn of_identity<'a>(auth: &'a AuthMetrics, memory: &'a MemoryMetrics) -> [&'a dyn Collector; 23] {
    [
        &auth.credentials,
        &auth.failures_limited,
        &auth.quota_refusals,
        &auth.tokens_issued,
        &auth.token_lookups,
        &auth.key_hashes,
        &auth.key_hashes_in_flight,
        &auth.key_hashes_refused,
        &auth.key_set_fetches,
        &memory.tokens,
        &memory.keys,
        &memory.key_evictions,
        &memory.key_tables_up,
        &memory.nonces,
        &memory.nonce_write_failures,
        &memory.nonces_untold,
        &memory.quota_windows,
        &memory.quota_window_evictions,
        &memory.revocations,
        &memory.revocations_left_out,
        &memory.shared_state_up,
        &memory.shared_state_errors,
        &memory.shared_state_degraded,
    ]
}

/// Adds what a collector says of its series; returns their names.
fn described(series: &dyn Collector, histogram: bool, catalogue: &mut Catalogue) -> Vec<String> {
    let name = |description: &&prometheus::core::Desc| {
        let labels: Vec<&str> = description.variable_labels.iter().map(String::as_str).collect();
        add(catalogue, &description.fq_name, &labels, histogram);
        description.fq_name.clone()
    };
    series.desc().iter().map(name).collect()
}

/// Reads the registrations in a service's source: the first literal is the name, and the slice of
/// literals before the call's end holds the labels.
fn service_series(source: &str, catalogue: &mut Catalogue) {
    for call in [".counter(", ".gauge(", ".duration_histogram(", "Opts::new(", "IntGauge::new("] {
        for (at, _) in source.match_indices(call) {
            let arguments = source[at + call.len()..].trim_start();
            let Some(name) = arguments.strip_prefix('"').and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            let registration = arguments.split(")?").next().unwrap();
            let labels = registration.split_once("&[").map_or("", |(_, rest)| rest);
            let labels: Vec<&str> =
                labels.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
            let histogram = call.contains("histogram") || source[..at].ends_with("Histogram");
            add(catalogue, name, &labels, histogram);
        }
    }
}

fn add(catalogue: &mut Catalogue, name: &str, labels: &[&str], histogram: bool) {
    let labels: BTreeSet<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    if !histogram {
        catalogue.insert(name.to_owned(), labels);
        return;
    }
    for suffix in ["sum", "count"] {
        catalogue.insert(format!("{name}_{suffix}"), labels.clone());
    }
    let with_bound = labels.into_iter().chain(["le".to_owned()]).collect();
    catalogue.insert(format!("{name}_bucket"), with_bound);
}
