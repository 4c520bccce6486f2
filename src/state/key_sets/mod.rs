//! Which keys do the issuers publish, fetched over HTTP and kept fresh?
//!
//! For the life of the process: a reload finds the sets it names again, with their keys, and those
//! that nobody names any more are dropped. A set is refreshed in the background, and once more when
//! a token names a key that is not known. Old keys stay until new ones are there; a failed fetch
//! takes nothing away.

mod cadence;
mod entry;
mod fetch;
#[cfg(test)]
pub(super) mod fixture;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use self::entry::{Counts, Entry};
use crate::auth::{KeySetSource, LiveKeySet, RemoteFault, RemoteKeySet};
use crate::clock::Now;

/// The most sets: those of two configurations that a reload has side by side.
const KEY_SETS_MAX: usize = 2 * crate::auth::ISSUERS_MAX;
/// How often sets are looked through when none is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// All sets of keys that are fetched.
#[derive(Debug, Default)]
pub struct KeySets {
    entries: Mutex<Vec<Arc<Entry>>>,
    counts: Arc<Counts>,
    /// Told when a set is new, or a fetch has ended.
    changed: Arc<Notify>,
}

/// What the operator sees of one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetStatus {
    /// Its address, without the query.
    pub url: String,
    /// The keys that can be used.
    pub keys: usize,
    /// The keys that were left out.
    pub skipped: usize,
    /// When keys were last fetched; `None` if they never were.
    pub fetched_at: Option<SystemTime>,
}

impl KeySets {
    /// No sets yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fetches the keys behind `live` anew, if that is worth it: waits for the fetch that is under
    /// way, begins one if the cooldown is over, and else returns at once. Waits no longer than one
    /// fetch may take.
    pub async fn refetch(&self, live: &Arc<LiveKeySet>, now: Now) {
        let is_theirs = |entry: &&Arc<Entry>| Arc::ptr_eq(&entry.live, live);
        let entry = self.entries().iter().find(is_theirs).cloned();
        if let Some(entry) = entry {
            entry.refetch(now).await;
        }
    }

    /// Fetches each set when it is due, the first time at once, until `shutdown` changes.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let wait = self.refresh(Now::read());
            tokio::select! {
                _ = shutdown.changed() => return,
                () = self.changed.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// How many fetches brought keys.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.counts.fetched.load(Ordering::Relaxed)
    }

    /// How many fetches brought none.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Every set as it is now.
    #[must_use]
    pub fn status(&self) -> Vec<KeySetStatus> {
        let status = |entry: &Arc<Entry>| {
            let set = entry.live.current();
            KeySetStatus {
                url: entry.remote.shown().to_owned(),
                keys: set.as_ref().map_or(0, |set| set.keys().len()),
                skipped: set.as_ref().map_or(0, |set| set.skipped().len()),
                fetched_at: entry.fetched_at(),
            }
        };
        self.entries().iter().map(status).collect()
    }

    /// Begins the fetches that are due, and says how long until the next one is.
    fn refresh(&self, now: Now) -> Duration {
        let mut entries = self.entries();
        drop_unused(&mut entries);
        let due = entries.iter().filter_map(|entry| entry.refresh(now)).min();
        let wait = due.map_or(LOOK_EVERY, |due| due.saturating_duration_since(now.instant));
        wait.min(LOOK_EVERY)
    }

    fn enter(&self, remote: &RemoteKeySet) -> Result<Arc<LiveKeySet>, RemoteFault> {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter().find(|entry| entry.remote == *remote) {
            return Ok(Arc::clone(&entry.live));
        }
        drop_unused(&mut entries);
        if entries.len() >= KEY_SETS_MAX {
            return Err(RemoteFault::TooMany { count_max: KEY_SETS_MAX });
        }
        let (counts, changed) = (Arc::clone(&self.counts), Arc::clone(&self.changed));
        let entry = Entry::new(remote.clone(), counts, changed)?;
        let live = Arc::clone(&entry.live);
        entries.push(entry);
        self.changed.notify_one();
        Ok(live)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        // The list is whole between any two statements that could panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySetSource for KeySets {
    fn key_set(&self, wanted: &RemoteKeySet) -> Result<Arc<LiveKeySet>, RemoteFault> {
        wanted.check()?;
        self.enter(wanted)
    }
}

/// A set is in use for as long as a verifier holds the place of its keys.
fn drop_unused(entries: &mut Vec<Arc<Entry>>) {
    entries.retain(|entry| Arc::strong_count(&entry.live) > 1);
}

#[cfg(test)]
mod tests;
