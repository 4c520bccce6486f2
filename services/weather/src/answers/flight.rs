//! Is somebody asking the same already? Then wait for that answer.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Different questions in flight at once; each lives no longer than the provider's deadline.
const FLIGHTS_MAX: usize = 1024;

/// Single flight: one task a key, however many wait for it.
#[derive(Debug)]
pub struct Flights<K, V> {
    flying: Flying<K, V>,
}

type Flying<K, V> = Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>;

/// Why a flight brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlightError {
    /// Too many other flights are in the air.
    Full,
    /// The task ended without a value: it panicked, or the runtime is stopping.
    Dropped,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// No flight yet.
    #[must_use]
    pub fn new() -> Self {
        Self { flying: Flying::default() }
    }

    /// Waits for the value of `key`, starting `work` if nobody has.
    ///
    /// The work runs as a task of its own: a client that goes away does not take the answer from
    /// those who still wait.
    ///
    /// # Errors
    /// [`FlightError`].
    pub async fn join<F, Fut>(&self, key: &K, work: F) -> Result<V, FlightError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = V> + Send + 'static,
    {
        let mut landed = self.take_off(key, work)?;
        let value = landed.wait_for(Option::is_some).await.map_err(|_| FlightError::Dropped)?;
        value.clone().ok_or(FlightError::Dropped)
    }

    /// Starts `work` for `key`, if nobody has, and does not wait.
    ///
    /// # Errors
    /// [`FlightError::Full`].
    pub fn launch<F, Fut>(&self, key: &K, work: F) -> Result<(), FlightError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = V> + Send + 'static,
    {
        self.take_off(key, work).map(|_landed| ())
    }

    fn take_off<F, Fut>(&self, key: &K, work: F) -> Result<watch::Receiver<Option<V>>, FlightError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = V> + Send + 'static,
    {
        let mut flying = lock(&self.flying);
        if let Some(flight) = flying.get(key) {
            return Ok(flight.clone());
        }
        if flying.len() >= FLIGHTS_MAX {
            return Err(FlightError::Full);
        }
        let (land, landed) = watch::channel(None);
        flying.insert(key.clone(), landed.clone());
        let entry = Entry { key: key.clone(), flying: Arc::clone(&self.flying) };
        let work = work();
        // A runtime that is ending drops the task at once, and the entry takes the lock then.
        drop(flying);
        tokio::spawn(async move {
            let value = work.await;
            // The entry goes first, so that who comes after the landing starts a new flight.
            drop(entry);
            land.send_replace(Some(value));
        });
        Ok(landed)
    }
}

impl<K, V> Default for Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

/// Takes a flight off the list when it ends, also by a panic.
struct Entry<K: Eq + Hash, V> {
    key: K,
    flying: Flying<K, V>,
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        lock(&self.flying).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn w8_many_waiters_share_one_flight() {
        let flights = Arc::new(Flights::<u8, usize>::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let waiters: Vec<_> = (0..200)
            .map(|_| {
                let (flights, calls, gate) =
                    (Arc::clone(&flights), Arc::clone(&calls), Arc::clone(&gate));
                tokio::spawn(async move {
                    let work = || async move {
                        let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
                        let _open = gate.acquire().await;
                        call
                    };
                    flights.join(&7, work).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(1);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Ok(1));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(lock(&flights.flying).is_empty());
    }

    #[tokio::test]
    async fn panicking_flight_frees_its_key() {
        let flights = Flights::<u8, u8>::new();
        let fall = || async { panic!("engine failure") };
        assert_eq!(flights.join(&1, fall).await, Err(FlightError::Dropped));
        assert_eq!(flights.join(&1, || async { 5 }).await, Ok(5));
    }

    #[tokio::test]
    async fn flights_are_bounded_by_number() {
        let flights = Flights::<usize, u8>::new();
        let mut waiting = Vec::new();
        for key in 0..FLIGHTS_MAX {
            waiting.push(flights.take_off(&key, std::future::pending).unwrap());
        }
        assert_eq!(flights.join(&FLIGHTS_MAX, || async { 1 }).await, Err(FlightError::Full));
    }
}
