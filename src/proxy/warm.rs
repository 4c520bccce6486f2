//! How is an answer fetched that no client waits for?

use std::sync::Arc;

use super::errand::{Errand, prewarm_errand};
use super::exchange::{Dispatch, Origin};
use super::fill::Filler;
use super::request_id::new_request_id;
use crate::cache::outcome::Outcome;
use crate::clock::Now;
use crate::route::Route;
use crate::snapshot::Snapshot;

/// What is fetched: what anybody would be answered who asks a route of this host for a target.
#[derive(Clone, Debug)]
pub struct Target {
    /// The configuration that serves.
    pub snapshot: Arc<Snapshot>,
    /// The route that takes it.
    pub route: Arc<Route>,
    /// The host, without port.
    pub host: String,
    /// Path and query.
    pub target: String,
}

impl Target {
    /// Fetches it as a client of this scheme would be answered; `None` when the route keeps nothing,
    /// or the target is none.
    pub async fn warm(&self, filler: &Arc<Filler>, is_tls: bool) -> Option<Outcome> {
        let errand = self.errand(is_tls)?;
        Some(filler.prewarm(&errand).await)
    }

    /// Fetches it as it is kept under this key; `None` where that answers nobody but its principal.
    pub async fn refill(&self, filler: &Arc<Filler>, key: &[u8; 16]) -> Option<Outcome> {
        let errands = [false, true].into_iter().filter_map(|is_tls| self.errand(is_tls));
        let errand = errands.into_iter().find(|errand| errand.key.as_bytes() == key)?;
        Some(filler.prewarm(&errand).await)
    }

    fn errand(&self, is_tls: bool) -> Option<Errand> {
        let policy = self.route.cache.as_ref()?;
        let dispatch = Dispatch {
            snapshot: self.snapshot.clone(),
            route: self.route.clone(),
            request_id: new_request_id(),
            origin: Origin::Prewarm,
            client: None,
            is_tls,
            callers: Arc::default(),
            deadline: Now::read().instant + self.route.timeout,
            failure: Arc::default(),
            interim: None,
        };
        prewarm_errand(policy, &self.host, &self.target, dispatch)
    }
}
