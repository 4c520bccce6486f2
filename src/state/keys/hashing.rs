//! Where are slow hashes computed, and how many at once?
//!
//! On threads of their own, so that a worker of the proxy never computes one, and other blocking
//! work never waits for them. At most `queue_max` hashes wait; one more is refused at once.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that hash.
#[derive(Debug)]
pub struct HashPool {
    queue: SyncSender<Work>,
    /// Most hashes that run or wait.
    in_flight_max: u64,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    in_flight: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    refused: AtomicU64,
}

/// A place among the hashes that run or wait, until it is dropped.
struct Place(Arc<Counters>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// As many hashes as may wait are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl HashPool {
    /// Starts the threads. They end when the pool is dropped and its queue is empty.
    ///
    /// # Errors
    ///
    /// When the system starts no thread.
    pub fn new(threads: NonZeroUsize, queue_max: usize) -> io::Result<Self> {
        let in_flight_max = threads.get().saturating_add(queue_max);
        // A thread that is idle may take its time to wake; until then its work stands here too.
        let (queue, waiting) = sync_channel::<Work>(in_flight_max);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.get() {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name(format!("key-hash-{number}")).spawn(move || {
                while let Some(work) = next(&waiting) {
                    work();
                }
            })?;
        }
        let in_flight_max = u64::try_from(in_flight_max).unwrap_or(u64::MAX);
        Ok(Self { queue, in_flight_max, counters: Arc::default() })
    }

    /// Has one hash computed. The receiver fails only if the work panics.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when too many wait already; nothing was queued then.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, QueueFull> {
        let place = self.take_place()?;
        let (done, outcome) = oneshot::channel();
        let counters = Arc::clone(&self.counters);
        let counted = move || {
            counters.started.fetch_add(1, Ordering::Relaxed);
            let result = work();
            counters.finished.fetch_add(1, Ordering::Relaxed);
            drop(place);
            // Who asked may be gone; then nobody wants to know.
            drop(done.send(result));
        };
        match self.queue.try_send(Box::new(counted)) {
            Ok(()) => Ok(outcome),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.refuse();
                Err(QueueFull)
            }
        }
    }

    fn take_place(&self) -> Result<Place, QueueFull> {
        let one_more = |count: u64| (count < self.in_flight_max).then_some(count + 1);
        let in_flight = &self.counters.in_flight;
        match in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Place(Arc::clone(&self.counters))),
            Err(_) => {
                self.refuse();
                Err(QueueFull)
            }
        }
    }

    /// Counts a hash that was refused; also one that was not even asked for, because as many keys
    /// are being looked at already as could be hashed.
    pub fn refuse(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many hashes were begun.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.counters.started.load(Ordering::Relaxed)
    }

    /// How many of them have ended.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.counters.finished.load(Ordering::Relaxed)
    }

    /// How many are computed at this moment or wait for it.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.counters.in_flight.load(Ordering::Relaxed)
    }

    /// How many were refused because too many waited.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.counters.refused.load(Ordering::Relaxed)
    }
}

/// Waits for the next work; `None` when the pool was dropped. The lock is held by the one thread
/// that waits, and let go before the work begins.
fn next(waiting: &Mutex<Receiver<Work>>) -> Option<Work> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_takes_again_later() {
        let pool = HashPool::new(NonZeroUsize::MIN, 1).unwrap();
        let (begun, is_begun) = channel();
        let (release, released) = channel::<()>();
        let first = pool
            .run(move || {
                begun.send(()).unwrap();
                released.recv().unwrap();
                1
            })
            .unwrap();
        is_begun.recv().unwrap();
        let second = pool.run(|| 2).unwrap();
        assert_eq!(pool.run(|| 3).unwrap_err(), QueueFull);
        assert_eq!((pool.started(), pool.in_flight(), pool.refused()), (1, 2, 1));
        release.send(()).unwrap();
        assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
        assert_eq!(pool.run(|| 4).unwrap().await, Ok(4));
        assert_eq!((pool.started(), pool.finished(), pool.in_flight()), (3, 3, 0));
    }

    #[tokio::test]
    async fn idle_threads_refuse_nothing_however_long_they_take_to_wake() {
        let threads = NonZeroUsize::new(4).unwrap();
        for _ in 0..50 {
            let pool = HashPool::new(threads, 1).unwrap();
            let asked: Vec<_> = (0..5).map(|number| pool.run(move || number)).collect();
            for (number, outcome) in asked.into_iter().enumerate() {
                assert_eq!(outcome.unwrap().await, Ok(number));
            }
        }
    }

    #[tokio::test]
    async fn hashes_run_on_threads_of_their_own() {
        let pool = HashPool::new(NonZeroUsize::MIN, 1).unwrap();
        let name = pool.run(|| thread::current().name().map(str::to_owned)).unwrap();
        assert_eq!(name.await.unwrap().as_deref(), Some("key-hash-0"));
    }
}
