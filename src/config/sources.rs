//! Everything that was read before compiling: the files' values, their positions, and what they
//! point to outside themselves (secrets, peers' addresses).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::gateway::GatewayConfig;
use super::pool::PoolConfig;
use super::scalar::Secret;
use super::{ConfigFault, Document};

/// What was read of one configuration.
#[derive(Debug)]
pub struct Sources {
    /// The folder of `gateway.yaml`, to which its relative paths belong.
    pub base: PathBuf,
    /// `gateway.yaml`.
    pub gateway: Source<GatewayConfig>,
    /// The files of the pools, by name.
    pub pools: BTreeMap<String, Source<PoolConfig>>,
    /// Whether the folder of the pools was read; if not, that alone is the fault to tell.
    pub pools_were_read: bool,
    /// Names of pool files that could not be read, so that routes to them are no second fault.
    pub broken_pools: Vec<String>,
    /// Secrets by the path of their reference in `gateway.yaml`.
    pub secrets: BTreeMap<String, Secret>,
    /// URLs that may hold a password, by the path of their reference in `gateway.yaml`.
    pub urls: BTreeMap<String, String>,
    /// What stands in further files, by the path of their name in `gateway.yaml`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What is wrong and does not keep the rest from serving.
    pub warnings: Vec<ConfigFault>,
    /// Addresses by pool and number of the peer.
    pub addresses: BTreeMap<(String, usize), SocketAddr>,
}

impl Sources {
    /// Whether a pool of this name may be missing only because of a fault that is already told.
    #[must_use]
    pub fn is_broken_pool(&self, name: &str) -> bool {
        !self.pools_were_read || self.broken_pools.iter().any(|broken| broken == name)
    }
}

/// One file: its value, and where everything stands in it.
#[derive(Debug)]
pub struct Source<T> {
    /// What it says.
    pub value: T,
    /// Where it says so.
    pub document: Document,
}

impl<T> Source<T> {
    /// A fault at `path`, unless what stands there has a fault that is already told.
    pub fn report(&self, faults: &mut Vec<ConfigFault>, path: &str, problem: impl Into<String>) {
        if !self.document.was_cut(path) {
            faults.push(self.document.fault(path, problem));
        }
    }
}
