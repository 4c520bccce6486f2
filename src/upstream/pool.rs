//! Which peer of a pool takes the next attempt?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::health::PoolState;

/// A pool as compiled from its file.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The file's name without its ending.
    pub name: String,
    /// The servers, each as often as its weight says.
    pub turns: Vec<Peer>,
    /// How peers are reached over TLS.
    pub tls: Option<PoolTls>,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Most attempts for one request, the first counted.
    pub attempts_max: usize,
    /// Most requests in flight.
    pub in_flight_max: usize,
    /// How long an unreachable peer is passed over.
    pub eject_for: Duration,
    /// How many calls it may take, if that is limited.
    pub budget: Option<Budget>,
    /// Most background refreshes at once.
    pub refreshes_max: usize,
    /// Most refreshes that wait for their turn.
    pub refresh_queue_max: usize,
    /// What outlives a reload.
    pub state: Arc<PoolState>,
}

/// One server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
}

/// How peers are reached over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTls {
    /// The name that their certificates must carry; never empty, or nothing would be verified.
    pub server_name: String,
}

impl Pool {
    /// The peer for the next attempt: in turn, passing over those that are ejected and those that
    /// this request tried before. When none is left but some are only ejected, one of these:
    /// better a try than a refusal.
    #[must_use]
    pub fn pick(&self, tried: &[SocketAddr], now: Instant) -> Option<Peer> {
        let count = self.turns.len();
        if count == 0 {
            return None;
        }
        let start = self.state.next_turn() % count;
        let round = || {
            let (before, after) = self.turns.split_at(start);
            after.iter().chain(before).filter(|peer| !tried.contains(&peer.address))
        };
        round().find(|peer| self.state.is_up(peer.address, now)).or_else(|| round().next()).copied()
    }

    /// Different servers of the pool, for the metrics.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<Peer> = Vec::new();
        for peer in &self.turns {
            if !peers.contains(peer) {
                peers.push(*peer);
            }
        }
        peers
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::clock::Now;

    fn peer(port: u16) -> Peer {
        Peer { address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn pool(turns: Vec<Peer>) -> Pool {
        Pool {
            name: "p".into(),
            turns,
            tls: None,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(60),
            attempts_max: 2,
            in_flight_max: 10,
            eject_for: Duration::from_secs(5),
            budget: None,
            refreshes_max: 1,
            refresh_queue_max: 1,
            state: Arc::default(),
        }
    }

    #[test]
    fn peers_take_turns_by_weight() {
        let pool = pool(vec![peer(1), peer(1), peer(2)]);
        let now = Now::read().instant;
        let picked: Vec<u16> =
            (0..6).map(|_| pool.pick(&[], now).unwrap().address.port()).collect();
        assert_eq!(picked, [1, 1, 2, 1, 1, 2]);
    }

    #[test]
    fn an_ejected_peer_is_passed_over() {
        let pool = pool(vec![peer(1), peer(2)]);
        let now = Now::read().instant;
        pool.state.eject(peer(1).address, pool.eject_for, now);
        for _ in 0..4 {
            assert_eq!(pool.pick(&[], now), Some(peer(2)));
        }
    }

    #[test]
    fn a_peer_is_tried_once_a_request() {
        let pool = pool(vec![peer(1), peer(2)]);
        let now = Now::read().instant;
        assert_eq!(pool.pick(&[peer(1).address], now), Some(peer(2)));
        assert_eq!(pool.pick(&[peer(1).address, peer(2).address], now), None);
    }

    #[test]
    fn when_all_are_ejected_one_is_tried_all_the_same() {
        let pool = pool(vec![peer(1)]);
        let now = Now::read().instant;
        pool.state.eject(peer(1).address, pool.eject_for, now);
        assert_eq!(pool.pick(&[], now), Some(peer(1)));
    }
}
