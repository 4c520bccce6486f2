//! Who sees to it that a registered point's first client finds an answer?
//!
//! One task wakes every few seconds and looks which answers are about to run out. What another
//! process has stored meanwhile is taken over; the rest is fetched, many points in one call, by
//! the one process that leads. Calls are those that no client waits for: they have a deadline and
//! a share of the budget of their own, and there is never more than one at a time.

mod pace;
pub mod seeds;
mod series;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::clock::Now;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::answers::Answers;
use crate::answers::answer::Kept;
use crate::domain::ask::{Ask, ProviderName};
use crate::domain::point::{Point, PointState};
use crate::http::FreshTimes;
use crate::providers::failure::ProviderError;
use crate::store::{Store, StoreError};
use crate::time::today;
use crate::warm::pace::ages;

pub use series::WarmSeries;

/// Longest time between two looks; the next is up to a fifth of it earlier.
const WAKE_INTERVAL: Duration = Duration::from_secs(15);

/// Points in one call and between two looks at who leads.
const BATCH_MAX: usize = 50;

/// For how long a process leads without saying so again: longer than one batch takes.
const LEAD: Duration = Duration::from_secs(180);

/// Shortest and longest time without calls after one that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(60);
const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Longest text of an error that is noted, in characters.
const ERROR_CHARS_MAX: usize = 400;

/// What is kept warm, and how.
#[derive(Clone, Debug)]
pub struct WarmSettings {
    /// A file of points that are registered at the start.
    pub points_file: Option<PathBuf>,
    /// Points registered at most; 0 turns warming off.
    pub points_max: usize,
    /// Days from today on.
    pub days: i32,
    /// Weighted calls a day that may be made when no client waits; 0 is no limit.
    pub calls_per_day: f64,
}

/// The list of points, and a way to wake the task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WarmPoints {
    store: Arc<dyn Store>,
    points_max: usize,
    changed: Arc<Notify>,
}

impl WarmPoints {
    /// The list in `store`, of at most `points_max` points.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, points_max: usize) -> Self {
        Self { store, points_max, changed: Arc::default() }
    }

    /// Most points that may be listed.
    #[must_use]
    pub fn points_max(&self) -> usize {
        self.points_max
    }

    /// All points.
    ///
    /// # Errors
    /// As [`crate::store::PointStore::points`].
    pub async fn list(&self) -> Result<Vec<PointState>, StoreError> {
        self.store.points(self.points_max).await
    }

    /// Adds points and sees to it that they are warmed soon; `false` when there would be too many.
    ///
    /// # Errors
    /// As [`crate::store::PointStore::register`].
    pub async fn register(&self, points: &[Point]) -> Result<bool, StoreError> {
        let fits = self.store.register(points, self.points_max).await?;
        self.changed.notify_one();
        Ok(fits)
    }

    /// Takes a point off the list; `false` when it was not there.
    ///
    /// # Errors
    /// As [`crate::store::PointStore::remove`].
    pub async fn remove(&self, point: &Point) -> Result<bool, StoreError> {
        self.store.remove(point).await
    }
}

/// Keeps points warm.
#[derive(Debug)]
pub struct Warmer {
    points: WarmPoints,
    answers: Answers,
    settings: WarmSettings,
    fresh: FreshTimes,
    provider: ProviderName,
    series: WarmSeries,
    /// Points of the file that are still to be registered.
    seeds: Vec<Point>,
    /// When the provider may be asked again after it has failed.
    paused_until: Option<Instant>,
    /// When questions may be asked again that it could not answer; of listed points only.
    failed_until: HashMap<Ask, Instant>,
    /// What this process is known by among those that share the store.
    name: String,
}

/// The task that keeps points warm.
#[derive(Debug)]
pub struct Warming {
    task: JoinHandle<()>,
    points: WarmPoints,
    name: String,
}

impl Warming {
    /// Ends the task, and lets another process lead at once.
    pub async fn finish(self, timeout: Duration) {
        self.task.abort();
        let followed = self.points.store.lead(&self.name, Duration::ZERO);
        if !matches!(tokio::time::timeout(timeout, followed).await, Ok(Ok(_))) {
            tracing::warn!("other processes keep points warm only after {} s", LEAD.as_secs());
        }
    }
}

/// What came of one point in one round.
#[derive(Debug, Default)]
struct Outcome {
    error: Option<String>,
    left_out: bool,
}

impl Warmer {
    /// A warmer of `points` through `answers`, which asks `provider`. `seeds` are registered first.
    #[must_use]
    pub fn new(
        points: WarmPoints,
        answers: Answers,
        settings: WarmSettings,
        (fresh, provider): (FreshTimes, ProviderName),
        seeds: Vec<Point>,
        series: WarmSeries,
    ) -> Self {
        let name = format!("{:032x}", rand::random::<u128>());
        Self {
            points,
            answers,
            settings,
            fresh,
            provider,
            series,
            seeds,
            paused_until: None,
            failed_until: HashMap::new(),
            name,
        }
    }

    /// Starts the task.
    #[must_use]
    pub fn start(self) -> Warming {
        let (points, name) = (self.points.clone(), self.name.clone());
        Warming { task: tokio::spawn(self.run()), points, name }
    }

    async fn run(mut self) {
        loop {
            if let Err(error) = self.round().await {
                self.series.leads(false);
                tracing::warn!(%error, "points could not be kept warm");
            }
            let pause = WAKE_INTERVAL.mul_f64(1.0 - rand::random::<f64>() / 5.0);
            // A point that was just registered need not wait for the next look.
            drop(tokio::time::timeout(pause, self.points.changed.notified()).await);
        }
    }

    async fn round(&mut self) -> Result<(), StoreError> {
        if !self.seeds.is_empty() {
            if !self.points.register(&self.seeds).await? {
                tracing::error!("the points of the file are too many beside those registered");
            }
            self.seeds = Vec::new();
        }
        let states = self.points.list().await?;
        self.series.listed(&states);
        let now = Now::read().instant;
        self.failed_until.retain(|_, until| now < *until);
        let mut outcomes: HashMap<usize, Outcome> = HashMap::new();
        for (kind, age_max) in ages(self.fresh, states.len(), self.settings.calls_per_day) {
            let Some(age_max) = age_max else { continue };
            let now = Now::read();
            let ask = |(place, state): (usize, &PointState)| {
                let today = today(&state.point.zone, now);
                (place, kind.ask(&state.point, self.provider, today, self.settings.days))
            };
            let asks: Vec<(usize, Ask)> = states.iter().enumerate().map(ask).collect();
            self.warm(asks, age_max, &mut outcomes).await?;
        }
        self.note(&states, outcomes).await
    }

    /// Fetches what is older than `age_max`, if this process leads.
    async fn warm(
        &mut self,
        asks: Vec<(usize, Ask)>,
        age_max: Duration,
        outcomes: &mut HashMap<usize, Outcome>,
    ) -> Result<(), StoreError> {
        let mut due = Vec::new();
        for (place, ask) in asks {
            if self.answers.is_at_hand(&ask, age_max, Now::read()) {
                continue;
            }
            if self.answers.adopt(&ask, age_max, Now::read()).await {
                self.series.answered(ask.question.kind(), "adopted");
            } else if self.failed_until.contains_key(&ask) {
                outcomes.entry(place).or_default().left_out = true;
            } else {
                due.push((place, ask));
            }
        }
        // Only points of one zone fit into one call.
        due.sort_by(|(_, one), (_, other)| one.zone.name().cmp(other.zone.name()));
        let zones = due.chunk_by(|(_, one), (_, other)| one.zone == other.zone);
        for batch in zones.flat_map(|zone| zone.chunks(BATCH_MAX)) {
            if self.paused_until.is_some_and(|until| Now::read().instant < until) {
                leave_out(batch, outcomes);
                continue;
            }
            let leads = self.points.store.lead(&self.name, LEAD).await?;
            self.series.leads(leads);
            if !leads {
                leave_out(batch, outcomes);
                continue;
            }
            let asks: Vec<Ask> = batch.iter().map(|(_, ask)| ask.clone()).collect();
            let results = self.answers.refresh(&asks, Now::read()).await;
            self.pause_after(&results);
            let again = Now::read().instant + FAILURE_PAUSE;
            for ((place, ask), result) in batch.iter().zip(results) {
                let outcome = outcomes.entry(*place).or_default();
                let label = if result.is_ok() { "fetched" } else { "failed" };
                self.series.answered(ask.question.kind(), label);
                if let Err(error) = result {
                    self.failed_until.insert(ask.clone(), again);
                    let text = format!("{}: {error}", ask.question.kind());
                    outcome.error.get_or_insert(text.chars().take(ERROR_CHARS_MAX).collect());
                }
            }
        }
        Ok(())
    }

    /// A provider that is away or wants to be asked less will not answer the next call either.
    fn pause_after(&mut self, results: &[Result<Kept, ProviderError>]) {
        let Some(error) = results.iter().find_map(|result| result.as_ref().err()) else { return };
        let asked_for = match error {
            ProviderError::Refused { .. } | ProviderError::InvalidResponse { .. } => return,
            ProviderError::RateLimited { retry_after, .. }
            | ProviderError::OverBudget { retry_after } => *retry_after,
            ProviderError::Unavailable { .. }
            | ProviderError::Unreachable { .. }
            | ProviderError::TimedOut { .. } => Duration::ZERO,
        };
        let pause = asked_for.clamp(FAILURE_PAUSE, FAILURE_PAUSE_MAX);
        tracing::warn!(%error, pause_s = pause.as_secs(), "points cannot be warmed for now");
        self.paused_until = Some(Now::read().instant + pause);
    }

    async fn note(
        &self,
        states: &[PointState],
        outcomes: HashMap<usize, Outcome>,
    ) -> Result<(), StoreError> {
        let now = Now::read().wall;
        let noted = |(place, outcome): (usize, Outcome)| {
            let point = states.get(place)?.point.clone();
            let whole = outcome.error.is_none();
            let state =
                PointState { point, last_ok: whole.then_some(now), last_error: outcome.error };
            // What was left out says nothing, unless something else went wrong.
            (!whole || !outcome.left_out).then_some(state)
        };
        let noted: Vec<PointState> = outcomes.into_iter().filter_map(noted).collect();
        if noted.is_empty() { Ok(()) } else { self.points.store.mark(&noted).await }
    }
}

fn leave_out(batch: &[(usize, Ask)], outcomes: &mut HashMap<usize, Outcome>) {
    for (place, _) in batch {
        outcomes.entry(*place).or_default().left_out = true;
    }
}
