//! Who fetches this one set, and who waits for it?
//!
//! Single flight: of all who need the set fetched, the first begins and the others wait for the
//! same fetch. It runs on its own, so a client that leaves does not end it for the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use reqwest::Client;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::cadence::{Cadence, History};
use super::fetch::{FetchFault, client, fetch};
use crate::auth::{KeySet, LiveKeySet, RemoteFault, RemoteKeySet};
use crate::clock::Now;

/// The most requests that wait for one fetch; beyond it nobody waits.
const WAITERS_MAX: usize = 1_024;

/// One set: where its keys are published, and how they get there.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) remote: RemoteKeySet,
    pub(super) live: Arc<LiveKeySet>,
    client: Client,
    cadence: Cadence,
    desk: Mutex<Desk>,
    counts: Arc<Counts>,
    /// Told when a fetch has ended, and so the next one has a time.
    landed: Arc<Notify>,
}

/// How the fetches of all sets ended.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) fetched: AtomicU64,
    pub(super) failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Desk {
    history: History,
    /// When the next refresh is due; `None` before the first fetch.
    due: Option<Instant>,
    fetched_at: Option<SystemTime>,
    /// There while a fetch is under way. Who waits is told by its end.
    in_the_air: Option<watch::Sender<()>>,
}

impl Desk {
    fn take_off(&mut self, now: Now) -> watch::Receiver<()> {
        let (flight, ended) = watch::channel(());
        self.in_the_air = Some(flight);
        self.history.began = Some(now.instant);
        ended
    }
}

impl Entry {
    pub(super) fn new(
        remote: RemoteKeySet,
        counts: Arc<Counts>,
        landed: Arc<Notify>,
    ) -> Result<Arc<Self>, RemoteFault> {
        Ok(Arc::new(Self {
            client: client(&remote)?,
            cadence: Cadence { refresh: remote.refresh, cooldown: remote.cooldown },
            remote,
            live: Arc::default(),
            desk: Mutex::default(),
            counts,
            landed,
        }))
    }

    /// Waits for a fetch: the one that is under way, or a new one if it may begin. Returns at once
    /// when neither can be had.
    pub(super) async fn refetch(self: &Arc<Self>, now: Now) {
        let Some(mut ended) = self.join(now) else { return };
        // The fetch is bounded by the same time; who joined late waits less.
        if timeout(self.remote.timeout, ended.changed()).await.is_err() {
            tracing::debug!(key_set = self.remote.shown(), "a request gave up waiting for keys");
        }
    }

    /// Begins a refresh if it is due, and says when the next one is. `None` while one is under way.
    pub(super) fn refresh(self: &Arc<Self>, now: Now) -> Option<Instant> {
        let mut desk = self.desk();
        if desk.in_the_air.is_some() {
            return None;
        }
        if let Some(due) = desk.due.filter(|due| now.instant < *due) {
            return Some(due);
        }
        desk.take_off(now);
        drop(desk);
        self.fly(now);
        None
    }

    /// When keys were last fetched.
    pub(super) fn fetched_at(&self) -> Option<SystemTime> {
        self.desk().fetched_at
    }

    fn join(self: &Arc<Self>, now: Now) -> Option<watch::Receiver<()>> {
        let mut desk = self.desk();
        match &desk.in_the_air {
            Some(flight) if flight.receiver_count() >= WAITERS_MAX => return None,
            Some(flight) => return Some(flight.subscribe()),
            None if self.cadence.may_refetch(&desk.history, now.instant) => {}
            None => return None,
        }
        let ended = desk.take_off(now);
        drop(desk);
        self.fly(now);
        Some(ended)
    }

    /// The desk must be free: a runtime that is ending drops the task at once, and its landing
    /// goes to the desk.
    fn fly(self: &Arc<Self>, now: Now) {
        let landing = Landing(Arc::clone(self));
        tokio::spawn(async move {
            let fetched = fetch(&landing.0.client, &landing.0.remote).await;
            landing.0.land(fetched, now);
        });
    }

    fn land(&self, fetched: Result<KeySet, FetchFault>, began: Now) {
        let before = self.live.current();
        let mut desk = self.desk();
        match fetched {
            Ok(keys) => {
                self.counts.fetched.fetch_add(1, Ordering::Relaxed);
                tell_of_keys(self.remote.shown(), before.as_deref(), &keys);
                self.live.publish(keys);
                desk.history.has_keys = true;
                desk.history.failures = 0;
                desk.fetched_at = Some(began.wall);
            }
            Err(fault) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                desk.history.failures = desk.history.failures.saturating_add(1);
                let (key_set, failures) = (self.remote.shown(), desk.history.failures);
                if before.is_some() {
                    tracing::warn!(key_set, %fault, failures, "old keys serve, none fetched");
                } else {
                    tracing::error!(key_set, %fault, failures, "no keys, tokens refused");
                }
            }
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // The desk is consistent between any two statements that could panic.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a fetch, however it comes about.
struct Landing(Arc<Entry>);

impl Drop for Landing {
    fn drop(&mut self) {
        let entry = &self.0;
        let mut desk = entry.desk();
        desk.due = entry.cadence.due(&desk.history, rand::random());
        desk.in_the_air = None;
        drop(desk);
        entry.landed.notify_one();
    }
}

/// Says what has changed, and is silent when nothing has: most refreshes bring the same keys.
fn tell_of_keys(key_set: &str, before: Option<&KeySet>, now: &KeySet) {
    let names = |keys: &KeySet| -> Vec<String> {
        keys.keys().iter().map(|key| key.kid().unwrap_or("(unnamed)").to_owned()).collect()
    };
    let (kids, skipped) = (names(now), now.skipped().len());
    if before.is_some_and(|before| names(before) == kids && before.skipped().len() == skipped) {
        return;
    }
    match now.skipped().first() {
        None => tracing::info!(key_set, ?kids, "keys fetched"),
        Some(first) => {
            tracing::warn!(key_set, ?kids, skipped, %first, "keys fetched, some left out")
        }
    }
}
