//! What do we already have, may it be served, and who is fetching it now?
//!
//! [`key`] names an answer, [`policy`] says whether it is kept and [`windows`] for how long, [`demand`]
//! what a client takes of it, [`store`] holds it, [`flight`] makes sure that one fetch serves all who wait. None of them does I/O or reads a
//! clock, and none needs a Pingora session: [`lookup`] is the whole decision.

pub mod date;
pub mod demand;
pub mod directives;
pub mod flight;
pub mod invalidation;
pub mod key;
pub mod object;
pub mod outcome;
pub mod policy;
pub mod store;
pub mod windows;

use std::sync::Arc;

use http::HeaderMap;

use crate::clock::Now;
use demand::Demand;
use key::Key;
use object::Object;
use policy::Policy;
use store::Store;
use windows::Freshness;

/// What the store has for a request.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// An answer that is fresh.
    Fresh(Arc<Object>),
    /// An answer that is stale, and may be served while it is refreshed.
    Stale(Arc<Object>),
    /// Nothing that may be served now; perhaps an answer for when the upstream fails.
    Miss(Option<Arc<Object>>),
}

/// Looks a request up: which stored answer it selects, and whether that may be served to it.
#[must_use]
pub fn lookup(store: &Store, policy: &Policy, key: &Key, asked: &HeaderMap, now: Now) -> Lookup {
    let Some(object) = store.find(key, asked) else {
        return Lookup::Miss(None);
    };
    match demand(policy, asked).freshness(&object.windows, now.wall) {
        Freshness::Fresh => Lookup::Fresh(object),
        Freshness::Stale => Lookup::Stale(object),
        Freshness::StaleOnError => Lookup::Miss(Some(object)),
        Freshness::Expired => Lookup::Miss(None),
    }
}

/// What a request asks of a stored answer, where a client may ask for anything.
#[must_use]
pub fn demand(policy: &Policy, asked: &HeaderMap) -> Demand {
    if policy.obeys_clients { Demand::of(asked) } else { Demand::default() }
}
