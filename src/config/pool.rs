//! What one file in `upstreams/` says: the peers of a pool and how they are reached.

use std::time::Duration;

use serde::Deserialize;

use super::scalar::{PeerAddress, Period};

/// The whole of one file in `upstreams/`; its name is the pool's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// The servers that can answer.
    pub peers: Vec<PeerConfig>,
    /// With this section the peers are reached over TLS.
    pub tls: Option<PoolTlsConfig>,
    /// How long a connection may take to open.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Period,
    /// How long an idle connection is kept for the next request.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Period,
    /// Most peers that are tried for one request.
    #[serde(default = "default_attempts_max")]
    pub attempts_max: usize,
    /// Most requests of this pool in flight; beyond it the answer is 503.
    #[serde(default = "default_in_flight_max")]
    pub in_flight_max: usize,
    /// How long a peer that could not be reached is passed over.
    #[serde(default = "default_eject_for")]
    pub eject_for: Period,
    /// How many calls it may take, where it counts them.
    pub budget: Option<BudgetConfig>,
    /// Most background refreshes at once.
    #[serde(default = "default_refreshes_max")]
    pub refreshes_max: usize,
    /// Most refreshes that wait for their turn.
    #[serde(default = "default_refresh_queue_max")]
    pub refresh_queue_max: usize,
}

/// How many calls a pool may take, at least one of these.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// In any minute.
    pub minute: Option<u32>,
    /// In any hour.
    pub hour: Option<u32>,
    /// In any 24 hours.
    pub day: Option<u32>,
}

/// One server of a pool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// `host:port`.
    pub address: PeerAddress,
    /// Share of the requests, at least 1.
    #[serde(default = "default_weight")]
    pub weight: u32,
}

/// How the peers are reached over TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTlsConfig {
    /// The name that the peers' certificates must carry.
    pub server_name: String,
}

fn default_connect_timeout() -> Period {
    Period::from(Duration::from_secs(1))
}

fn default_idle_timeout() -> Period {
    Period::from(Duration::from_secs(60))
}

fn default_attempts_max() -> usize {
    2
}

fn default_in_flight_max() -> usize {
    1024
}

fn default_eject_for() -> Period {
    Period::from(Duration::from_secs(5))
}

fn default_refreshes_max() -> usize {
    16
}

fn default_refresh_queue_max() -> usize {
    1024
}

fn default_weight() -> u32 {
    1
}
