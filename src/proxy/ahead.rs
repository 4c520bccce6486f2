//! How are hot answers fetched before they turn stale?
//!
//! The first hit of a copy makes a plan to look at it again near its end; [`crate::cache::ahead`] says
//! when, and whether its use makes another fetch worth it. Then it goes the way of every refresh.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rand::Rng;
use tokio::sync::Notify;

use super::errand::Errand;
use super::exchange::Origin;
use super::refresh::Refresher;
use crate::cache::ahead::{Heat, PLANS_MAX, Plans, lead};
use crate::cache::object::{Object, Usage};
use crate::cache::windows::Freshness;
use crate::clock::Now;
use crate::route::Asking;
use crate::snapshot::Live;
use crate::state::State;

/// How soon after a refresh was asked for its answer is looked for, at the earliest.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Fetches hot answers ahead.
pub struct Ahead {
    live: Live,
    state: Arc<State>,
    refresher: Arc<Refresher>,
    plans: Mutex<Plans<Plan>>,
    earlier: Notify,
}

/// One answer that is looked at near its end.
struct Plan {
    errand: Errand,
    usage: Arc<Usage>,
    heat: Heat,
    /// Until when the copy is fresh that is looked at.
    fresh_until: SystemTime,
}

impl Ahead {
    /// Nothing planned.
    #[must_use]
    pub fn new(live: Live, state: Arc<State>, refresher: Arc<Refresher>) -> Self {
        let plans = Mutex::new(Plans::new(PLANS_MAX));
        Self { live, state, refresher, plans, earlier: Notify::new() }
    }

    /// Plans to look at a fresh answer that a client was given, if nobody does; `errand` fetches it.
    pub fn watch(&self, object: &Object, errand: impl FnOnce() -> Option<Errand>) {
        if !object.usage.claim_plan() {
            return;
        }
        match errand() {
            Some(errand) => {
                let (usage, fresh_until) = (object.usage.clone(), object.windows.fresh_until);
                // The hit that makes the plan is counted after it.
                let heat = Heat::from(usage.hits());
                let plan = Plan { errand, usage, heat, fresh_until };
                self.plan(plan, due_in(object, Now::read()));
            }
            None => object.usage.drop_plan(),
        }
    }

    /// Looks at what is due, for ever.
    pub async fn run(&self) {
        loop {
            let due = {
                let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
                plans.next_due()
            };
            let earlier = self.earlier.notified();
            match due {
                Some(due) => tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => self.look(),
                    () = earlier => {}
                },
                None => earlier.await,
            }
        }
    }

    fn look(&self) {
        let now = Now::read();
        loop {
            let due = {
                let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
                plans.pop_due(now.instant)
            };
            let Some(plan) = due else { return };
            self.decide(plan, now);
        }
    }

    fn decide(&self, plan: Plan, now: Now) {
        let Plan { errand, usage, heat, fresh_until } = plan;
        let stored = self.state.store.select(&errand.key, &errand.head.headers);
        // Another answer took its place, which is watched by itself; or none is there.
        let stored = stored.filter(|stored| Arc::ptr_eq(&stored.usage, &usage));
        let stored = stored.filter(|stored| {
            stored.windows.freshness(now.wall) == Freshness::Fresh && self.may_refresh(&errand, now)
        });
        let (Some(stored), Some(errand)) = (stored, self.renewed(errand)) else {
            usage.drop_plan();
            return;
        };
        if stored.windows.fresh_until > fresh_until {
            let fresh_until = stored.windows.fresh_until;
            return self.plan(Plan { errand, usage, heat, fresh_until }, due_in(&stored, now));
        }
        let heat = heat.after(usage.hits());
        if !heat.is_hot() {
            usage.drop_plan();
            return;
        }
        self.refresher.push(errand.clone().in_background(Origin::Ahead));
        let rest = stored.windows.fresh_until.duration_since(now.wall).unwrap_or_default();
        // Once before this copy ends, so that a refresh that was quick is planned for in time.
        let again = (rest - rest / 8).max(LOOK_AGAIN);
        self.plan(Plan { errand, usage, heat, fresh_until }, again);
    }

    /// The errand under the configuration that is live; nothing if that keeps another answer for it.
    fn renewed(&self, errand: Errand) -> Option<Errand> {
        let snapshot = self.live.load();
        if Arc::ptr_eq(&snapshot, &errand.dispatch.snapshot) {
            return Some(errand);
        }
        let name = &errand.dispatch.route.name;
        let route = snapshot.routes.iter().find(|route| route.name == *name)?.clone();
        let policy = route.cache.clone().filter(|policy| policy.refresh_ahead)?;
        let asking = Asking {
            is_tls: errand.dispatch.is_tls,
            host: &errand.host,
            target: &errand.head.uri,
            identity: "",
        };
        if route.cache_key(&policy, &asking) != errand.key {
            return None;
        }
        let dispatch = super::exchange::Dispatch {
            snapshot: snapshot.clone(),
            route,
            ..errand.dispatch.clone()
        };
        Some(Errand { policy, dispatch, ..errand })
    }

    /// While calls are short answers last longer: nothing is fetched before it has to be.
    fn may_refresh(&self, errand: &Errand, now: Now) -> bool {
        let pool = errand.dispatch.route.pool();
        pool.is_some_and(|pool| self.state.calls.stretch(pool, now) <= 1.0)
    }

    fn plan(&self, plan: Plan, due_in: Duration) {
        let due = Now::read().instant + due_in;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = plans.next_due().is_none_or(|first| due < first);
        let rejected = plans.push(due, plan);
        drop(plans);
        if let Some(plan) = rejected {
            plan.usage.drop_plan();
            self.state.metrics.refresh.unplanned.inc();
        } else if is_first {
            self.earlier.notify_one();
        }
    }
}

/// How long until a copy is looked at near its end.
fn due_in(object: &Object, now: Now) -> Duration {
    let windows = &object.windows;
    let fresh = windows.fresh_until.duration_since(windows.stored_at).unwrap_or_default();
    let rest = windows.fresh_until.duration_since(now.wall).unwrap_or_default();
    let draw = 1.0 - rand::thread_rng().r#gen::<f64>();
    rest.saturating_sub(lead(object.took, fresh, draw))
}
