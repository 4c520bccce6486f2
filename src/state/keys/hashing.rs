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
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    queued: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    refused: AtomicU64,
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
        let (queue, waiting) = sync_channel::<Work>(queue_max);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.get() {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name(format!("key-hash-{number}")).spawn(move || {
                while let Some(work) = next(&waiting) {
                    work();
                }
            })?;
        }
        Ok(Self { queue, counters: Arc::default() })
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
        let (done, outcome) = oneshot::channel();
        let counters = Arc::clone(&self.counters);
        let counted = move || {
            counters.started.fetch_add(1, Ordering::Relaxed);
            let result = work();
            counters.finished.fetch_add(1, Ordering::Relaxed);
            // Who asked may be gone; then nobody wants to know.
            drop(done.send(result));
        };
        // Before it is sent, or it could be finished before it is queued.
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        match self.queue.try_send(Box::new(counted)) {
            Ok(()) => Ok(outcome),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counters.queued.fetch_sub(1, Ordering::Relaxed);
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
        let finished = self.finished();
        self.counters.queued.load(Ordering::Relaxed).saturating_sub(finished)
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
    async fn hashes_run_on_threads_of_their_own() {
        let pool = HashPool::new(NonZeroUsize::MIN, 1).unwrap();
        let name = pool.run(|| thread::current().name().map(str::to_owned)).unwrap();
        assert_eq!(name.await.unwrap().as_deref(), Some("key-hash-0"));
    }
}
