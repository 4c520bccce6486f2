//! The stores that are compared: ours, and what decides in others which entry goes.

use std::cell::RefCell;

use farmgate::cache::key::Key;
use farmgate::cache::store::Store;
use http::HeaderMap;
use lru::LruCache;

use super::answer::{Slim, key, plain_key};
use super::trace::{KEYS, Kind};

/// Largest body of a trace, and more.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Shards of each store that has some, as many as ours has of that budget.
const SHARDS: usize = 4;

/// A store under a trace.
pub(crate) trait Policy {
    /// Whether it has the key.
    fn get(&self, number: u64) -> bool;
    /// Takes an answer of so many bytes, if it will.
    fn put(&self, number: u64, bytes: usize);
}

/// The names of all, ours first.
pub(crate) const NAMES: [&str; 7] =
    ["farmgate", "lru", "moka", "quick_cache", "foyer-s3fifo", "foyer-lfu", "foyer-sieve"];

/// One of them, with a budget in bytes.
pub(crate) fn policy(name: &str, kind: Kind, budget: usize) -> Option<Box<dyn Policy>> {
    let slim = Slim::new(BODY_BYTES_MAX)?;
    let usual = slim.cost_bytes(if kind.is_mixed { 3_000 } else { 2_048 });
    let items = budget / usize::try_from(usual).ok()?;
    let foyer = |config: foyer_memory::EvictionConfig| -> Option<Box<dyn Policy>> {
        let builder = foyer_memory::CacheBuilder::new(budget)
            .with_shards(SHARDS)
            .with_weighter(|_: &[u8; 16], cost: &u32| *cost as usize)
            .with_eviction_config(config);
        Some(Box::new(Foyer { slim: Slim::new(BODY_BYTES_MAX)?, cache: builder.build() }))
    };
    Some(match name {
        "farmgate" => {
            let keys = (0..KEYS as u64).map(key).collect();
            Box::new(Ours { slim, keys, store: Store::new(budget) })
        }
        "lru" => Box::new(Lru { slim, budget, state: RefCell::new((LruCache::unbounded(), 0)) }),
        "moka" => {
            let builder = moka::sync::Cache::builder().max_capacity(budget as u64);
            Box::new(Moka { slim, cache: builder.weigher(|_, cost: &u32| *cost).build() })
        }
        "quick_cache" => {
            let cache = quick_cache::sync::Cache::with_weighter(items, budget as u64, Weight);
            Box::new(Quick { slim, cache })
        }
        "foyer-s3fifo" => foyer(foyer_memory::S3FifoConfig::default().into())?,
        "foyer-lfu" => foyer(foyer_memory::LfuConfig::default().into())?,
        "foyer-sieve" => foyer(foyer_memory::SieveConfig {}.into())?,
        _ => return None,
    })
}

struct Ours {
    slim: Slim,
    keys: Vec<Key>,
    store: Store,
}

impl Ours {
    fn key(&self, number: u64) -> Key {
        let known = usize::try_from(number).ok().and_then(|number| self.keys.get(number));
        known.copied().unwrap_or_else(|| key(number))
    }
}

impl Policy for Ours {
    fn get(&self, number: u64) -> bool {
        self.store.select(&self.key(number), &HeaderMap::new()).is_some()
    }

    fn put(&self, number: u64, bytes: usize) {
        self.store.put(&self.key(number), self.slim.answer(bytes));
    }
}

struct Lru {
    slim: Slim,
    budget: usize,
    state: RefCell<(LruCache<[u8; 16], u32>, usize)>,
}

impl Policy for Lru {
    fn get(&self, number: u64) -> bool {
        self.state.borrow_mut().0.get(&plain_key(number)).is_some()
    }

    fn put(&self, number: u64, bytes: usize) {
        let cost = self.slim.cost_bytes(bytes);
        let (entries, sum) = &mut *self.state.borrow_mut();
        entries.put(plain_key(number), cost);
        *sum += cost as usize;
        while *sum > self.budget {
            let Some((_, cost)) = entries.pop_lru() else { return };
            *sum -= cost as usize;
        }
    }
}

struct Moka {
    slim: Slim,
    cache: moka::sync::Cache<[u8; 16], u32>,
}

impl Policy for Moka {
    fn get(&self, number: u64) -> bool {
        self.cache.get(&plain_key(number)).is_some()
    }

    fn put(&self, number: u64, bytes: usize) {
        self.cache.insert(plain_key(number), self.slim.cost_bytes(bytes));
    }
}

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<[u8; 16], u32> for Weight {
    fn weight(&self, _key: &[u8; 16], cost: &u32) -> u64 {
        u64::from(*cost)
    }
}

struct Quick {
    slim: Slim,
    cache: quick_cache::sync::Cache<[u8; 16], u32, Weight>,
}

impl Policy for Quick {
    fn get(&self, number: u64) -> bool {
        self.cache.get(&plain_key(number)).is_some()
    }

    fn put(&self, number: u64, bytes: usize) {
        self.cache.insert(plain_key(number), self.slim.cost_bytes(bytes));
    }
}

struct Foyer {
    slim: Slim,
    cache: foyer_memory::Cache<[u8; 16], u32>,
}

impl Policy for Foyer {
    fn get(&self, number: u64) -> bool {
        self.cache.get(&plain_key(number)).is_some()
    }

    fn put(&self, number: u64, bytes: usize) {
        drop(self.cache.insert(plain_key(number), self.slim.cost_bytes(bytes)));
    }
}
