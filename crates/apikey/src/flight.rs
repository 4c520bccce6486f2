//! Who is finding out about this key already, and what was found?
//!
//! Single flight: of all who present one unknown key, the first leads and the others wait for
//! what it finds. The number of flights is bounded; beyond it nobody waits. Half of the places are
//! for clients that lead none yet, so that one client with many keys does not take all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::fair::Flow;

/// How keys are told apart: by a digest under a secret, never by themselves.
pub type Tag = [u8; 32];

/// All flights under way.
#[derive(Debug)]
pub struct Flights<T> {
    air: Mutex<Air<T>>,
    shared_max: usize,
}

#[derive(Debug)]
struct Air<T> {
    flights: HashMap<Tag, watch::Receiver<Option<T>>>,
    /// How many of them each client leads; none is 0.
    led: HashMap<Flow, usize>,
}

/// What a caller finds at the gate.
#[derive(Debug)]
pub enum Boarding<T: Clone> {
    /// It leads: it has to find out, and to land.
    Lead(Lead<T>),
    /// Another leads: the outcome comes here.
    Join(Passenger<T>),
    /// Too many flights are under way.
    Full,
}

/// The duty to end a flight. Dropped without [`Lead::land`], who waits is told that the leader is
/// lost, and may lead in its turn.
#[derive(Debug)]
pub struct Lead<T: Clone> {
    flights: Arc<Flights<T>>,
    tag: Tag,
    flow: Flow,
    outcome: watch::Sender<Option<T>>,
}

/// A wait for the outcome of a flight.
#[derive(Debug)]
pub struct Passenger<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Flights<T> {
    /// Room for `shared_max` flights of anybody, and for as many more of clients that lead none.
    pub fn new(shared_max: usize) -> Self {
        let air = Air { flights: HashMap::new(), led: HashMap::new() };
        Self { air: Mutex::new(air), shared_max }
    }

    /// Joins the flight of a key, or begins to lead one.
    pub fn board(self: &Arc<Self>, tag: Tag, flow: Flow) -> Boarding<T> {
        let mut air = self.lock();
        if let Some(outcome) = air.flights.get(&tag) {
            return Boarding::Join(Passenger(outcome.clone()));
        }
        let leads = air.led.contains_key(&flow);
        let room = if leads { self.shared_max } else { self.shared_max.saturating_mul(2) };
        if air.flights.len() >= room {
            return Boarding::Full;
        }
        let (sender, receiver) = watch::channel(None);
        air.flights.insert(tag, receiver);
        *air.led.entry(flow).or_default() += 1;
        Boarding::Lead(Lead { flights: Arc::clone(self), tag, flow, outcome: sender })
    }

    fn lock(&self) -> MutexGuard<'_, Air<T>> {
        self.air.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Lead<T> {
    /// A wait for the outcome of this flight.
    pub fn passenger(&self) -> Passenger<T> {
        Passenger(self.outcome.subscribe())
    }

    /// The key that it is about.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Who leads it.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Ends the flight: who waits gets `outcome`.
    pub fn land(self, outcome: T) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T: Clone> Drop for Lead<T> {
    fn drop(&mut self) {
        let mut air = self.flights.lock();
        air.flights.remove(&self.tag);
        let left = air.led.remove(&self.flow).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            air.led.insert(self.flow, left);
        }
    }
}

impl<T: Clone> Passenger<T> {
    /// Waits for the outcome; `None` when the leader was lost.
    pub async fn outcome(mut self) -> Option<T> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    const TAG: Tag = [1; 32];
    const ONE: Flow = 1;

    fn lead(flights: &Arc<Flights<u8>>, tag: Tag) -> Lead<u8> {
        match flights.board(tag, ONE) {
            Boarding::Lead(lead) => lead,
            other => panic!("not leading: {other:?}"),
        }
    }

    #[tokio::test]
    async fn who_joins_gets_what_the_leader_finds() {
        let flights = Arc::new(Flights::new(2));
        let lead_of_one = lead(&flights, TAG);
        let Boarding::Join(joined) = flights.board(TAG, ONE) else { panic!("not joined") };
        let own = lead_of_one.passenger();
        lead_of_one.land(7);
        assert_eq!((joined.outcome().await, own.outcome().await), (Some(7), Some(7)));
        drop(lead(&flights, TAG));
    }

    #[tokio::test]
    async fn a_lost_leader_frees_who_waits_and_the_key() {
        let flights = Arc::new(Flights::new(2));
        let lost = lead(&flights, TAG);
        let Boarding::Join(joined) = flights.board(TAG, ONE) else { panic!("not joined") };
        drop(lost);
        assert_eq!(joined.outcome().await, None);
        drop(lead(&flights, TAG));
    }

    #[test]
    fn flights_are_bounded_and_joining_one_is_free() {
        let flights = Arc::new(Flights::new(1));
        let _one = lead(&flights, TAG);
        assert!(matches!(flights.board([2; 32], ONE), Boarding::Full));
        assert!(matches!(flights.board(TAG, ONE), Boarding::Join(_)));
    }

    #[test]
    fn client_that_leads_none_finds_room_where_others_do_not() {
        let flights = Arc::new(Flights::new(2));
        let (first, second) = (lead(&flights, TAG), lead(&flights, [2; 32]));
        assert!(matches!(flights.board([3; 32], ONE), Boarding::Full));
        let Boarding::Lead(other) = flights.board([3; 32], 2) else { panic!("no room") };
        assert!(matches!(flights.board([4; 32], 2), Boarding::Full));
        let Boarding::Lead(third) = flights.board([4; 32], 3) else { panic!("no room") };
        assert!(matches!(flights.board([5; 32], 4), Boarding::Full), "all places are taken");
        drop((first, other, third));
        drop(lead(&flights, [3; 32]));
        drop(second);
        let air = flights.lock();
        assert!(air.led.is_empty() && air.flights.is_empty());
    }
}
