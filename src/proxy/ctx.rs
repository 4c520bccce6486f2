//! What belongs to one request, from its head to its line in the log.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use once_cell::sync::OnceCell;

use super::changes::Change;
use super::exchange::{Dispatch, Origin};
use crate::admission::Charged;
use crate::auth::Principal;
use crate::cache::Forwarded;
use crate::cache::coding::Coding;
use crate::cache::object::Object;
use crate::clock::Now;
use crate::envelope::StatusForm;
use crate::ratelimit;
use crate::refusal::Refusal;
use crate::route::Route;
use crate::snapshot::Snapshot;
use crate::upstream::{self, Pool};

/// One request's own values; dropped after its line is logged.
pub struct Ctx {
    /// The configuration under which the whole request is served.
    pub snapshot: Arc<Snapshot>,
    /// When its head was read.
    pub started: Now,
    /// Its id.
    pub request_id: Arc<str>,
    /// Whose errand it is.
    pub origin: Origin,
    /// The client's address; unknown for requests of the gateway's own.
    pub client: Option<IpAddr>,
    /// Whether the client came over TLS.
    pub is_tls: bool,
    /// Its route, once found.
    pub route: Option<Arc<Route>>,
    /// Who is calling, once known, the first of the fixed order first.
    pub callers: Arc<[Principal]>,
    /// The charges to quotas.
    pub charged: Vec<Charged>,
    /// The failed login that this counts as until the upstream has accepted it.
    pub login: Option<Charged>,
    /// Counts the request in flight for its address.
    pub shield: Option<ratelimit::InFlight>,
    /// The answer that is served from memory.
    pub pinned: Option<Arc<Object>>,
    /// The coding in which it leaves, if any.
    pub coding: Option<Coding>,
    /// What the cache had to do with it.
    pub cache: CacheResult,
    /// Why it went to the upstream, if it did.
    pub forwarded: Forwarded,
    /// Whether what was fetched for it is kept.
    pub is_stored: bool,
    /// What it may change, so that answers in the cache hold no more.
    pub change: Option<Change>,
    /// When the answer must be complete.
    pub deadline: Option<Instant>,
    /// The attempts at peers.
    pub attempts: Attempts,
    /// The request's body, where it was read to check its signature.
    pub body: Option<Bytes>,
    /// Bytes of the request's body that were streamed.
    pub body_bytes: usize,
    /// The refusal that answered it.
    pub refused: Option<&'static str>,
    /// What only the log is told of a refusal.
    pub reason: Option<Cow<'static, str>>,
    /// Where a subrequest leaves why it has no answer.
    pub failure: Arc<OnceCell<Refusal>>,
}

/// The attempts of one request at the peers of its pool.
#[derive(Default)]
pub struct Attempts {
    /// Peers that were tried.
    pub tried: Vec<SocketAddr>,
    /// When the last attempt began.
    pub began: Option<Instant>,
    /// Counts the request in flight at the pool.
    pub in_flight: Option<upstream::InFlight>,
    /// Whether the next attempt is counted with the pool's budget already.
    pub is_paid: bool,
    /// Why no further peer is tried: the last peer says so to the client.
    pub given_up: Option<Refusal>,
}

/// What the cache had to do with an answer: a closed set for logs and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheResult {
    /// The route keeps nothing, or the request was refused.
    #[default]
    None,
    /// Served fresh.
    Hit,
    /// Served stale while it is refreshed.
    Stale,
    /// Served stale, and not refreshed, because the upstream may take few more calls.
    Stretched,
    /// Served stale because the upstream failed.
    StaleOnError,
    /// Fetched.
    Miss,
    /// Fetched by another request at the same time.
    Collapsed,
    /// The failure of a moment ago, without asking again.
    Remembered,
}

impl CacheResult {
    /// Whether the answer was there before the request.
    #[must_use]
    pub fn is_from_memory(self) -> bool {
        matches!(self, Self::Hit | Self::Stale | Self::Stretched | Self::StaleOnError)
    }

    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Stretched => "stretched",
            Self::StaleOnError => "stale_on_error",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Remembered => "remembered",
        }
    }
}

impl Ctx {
    /// A request that just arrived.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, started: Now) -> Self {
        Self {
            snapshot,
            started,
            request_id: Arc::default(),
            origin: Origin::Client,
            client: None,
            is_tls: false,
            route: None,
            callers: Arc::default(),
            charged: Vec::new(),
            login: None,
            shield: None,
            pinned: None,
            coding: None,
            cache: CacheResult::None,
            forwarded: Forwarded::default(),
            is_stored: false,
            change: None,
            deadline: None,
            attempts: Attempts::default(),
            body: None,
            body_bytes: 0,
            refused: None,
            reason: None,
            failure: Arc::default(),
        }
    }

    /// Makes this the subrequest of an exchange.
    pub fn adopt(&mut self, dispatch: &Dispatch) {
        self.snapshot = dispatch.snapshot.clone();
        self.request_id = dispatch.request_id.clone();
        self.origin = dispatch.origin;
        self.client = dispatch.client;
        self.is_tls = dispatch.is_tls;
        self.route = Some(dispatch.route.clone());
        self.deadline = Some(dispatch.deadline);
        self.callers = dispatch.callers.clone();
        self.failure = dispatch.failure.clone();
    }

    /// What an exchange for this request must know.
    #[must_use]
    pub fn dispatch(&self, route: &Arc<Route>) -> Dispatch {
        Dispatch {
            snapshot: self.snapshot.clone(),
            route: route.clone(),
            request_id: self.request_id.clone(),
            origin: Origin::Client,
            client: self.client,
            is_tls: self.is_tls,
            callers: self.callers.clone(),
            deadline: self.deadline_on(route),
            failure: Arc::default(),
            interim: None,
        }
    }

    /// When the answer must be complete on this route.
    #[must_use]
    pub fn deadline_on(&self, route: &Route) -> Instant {
        self.started.instant + route.timeout
    }

    /// The pool that answers, unless the gateway does itself.
    #[must_use]
    pub fn pool(&self) -> Option<&Arc<Pool>> {
        self.route.as_ref().and_then(|route| route.pool())
    }

    /// The form of the gateway's own answers to this request.
    #[must_use]
    pub fn status_form(&self) -> StatusForm {
        self.route.as_ref().map_or(self.snapshot.status_form, |route| route.status_form)
    }

    /// The time left until the answer must be complete.
    #[must_use]
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }
}
