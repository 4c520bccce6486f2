//! Which route takes a host, a path and a method?
//!
//! A [`Route`] is the record that holds every other concern's compiled rules for one path, so
//! that a request that has its route has all it needs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Uri};

use crate::auth::Authenticator;
use crate::cache::key::{Key, KeyParts};
use crate::cache::policy::Policy;
use crate::envelope::{Rule, StatusForm};
use crate::ratelimit::{self, Quota};
use crate::upstream::Pool;

/// All rules for one path.
#[derive(Debug)]
pub struct Route {
    /// Name in logs and metrics.
    pub name: String,
    /// Hosts, lower case without port; empty means any.
    pub hosts: Vec<String>,
    /// Paths that begin with this, on a segment's edge.
    pub path_prefix: String,
    /// Methods; empty means any.
    pub methods: Vec<Method>,
    /// Who may call.
    pub authenticator: Authenticator,
    /// A scope that the principal must have.
    pub scope: Option<String>,
    /// How often each principal may call.
    pub limit: Option<Arc<Limit>>,
    /// How answers are kept; `None` means that they are not.
    pub cache: Option<Policy>,
    /// How JSON answers are wrapped; `None` means that they pass as they are.
    pub envelope: Option<Rule>,
    /// The form of the gateway's own answers.
    pub status_form: StatusForm,
    /// Whether the client's credentials are kept from the service.
    pub strips_credentials: bool,
    /// How long a request may take in all.
    pub timeout: Duration,
    /// Largest request body.
    pub body_bytes_max: usize,
    /// Who answers.
    pub pool: Arc<Pool>,
    /// What is fetched before anyone asks.
    pub prewarm: Option<Prewarm>,
}

/// A named quota.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The quota's name: routes with one name share one count a principal.
    pub name: String,
    /// How much it allows.
    pub quota: Quota,
    /// The `RateLimit-Policy` field that says so.
    pub policy_field: HeaderValue,
}

impl Limit {
    /// A quota with its name; `None` when the name cannot stand in a header field.
    #[must_use]
    pub fn new(name: &str, quota: Quota) -> Option<Self> {
        let policy_field = ratelimit::policy_field(name, quota).try_into().ok()?;
        Some(Self { name: name.to_owned(), quota, policy_field })
    }
}

/// What is fetched before anyone asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prewarm {
    /// How often.
    pub every: Duration,
    /// The host that the requests name.
    pub host: String,
    /// Paths with query.
    pub targets: Vec<String>,
}

impl Route {
    /// The name under which the answer to a `GET` is kept; `identity` is who asks.
    #[must_use]
    pub fn cache_key(&self, policy: &Policy, host: &str, target: &Uri, identity: &str) -> Key {
        Key::new(&KeyParts {
            route: &self.name,
            pool: &self.pool.name,
            form: self.envelope.map(|rule| rule.status_form.as_str()),
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
        let Some(rest) = path.strip_prefix(&self.path_prefix) else { return false };
        rest.is_empty() || self.path_prefix.ends_with('/') || rest.starts_with('/')
    }

    fn takes_method(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

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

/// The routes, longest prefix first; among equals, those that name a host first.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
}

impl RouteTable {
    /// Sorts the routes into the order in which they are asked.
    #[must_use]
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by(|one, other| {
            (other.path_prefix.len(), !other.hosts.is_empty())
                .cmp(&(one.path_prefix.len(), !one.hosts.is_empty()))
        });
        Self { routes }
    }

    /// The routes in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// Finds the route of a request. The longest prefix that takes host and path decides; if none
    /// of the routes with that prefix takes the method, shorter ones are not asked.
    #[must_use]
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Match {
        let mut allowed: Vec<&Method> = Vec::new();
        let mut decided: Option<&Arc<Route>> = None;
        for route in &self.routes {
            if decided.is_some_and(|decided| decided.path_prefix != route.path_prefix) {
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

fn allow(methods: &[&Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// Brings a path to the one spelling that routes are matched by: escapes of unreserved characters
/// are undone (RFC 3986, section 6.2.2.2), so that `%61dmin` cannot walk around `admin`.
///
/// `None` for a path that an upstream could read as another one: with empty, `.` or `..` segments,
/// plain or escaped, with a backslash, an escaped slash or NUL, or with a broken escape.
#[must_use]
pub fn canonical_path(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') || path.contains('\\') {
        return None;
    }
    let canonical =
        if path.contains('%') { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    let has_dots = canonical.split('/').any(|segment| segment == "." || segment == "..");
    let has_empty = canonical.contains("//");
    (!has_dots && !has_empty).then_some(canonical)
}

fn unescape(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after.get(..2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        out.push_str(before);
        match byte {
            0 | b'/' | b'\\' => return None,
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after.get(2..)?;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, wanted: Option<&str>) {
        assert_eq!(canonical_path(path).as_deref(), wanted, "{path}");
    }

    #[test]
    fn escapes_of_plain_characters_are_undone() {
        check("/%61dmin/%7Ex", Some("/admin/~x"));
        check("/a%20b/%c3%a9", Some("/a%20b/%C3%A9"));
        check("/plain/path", Some("/plain/path"));
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for path in
            ["/a/../b", "/a/%2e%2E/b", "/./a", "/a%2fb", "/a%00", "/a\\b", "/%5cb", "//a", "/a//b"]
        {
            check(path, None);
        }
        for path in ["/a%", "/a%2", "/a%zz", "/%+1", "a", ""] {
            check(path, None);
        }
    }

    #[test]
    fn dots_inside_a_segment_are_only_dots() {
        check("/a..b/...", Some("/a..b/..."));
    }

    proptest! {
        #[test]
        fn canonical_paths_are_a_fixed_point(path in "/[ -~]{0,24}") {
            if let Some(once) = canonical_path(&path) {
                let twice = canonical_path(&once).map(Cow::into_owned);
                prop_assert_eq!(twice.as_deref(), Some(once.as_ref()));
            }
        }
    }
}
