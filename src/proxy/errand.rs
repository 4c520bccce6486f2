//! What is looked for in the cache, and what is fetched when it is not there?

use std::sync::Arc;

use http::{Uri, header};
use pingora::http::RequestHeader;

use super::ctx::Ctx;
use super::exchange::Dispatch;
use super::headers;
use crate::admission::Identified;
use crate::auth::Scheme;
use crate::cache;
use crate::cache::key::Key;
use crate::cache::policy::Policy;
use crate::refusal::Refusal;
use crate::route::{Asking, Credentials, Route};

/// One request for an answer that may be shared.
#[derive(Clone)]
pub struct Errand {
    /// Name of the answer.
    pub key: Key,
    /// The policy under which it is kept.
    pub policy: Policy,
    /// What is sent to the upstream.
    pub head: Arc<RequestHeader>,
    /// Route, origin, deadline.
    pub dispatch: Dispatch,
    /// The route's host, without port.
    pub host: Arc<str>,
    /// Whether the client asks for a part.
    pub wants_part: bool,
    /// Whether nobody in particular asks.
    pub is_anonymous: bool,
    /// Whether the head has a credential that the gateway did not verify.
    pub is_authorized: bool,
}

/// A request whose answer may be kept.
pub(super) struct Keeping<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) host: &'a str,
    pub(super) head: &'a RequestHeader,
    pub(super) wanted: Wanted,
}

/// What is looked for in the cache.
pub(super) struct Wanted {
    /// The policy under which it is kept.
    pub(super) policy: Policy,
    /// Its name.
    pub(super) key: Key,
    /// The target that stands for all that ask for the same, where it is another than the client's.
    target: Option<Uri>,
}

impl Keeping<'_> {
    /// Whether the client wants no fetch for it.
    pub(super) fn takes_only_what_is_kept(&self) -> bool {
        cache::demand(&self.wanted.policy, &self.head.headers).only_if_cached
    }

    /// The fetch of its answer. A hit needs none, so it is only put together where one is run.
    pub(super) fn errand(&self, ctx: &Ctx) -> Result<Errand, Refusal> {
        let (policy, key) = (self.wanted.policy.clone(), self.wanted.key);
        let mut head = headers::fetch_head(self.head, self.host).ok_or(Refusal::Internal)?;
        if let Some(target) = &self.wanted.target {
            head.set_uri(target.clone());
        }
        let schemes: Vec<Scheme> = ctx.callers.iter().map(|caller| caller.scheme).collect();
        let passes_on = policy.follows_upstream() && self.route.credentials == Credentials::Forward;
        let is_authorized = headers::make_keepable(&mut head, self.host, &schemes, passes_on);
        let mut dispatch = ctx.dispatch(self.route);
        if policy.shared {
            // Everybody gets this answer, so nobody in particular asks for it.
            dispatch.callers = Arc::default();
            dispatch.client = None;
        }
        let is_anonymous = schemes.first() == Some(&Scheme::Anonymous);
        let (host, head) = (self.host.into(), Arc::new(head));
        let wants_part = self.head.headers.contains_key(header::RANGE);
        Ok(Errand { key, policy, head, dispatch, host, wants_part, is_anonymous, is_authorized })
    }
}

/// What to look for in the cache; nothing, when the route keeps no answer to this.
pub(super) fn wanted(
    identified: &Identified,
    head: &RequestHeader,
    is_tls: bool,
) -> Option<Wanted> {
    let Identified { route, host, .. } = identified;
    let policy = route.cache.as_ref().filter(|_| route.caches(&head.method))?;
    if cache::demand(policy, &head.headers).no_store {
        return None;
    }
    let identity = if policy.shared { String::new() } else { identified.identity() };
    let target = policy.query.canonical(&head.uri);
    let asking =
        Asking { is_tls, host, target: target.as_ref().unwrap_or(&head.uri), identity: &identity };
    let key = route.cache_key(policy, &asking);
    Some(Wanted { policy: policy.clone(), key, target })
}

/// The errand of a fetch that no client caused.
pub fn prewarm_errand(
    policy: &Policy,
    host: &str,
    target: &str,
    dispatch: Dispatch,
) -> Option<Errand> {
    let mut head = headers::prewarm_head(target, host)?;
    if let Some(target) = policy.query.canonical(&head.uri) {
        head.set_uri(target);
    }
    let identity = crate::auth::Principal::anonymous().identity_key();
    let asking = Asking { is_tls: dispatch.is_tls, host, target: &head.uri, identity: &identity };
    let key = dispatch.route.cache_key(policy, &asking);
    let (policy, host, head) = (policy.clone(), host.into(), Arc::new(head));
    let (is_anonymous, is_authorized) = (true, false);
    let wants_part = false;
    Some(Errand { key, policy, head, dispatch, host, wants_part, is_anonymous, is_authorized })
}
