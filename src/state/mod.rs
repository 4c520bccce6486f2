//! What outlives a reload: everything that counts, remembers or keeps.

pub mod key_sets;
pub mod keys;
pub mod nonces;
pub mod quotas;
pub mod tokens;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::NonceMemory;
use crate::cache::flight::Flights;
use crate::cache::outcome::Outcome;
use crate::cache::store::Store;
use crate::clock::Now;
use crate::metrics::Metrics;
use crate::ratelimit::{Buckets, Shield};
use crate::snapshot::{RestartOnly, Snapshot};
use crate::upstream::Pools;
use key_sets::KeySets;
use keys::Keys;
use nonces::Nonces;
use quotas::Quotas;
use tokens::Tokens;

/// The stores of the process.
pub struct State {
    /// What the operator sees.
    pub metrics: Metrics,
    /// Answers. It is never dropped: Pingora wants it to outlive everything.
    pub store: &'static Store,
    /// Fetches under way.
    pub flights: Arc<Flights<Outcome>>,
    /// Exact counts by principal.
    pub quotas: Arc<Quotas>,
    /// Estimates by address.
    pub shield: Shield,
    /// Nonces of signed requests.
    pub nonces: Nonces,
    /// API keys beyond the configuration.
    pub keys: Keys,
    /// Issuers' keys.
    pub key_sets: Arc<KeySets>,
    /// Verified tokens.
    pub tokens: Tokens,
    /// What is known of the pools.
    pub pools: Arc<Pools>,
    /// Whether the process reports ready.
    ready: AtomicBool,
}

/// What is needed to compile a configuration and outlives it: found again by the next one.
#[derive(Clone, Debug, Default)]
pub struct Outliving {
    /// What is known of the pools.
    pub pools: Arc<Pools>,
    /// Issuers' keys.
    pub key_sets: Arc<KeySets>,
}

impl State {
    /// Empty stores of the sizes that the first configuration asks for.
    ///
    /// # Errors
    ///
    /// When the metrics cannot be registered, which a test rules out.
    pub fn new(
        sizes: &RestartOnly,
        Outliving { pools, key_sets }: Outliving,
        now: Now,
    ) -> prometheus::Result<Arc<Self>> {
        let metrics = Metrics::new()?;
        let bytes_max = sizes.cache_bytes_max;
        metrics.cache.bytes_max.set(i64::try_from(bytes_max).unwrap_or(i64::MAX));
        let principals_max = at_least_one(sizes.principals_max);
        Ok(Arc::new(Self {
            metrics,
            store: Box::leak(Box::new(Store::new(bytes_max))),
            flights: Arc::default(),
            quotas: Arc::new(Quotas::new(Buckets::new(principals_max, now))),
            shield: Shield::new(),
            nonces: Nonces(NonceMemory::new(sizes.nonces_max)),
            keys: Keys::none(),
            tokens: Tokens::new(at_least_one(sizes.tokens_max), key_sets.clone()),
            key_sets,
            pools,
            ready: AtomicBool::new(false),
        }))
    }

    /// What a new configuration finds again.
    #[must_use]
    pub fn outliving(&self) -> Outliving {
        Outliving { pools: self.pools.clone(), key_sets: self.key_sets.clone() }
    }

    /// Whether the process reports ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Says whether the process reports ready.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
        self.metrics.ready.set(i64::from(ready));
    }

    /// Brings the gauges up to date with what they measure, before they are read: what the stores
    /// hold, and how the pools of `snapshot` are.
    pub fn measure(&self, snapshot: &Snapshot, now: Now) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let upstream = &self.metrics.upstream;
        upstream.peer_up.reset();
        upstream.in_flight.reset();
        for pool in snapshot.routes.iter().filter_map(|route| route.pool()) {
            upstream.in_flight.with_label_values(&[&pool.name]).set(gauge(pool.state.in_flight()));
            for peer in pool.peers() {
                let up = pool.state.is_up(peer.address, now.instant);
                let labels = [pool.name.as_str(), &peer.address.to_string()];
                upstream.peer_up.with_label_values(&labels).set(i64::from(up));
            }
        }
        self.metrics.cache.bytes.set(gauge(self.store.bytes()));
        self.metrics.cache.objects.set(gauge(self.store.objects()));
        self.metrics.nonces.set(gauge(self.nonces.entries()));
        let counted = self.metrics.cache.evictions.get();
        self.metrics.cache.evictions.inc_by(self.store.evictions().saturating_sub(counted));
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}
