//! Which of the routes takes a request?

use std::sync::Arc;

use http::Method;

use super::Route;

/// What the table says of a request.
#[derive(Clone, Debug)]
pub enum Match {
    /// This route takes it.
    Found(Arc<Route>),
    /// The path is taken, with other methods.
    OtherMethods {
        /// The first route that takes the path, whose rules hold all the same.
        route: Arc<Route>,
        /// The value of `Allow`.
        allow: String,
    },
    /// Nothing takes this host and path.
    Nothing,
}

impl Match {
    /// The route whose rules hold.
    #[must_use]
    pub fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Found(route) | Self::OtherMethods { route, .. } => Some(route),
            Self::Nothing => None,
        }
    }
}

/// The routes, exact paths first, then the longest prefix; among equals, those that name a host
/// first.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
}

impl RouteTable {
    /// Sorts the routes into the order in which they are asked.
    #[must_use]
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by(|one, other| {
            (other.rank(), !other.hosts.is_empty()).cmp(&(one.rank(), !one.hosts.is_empty()))
        });
        Self { routes }
    }

    /// The routes in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// Finds the route of a request. The exact path, else the longest prefix, that takes host and
    /// path decides; if none of the routes with it takes the method, shorter ones are not asked.
    #[must_use]
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Match {
        let mut allowed: Vec<&Method> = Vec::new();
        let mut decided: Option<&Arc<Route>> = None;
        for route in &self.routes {
            if decided.is_some_and(|decided| decided.rank() != route.rank()) {
                break;
            }
            if !route.takes_host(host) || !route.takes_path(path) {
                continue;
            }
            if route.takes_method(method) {
                return Match::Found(route.clone());
            }
            decided = decided.or(Some(route));
            allowed.extend(&route.methods);
        }
        match decided {
            Some(route) => Match::OtherMethods { route: route.clone(), allow: allow(&allowed) },
            None => Match::Nothing,
        }
    }
}

pub(super) fn allow(methods: &[&Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
