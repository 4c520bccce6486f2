//! What is fetched before anyone asks?
//!
//! Each route with a `prewarm` section has a round of its own: all targets at once, a few at a
//! time, then a pause. The first round is run at the start and holds readiness back, up to a
//! bound. A reload is followed at the next round.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::cache::outcome::Outcome;
use crate::clock::Now;
use crate::metrics::Metrics;
use crate::proxy::exchange::{Dispatch, Origin};
use crate::proxy::fill::Filler;
use crate::proxy::prewarm_errand;
use crate::route::{Prewarm, Route};
use crate::snapshot::{Live, Snapshot};

/// Targets of one route that are fetched at once.
const AT_ONCE_MAX: usize = 4;

/// How long the schedule sleeps when no route wants pre-warming, before it looks again.
const IDLE: Duration = Duration::from_secs(1);

/// Keeps the declared answers warm.
pub struct Warmer {
    live: Live,
    filler: Arc<Filler>,
}

impl Warmer {
    /// A warmer for the routes that are live.
    #[must_use]
    pub fn new(live: Live, filler: Arc<Filler>) -> Self {
        Self { live, filler }
    }

    /// Runs the first round of every route, then reports through `warm`, then keeps the schedule.
    pub async fn run(&self, metrics: &Metrics, warm: watch::Sender<bool>) {
        let mut due: Vec<(String, Instant)> = Vec::new();
        loop {
            let snapshot = self.live.load_full();
            let now = Instant::from_std(Now::read().instant);
            due.retain(|(name, _)| warmed_routes(&snapshot).any(|(route, _)| route.name == *name));
            let mut rounds = Vec::new();
            for (route, prewarm) in warmed_routes(&snapshot) {
                match due.iter_mut().find(|(name, _)| *name == route.name) {
                    Some((_, at)) if *at > now => {}
                    Some((_, at)) => {
                        *at = now + prewarm.every;
                        rounds.push(self.round(&snapshot, route, prewarm, metrics));
                    }
                    None => {
                        due.push((route.name.clone(), now + prewarm.every));
                        rounds.push(self.round(&snapshot, route, prewarm, metrics));
                    }
                }
            }
            futures::future::join_all(rounds).await;
            warm.send_replace(true);
            let next = due.iter().map(|(_, at)| *at).min();
            let at_most = Instant::from_std(Now::read().instant) + IDLE;
            sleep_until(next.map_or(at_most, |next| next.min(at_most))).await;
        }
    }

    async fn round(
        &self,
        snapshot: &Arc<Snapshot>,
        route: &Arc<Route>,
        prewarm: &Prewarm,
        metrics: &Metrics,
    ) {
        let mut failed = 0;
        for targets in prewarm.targets.chunks(AT_ONCE_MAX) {
            let mut fetches = Vec::new();
            for target in targets {
                fetches.push(self.fetch(snapshot, route, &prewarm.host, target));
            }
            let warmed = futures::future::join_all(fetches).await;
            failed += warmed.iter().filter(|warmed| !**warmed).count();
        }
        if failed == 0 {
            let last = metrics.cache.prewarm_last_success.with_label_values(&[&route.name]);
            last.set(Now::read().unix_seconds());
        } else {
            let (route, targets) = (&route.name, prewarm.targets.len());
            tracing::warn!(route, failed, targets, "pre-warm round incomplete");
        }
    }

    async fn fetch(
        &self,
        snapshot: &Arc<Snapshot>,
        route: &Arc<Route>,
        host: &str,
        target: &str,
    ) -> bool {
        let Some(policy) = &route.cache else { return false };
        let dispatch = Dispatch {
            snapshot: snapshot.clone(),
            route: route.clone(),
            request_id: crate::proxy::new_request_id(),
            origin: Origin::Prewarm,
            client: None,
            deadline: Now::read().instant + route.timeout,
            failure: Arc::default(),
        };
        let Some(errand) = prewarm_errand(policy, host, target, dispatch) else { return false };
        matches!(self.filler.prewarm(&errand).await, Outcome::Stored(_))
    }
}

fn warmed_routes(snapshot: &Snapshot) -> impl Iterator<Item = (&Arc<Route>, &Prewarm)> {
    snapshot.routes.iter().filter_map(|route| Some((route, route.prewarm.as_ref()?)))
}
