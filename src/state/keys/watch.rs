//! Does the table in memory still say what the key file says?

use std::path::Path;

use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};

use super::store::{KeyStore, Version};
use super::store_error::StoreError;
use super::table::KeyTable;
use crate::auth::{KeyDigest, KeyError, Principal};
use crate::clock::Now;

/// The key file, and the table of what it holds.
#[derive(Debug)]
pub(super) struct WatchedStore {
    store: KeyStore,
    table: ArcSwap<KeyTable>,
    loaded: Mutex<Option<Version>>,
}

impl WatchedStore {
    /// Opens the file and loads its keys.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let (store, table) = (KeyStore::open(path).await?, ArcSwap::default());
        let watched = Self { store, table, loaded: Mutex::default() };
        watched.refresh().await?;
        Ok(watched)
    }

    /// Looks up one key.
    pub(super) fn verify(&self, digest: &KeyDigest, now: Now) -> Result<Principal, KeyError> {
        self.table.load().verify(digest, now)
    }

    /// Loads the keys anew if somebody has changed the file; tells whether that was so. While the
    /// file cannot be read, the keys that were read last stay valid.
    pub(super) async fn refresh(&self) -> Result<bool, StoreError> {
        // Asked before the keys are read: a change between the two is seen again next time.
        let version = self.store.version().await?;
        if *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) == Some(version) {
            return Ok(false);
        }
        let stored = self.store.list().await?;
        let table = KeyTable::new(stored, &self.table.load());
        tracing::info!(keys = table.len(), "key file loaded");
        self.table.store(Arc::new(table));
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        Ok(true)
    }

    /// Writes back when keys were last used: of those that the file lags too far behind, or `all`.
    pub(super) async fn write_used(&self, all: bool) -> Result<usize, StoreError> {
        let table = self.table.load_full();
        let used = table.unwritten(all);
        self.store.write_used(&used).await?;
        table.written(&used);
        Ok(used.len())
    }

    /// How many keys there are.
    pub(super) fn keys(&self) -> usize {
        self.table.load().len()
    }
}
