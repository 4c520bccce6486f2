//! How do answers get into the store without anybody waiting for it?

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Now;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::metrics::WeatherMetrics;
use crate::store::{Record, WeatherStore};

/// Answers written in one transaction.
const BATCH_MAX: usize = 32;

/// How often answers past their retention are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// Deletions made in a row before writing goes on.
const FORGET_ROUNDS_MAX: usize = 100;

/// The way in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreWriter {
    queue: mpsc::Sender<Record>,
    metrics: WeatherMetrics,
}

impl StoreWriter {
    /// Starts the task that writes. The queue holds `queue_max` answers; what comes beyond is
    /// dropped and counted, since the answer itself has been given already.
    #[must_use]
    pub fn start(
        store: Arc<dyn WeatherStore>,
        queue_max: usize,
        retention: Duration,
        metrics: WeatherMetrics,
    ) -> (Self, Writing) {
        let (queue, waiting) = mpsc::channel(queue_max.max(1));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(drain(store, waiting, stopped, retention, metrics.clone()));
        (Self { queue, metrics }, Writing { stop, task })
    }

    /// Hands an answer over and returns at once.
    pub fn write(&self, record: Record) {
        self.metrics.queued();
        if self.queue.try_send(record).is_err() {
            self.metrics.dropped();
            tracing::warn!("the store is behind: an answer was not stored");
        }
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

async fn drain(
    store: Arc<dyn WeatherStore>,
    mut waiting: mpsc::Receiver<Record>,
    mut stopped: oneshot::Receiver<()>,
    retention: Duration,
    metrics: WeatherMetrics,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut forget = tokio::time::interval(FORGET_INTERVAL);
    let mut stopping = false;
    loop {
        tokio::select! {
            taken = waiting.recv_many(&mut batch, BATCH_MAX) => {
                if taken == 0 {
                    return;
                }
                append(store.as_ref(), &batch, &metrics).await;
                batch.clear();
            }
            _ = &mut stopped, if !stopping => {
                stopping = true;
                // What is queued is still received; then the queue reports its end.
                waiting.close();
            }
            _ = forget.tick() => forget_old(store.as_ref(), retention).await,
        }
    }
}

async fn append(store: &dyn WeatherStore, batch: &[Record], metrics: &WeatherMetrics) {
    match store.append(batch).await {
        Ok(()) => metrics.written("stored", batch.len()),
        Err(error) => {
            metrics.written("failed", batch.len());
            tracing::error!(%error, answers = batch.len(), "answers could not be stored");
        }
    }
}

async fn forget_old(store: &dyn WeatherStore, retention: Duration) {
    let Some(before) = Now::read().wall.checked_sub(retention) else { return };
    for _round in 0..FORGET_ROUNDS_MAX {
        match store.forget(before).await {
            Ok(0) => return,
            Ok(forgotten) => tracing::info!(forgotten, "rows past their retention were deleted"),
            Err(error) => {
                tracing::error!(%error, "old rows could not be deleted");
                return;
            }
        }
    }
}
