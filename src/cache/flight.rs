//! Who is fetching this answer already, and how did it end?
//!
//! Single flight: of all who want one key, the first leads a flight and the others wait for its
//! outcome, whatever that is. A failure stays known for a moment, so that a failing upstream is
//! asked once and not by each client in turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::key::Key;

/// Shards of the table of flights.
const SHARDS: usize = 16;

/// Most flights known in one shard; beyond it a fetch is not shared.
const SHARD_FLIGHTS_MAX: usize = 1_024;

/// Fewest flights in one shard that are worth a sweep.
const SWEEP_AT_MIN: usize = 32;

/// All flights of the process. `T` is how a flight can end.
#[derive(Debug)]
pub struct Flights<T> {
    shards: Vec<Mutex<Shard<T>>>,
}

#[derive(Debug)]
struct Shard<T> {
    flights: HashMap<Key, Flight<T>>,
    /// At this many flights those that ended long ago are swept out.
    sweep_at: usize,
}

#[derive(Debug)]
enum Flight<T> {
    InTheAir(watch::Receiver<Option<T>>),
    Landed { outcome: T, known_until: Instant },
}

/// What a request finds at the gate.
#[derive(Debug)]
pub enum Boarding<T: Clone> {
    /// It leads: it has to fetch, and to land.
    Lead(Lead<T>),
    /// Another leads: the outcome comes here.
    Join(Passenger<T>),
    /// A flight ended a moment ago, and this is how.
    Known(T),
    /// There are too many flights; fetch without sharing.
    Full,
}

/// The duty to end a flight. Dropped without [`Lead::land`], the flight ends without an outcome.
#[derive(Debug)]
pub struct Lead<T: Clone> {
    flights: Arc<Flights<T>>,
    key: Key,
    outcome: watch::Sender<Option<T>>,
}

/// A wait for the outcome of a flight.
#[derive(Debug)]
pub struct Passenger<T> {
    outcome: watch::Receiver<Option<T>>,
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        let shard = || Shard { flights: HashMap::new(), sweep_at: SWEEP_AT_MIN };
        Self { shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect() }
    }
}

impl<T: Clone> Flights<T> {
    /// Joins the flight of a key, or begins to lead one.
    #[must_use]
    pub fn board(self: &Arc<Self>, key: Key, now: Instant) -> Boarding<T> {
        let Some(shard) = self.shards.get(key.shard(SHARDS)) else { return Boarding::Full };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.flights.get(&key) {
            Some(Flight::InTheAir(outcome)) => {
                return Boarding::Join(Passenger { outcome: outcome.clone() });
            }
            Some(Flight::Landed { outcome, known_until }) if now < *known_until => {
                return Boarding::Known(outcome.clone());
            }
            _ => {}
        }
        shard.sweep(now);
        if shard.flights.len() >= SHARD_FLIGHTS_MAX {
            return Boarding::Full;
        }
        let (sender, receiver) = watch::channel(None);
        shard.flights.insert(key, Flight::InTheAir(receiver));
        Boarding::Lead(Lead { flights: self.clone(), key, outcome: sender })
    }

    fn end(&self, key: Key, landed: Option<Flight<T>>) {
        let Some(shard) = self.shards.get(key.shard(SHARDS)) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match landed {
            Some(flight) => shard.flights.insert(key, flight),
            None => shard.flights.remove(&key),
        };
    }
}

impl<T> Shard<T> {
    /// Forgets what ended and is no longer known, each time the shard has doubled.
    fn sweep(&mut self, now: Instant) {
        if self.flights.len() < self.sweep_at {
            return;
        }
        self.flights.retain(|_, flight| match flight {
            Flight::InTheAir(_) => true,
            Flight::Landed { known_until, .. } => now < *known_until,
        });
        self.sweep_at = (self.flights.len() * 2).max(SWEEP_AT_MIN);
    }
}

impl<T: Clone> Lead<T> {
    /// A wait for the outcome of this flight.
    #[must_use]
    pub fn passenger(&self) -> Passenger<T> {
        Passenger { outcome: self.outcome.subscribe() }
    }

    /// Ends the flight: who waits gets `outcome`, and so does who comes before `known_until`.
    pub fn land(self, outcome: T, known_until: Option<Instant>) {
        let landed =
            known_until.map(|known_until| Flight::Landed { outcome: outcome.clone(), known_until });
        self.flights.end(self.key, landed);
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T: Clone> Drop for Lead<T> {
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.flights.end(self.key, None);
        }
    }
}

impl<T: Clone> Passenger<T> {
    /// Waits for the outcome; `None` when the leader was lost.
    pub async fn outcome(mut self) -> Option<T> {
        let landed = self.outcome.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::super::key::KeyParts;
    use super::*;
    use crate::clock::Now;

    fn key(path: &str) -> Key {
        Key::new(&KeyParts {
            route: "r",
            pool: "p",
            form: None,
            scheme: "http",
            host: "h",
            path,
            query: "",
            principal: None,
        })
    }

    fn lead(flights: &Arc<Flights<u8>>, now: Instant) -> Lead<u8> {
        match flights.board(key("/a"), now) {
            Boarding::Lead(lead) => lead,
            other => panic!("not leading: {other:?}"),
        }
    }

    #[tokio::test]
    async fn who_joins_gets_the_leaders_outcome() {
        let flights = Arc::new(Flights::default());
        let now = Now::read().instant;
        let lead = lead(&flights, now);
        let Boarding::Join(one) = flights.board(key("/a"), now) else { panic!("not joined") };
        let Boarding::Join(other) = flights.board(key("/a"), now) else { panic!("not joined") };
        lead.land(7, None);
        assert_eq!((one.outcome().await, other.outcome().await), (Some(7), Some(7)));
        assert!(matches!(flights.board(key("/a"), now), Boarding::Lead(_)));
    }

    #[test]
    fn a_failure_is_known_for_its_time_and_no_longer() {
        let flights = Arc::new(Flights::default());
        let now = Now::read().instant;
        lead(&flights, now).land(5, Some(now + Duration::from_secs(1)));
        let soon = now + Duration::from_millis(999);
        assert!(matches!(flights.board(key("/a"), soon), Boarding::Known(5)));
        let later = now + Duration::from_secs(1);
        assert!(matches!(flights.board(key("/a"), later), Boarding::Lead(_)));
    }

    #[tokio::test]
    async fn a_lost_leader_frees_who_waits_and_the_key() {
        let flights = Arc::new(Flights::<u8>::default());
        let now = Now::read().instant;
        let lead = lead(&flights, now);
        let Boarding::Join(waiting) = flights.board(key("/a"), now) else { panic!("not joined") };
        drop(lead);
        assert_eq!(waiting.outcome().await, None);
        assert!(matches!(flights.board(key("/a"), now), Boarding::Lead(_)));
    }

    #[test]
    fn different_keys_fly_apart() {
        let flights = Arc::new(Flights::<u8>::default());
        let now = Now::read().instant;
        let _lead = lead(&flights, now);
        assert!(matches!(flights.board(key("/b"), now), Boarding::Lead(_)));
    }

    #[test]
    fn the_table_of_flights_is_bounded() {
        let flights = Arc::new(Flights::<u8>::default());
        let now = Now::read().instant;
        let mut leads = Vec::new();
        let mut full = 0;
        for index in 0..(SHARDS * SHARD_FLIGHTS_MAX + 5_000) {
            match flights.board(key(&format!("/{index}")), now) {
                Boarding::Lead(lead) => leads.push(lead),
                Boarding::Full => full += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(full > 0 && leads.len() <= SHARDS * SHARD_FLIGHTS_MAX);
    }
}
