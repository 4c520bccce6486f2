//! How is everything fetched once that one route keeps warm?

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::StatusCode;

use crate::cache::outcome::Outcome;
use crate::clock::Now;
use crate::points;
use crate::proxy::exchange::{Dispatch, Exchanged, Origin};
use crate::proxy::fill::Filler;
use crate::proxy::{new_request_id, prewarm_errand, prewarm_head};
use crate::refusal::Refusal;
use crate::route::{Listed, Prewarm, Route};
use crate::snapshot::Snapshot;

/// Targets of one route that are fetched at once.
const AT_ONCE_MAX: usize = 4;

/// Largest list of points that is read.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One round of a route.
pub(super) struct Round {
    pub(super) filler: Arc<Filler>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) route: Arc<Route>,
    pub(super) prewarm: Prewarm,
    /// What the service listed the last time: better than nothing, when it does not answer.
    pub(super) listed: Vec<String>,
    /// What an earlier round left over, where only that is fetched.
    pub(super) left: Vec<Fetch>,
}

/// One fetch of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    is_tls: bool,
    target: String,
}

/// How a fetch went.
enum Warmed {
    Stored,
    Failed,
    /// The upstream may not be called before this time has passed.
    NotNow(Duration),
}

/// How a round went.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) route: String,
    pub(super) prewarm: Prewarm,
    /// How many fetches there were.
    pub(super) tried: usize,
    /// Those that are still to be made.
    pub(super) left: Vec<Fetch>,
    /// Whether the service gave no list of points.
    pub(super) is_unlisted: bool,
    /// How long the upstream may not be called.
    pub(super) wait: Option<Duration>,
    /// The targets that the service's list makes.
    pub(super) listed: Vec<String>,
}

impl Ended {
    /// How many things failed.
    pub(super) fn failed(&self) -> usize {
        self.left.len() + usize::from(self.is_unlisted)
    }
}

impl Round {
    /// Fetches all targets, a few at a time, or what an earlier round left over.
    pub(super) async fn run(mut self) -> Ended {
        let is_unlisted = self.left.is_empty() && !self.list_anew().await;
        let mut fetches = std::mem::take(&mut self.left);
        if fetches.is_empty() {
            fetches = self.all();
        }
        let (mut left, mut wait) = (Vec::new(), None);
        for some in fetches.chunks(AT_ONCE_MAX) {
            if wait.is_some() {
                left.extend_from_slice(some);
                continue;
            }
            let warmed = join_all(some.iter().map(|fetch| self.fetch(fetch))).await;
            for (fetch, warmed) in some.iter().zip(warmed) {
                match warmed {
                    Warmed::Stored => continue,
                    Warmed::Failed => {}
                    Warmed::NotNow(retry_after) => wait = wait.max(Some(retry_after)),
                }
                left.push(fetch.clone());
            }
        }
        let Self { route, prewarm, listed, .. } = self;
        let (route, tried) = (route.name.clone(), fetches.len());
        Ended { route, prewarm, tried, left, is_unlisted, wait, listed }
    }

    fn all(&self) -> Vec<Fetch> {
        let targets = self.prewarm.targets.iter().chain(&self.listed);
        let schemes = &self.prewarm.schemes;
        targets
            .flat_map(|target| {
                schemes.iter().map(|is_tls| Fetch { is_tls: *is_tls, target: target.clone() })
            })
            .collect()
    }

    /// Asks for the points again, where a service lists them; answers whether it did.
    async fn list_anew(&mut self) -> bool {
        let Some(listed) = self.prewarm.listed.clone() else { return true };
        match self.list(&listed).await {
            Ok(targets) => self.listed = targets,
            Err(problem) => {
                let (route, known) = (&self.route.name, self.listed.len());
                tracing::warn!(route, problem, known, "points to pre-warm could not be listed");
                return false;
            }
        }
        true
    }

    async fn fetch(&self, Fetch { is_tls, target }: &Fetch) -> Warmed {
        let Some(policy) = &self.route.cache else { return Warmed::Failed };
        let dispatch = self.dispatch(self.route.clone(), *is_tls);
        let errand = prewarm_errand(policy, &self.prewarm.host, target, dispatch);
        let Some(errand) = errand else { return Warmed::Failed };
        match self.filler.prewarm(&errand).await {
            Outcome::Stored(_) => Warmed::Stored,
            Outcome::Refused(Refusal::BudgetSpent { retry_after }) => Warmed::NotNow(retry_after),
            _ => Warmed::Failed,
        }
    }

    /// The targets for the points that the service lists now.
    async fn list(&self, listed: &Listed) -> Result<Vec<String>, String> {
        let route = self.snapshot.routes.iter().find(|route| route.name == listed.route);
        let route = route.ok_or("there is no such route any more")?;
        let head = prewarm_head(&listed.path, &self.prewarm.host).ok_or("its path is none")?;
        // As clients come, TLS first.
        let is_tls = self.prewarm.schemes.contains(&true);
        let dispatch = self.dispatch(route.clone(), is_tls);
        let exchange = &self.filler.exchange;
        match exchange.run(head, Bytes::new(), dispatch, LIST_BYTES_MAX).await {
            Ok(Exchanged::Whole(whole)) if whole.head.status == StatusCode::OK => {
                points::of_json(&whole.body, &listed.pointer, listed.points_max)
                    .and_then(|points| points::targets(&listed.templates, &points))
                    .map_err(|error| format!("the list {error}"))
            }
            Ok(Exchanged::Whole(whole)) => {
                Err(format!("the service answered {}", whole.head.status))
            }
            Ok(Exchanged::TooLarge(_)) => {
                Err(format!("the list has more than {LIST_BYTES_MAX} bytes"))
            }
            Err(refusal) => Err(refusal.message().into_owned()),
        }
    }

    fn dispatch(&self, route: Arc<Route>, is_tls: bool) -> Dispatch {
        let deadline = Now::read().instant + route.timeout;
        Dispatch {
            snapshot: self.snapshot.clone(),
            route,
            request_id: new_request_id(),
            origin: Origin::Prewarm,
            client: None,
            is_tls,
            callers: Arc::default(),
            deadline,
            failure: Arc::default(),
            interim: None,
        }
    }
}
