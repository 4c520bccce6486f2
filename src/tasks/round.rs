//! How is everything fetched once that one route keeps warm?

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use http::StatusCode;

use crate::cache::outcome::Outcome;
use crate::clock::Now;
use crate::points;
use crate::proxy::exchange::{Dispatch, Exchanged, Origin};
use crate::proxy::fill::Filler;
use crate::proxy::{new_request_id, prewarm_errand, prewarm_head};
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
}

/// How a round went.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) route: String,
    pub(super) prewarm: Prewarm,
    /// How many fetches were tried.
    pub(super) tried: usize,
    /// How many of them failed, the list of points counted.
    pub(super) failed: usize,
    /// The targets that the service's list makes.
    pub(super) listed: Vec<String>,
}

impl Round {
    /// Fetches all targets, a few at a time.
    pub(super) async fn run(mut self) -> Ended {
        let mut failed = 0;
        if let Some(listed) = self.prewarm.listed.clone() {
            match self.list(&listed).await {
                Ok(targets) => self.listed = targets,
                Err(problem) => {
                    failed += 1;
                    let (route, known) = (&self.route.name, self.listed.len());
                    tracing::warn!(route, problem, known, "points to pre-warm could not be listed");
                }
            }
        }
        let schemes = &self.prewarm.schemes;
        let targets = self.prewarm.targets.iter().chain(&self.listed);
        let fetches: Vec<(bool, &String)> = targets
            .flat_map(|target| schemes.iter().map(move |is_tls| (*is_tls, target)))
            .collect();
        for some in fetches.chunks(AT_ONCE_MAX) {
            let some = some.iter().map(|(is_tls, target)| self.fetch(*is_tls, target));
            failed += join_all(some).await.iter().filter(|warmed| !**warmed).count();
        }
        let tried = fetches.len();
        let Self { route, prewarm, listed, .. } = self;
        Ended { route: route.name.clone(), prewarm, tried, failed, listed }
    }

    async fn fetch(&self, is_tls: bool, target: &str) -> bool {
        let Some(policy) = &self.route.cache else { return false };
        let dispatch = self.dispatch(self.route.clone(), is_tls);
        let errand = prewarm_errand(policy, &self.prewarm.host, target, dispatch);
        let Some(errand) = errand else { return false };
        matches!(self.filler.prewarm(&errand).await, Outcome::Stored(_))
    }

    /// The targets for the points that the service lists now.
    async fn list(&self, listed: &Listed) -> Result<Vec<String>, String> {
        let route = self.snapshot.routes.iter().find(|route| route.name == listed.route);
        let route = route.ok_or("there is no such route any more")?;
        let head = prewarm_head(&listed.path, &self.prewarm.host).ok_or("its path is none")?;
        let dispatch = self.dispatch(route.clone(), false);
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
