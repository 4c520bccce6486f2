//! Where are slow hashes computed, how many at once, and whose is next?
//!
//! On threads of their own, so that a worker of the proxy never computes one, and other blocking
//! work never waits for them. At most `queue_max` hashes wait, and those of different clients take
//! turns: a flood from one address delays the key of another by one hash, not by all of its own.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

pub use crate::fair::Flow;
use crate::fair::{FairQueue, NoRoom};

type Work = Box<dyn for<'a> FnOnce(Running<'a>) + Send>;

/// Threads that hash.
#[derive(Debug)]
pub struct HashPool {
    desk: Arc<Desk>,
    /// Most hashes that run or wait.
    in_flight_max: usize,
}

/// What the threads and those who ask share.
#[derive(Debug, Default)]
struct Desk {
    queue: Mutex<Queue>,
    /// There is more to do, or nothing ever again.
    changed: Condvar,
    started: AtomicU64,
    finished: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: FairQueue<Work>,
    running: usize,
    is_closed: bool,
}

/// A hash that is computed now, until it is dropped.
struct Running<'a>(&'a Desk);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
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
        // A thread that is idle may take its time to wake; until then its work waits too.
        let in_flight_max = threads.get().saturating_add(queue_max);
        let pool = Self { desk: Arc::default(), in_flight_max };
        for number in 0..threads.get() {
            let desk = Arc::clone(&pool.desk);
            let named = thread::Builder::new().name(format!("key-hash-{number}"));
            named.spawn(move || desk.serve())?;
        }
        Ok(pool)
    }

    /// Has one hash computed, in its turn among those that other clients ask for. The receiver
    /// fails when the work panics, and when it had to make room for a client with less to ask.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when too many wait already; nothing was queued then.
    pub fn run<T: Send + 'static>(
        &self,
        flow: Flow,
        hash: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, QueueFull> {
        let (done, outcome) = oneshot::channel();
        let work: Work = Box::new(move |running| {
            let result = hash();
            running.0.finished.fetch_add(1, Ordering::Relaxed);
            drop(running);
            // Who asked may be gone; then nobody wants to know.
            drop(done.send(result));
        });
        let mut queue = self.desk.lock();
        if queue.waiting.waiting() + queue.running < self.in_flight_max {
            queue.waiting.push(flow, work);
            drop(queue);
            self.desk.changed.notify_one();
            return Ok(outcome);
        }
        let lost = queue.waiting.push_out(flow, work);
        drop(queue);
        self.refuse();
        // Whoever waits for what is lost learns of it when it is dropped, here.
        match lost {
            Ok(_lost) => Ok(outcome),
            Err(NoRoom(_)) => Err(QueueFull),
        }
    }

    /// Counts a hash that was refused; also one that was not even asked for, because as many keys
    /// are being looked at already as could be hashed.
    pub fn refuse(&self) {
        self.desk.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many hashes were begun.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.desk.started.load(Ordering::Relaxed)
    }

    /// How many of them have ended.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.desk.finished.load(Ordering::Relaxed)
    }

    /// How many are computed at this moment or wait for it.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let queue = self.desk.lock();
        queue.waiting.waiting() + queue.running
    }

    /// How many were refused because too many waited.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.desk.refused.load(Ordering::Relaxed)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.desk.lock().is_closed = true;
        self.desk.changed.notify_all();
    }
}

impl Desk {
    /// A queue is consistent between any two statements that could panic, so a poisoned lock tells
    /// nothing about it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does all its life.
    fn serve(&self) {
        while let Some(work) = self.next() {
            let running = Running(self);
            self.started.fetch_add(1, Ordering::Relaxed);
            // A hash that panics fails for the one who asked. The thread is still needed.
            let _told_by_the_hook = catch_unwind(AssertUnwindSafe(|| work(running)));
        }
    }

    /// Waits for the next work; `None` when the pool was dropped and nothing waits any more.
    fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.waiting.pop() {
                queue.running += 1;
                return Some(work);
            }
            if queue.is_closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.waiting.waiting())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const ONE: Flow = 1;
    const OTHER: Flow = 2;

    /// A pool of one thread, which is busy until something is sent.
    fn busy(queue_max: usize) -> (HashPool, Sender<()>) {
        let pool = HashPool::new(NonZeroUsize::MIN, queue_max).unwrap();
        let (begun, is_begun) = channel();
        let (release, released) = channel::<()>();
        let work = move || {
            begun.send(()).unwrap();
            released.recv().unwrap();
        };
        drop(pool.run(ONE, work).unwrap());
        is_begun.recv().unwrap();
        (pool, release)
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_takes_again_later() {
        let (pool, release) = busy(1);
        let second = pool.run(ONE, || 2).unwrap();
        assert_eq!(pool.run(ONE, || 3).unwrap_err(), QueueFull);
        assert_eq!((pool.started(), pool.in_flight(), pool.refused()), (1, 2, 1));
        release.send(()).unwrap();
        assert_eq!(second.await, Ok(2));
        assert_eq!(pool.run(ONE, || 4).unwrap().await, Ok(4));
        assert_eq!((pool.started(), pool.finished(), pool.in_flight()), (3, 3, 0));
    }

    #[tokio::test]
    async fn who_asks_for_one_hash_does_not_wait_for_all_of_another() {
        let (pool, release) = busy(10);
        let (order, orders) = channel();
        let ask = |flow, number| {
            let order = order.clone();
            pool.run(flow, move || order.send((flow, number)).unwrap()).unwrap()
        };
        let mut asked: Vec<_> = (0..9).map(|number| ask(ONE, number)).collect();
        asked.push(ask(OTHER, 0));
        release.send(()).unwrap();
        for outcome in asked {
            outcome.await.unwrap();
        }
        assert_eq!(orders.try_iter().position(|next| next == (OTHER, 0)), Some(1));
    }

    #[tokio::test]
    async fn who_has_filled_the_queue_makes_room_for_another() {
        let (pool, release) = busy(2);
        let (kept, lost) = (pool.run(ONE, || 1).unwrap(), pool.run(ONE, || 2).unwrap());
        let other = pool.run(OTHER, || 3).unwrap();
        assert!(lost.await.is_err());
        assert_eq!((pool.in_flight(), pool.refused()), (3, 1));
        assert_eq!(pool.run(OTHER, || 4).unwrap_err(), QueueFull);
        release.send(()).unwrap();
        assert_eq!((kept.await, other.await), (Ok(1), Ok(3)));
        assert_eq!((pool.started(), pool.refused()), (3, 2));
    }

    #[tokio::test]
    async fn hash_that_panics_takes_no_thread_along() {
        let pool = HashPool::new(NonZeroUsize::MIN, 1).unwrap();
        let broken = pool.run(ONE, || -> u8 { panic!("a hash that panics, on purpose") }).unwrap();
        assert!(broken.await.is_err());
        assert_eq!(pool.run(ONE, || 1).unwrap().await, Ok(1));
        assert_eq!((pool.started(), pool.finished(), pool.in_flight()), (2, 1, 0));
    }

    #[tokio::test]
    async fn what_waits_when_the_pool_is_dropped_is_still_computed() {
        let (pool, release) = busy(1);
        let waiting = pool.run(ONE, || 2).unwrap();
        drop(pool);
        release.send(()).unwrap();
        assert_eq!(waiting.await, Ok(2));
    }

    #[tokio::test]
    async fn idle_threads_refuse_nothing_however_long_they_take_to_wake() {
        let threads = NonZeroUsize::new(4).unwrap();
        for _ in 0..50 {
            let pool = HashPool::new(threads, 1).unwrap();
            let asked: Vec<_> = (0..5).map(|number| pool.run(ONE, move || number)).collect();
            for (number, outcome) in asked.into_iter().enumerate() {
                assert_eq!(outcome.unwrap().await, Ok(number));
            }
        }
    }

    #[tokio::test]
    async fn hashes_run_on_threads_of_their_own() {
        let pool = HashPool::new(NonZeroUsize::MIN, 1).unwrap();
        let name = pool.run(ONE, || thread::current().name().map(str::to_owned)).unwrap();
        assert_eq!(name.await.unwrap().as_deref(), Some("key-hash-0"));
    }
}
