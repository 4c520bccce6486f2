//! What do we already have, may it be served, and who is fetching it now?
//!
//! [`key`] names an answer, [`policy`] says how long it may be used, [`store`] holds it,
//! [`flight`] makes sure that one fetch serves all who wait. None of them does I/O or reads a
//! clock, and none needs a Pingora session: [`lookup`] is the whole decision.

pub mod flight;
pub mod key;
pub mod object;
pub mod outcome;
pub mod policy;
pub mod store;

use std::sync::Arc;

use http::request::Parts;

use crate::clock::Now;
use key::Key;
use object::Object;
use policy::Freshness;
use store::Store;

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

/// Looks a request up: which stored answer it selects, and whether that may be served.
#[must_use]
pub fn lookup(store: &Store, key: &Key, head: &Parts, now: Now) -> Lookup {
    let Some(object) = store.find(key, &head.headers) else {
        return Lookup::Miss(None);
    };
    match object.windows.freshness(now.wall) {
        Freshness::Fresh => Lookup::Fresh(object),
        Freshness::Stale => Lookup::Stale(object),
        Freshness::StaleOnError => Lookup::Miss(Some(object)),
        Freshness::Expired => Lookup::Miss(None),
    }
}
