//! Who is finding out about this key already, and what was found?
//!
//! Single flight: of all who present one unknown key, the first leads and the others wait for
//! what it finds. The number of flights is bounded; beyond it nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::memory::Tag;

/// All flights under way.
#[derive(Debug)]
pub(super) struct Flights<T> {
    flights: Mutex<HashMap<Tag, watch::Receiver<Option<T>>>>,
    flights_max: usize,
}

/// What a caller finds at the gate.
#[derive(Debug)]
pub(super) enum Boarding<T: Clone> {
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
pub(super) struct Lead<T: Clone> {
    flights: Arc<Flights<T>>,
    tag: Tag,
    outcome: watch::Sender<Option<T>>,
}

/// A wait for the outcome of a flight.
#[derive(Debug)]
pub(super) struct Passenger<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Flights<T> {
    pub(super) fn new(flights_max: usize) -> Self {
        Self { flights: Mutex::default(), flights_max }
    }

    /// Joins the flight of a key, or begins to lead one.
    pub(super) fn board(self: &Arc<Self>, tag: Tag) -> Boarding<T> {
        let mut flights = self.lock();
        if let Some(outcome) = flights.get(&tag) {
            return Boarding::Join(Passenger(outcome.clone()));
        }
        if flights.len() >= self.flights_max {
            return Boarding::Full;
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(tag, receiver);
        Boarding::Lead(Lead { flights: Arc::clone(self), tag, outcome: sender })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tag, watch::Receiver<Option<T>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Lead<T> {
    /// A wait for the outcome of this flight.
    pub(super) fn passenger(&self) -> Passenger<T> {
        Passenger(self.outcome.subscribe())
    }

    /// The key that it is about.
    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// Ends the flight: who waits gets `outcome`.
    pub(super) fn land(self, outcome: T) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T: Clone> Drop for Lead<T> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.tag);
    }
}

impl<T: Clone> Passenger<T> {
    /// Waits for the outcome; `None` when the leader was lost.
    pub(super) async fn outcome(mut self) -> Option<T> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    const TAG: Tag = [1; 32];

    fn lead(flights: &Arc<Flights<u8>>, tag: Tag) -> Lead<u8> {
        match flights.board(tag) {
            Boarding::Lead(lead) => lead,
            other => panic!("not leading: {other:?}"),
        }
    }

    #[tokio::test]
    async fn who_joins_gets_what_the_leader_finds() {
        let flights = Arc::new(Flights::new(2));
        let lead_of_one = lead(&flights, TAG);
        let Boarding::Join(joined) = flights.board(TAG) else { panic!("not joined") };
        let own = lead_of_one.passenger();
        lead_of_one.land(7);
        assert_eq!((joined.outcome().await, own.outcome().await), (Some(7), Some(7)));
        drop(lead(&flights, TAG));
    }

    #[tokio::test]
    async fn a_lost_leader_frees_who_waits_and_the_key() {
        let flights = Arc::new(Flights::new(2));
        let lost = lead(&flights, TAG);
        let Boarding::Join(joined) = flights.board(TAG) else { panic!("not joined") };
        drop(lost);
        assert_eq!(joined.outcome().await, None);
        drop(lead(&flights, TAG));
    }

    #[test]
    fn flights_are_bounded_and_joining_one_is_free() {
        let flights = Arc::new(Flights::new(1));
        let _one = lead(&flights, TAG);
        assert!(matches!(flights.board([2; 32]), Boarding::Full));
        assert!(matches!(flights.board(TAG), Boarding::Join(_)));
    }
}
