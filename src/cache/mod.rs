//! What do we already have, may it be served, and who is fetching it now?
//!
//! [`key`] names an answer, [`policy`] says whether it is kept and [`windows`] for how long,
//! [`mod@demand`] what a client takes of it, [`store`] holds it, [`flight`] makes sure that one fetch
//! serves all who wait. None of them does I/O or reads a clock, and none needs a Pingora session:
//! [`lookup`] is the whole decision.

pub mod ahead;
pub mod backing;
pub mod coding;
mod compact;
mod costs;
pub mod date;
pub mod demand;
pub mod directives;
mod doorkeeper;
pub mod flight;
pub mod invalidation;
pub mod key;
pub mod labels;
pub mod misses;
pub mod note;
pub mod object;
pub mod outcome;
pub mod part;
pub mod policy;
pub mod query;
pub mod queue;
pub mod record;
pub mod said;
mod storage;
pub mod store;
pub mod tag;
mod variants;
pub mod windows;

use std::sync::Arc;

use http::HeaderMap;

use crate::clock::Now;
use demand::Demand;
use key::Key;
use object::Object;
use policy::Policy;
use store::{Found, Store};
use windows::Freshness;

/// What the store has for a request.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// An answer that is fresh.
    Fresh(Arc<Object>),
    /// An answer that is stale, and may be served while it is refreshed.
    Stale(Arc<Object>),
    /// Nothing that may be served now.
    Miss {
        /// Why not.
        why: Forwarded,
        /// An answer for when the upstream fails.
        on_error: Option<Arc<Object>>,
    },
}

/// Why a request goes to the upstream: the words of RFC 9211, section 2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarded {
    /// The route keeps nothing, or the client wants nothing kept.
    #[default]
    Bypass,
    /// Answers to its method are not kept.
    Method,
    /// Nothing is kept for its target.
    UriMiss,
    /// What is kept for its target is selected by other requests.
    VaryMiss,
    /// What is kept is fresh, and the client does not take it.
    Request,
    /// What is kept is fresh no more.
    Stale,
}

impl Forwarded {
    /// The word in `Cache-Status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// Looks a request up: which stored answer it selects, and whether that may be served to it.
#[must_use]
pub fn lookup(store: &Store, policy: &Policy, key: &Key, asked: &HeaderMap, now: Now) -> Lookup {
    let object = match store.find(key, asked) {
        Found::Selected(object) => match object.cut(asked) {
            Some(object) => object,
            None => return Lookup::Miss { why: Forwarded::UriMiss, on_error: None },
        },
        Found::Others => return Lookup::Miss { why: Forwarded::VaryMiss, on_error: None },
        Found::Nothing => return Lookup::Miss { why: Forwarded::UriMiss, on_error: None },
    };
    let is_fresh = object.windows.freshness(now.wall) == Freshness::Fresh;
    let why = if is_fresh { Forwarded::Request } else { Forwarded::Stale };
    match demand(policy, asked).freshness(&object.windows, now.wall) {
        Freshness::Fresh => Lookup::Fresh(object),
        Freshness::Stale => Lookup::Stale(object),
        Freshness::StaleOnError => Lookup::Miss { why, on_error: Some(object) },
        Freshness::Expired => Lookup::Miss { why, on_error: None },
    }
}

/// What a request asks of a stored answer, where a client may ask for anything.
#[must_use]
pub fn demand(policy: &Policy, asked: &HeaderMap) -> Demand {
    if policy.obeys_clients { Demand::of(asked) } else { Demand::default() }
}
