//! What is fetched before anyone asks?
//!
//! Each route with a `prewarm` section has rounds of its own, so that a slow upstream delays no
//! other route's: all its targets, a few at a time, then a pause. The first rounds hold readiness
//! back, up to a bound. A reload is followed within a second.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use crate::cache::outcome::Outcome;
use crate::clock::Now;
use crate::metrics::Metrics;
use crate::proxy::exchange::{Dispatch, Origin};
use crate::proxy::fill::Filler;
use crate::proxy::{new_request_id, prewarm_errand};
use crate::route::{Prewarm, Route};
use crate::snapshot::{Live, Snapshot};

/// Targets of one route that are fetched at once.
const AT_ONCE_MAX: usize = 4;

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
                let round = round(self.filler.clone(), snapshot.clone(), route, prewarm);
                let task = rounds.spawn(round).id();
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
                        schedule.end(task, &ended, Now::read().instant);
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

    fn end(&mut self, task: task::Id, ended: &Ended, now: Instant) {
        let Some(Running { route, began }) = self.running.remove(&task) else { return };
        let every = ended.prewarm.every;
        let retry = now + (every / 10).min(RETRY_AFTER_MAX);
        let next = if ended.failed == 0 { began + every } else { retry };
        self.due_at.insert(route, (ended.prewarm.clone(), next));
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

/// How a round went.
#[derive(Debug)]
struct Ended {
    route: String,
    prewarm: Prewarm,
    failed: usize,
}

impl Ended {
    fn record(&self, metrics: &Metrics) {
        let Self { route, prewarm, failed } = self;
        let targets = prewarm.targets.len();
        if *failed == 0 {
            let last = metrics.cache.prewarm_last_success.with_label_values(&[route]);
            last.set(Now::read().unix_seconds());
        } else {
            tracing::warn!(route, failed, targets, "pre-warm round incomplete");
        }
    }
}

async fn round(
    filler: Arc<Filler>,
    snapshot: Arc<Snapshot>,
    route: Arc<Route>,
    prewarm: Prewarm,
) -> Ended {
    let mut failed = 0;
    for targets in prewarm.targets.chunks(AT_ONCE_MAX) {
        let mut fetches = Vec::new();
        for target in targets {
            fetches.push(fetch(&filler, &snapshot, &route, &prewarm.host, target));
        }
        failed += join_all(fetches).await.iter().filter(|warmed| !**warmed).count();
    }
    Ended { route: route.name.clone(), prewarm, failed }
}

async fn fetch(
    filler: &Arc<Filler>,
    snapshot: &Arc<Snapshot>,
    route: &Arc<Route>,
    host: &str,
    target: &str,
) -> bool {
    let Some(policy) = &route.cache else { return false };
    let dispatch = Dispatch {
        snapshot: snapshot.clone(),
        route: route.clone(),
        request_id: new_request_id(),
        origin: Origin::Prewarm,
        client: None,
        is_tls: false,
        callers: Arc::default(),
        deadline: Now::read().instant + route.timeout,
        failure: Arc::default(),
    };
    let Some(errand) = prewarm_errand(policy, host, target, dispatch) else { return false };
    matches!(filler.prewarm(&errand).await, Outcome::Stored(_))
}

fn warmed(snapshot: &Snapshot) -> impl Iterator<Item = (&Arc<Route>, &Prewarm)> {
    snapshot.routes.iter().filter_map(|route| Some((route, route.prewarm.as_ref()?)))
}
