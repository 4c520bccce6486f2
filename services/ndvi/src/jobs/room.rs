//! How much may be surveyed at once, for clients and in the background?
//!
//! Both take places of the same room, so that the server of the scenes never meets more surveys
//! than the operator allows. Clients do not wait: they find a place or are told to come back. The
//! background waits, and holds at most half of the places, so that it never shuts clients out for
//! as long as there are two. It first waits for a turn, which costs clients nothing, and takes a
//! place only when it has something to do.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for surveys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Room {
    surveys: Arc<Semaphore>,
    background: Arc<Semaphore>,
}

/// Leave to survey in the background as soon as there is a place.
#[derive(Debug)]
pub struct Turn {
    surveys: Arc<Semaphore>,
    background: OwnedSemaphorePermit,
}

/// A place until it is dropped.
#[derive(Debug)]
pub struct Place {
    _survey: OwnedSemaphorePermit,
    _background: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// A room for `surveys_max` surveys, of which `background_max` may be in the background, but
    /// never more than half of them, rounded down, unless there is only one place.
    #[must_use]
    pub fn new(surveys_max: usize, background_max: usize) -> Self {
        let background = background_max.min((surveys_max / 2).max(1));
        Self {
            surveys: Arc::new(Semaphore::new(surveys_max)),
            background: Arc::new(Semaphore::new(background)),
        }
    }

    /// A place for a client, if one is free now.
    #[must_use]
    pub fn try_enter(&self) -> Option<Place> {
        let survey = Arc::clone(&self.surveys).try_acquire_owned().ok()?;
        Some(Place { _survey: survey, _background: None })
    }

    /// Waits for a turn in the background; `None` never comes, since the room is never closed.
    pub async fn turn(&self) -> Option<Turn> {
        let background = Arc::clone(&self.background).acquire_owned().await.ok()?;
        Some(Turn { surveys: Arc::clone(&self.surveys), background })
    }
}

impl Turn {
    /// Waits for a place; `None` never comes, since the room is never closed.
    pub async fn enter(self) -> Option<Place> {
        let survey = self.surveys.acquire_owned().await.ok()?;
        Some(Place { _survey: survey, _background: Some(self.background) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use futures::FutureExt as _;

    use super::*;

    fn background(room: &Room) -> Option<Place> {
        room.turn().now_or_never().flatten()?.enter().now_or_never().flatten()
    }

    #[tokio::test]
    async fn background_leaves_half_of_the_places_to_clients() {
        let room = Room::new(5, 4);
        let held: Vec<_> = std::iter::from_fn(|| background(&room)).collect();
        assert_eq!(held.len(), 2);
        let clients: Vec<_> = std::iter::from_fn(|| room.try_enter()).collect();
        assert_eq!(clients.len(), 3);
    }

    #[tokio::test]
    async fn clients_may_take_every_place_and_the_background_waits() {
        let room = Room::new(2, 1);
        let clients: Vec<_> = std::iter::from_fn(|| room.try_enter()).collect();
        assert_eq!(clients.len(), 2);
        assert!(background(&room).is_none());
        drop(clients);
        assert!(background(&room).is_some());
    }

    #[tokio::test]
    async fn turn_without_work_takes_no_place() {
        let room = Room::new(1, 1);
        let turn = room.turn().await;
        assert!(turn.is_some() && room.try_enter().is_some());
    }

    #[tokio::test]
    async fn only_place_is_shared() {
        let room = Room::new(1, 3);
        let held = background(&room);
        assert!(held.is_some() && room.try_enter().is_none());
        drop(held);
        assert!(room.try_enter().is_some());
    }
}
