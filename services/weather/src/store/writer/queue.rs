//! Which answers wait to be stored, and which have to go when there are too many?

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::Record;

/// Bytes of waiting bodies at most, so that a database that is away does not fill the memory.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Answers in the order in which they came, bounded by number and by bytes.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    records_max: usize,
    bytes_max: usize,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(records_max: usize) -> Self {
        Self::bounded(records_max, QUEUE_BYTES_MAX)
    }

    fn bounded(records_max: usize, bytes_max: usize) -> Self {
        let records_max = records_max.max(1);
        let waiting = Mutex::default();
        Self { waiting, records_max, bytes_max, changed: Notify::new() }
    }

    /// Adds an answer. Returns how many went for it, the oldest first: a newer one stands in for
    /// longer.
    pub(super) fn push(&self, record: Record) -> usize {
        let mut waiting = self.lock();
        if waiting.closed {
            return 1;
        }
        waiting.bytes += record.fetched.body.len();
        waiting.records.push_back(record);
        let mut gone = 0;
        while waiting.records.len() > self.records_max
            || (waiting.bytes > self.bytes_max && waiting.records.len() > 1)
        {
            waiting.take();
            gone += 1;
        }
        drop(waiting);
        self.changed.notify_one();
        gone
    }

    /// Takes up to `count` of the oldest answers; waits for one. Empty once the queue is closed
    /// and nothing is left.
    pub(super) async fn take(&self, count: usize) -> Vec<Record> {
        loop {
            // A push between the look and the wait leaves its permit, so it is not missed.
            if let Some(taken) = self.lock().take_up_to(count) {
                return taken;
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().records.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A thread that panicked while holding the lock cannot have left half an entry behind.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        self.bytes -= record.fetched.body.len();
        Some(record)
    }

    fn take_up_to(&mut self, count: usize) -> Option<Vec<Record>> {
        let taken: Vec<Record> = std::iter::from_fn(|| self.take()).take(count).collect();
        (!taken.is_empty() || self.closed).then_some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::writer::tests::record;

    #[tokio::test]
    async fn oldest_go_when_there_are_too_many() {
        let queue = Queue::bounded(2, usize::MAX);
        let gone: Vec<usize> = (0..4).map(|number| queue.push(record(number, 1))).collect();
        assert_eq!(gone, [0, 0, 1, 1]);
        let left: Vec<_> = queue.take(9).await.iter().map(|record| record.id[0]).collect();
        assert_eq!(left, [2, 3]);
    }

    #[tokio::test]
    async fn oldest_go_when_they_are_too_large() {
        let queue = Queue::bounded(9, 100);
        let gone: Vec<usize> = [60, 30, 50].map(|bytes| queue.push(record(0, bytes))).into();
        assert_eq!((gone, queue.len()), (vec![0, 0, 1], 2));
        assert_eq!(queue.push(record(0, 1000)), 2, "the newest stays, whatever its size");
        assert_eq!(queue.take(9).await.len(), 1);
    }

    #[tokio::test]
    async fn closed_queue_gives_what_is_left() {
        let queue = Queue::new(9);
        queue.push(record(0, 1));
        queue.close();
        assert_eq!(queue.push(record(1, 1)), 1);
        assert_eq!(queue.take(9).await.len(), 1);
        assert!(queue.take(9).await.is_empty());
    }
}
