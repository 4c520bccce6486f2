//! How are stored answers brought up to date behind the clients' backs?
//!
//! Each pool has a queue of its own, so that a slow one delays no other: so many refreshes at once,
//! so many waiting. A queue pauses while its upstream fails, or while its calls are used up but for
//! those that are kept for clients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::errand::Errand;
use super::exchange::Origin;
use super::fill::Filler;
use crate::cache::outcome::Outcome;
use crate::cache::queue::{Ended, Pushed, Queue};
use crate::clock::Now;
use crate::refusal::Refusal;
use crate::state::State;
use crate::upstream::Pool;

/// Most pools whose queues are kept; those with nothing to do go first.
const QUEUES_MAX: usize = 1_024;

/// Refreshes answers in the background.
pub struct Refresher {
    state: Arc<State>,
    filler: Arc<Filler>,
    by_pool: Mutex<HashMap<String, Arc<Line>>>,
}

/// The refreshes of one pool.
struct Line {
    pool: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: Queue<Errand>,
    /// How many may run at once, by the newest configuration.
    running_max: usize,
    /// Whether somebody sleeps until the pause ends.
    is_waking: bool,
}

impl Refresher {
    /// A refresher with nothing to do.
    #[must_use]
    pub fn new(state: Arc<State>, filler: Arc<Filler>) -> Self {
        Self { state, filler, by_pool: Mutex::default() }
    }

    /// Puts a refresh in the queue of its pool, unless it is there or the queue is full.
    pub fn push(self: &Arc<Self>, errand: Errand) {
        let Some(pool) = errand.dispatch.route.pool().cloned() else { return };
        let Some(line) = self.line(&pool) else { return self.skip(&pool.name) };
        let flight = self.filler.flight_of(&errand);
        let mut inner = line.lock();
        inner.running_max = pool.refreshes_max;
        let pushed = inner.queue.push(flight, errand, pool.refresh_queue_max);
        drop(inner);
        match pushed {
            Pushed::Queued => self.drive(&line),
            Pushed::Known => {}
            Pushed::Full => self.skip(&pool.name),
        }
    }

    fn skip(&self, pool: &str) {
        self.state.metrics.refresh.skipped.with_label_values(&[pool]).inc();
    }

    fn line(&self, pool: &Pool) -> Option<Arc<Line>> {
        let mut by_pool = self.by_pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = by_pool.get(&pool.name) {
            return Some(line.clone());
        }
        if by_pool.len() >= QUEUES_MAX {
            by_pool.retain(|_, line| Arc::strong_count(line) > 1);
        }
        if by_pool.len() >= QUEUES_MAX {
            return None;
        }
        let line = Arc::new(Line { pool: pool.name.clone(), inner: Mutex::default() });
        by_pool.insert(pool.name.clone(), line.clone());
        Some(line)
    }

    /// Starts what may start, and sees to it that a pause has an end.
    fn drive(self: &Arc<Self>, line: &Arc<Line>) {
        let now = now();
        let mut inner = line.lock();
        let running_max = inner.running_max;
        while let Some((flight, errand)) = inner.queue.start(running_max, now) {
            let (refresher, line) = (self.clone(), line.clone());
            self.state.metrics.refresh.in_flight.inc();
            tokio::spawn(async move {
                let ended = refresher.refresh(&errand).await;
                refresher.state.metrics.refresh.in_flight.dec();
                line.lock().queue.end(&flight, ended, Now::read().instant);
                refresher.drive(&line);
            });
        }
        let paused_until = inner.queue.paused_until(now);
        self.show(line, inner.queue.waiting(), paused_until.is_some());
        if let Some(until) = paused_until.filter(|_| !inner.is_waking) {
            inner.is_waking = true;
            let (refresher, line) = (self.clone(), line.clone());
            tokio::spawn(async move {
                tokio::time::sleep_until(until.into()).await;
                line.lock().is_waking = false;
                refresher.drive(&line);
            });
        }
    }

    fn show(&self, line: &Line, waiting: usize, is_paused: bool) {
        let metrics = &self.state.metrics.refresh;
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        metrics.waiting.with_label_values(&[&line.pool]).set(waiting);
        metrics.paused.with_label_values(&[&line.pool]).set(i64::from(is_paused));
    }

    async fn refresh(&self, errand: &Errand) -> Ended {
        let deadline = now() + errand.dispatch.route.timeout;
        let origin = errand.dispatch.origin;
        let dispatch = errand.dispatch.on_behalf_of(origin, deadline);
        match self.filler.refresh(&Errand { dispatch, ..errand.clone() }).await {
            Some(Outcome::Refused(Refusal::BudgetSpent { retry_after })) => {
                Ended::NotNow(retry_after)
            }
            Some(outcome) if outcome.is_failure() => Ended::Failed,
            Some(_) => Ended::Done,
            None => Ended::NotAsked,
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Errand {
    /// The same errand, which no client waits for.
    #[must_use]
    pub fn in_background(self, origin: Origin) -> Self {
        let dispatch = self.dispatch.on_behalf_of(origin, self.dispatch.deadline);
        Self { dispatch, ..self }
    }
}

fn now() -> Instant {
    Now::read().instant
}
