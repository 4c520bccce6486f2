//! Snapshots from text, for tests of the modules above.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::{KeySetSource, LiveKeySet, RemoteFault, RemoteKeySet};
use crate::config::Document;
use crate::config::sources::{Source, Sources};
use crate::upstream::Pools;

use super::{Snapshot, compile};

/// Fetches nothing.
struct NoKeySets;

impl KeySetSource for NoKeySets {
    fn key_set(&self, _: &RemoteKeySet) -> Result<Arc<LiveKeySet>, RemoteFault> {
        Ok(Arc::default())
    }
}

/// Compiles a `gateway.yaml` that leads to one pool named `service`.
///
/// # Panics
///
/// When the text has a fault, with all of them.
#[track_caller]
pub(crate) fn snapshot(gateway: &str) -> Snapshot {
    let pool = "peers: [{address: 127.0.0.1:1}]";
    let pools = BTreeMap::from([("service".to_owned(), source("service.yaml", pool))]);
    let address = "127.0.0.1:1".parse().unwrap();
    let sources = Sources {
        base: PathBuf::new(),
        gateway: source("gateway.yaml", gateway),
        pools,
        pools_were_read: true,
        broken_pools: Vec::new(),
        secrets: BTreeMap::new(),
        urls: BTreeMap::new(),
        files: BTreeMap::new(),
        warnings: Vec::new(),
        addresses: BTreeMap::from([(("service".to_owned(), 0), address)]),
    };
    compile(&sources, &Pools::default(), &NoKeySets, 1)
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[track_caller]
fn source<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Source<T> {
    let mut document = Document::parse(Path::new(file), text).unwrap();
    let (value, faults) = document.decode();
    assert!(faults.is_empty(), "{faults:?}");
    Source { value: value.unwrap(), document }
}
