//! What is fetched before anyone asks?
//!
//! Each route with a `prewarm` section has rounds of its own, so that a slow upstream delays no
//! other route's: all its targets, a few at a time, then a pause. The first rounds hold readiness
//! back, up to a bound. A reload is followed within a second.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use super::round::{Ended, Fetch, Round};
use crate::clock::Now;
use crate::metrics::Metrics;
use crate::proxy::fill::Filler;
use crate::route::{Prewarm, Route};
use crate::snapshot::{Live, Snapshot};

/// How often the schedule looks for a new configuration.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest pause after a round in which a target failed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Keeps the declared answers warm.
pub struct Warmer {
    live: Live,
    filler: Arc<Filler>,
}

/// When each route's next round is due, and which rounds run.
#[derive(Debug, Default)]
struct Schedule {
    /// By route: what was warmed, and when the next round is due.
    due_at: BTreeMap<String, (Prewarm, Instant)>,
    running: HashMap<task::Id, Running>,
    /// By route: what its service listed the last time.
    listed: HashMap<String, Vec<String>>,
    /// By route: what the last round left over, and when all is due again.
    left: HashMap<String, (Vec<Fetch>, Instant)>,
}

#[derive(Debug)]
struct Running {
    route: String,
    began: Instant,
}

impl Warmer {
    /// A warmer for the routes that are live.
    #[must_use]
    pub fn new(live: Live, filler: Arc<Filler>) -> Self {
        Self { live, filler }
    }

    /// Runs the first round of every route, then reports through `warm`, and keeps the schedule
    /// for ever.
    pub async fn run(&self, metrics: &Metrics, warm: watch::Sender<bool>) {
        let mut schedule = Schedule::default();
        let mut rounds = JoinSet::new();
        loop {
            let snapshot = self.live.load_full();
            let now = Now::read().instant;
            for gone in schedule.forget_others(&snapshot) {
                // A route that is no longer warmed must not look overdue for ever.
                let _was_never_warm =
                    metrics.cache.prewarm_last_success.remove_label_values(&[&gone]);
            }
            for (route, prewarm) in schedule.due(&snapshot, now) {
                let name = route.name.clone();
                let (filler, snapshot) = (self.filler.clone(), snapshot.clone());
                let (listed, left) = schedule.carried(&name, &prewarm, now);
                let round = Round { filler, snapshot, route, prewarm, listed, left };
                let task = rounds.spawn(round.run()).id();
                schedule.running.insert(task, Running { route: name, began: now });
            }
            if schedule.has_run_each(&snapshot) {
                warm.send_replace(true);
            }
            let pause = schedule.pause(now);
            tokio::select! {
                Some(joined) = rounds.join_next_with_id() => match joined {
                    Ok((task, ended)) => {
                        ended.record(metrics);
                        let draw = rand::thread_rng().gen_range(0.0..=1.0);
                        schedule.end(task, ended, draw, Now::read().instant);
                    }
                    Err(error) => {
                        tracing::error!(%error, "pre-warm round was lost");
                        schedule.lose(error.id(), Now::read().instant);
                    }
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

impl Schedule {
    /// Forgets the routes that are no longer warmed, and names them.
    fn forget_others(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let is_gone = |name: &String| !warmed(snapshot).any(|(route, _)| route.name == *name);
        let gone: Vec<String> = self.due_at.keys().filter(|name| is_gone(name)).cloned().collect();
        self.due_at.retain(|name, _| !gone.contains(name));
        self.listed.retain(|name, _| !gone.contains(name));
        self.left.retain(|name, _| !gone.contains(name));
        gone
    }

    /// Whether each route had its first round.
    fn has_run_each(&self, snapshot: &Snapshot) -> bool {
        warmed(snapshot).all(|(route, _)| self.due_at.contains_key(&route.name))
    }

    /// The routes whose round is due and does not run.
    fn due(&self, snapshot: &Snapshot, now: Instant) -> Vec<(Arc<Route>, Prewarm)> {
        // Other targets or another period are due at once.
        let is_due = |name: &String, wanted: &Prewarm| match self.due_at.get(name) {
            Some((warmed, due)) => *due <= now || warmed != wanted,
            None => true,
        };
        let is_running =
            |name: &String| self.running.values().any(|running| running.route == *name);
        warmed(snapshot)
            .filter(|(route, prewarm)| is_due(&route.name, prewarm) && !is_running(&route.name))
            .map(|(route, prewarm)| (route.clone(), prewarm.clone()))
            .collect()
    }

    /// What a round of this route goes on with: what its service listed, and what was left over, unless
    /// something else is to be warmed, or all of it again.
    fn carried(
        &mut self,
        route: &str,
        prewarm: &Prewarm,
        now: Instant,
    ) -> (Vec<String>, Vec<Fetch>) {
        let is_same = self.due_at.get(route).is_some_and(|(warmed, _)| warmed == prewarm);
        let left = self.left.remove(route).filter(|(_, all_due)| is_same && now < *all_due);
        let listed = self.listed.get(route).filter(|_| is_same).cloned();
        if let Some((_, all_due)) = &left {
            self.left.insert(route.to_owned(), (Vec::new(), *all_due));
        }
        (listed.unwrap_or_default(), left.map(|(left, _)| left).unwrap_or_default())
    }

    /// Plans the next round; `draw`, from 0 to 1, says how much of the jitter it comes earlier. What was
    /// left over is tried again before.
    fn end(&mut self, task: task::Id, ended: Ended, draw: f64, now: Instant) {
        let Some(Running { route, began }) = self.running.remove(&task) else { return };
        let every = ended.prewarm.every.saturating_sub(ended.prewarm.jitter.mul_f64(draw));
        // Where only a rest was fetched, all is due when it was.
        let all_due = self.left.remove(&route).map_or(began + every, |(_, all_due)| all_due);
        let pause = ended.wait.unwrap_or((every / 10).min(RETRY_AFTER_MAX));
        // The last list is good enough until all is due; where there is none, one is wanted soon.
        let is_done = ended.left.is_empty() && (!ended.is_unlisted || !ended.listed.is_empty());
        let next = if is_done { all_due } else { (now + pause).min(all_due) };
        self.listed.insert(route.clone(), ended.listed);
        if !ended.left.is_empty() {
            self.left.insert(route.clone(), (ended.left, all_due));
        }
        self.due_at.insert(route, (ended.prewarm, next.max(now)));
    }

    fn lose(&mut self, task: task::Id, now: Instant) {
        let Some(Running { route, .. }) = self.running.remove(&task) else { return };
        if let Some((_, due)) = self.due_at.get_mut(&route) {
            *due = now + RETRY_AFTER_MAX;
        }
    }

    /// How long until there may be something to do.
    fn pause(&self, now: Instant) -> Duration {
        let waits = self
            .due_at
            .iter()
            .filter(|(name, _)| !self.running.values().any(|running| running.route == **name))
            .map(|(_, (_, due))| due.saturating_duration_since(now));
        waits.min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }
}

impl Ended {
    fn record(&self, metrics: &Metrics) {
        let (route, failed, tried) = (&self.route, self.failed(), self.tried);
        if failed == 0 {
            let last = metrics.cache.prewarm_last_success.with_label_values(&[route]);
            last.set(Now::read().unix_seconds());
        } else {
            tracing::warn!(route, failed, tried, "pre-warm round incomplete");
        }
    }
}

fn warmed(snapshot: &Snapshot) -> impl Iterator<Item = (&Arc<Route>, &Prewarm)> {
    snapshot.routes.iter().filter_map(|route| Some((route, route.prewarm.as_ref()?)))
}
