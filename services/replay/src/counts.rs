//! What was asked, how often, and how much at once?

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::Request;
use axum::http::header;
use serde::{Deserialize, Serialize};

/// Requests kept in the log; older ones make room.
pub(crate) const LOG_REQUESTS_MAX: usize = 1_000;
/// Distinct paths that are counted apart.
const PATHS_MAX: usize = 1_000;
/// Where requests are counted once [`PATHS_MAX`] paths are known.
const OTHER_PATHS: &str = "(other)";
/// Bytes of a path or query that are kept.
const TEXT_BYTES_MAX: usize = 4_096;

/// A request as it was logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query as it came, still percent-encoded.
    pub query: Option<String>,
    /// The `Range` header.
    pub range: Option<String>,
}

/// Everything that was asked since the start or the last reset. The control API and `/healthz`
/// are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests by path.
    pub requests: BTreeMap<String, u64>,
    /// Body bytes handed to the connection, by path.
    pub bytes: BTreeMap<String, u64>,
    /// Most requests in flight at one moment.
    pub in_flight_max: u64,
    /// The last 1,000 requests, oldest first.
    pub log: VecDeque<LoggedRequest>,
}

impl Counts {
    /// Requests of `path`; 0 when it was never asked.
    #[must_use]
    pub fn requests_of(&self, path: &str) -> u64 {
        self.requests.get(path).copied().unwrap_or(0)
    }

    /// Body bytes sent for `path`; 0 when it was never asked.
    #[must_use]
    pub fn bytes_of(&self, path: &str) -> u64 {
        self.bytes.get(path).copied().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Tally {
    counts: Counts,
    in_flight: u64,
}

/// The running tally.
#[derive(Debug, Default)]
pub(crate) struct Counter(Mutex<Tally>);

/// A request in flight; dropping it, also because the client left, ends it.
#[derive(Debug)]
pub(crate) struct InFlight<'c> {
    counter: &'c Counter,
    key: String,
}

impl Counter {
    /// Counts `request` and keeps it in flight until the guard is dropped.
    pub(crate) fn enter(&self, request: &Request) -> InFlight<'_> {
        let logged = LoggedRequest {
            method: request.method().to_string(),
            path: shortened(request.uri().path()),
            query: request.uri().query().map(shortened),
            range: request
                .headers()
                .get(header::RANGE)
                .map(|value| shortened(&String::from_utf8_lossy(value.as_bytes()))),
        };
        let mut tally = self.lock();
        tally.in_flight += 1;
        let Tally { counts, in_flight } = &mut *tally;
        counts.in_flight_max = counts.in_flight_max.max(*in_flight);
        let key = key_for(&counts.requests, &logged.path);
        *counts.requests.entry(key.clone()).or_default() += 1;
        if counts.log.len() == LOG_REQUESTS_MAX {
            counts.log.pop_front();
        }
        counts.log.push_back(logged);
        InFlight { counter: self, key }
    }

    pub(crate) fn snapshot(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Starts counting anew. Requests still in flight stay in flight.
    pub(crate) fn reset(&self) {
        let mut tally = self.lock();
        tally.counts = Counts { in_flight_max: tally.in_flight, ..Counts::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        // Counters stay usable after a panic elsewhere; at worst one addition is missing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight<'_> {
    /// Adds `bytes` to what was sent for this request's path.
    pub(crate) fn sent(&self, bytes: usize) {
        let mut tally = self.counter.lock();
        *tally.counts.bytes.entry(self.key.clone()).or_default() += bytes as u64;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut tally = self.counter.lock();
        tally.in_flight = tally.in_flight.saturating_sub(1);
    }
}

fn key_for(known: &BTreeMap<String, u64>, path: &str) -> String {
    if known.contains_key(path) || known.len() < PATHS_MAX { path } else { OTHER_PATHS }.to_owned()
}

fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is the test's failure"
    )]
    use super::*;
    use axum::body::Body;

    fn request(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[test]
    fn in_flight_max_remembers_the_peak() {
        let counter = Counter::default();
        let first = counter.enter(&request("/a"));
        let second = counter.enter(&request("/a"));
        drop((first, second));
        let _third = counter.enter(&request("/a"));
        assert_eq!(counter.snapshot().in_flight_max, 2);
        counter.reset();
        assert_eq!(counter.snapshot().in_flight_max, 1);
    }

    #[test]
    fn log_keeps_the_last_requests_only() {
        let counter = Counter::default();
        for number in 0..LOG_REQUESTS_MAX + 5 {
            counter.enter(&request(&format!("/a?n={number}")));
        }
        let counts = counter.snapshot();
        assert_eq!(counts.log.len(), LOG_REQUESTS_MAX);
        assert_eq!(counts.log[0].query.as_deref(), Some("n=5"));
        assert_eq!(counts.requests_of("/a"), LOG_REQUESTS_MAX as u64 + 5);
    }

    #[test]
    fn paths_beyond_the_bound_share_one_count() {
        let counter = Counter::default();
        for number in 0..PATHS_MAX + 5 {
            counter.enter(&request(&format!("/p{number}")));
        }
        let counts = counter.snapshot();
        assert_eq!(counts.requests_of(OTHER_PATHS), 5);
        assert!(counts.requests.len() <= PATHS_MAX + 1);
    }
}
