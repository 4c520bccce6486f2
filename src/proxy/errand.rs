//! What is looked for in the cache, and what is fetched when it is not there?

use std::sync::Arc;

use pingora::http::RequestHeader;

use super::ctx::Ctx;
use super::exchange::Dispatch;
use super::fill::Errand;
use super::headers;
use crate::admission::Identified;
use crate::auth::Scheme;
use crate::cache;
use crate::cache::key::{Key, TargetKey};
use crate::cache::policy::Policy;
use crate::refusal::Refusal;
use crate::route::Route;

/// A request whose answer may be kept.
pub(super) struct Keeping<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) host: &'a str,
    pub(super) head: &'a RequestHeader,
    pub(super) wanted: (Policy, Key),
}

impl Keeping<'_> {
    /// Whether the client wants no fetch for it.
    pub(super) fn takes_only_what_is_kept(&self) -> bool {
        cache::demand(&self.wanted.0, &self.head.headers).only_if_cached
    }

    /// The fetch of its answer. A hit needs none, so it is only put together where one is run.
    pub(super) fn errand(&self, ctx: &Ctx) -> Result<Errand, Refusal> {
        let (policy, key) = self.wanted.clone();
        let mut head = headers::fetch_head(self.head, self.host).ok_or(Refusal::Internal)?;
        let schemes: Vec<Scheme> = ctx.callers.iter().map(|caller| caller.scheme).collect();
        let is_authorized = headers::make_keepable(&mut head, self.host, &schemes, &policy);
        let mut dispatch = ctx.dispatch(self.route);
        if policy.shared {
            // Everybody gets this answer, so nobody in particular asks for it.
            dispatch.callers = Arc::default();
        }
        let is_anonymous = schemes.first() == Some(&Scheme::Anonymous);
        let (target, head) = (target_of(self.host, &head), Arc::new(head));
        Ok(Errand { key, policy, head, dispatch, target, is_anonymous, is_authorized })
    }
}

/// What to look for in the cache; nothing, when the route keeps no answer to this.
pub(super) fn wanted(identified: &Identified, head: &RequestHeader) -> Option<(Policy, Key)> {
    let Identified { route, host, .. } = identified;
    let policy = route.cache.as_ref().filter(|_| route.caches(&head.method))?;
    if cache::demand(policy, &head.headers).no_store {
        return None;
    }
    let identity = if policy.shared { String::new() } else { identified.identity() };
    let key = route.cache_key(policy, host, &head.uri, &identity);
    Some((policy.clone(), key))
}

/// The errand of a fetch that no client caused.
pub fn prewarm_errand(
    policy: &Policy,
    host: &str,
    target: &str,
    dispatch: Dispatch,
) -> Option<Errand> {
    let head = headers::prewarm_head(target, host)?;
    let identity = crate::auth::Principal::anonymous().identity_key();
    let key = dispatch.route.cache_key(policy, host, &head.uri, &identity);
    let target = target_of(host, &head);
    let (policy, head) = (policy.clone(), Arc::new(head));
    let (is_anonymous, is_authorized) = (true, false);
    Some(Errand { key, policy, head, dispatch, target, is_anonymous, is_authorized })
}

fn target_of(host: &str, head: &RequestHeader) -> TargetKey {
    TargetKey::new(host, head.uri.path(), head.uri.query().unwrap_or_default())
}
