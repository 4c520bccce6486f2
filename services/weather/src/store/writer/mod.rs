//! How do answers get into the store without anybody waiting for it?
//!
//! A batch that could not be stored is kept and tried again, in its order, until it is stored or
//! refused for what is in it. Meanwhile answers queue up, and the oldest go when there are too
//! many.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Now;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::metrics::WeatherMetrics;
use crate::store::writer::queue::Queue;
use crate::store::{Record, StoreError, WeatherStore};

/// Answers written in one transaction.
const BATCH_MAX: usize = 32;

/// Longest time for one batch, should the database not end it itself.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// First and longest pause before a batch is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often answers past their retention are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// Deletions made in a row before writing goes on.
const FORGET_ROUNDS_MAX: usize = 100;

/// The way in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreWriter {
    queue: Arc<Queue>,
    metrics: WeatherMetrics,
}

impl StoreWriter {
    /// Starts the task that writes. The queue holds `queue_max` answers; what comes beyond takes
    /// the place of the oldest, which is dropped and counted.
    #[must_use]
    pub fn start(
        store: Arc<dyn WeatherStore>,
        queue_max: usize,
        retention: Duration,
        metrics: WeatherMetrics,
    ) -> (Self, Writing) {
        let queue = Arc::new(Queue::new(queue_max));
        let (stop, stopped) = oneshot::channel();
        let writer = Self { queue: Arc::clone(&queue), metrics: metrics.clone() };
        let task = Task { store, queue, retention, metrics };
        (writer, Writing { stop, task: tokio::spawn(task.run(stopped)) })
    }

    /// Hands an answer over and returns at once.
    pub fn write(&self, record: Record) {
        let gone = self.queue.push(record);
        if gone > 0 {
            self.metrics.written("dropped", gone);
            tracing::warn!(answers = gone, "the store is behind: old answers were not stored");
        }
        self.metrics.queue_depth(self.queue.len());
    }

    /// Whether the task still takes answers.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.queue.is_closed()
    }
}

/// The task that writes.
#[derive(Debug)]
pub struct Writing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Writing {
    /// Takes no more answers and returns once those in the queue are written, or after
    /// `timeout`.
    pub async fn finish(self, timeout: Duration) {
        if self.stop.send(()).is_err() {
            tracing::error!("the store's writer had ended before the stop");
        }
        match tokio::time::timeout(timeout, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the store's writer failed"),
            Err(_elapsed) => tracing::warn!("some answers were not stored before the stop"),
        }
    }
}

struct Task {
    store: Arc<dyn WeatherStore>,
    queue: Arc<Queue>,
    retention: Duration,
    metrics: WeatherMetrics,
}

/// Closes the queue also when the task panics, so that it is seen.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Task {
    async fn run(self, stopped: oneshot::Receiver<()>) {
        let _closing = Closing(Arc::clone(&self.queue));
        let stop = async {
            // A stop that cannot come any more is none.
            if stopped.await.is_ok() {
                // What is queued is still written; then the queue reports its end.
                self.queue.close();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.write_all() => {}
            () = stop => {}
        }
    }

    async fn write_all(&self) {
        let mut forget = tokio::time::interval(FORGET_INTERVAL);
        loop {
            tokio::select! {
                batch = self.queue.take(BATCH_MAX) => {
                    if batch.is_empty() {
                        return;
                    }
                    self.store_batch(&batch).await;
                    self.metrics.queue_depth(self.queue.len());
                }
                _ = forget.tick() => self.forget_old().await,
            }
        }
    }

    /// Tries until the batch is stored. If it is refused for what is in it, each answer is tried
    /// alone, so that one does not keep back the others.
    async fn store_batch(&self, batch: &[Record]) {
        let Err(error) = self.store_patiently(batch).await else { return };
        if batch.len() == 1 {
            self.metrics.written("failed", 1);
            tracing::error!(%error, "an answer was refused by the store");
            return;
        }
        for record in batch {
            if let Err(error) = self.store_patiently(std::slice::from_ref(record)).await {
                self.metrics.written("failed", 1);
                tracing::error!(%error, "an answer was refused by the store");
            }
        }
    }

    /// Tries again for as long as the database is at fault.
    ///
    /// The outcome of a commit whose answer was lost is not known: the identity of each fetch lets
    /// the same batch be written once more.
    async fn store_patiently(&self, batch: &[Record]) -> Result<(), StoreError> {
        let mut pause = RETRY_PAUSE;
        loop {
            let error = match self.append(batch).await {
                Ok(()) => {
                    self.metrics.store_is_up(true);
                    self.metrics.written("stored", batch.len());
                    return Ok(());
                }
                Err(error) if error.is_refusal() => return Err(error),
                Err(error) => error,
            };
            self.metrics.store_is_up(false);
            self.metrics.retried();
            tracing::warn!(%error, answers = batch.len(), "answers wait to be stored");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    async fn append(&self, batch: &[Record]) -> Result<(), StoreError> {
        let timed_out = |_elapsed| StoreError::TimedOut { timeout: WRITE_TIMEOUT };
        tokio::time::timeout(WRITE_TIMEOUT, self.store.append(batch)).await.map_err(timed_out)?
    }

    async fn forget_old(&self) {
        let Some(before) = Now::read().wall.checked_sub(self.retention) else { return };
        for _round in 0..FORGET_ROUNDS_MAX {
            let timed_out = |_elapsed| StoreError::TimedOut { timeout: WRITE_TIMEOUT };
            let forgetting = tokio::time::timeout(WRITE_TIMEOUT, self.store.forget(before));
            match forgetting.await.map_err(timed_out).flatten() {
                Ok(0) => return,
                Ok(forgotten) => {
                    tracing::info!(forgotten, "rows past their retention were deleted");
                }
                Err(error) => {
                    tracing::warn!(%error, "old rows could not be deleted");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::{SystemTime, UNIX_EPOCH};

    use crate::domain::ask::{Ask, ProviderName, Question};
    use crate::domain::day::Day;
    use crate::domain::place::{Cell, Zone};
    use crate::domain::report::Report;
    use crate::providers::Fetched;
    use crate::store::Stored;

    pub(in crate::store::writer) fn record(number: u8, bytes: usize) -> Record {
        Record {
            id: [number; 16],
            ask: Ask {
                provider: ProviderName::OpenMeteo,
                question: Question::Current,
                cell: Cell::of(1.0, 2.0),
                zone: Zone::utc(),
            },
            fetched_at: UNIX_EPOCH,
            fetched: Fetched {
                report: Report::Hourly(Vec::new()),
                body: vec![b'x'; bytes].into(),
                http_status: 200,
                took: Duration::ZERO,
                weight: 1.0,
            },
        }
    }

    /// A store that does what the script says, then stores what it is given.
    #[derive(Debug, Default)]
    struct Scripted {
        errors: Mutex<VecDeque<StoreError>>,
        refused: Option<u8>,
        batches: Mutex<Vec<Vec<u8>>>,
    }

    #[async_trait::async_trait]
    impl WeatherStore for Scripted {
        async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
            if let Some(error) = self.errors.lock().unwrap().pop_front() {
                return Err(error);
            }
            let numbers: Vec<u8> = records.iter().map(|record| record.id[0]).collect();
            if self.refused.is_some_and(|refused| numbers.contains(&refused)) {
                return Err(sqlx::Error::Encode("too long".into()).into());
            }
            self.batches.lock().unwrap().push(numbers);
            Ok(())
        }

        async fn newest(&self, _: &Ask, _: SystemTime) -> Result<Option<Stored>, StoreError> {
            Ok(None)
        }

        async fn newest_days(
            &self,
            _: &Ask,
            _: SystemTime,
        ) -> Result<Option<(Vec<Day>, SystemTime)>, StoreError> {
            Ok(None)
        }

        async fn forget(&self, _: SystemTime) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    async fn write(store: Scripted, numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
        let store = Arc::new(store);
        let retention = Duration::from_secs(9);
        let (writer, writing) = StoreWriter::start(
            Arc::clone(&store) as Arc<dyn WeatherStore>,
            100,
            retention,
            WeatherMetrics::detached().unwrap(),
        );
        numbers.for_each(|number| writer.write(record(number, 1)));
        writing.finish(Duration::from_secs(30)).await;
        assert!(!writer.is_running());
        let batches = store.batches.lock().unwrap();
        batches.clone()
    }

    #[tokio::test]
    async fn batch_waits_for_a_database_that_is_away() {
        let away = || StoreError::Statement(sqlx::Error::PoolTimedOut);
        let errors = Mutex::new([away(), away()].into());
        let batches = write(Scripted { errors, ..Scripted::default() }, 0..3).await;
        assert_eq!(batches, [[0, 1, 2]]);
    }

    #[tokio::test]
    async fn refused_answer_does_not_keep_back_the_others() {
        let batches = write(Scripted { refused: Some(1), ..Scripted::default() }, 0..3).await;
        assert_eq!(batches, [[0], [2]]);
    }
}
