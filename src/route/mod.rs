//! Which route takes a host, a path and a method?
//!
//! A [`Route`] is the record that holds every other concern's compiled rules for one path, so
//! that a request that has its route has all it needs.

mod endpoint;
mod limit;
mod path;
mod table;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};

pub use self::endpoint::Endpoint;
pub use self::limit::{Counts, Limit, QuotaOf, network_key};
pub use self::path::{canonical_path, without_parameters};
pub use self::table::{Match, RouteTable};
use crate::auth::{Authenticator, Principal};
use crate::cache::key::{Key, KeyParts};
use crate::cache::policy::Policy;
use crate::envelope::{Rule, StatusForm};
use crate::upstream::Pool;

/// All rules for one path.
#[derive(Debug)]
pub struct Route {
    /// Name in logs and metrics.
    pub name: String,
    /// Hosts, lower case without port; empty means any.
    pub hosts: Vec<String>,
    /// Which paths it takes.
    pub paths: Paths,
    /// Methods; empty means any.
    pub methods: Vec<Method>,
    /// Who may call.
    pub authenticator: Authenticator,
    /// What the principal must be allowed.
    pub scopes: Vec<ScopeRule>,
    /// Whether only integration tokens are taken: those that say for whom they speak and what they
    /// may do.
    pub integration: bool,
    /// How often each principal may call.
    pub limits: Vec<Arc<Limit>>,
    /// Whether an upstream's refusal counts as a failed login of the client's address.
    pub is_login: bool,
    /// Whether its answers are JSON, so that a client that takes none is refused.
    pub is_json_only: bool,
    /// How answers are kept; `None` means that they are not.
    pub cache: Option<Policy>,
    /// How JSON answers are wrapped; `None` means that they pass as they are.
    pub envelope: Option<Rule>,
    /// The form of the gateway's own answers.
    pub status_form: StatusForm,
    /// What the service learns of the client's credentials.
    pub credentials: Credentials,
    /// How long a request may take in all.
    pub timeout: Duration,
    /// Largest request body.
    pub body_bytes_max: usize,
    /// Who answers.
    pub target: Target,
    /// What is fetched before anyone asks.
    pub prewarm: Option<Prewarm>,
}

/// Which paths a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    /// Exactly these.
    Exact(Vec<String>),
    /// Those that begin with this, on a segment's edge.
    Prefix(String),
}

/// Who answers a route's requests.
#[derive(Clone, Debug)]
pub enum Target {
    /// The gateway itself.
    Endpoint(Endpoint),
    /// One of the pool's peers.
    Pool(Arc<Pool>),
}

/// What a service learns of the client's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They pass through as they came.
    Forward,
    /// A short-lived token of the gateway says who calls.
    Internal,
    /// Nothing.
    Strip,
}

/// What a principal must be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRule {
    /// One of these is enough.
    pub any: Vec<String>,
    /// The methods that ask for it; empty means all.
    pub methods: Vec<Method>,
}

impl ScopeRule {
    /// Whether one of the callers may do what this rule asks of a request with this method.
    #[must_use]
    pub fn holds<'a>(
        &self,
        method: &Method,
        mut callers: impl Iterator<Item = &'a Principal>,
    ) -> bool {
        !is_about(&self.methods, method)
            || callers.any(|caller| self.any.iter().any(|scope| caller.has_scope(scope)))
    }
}

fn is_about(methods: &[Method], method: &Method) -> bool {
    methods.is_empty()
        || methods.contains(method)
        || (*method == Method::HEAD && methods.contains(&Method::GET))
}

/// What is fetched before anyone asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prewarm {
    /// How often.
    pub every: Duration,
    /// The host that the requests name.
    pub host: String,
    /// How much earlier than that a round may begin.
    pub jitter: Duration,
    /// Over which schemes the requests of clients come: `true` stands for TLS.
    pub schemes: Vec<bool>,
    /// Paths with query, complete.
    pub targets: Vec<String>,
    /// Further ones, for points that a service lists.
    pub listed: Option<Listed>,
}

/// Targets for the points that a service lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Name of the route that leads to the service.
    pub route: String,
    /// Path with query of the list.
    pub path: String,
    /// Where in its JSON the list is.
    pub pointer: String,
    /// Most points.
    pub points_max: usize,
    /// Targets with names in braces.
    pub templates: Vec<String>,
}

/// What a request says to the key of its answer.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Whether the client came over TLS.
    pub is_tls: bool,
    /// The host that the route took, without port.
    pub host: &'a str,
    /// Path and query as the upstream is asked for them.
    pub target: &'a Uri,
    /// Who asks, where answers are told apart by that.
    pub identity: &'a str,
}

impl Route {
    /// The pool that answers, unless the gateway does itself.
    #[must_use]
    pub fn pool(&self) -> Option<&Arc<Pool>> {
        match &self.target {
            Target::Endpoint(_) => None,
            Target::Pool(pool) => Some(pool),
        }
    }

    /// The value of `Allow` for its methods.
    #[must_use]
    pub fn allow(&self) -> String {
        table::allow(&self.methods.iter().collect::<Vec<_>>())
    }

    /// The name under which the answer to a `GET` is kept; `identity` is who asks.
    #[must_use]
    pub fn cache_key(&self, policy: &Policy, asking: &Asking<'_>) -> Key {
        let Asking { is_tls, host, target, identity } = *asking;
        Key::new(&KeyParts {
            route: &self.name,
            pool: self.pool().map_or("", |pool| &pool.name),
            form: self.envelope.map(|rule| rule.status_form.as_str()),
            scheme: if is_tls { "https" } else { "http" },
            host,
            path: target.path(),
            query: target.query().unwrap_or_default(),
            principal: (!policy.shared).then_some(identity),
        })
    }

    /// Whether answers are collected whole before they leave: cached or wrapped ones are, all
    /// others stream.
    #[must_use]
    pub fn collects(&self) -> bool {
        self.cache.is_some() || self.envelope.is_some()
    }

    /// Whether this method's answers may come from the cache.
    #[must_use]
    pub fn caches(&self, method: &Method) -> bool {
        self.cache.is_some() && matches!(*method, Method::GET | Method::HEAD)
    }

    fn takes_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|taken| taken == host)
    }

    fn takes_path(&self, path: &str) -> bool {
        let prefix = match &self.paths {
            Paths::Exact(paths) => return paths.iter().any(|taken| taken == path),
            Paths::Prefix(prefix) => prefix,
        };
        let Some(rest) = path.strip_prefix(prefix.as_str()) else { return false };
        rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/')
    }

    fn takes_method(&self, method: &Method) -> bool {
        is_about(&self.methods, method)
    }

    /// Where the route stands in the table: exact paths before prefixes, long ones before short.
    fn rank(&self) -> usize {
        match &self.paths {
            Paths::Exact(_) => usize::MAX,
            Paths::Prefix(prefix) => prefix.len(),
        }
    }
}
