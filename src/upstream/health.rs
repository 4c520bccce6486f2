//! What is known of a pool across reloads: ejected peers, and requests in flight.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most pools that are remembered; a reload that renames pools for ever cannot grow the map.
const POOLS_MAX: usize = 1_024;

/// Most ejected peers that are remembered of one pool.
const EJECTED_MAX: usize = 4_096;

/// The pools of the process, by name.
#[derive(Debug, Default)]
pub struct Pools {
    by_name: Mutex<HashMap<String, Arc<PoolState>>>,
}

/// What is known of one pool.
#[derive(Debug, Default)]
pub struct PoolState {
    in_flight: AtomicUsize,
    cursor: AtomicUsize,
    ejected_until: Mutex<HashMap<SocketAddr, Instant>>,
}

/// One request in flight; dropped, it is counted out.
#[derive(Debug)]
pub struct InFlight {
    pool: Arc<PoolState>,
}

impl Pools {
    /// The state of the pool with this name; new pools begin with nothing known.
    #[must_use]
    pub fn state_of(&self, name: &str) -> Arc<PoolState> {
        let mut pools = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = pools.get(name) {
            return state.clone();
        }
        if pools.len() >= POOLS_MAX {
            pools.retain(|_, state| Arc::strong_count(state) > 1);
        }
        let state = Arc::<PoolState>::default();
        pools.insert(name.to_owned(), state.clone());
        state
    }
}

impl PoolState {
    /// Counts a request in, unless `in_flight_max` are in flight already.
    #[must_use]
    pub fn enter(self: &Arc<Self>, in_flight_max: usize) -> Option<InFlight> {
        let entered = self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, |current| {
            (current < in_flight_max).then_some(current + 1)
        });
        entered.ok().map(|_| InFlight { pool: self.clone() })
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The next turn of the round.
    #[must_use]
    pub fn next_turn(&self) -> usize {
        self.cursor.fetch_add(1, Ordering::Relaxed)
    }

    /// Passes over a peer until `now + eject_for`.
    pub fn eject(&self, peer: SocketAddr, eject_for: Duration, now: Instant) {
        let mut ejected = self.ejected_until.lock().unwrap_or_else(PoisonError::into_inner);
        ejected.retain(|_, until| now < *until);
        if ejected.len() < EJECTED_MAX {
            ejected.insert(peer, now + eject_for);
        }
    }

    /// Takes a peer back, because it answered.
    pub fn restore(&self, peer: SocketAddr) {
        self.ejected_until.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }

    /// Whether a peer is not passed over at `now`.
    #[must_use]
    pub fn is_up(&self, peer: SocketAddr, now: Instant) -> bool {
        let ejected = self.ejected_until.lock().unwrap_or_else(PoisonError::into_inner);
        ejected.get(&peer).is_none_or(|until| now >= *until)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.pool.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::clock::Now;

    #[test]
    fn a_full_pool_lets_nobody_in_until_one_leaves() {
        let pool = Pools::default().state_of("weather");
        let first = pool.enter(2).unwrap();
        let _second = pool.enter(2).unwrap();
        assert!(pool.enter(2).is_none());
        drop(first);
        assert!(pool.enter(2).is_some());
    }

    #[test]
    fn an_ejected_peer_is_up_again_after_its_time() {
        let pool = PoolState::default();
        let now = Now::read().instant;
        let peer: SocketAddr = "127.0.0.1:1".parse().unwrap();
        pool.eject(peer, Duration::from_secs(5), now);
        assert!(!pool.is_up(peer, now + Duration::from_millis(4_999)));
        assert!(pool.is_up(peer, now + Duration::from_secs(5)));
        pool.eject(peer, Duration::from_secs(5), now);
        pool.restore(peer);
        assert!(pool.is_up(peer, now));
    }

    #[test]
    fn a_pools_state_outlives_its_snapshot() {
        let pools = Pools::default();
        let guard = pools.state_of("ndvi").enter(9).unwrap();
        assert_eq!(pools.state_of("ndvi").in_flight(), 1);
        drop(guard);
        assert_eq!(pools.state_of("ndvi").in_flight(), 0);
    }
}
