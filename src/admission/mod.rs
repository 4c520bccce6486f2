//! May this request go on?
//!
//! The one decision of the edge, without a socket and without a Pingora session, in three steps:
//! [`locate`] the route, which says whether the body is needed; [`identify`] who is calling and
//! whether they may; [`charge`] their quotas. What the steps must ask beyond the configuration they
//! ask [`State`].

mod accept;
mod charge;
mod identify;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::request::Parts;

pub use self::charge::{Admission, Charged, charge, refund};
pub use self::identify::{Identified, identify};
use crate::clock::Now;
use crate::envelope::StatusForm;
use crate::ratelimit::{self, RetryAfter};
use crate::refusal::Refusal;
use crate::route::{Limit, Match, Route, canonical_path, without_parameters};
use crate::snapshot::Snapshot;
use crate::state::State;

/// A request that has arrived, as far as the decision needs it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The request's head.
    pub head: &'a Parts,
    /// The whole body where [`Located::needs_body`] says so, else nothing.
    pub body: &'a [u8],
    /// The request's id, for the log.
    pub request_id: &'a str,
    /// When it arrived.
    pub now: Now,
}

/// A request whose route is known.
#[derive(Clone, Debug)]
pub struct Located {
    /// The route.
    pub route: Arc<Route>,
    /// The host that the route took, lower case, without port.
    pub host: String,
    /// The methods of the path, when it takes others than this.
    other_methods: Option<String>,
}

/// A request that may not go on.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What the client is told.
    pub refusal: Refusal,
    /// In which form.
    pub status_form: StatusForm,
    /// Name of the route, when one was found.
    pub route: Option<Arc<Route>>,
    /// `WWW-Authenticate`, where a credential would help.
    pub challenge: Option<&'static str>,
    /// The quota that is used up.
    pub limited: Option<(Arc<Limit>, RetryAfter)>,
    /// What only the log is told.
    pub reason: Option<Cow<'static, str>>,
}

impl Refused {
    /// A refusal without anything that belongs to a route.
    #[must_use]
    pub fn plain(refusal: Refusal, status_form: StatusForm) -> Self {
        Self { refusal, status_form, route: None, challenge: None, limited: None, reason: None }
    }

    fn by(route: &Arc<Route>, refusal: Refusal) -> Self {
        let challenge = route.authenticator.challenge(&refusal);
        let plain = Self::plain(refusal, route.status_form);
        Self { route: Some(route.clone()), challenge, ..plain }
    }
}

impl Located {
    /// Whether [`identify`] needs the request's body: its signature covers it.
    #[must_use]
    pub fn needs_body(&self, head: &Parts) -> bool {
        self.route.authenticator.needs_body(head)
    }
}

/// Lets a client's address in, before anything is known of the request but its head: the shield
/// counts it, and the head must be of a reasonable size.
///
/// # Errors
///
/// A refusal when the address sends too much, or the head is too large.
pub fn greet(
    snapshot: &Snapshot,
    state: &State,
    client: IpAddr,
    head: &Parts,
) -> Result<ratelimit::InFlight, Box<Refused>> {
    let refuse = |refusal| Box::new(Refused::plain(refusal, snapshot.status_form));
    let entered =
        state.shield.admit(snapshot.shield, client).map_err(|refusal| refuse(refusal.into()))?;
    let limits = &snapshot.downstream;
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let bytes = head.method.as_str().len() + target + fields.sum::<usize>();
    if head.headers.len() > limits.header_count_max || bytes > limits.header_bytes_max {
        return Err(refuse(Refusal::HeadTooLarge));
    }
    Ok(entered)
}

/// Finds the route of a request.
///
/// # Errors
///
/// A refusal when host or path cannot be read, no route takes them, or the client accepts nothing
/// that the route can give. A wrong method is not refused here: who may not call at all is not told
/// which methods there are.
pub fn locate(snapshot: &Snapshot, head: &Parts) -> Result<Located, Box<Refused>> {
    let refuse = |refusal| Box::new(Refused::plain(refusal, snapshot.status_form));
    let Some(host) = host_of(head) else {
        let why = "The Host header is missing or malformed.".into();
        return Err(refuse(Refusal::BadRequest(why)));
    };
    let ambiguous = || {
        let why = "The path can be read in two ways; send it without dots and odd escapes.".into();
        refuse(Refusal::BadRequest(why))
    };
    let path = canonical_path(head.uri.path()).ok_or_else(ambiguous)?;
    let found = snapshot.routes.find(&host, &path, &head.method);
    if let Some(bare) = without_parameters(&path) {
        let bare = canonical_path(&bare).ok_or_else(ambiguous)?;
        let also = snapshot.routes.find(&host, &bare, &head.method);
        if found.route().map(Arc::as_ptr) != also.route().map(Arc::as_ptr) {
            return Err(ambiguous());
        }
    }
    let (route, other_methods) = match found {
        Match::Found(route) => (route, None),
        Match::OtherMethods { route, allow } => (route, Some(allow)),
        Match::Nothing => return Err(refuse(Refusal::NoRoute)),
    };
    if route.is_json_only && !accept::takes_json(&head.headers) {
        return Err(Box::new(Refused::by(&route, Refusal::NotAcceptable)));
    }
    Ok(Located { route, host, other_methods })
}

/// The host that a request names, lower case, without port and without the dot of the root: from the
/// target when that has one (HTTP/2's `:authority`), else from `Host`. A service takes `a.example.`
/// for `a.example`, so it must not walk around the routes of that host.
fn host_of(head: &Parts) -> Option<String> {
    let named = match head.uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let mut fields = head.headers.get_all(http::header::HOST).iter();
            let value = fields.next()?;
            if fields.next().is_some() {
                return None;
            }
            value.to_str().ok()?.parse::<http::uri::Authority>().ok()?
        }
    };
    let host = named.host();
    let host = host.strip_suffix('.').unwrap_or(host);
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = literal.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if named.as_str().contains('@') || host.split('.').any(str::is_empty) {
        return None;
    }
    (is_address || host.bytes().all(plain)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use std::time::Duration;

    use futures::FutureExt;
    use http::Request;

    use super::*;
    use crate::snapshot::fixture::snapshot;
    use crate::state::Outliving;

    /// SHA-256 of `secret`.
    const CONFIG: &str = "
listeners: [{address: 127.0.0.1:1}]
admin: {address: 127.0.0.1:2}
auth:
  api_keys:
    keys:
      - id: script
        sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b
        scopes: [read]
limits: {quotas: {two: 2/min, one: 1/min}}
routes:
  - {name: open, path_prefix: /open, methods: [GET], pool: service, auth: {anonymous: true}, quotas: [two]}
  - {name: keyed, hosts: [a.example], path_prefix: /keyed, methods: [GET], pool: service, auth: {any: [api_key]}, quotas: [one]}
  - {name: written, path_prefix: /written, pool: service, auth: {any: [api_key], scopes: [write]}}
";

    struct Edge {
        snapshot: Snapshot,
        state: Arc<State>,
        now: Now,
    }

    impl Edge {
        fn new() -> Self {
            let snapshot = snapshot(CONFIG);
            let now = Now::read();
            let state = State::in_memory(&snapshot.restart, Outliving::default(), now).unwrap();
            Self { snapshot, state, now }
        }

        fn ask(&self, request: Request<()>) -> Result<Admission, Box<Refused>> {
            let head = request.into_parts().0;
            let client = IpAddr::from([192, 0, 2, 1]);
            let located = locate(&self.snapshot, &head)?;
            let arrival =
                Arrival { client, head: &head, body: &[], request_id: "rid-1", now: self.now };
            let steps = async {
                let identified = identify(&self.snapshot, &self.state, located, &arrival).await?;
                charge(&self.state, identified, &arrival, None, false).await
            };
            // Nothing here has to be waited for.
            steps.now_or_never().unwrap()
        }

        #[track_caller]
        fn refuses(&self, request: Request<()>, code: &str) -> Box<Refused> {
            match self.ask(request) {
                Ok(admission) => panic!("admitted to {}", admission.route.name),
                Err(refused) => {
                    assert_eq!(refused.refusal.code(), code);
                    refused
                }
            }
        }
    }

    fn request(method: &str, host: &str, target: &str, key: Option<&str>) -> Request<()> {
        let builder = Request::builder().method(method).uri(target).header("host", host);
        let builder = match key {
            Some(key) => builder.header("x-api-key", key),
            None => builder,
        };
        builder.body(()).unwrap()
    }

    #[test]
    fn a_known_key_is_admitted_and_charged() {
        let admission =
            Edge::new().ask(request("GET", "A.example:8080", "/keyed/x", Some("secret"))).unwrap();
        assert_eq!(admission.host, "a.example");
        assert_eq!(&*admission.callers[0].id, "script");
        assert_eq!(admission.charged[0].remaining.remaining, 0);
    }

    #[test]
    fn a_target_counts_as_a_part_of_the_head() {
        let edge = Edge::new();
        let greet = |bytes: usize| {
            let target = format!("/open?{}", "x".repeat(bytes - 6));
            let head = request("GET", "h", &target, None).into_parts().0;
            let client = IpAddr::from([192, 0, 2, 1]);
            super::greet(&edge.snapshot, &edge.state, client, &head).map(|_entered| ())
        };
        // Beside it are `GET` and the line `host: h`.
        let most = edge.snapshot.downstream.header_bytes_max - 3 - 9;
        assert!(greet(most).is_ok());
        assert_eq!(greet(most + 1).unwrap_err().refusal, Refusal::HeadTooLarge);
    }

    #[test]
    fn a_request_without_a_route_is_refused_before_its_credential_is_looked_at() {
        let edge = Edge::new();
        edge.refuses(request("GET", "b.example", "/keyed", Some("wrong")), "no_route");
        edge.refuses(request("GET", "b.example", "/keyedx", None), "no_route");
    }

    #[test]
    fn a_host_that_cannot_be_read_is_refused() {
        let edge = Edge::new();
        let bad = [
            "",
            "a/b",
            "user@a.example",
            "a b",
            "a,b",
            "a%62",
            "a:b:c",
            ".",
            "a..",
            ".a",
            "a..b",
            "[a!$]",
            "[::1",
        ];
        for host in bad {
            edge.refuses(request("GET", host, "/open", None), "bad_request");
        }
        let two = Request::builder().uri("/open").header("host", "a").header("host", "b");
        edge.refuses(two.body(()).unwrap(), "bad_request");
    }

    #[test]
    fn the_dot_of_the_root_does_not_walk_around_a_host() {
        let edge = Edge::new();
        for host in ["a.example.", "A.Example.:8080"] {
            edge.refuses(request("GET", host, "/keyed", None), "credential_missing");
        }
        let admission = edge.ask(request("GET", "a.example.", "/keyed", Some("secret"))).unwrap();
        assert_eq!(admission.host, "a.example");
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        let edge = Edge::new();
        edge.refuses(request("GET", "h", "/open/../written", None), "bad_request");
        edge.refuses(request("GET", "h", "/%6fpen%2f..", None), "bad_request");
    }

    #[test]
    fn a_parameter_must_not_lead_to_another_route() {
        let edge = Edge::new();
        for path in ["/written;x=1", "/written;/x", "/written%3bx", "/open/..;/written"] {
            edge.refuses(request("GET", "h", path, None), "bad_request");
        }
        assert!(edge.ask(request("GET", "h", "/open/a;x=1/b", None)).is_ok());
        edge.refuses(request("GET", "h", "/nowhere;x", None), "no_route");
    }

    #[test]
    fn an_escaped_path_finds_the_route_of_its_plain_form() {
        let admission = Edge::new().ask(request("GET", "h", "/%6Fpen", None)).unwrap();
        assert_eq!(admission.route.name, "open");
    }

    #[test]
    fn a_bad_key_is_refused_with_a_challenge() {
        let refused =
            Edge::new().refuses(request("GET", "a.example", "/keyed", Some("no")), "key_not_valid");
        assert_eq!(refused.challenge, Some("X-API-Key"));
        assert!(refused.reason.is_some());
    }

    #[test]
    fn a_missing_scope_is_refused() {
        let refused =
            Edge::new().refuses(request("GET", "h", "/written", Some("secret")), "scope_missing");
        assert_eq!(refused.refusal, Refusal::ScopeMissing(vec!["write".into()]));
    }

    #[test]
    fn a_wrong_method_is_told_only_to_who_may_call() {
        let edge = Edge::new();
        edge.refuses(request("POST", "a.example", "/keyed", None), "credential_missing");
        let refused = edge
            .refuses(request("POST", "a.example", "/keyed", Some("secret")), "method_not_allowed");
        let Refusal::MethodNotAllowed { allow, .. } = refused.refusal else {
            panic!("{refused:?}")
        };
        assert_eq!(allow, "GET, HEAD");
    }

    #[test]
    fn a_wrong_method_is_not_charged() {
        let edge = Edge::new();
        edge.refuses(request("POST", "a.example", "/keyed", Some("secret")), "method_not_allowed");
        assert!(edge.ask(request("GET", "a.example", "/keyed", Some("secret"))).is_ok());
    }

    #[test]
    fn whoever_has_no_name_is_counted_by_address_and_free_again_in_time() {
        let mut edge = Edge::new();
        for _ in 0..2 {
            assert!(edge.ask(request("GET", "h", "/open", None)).is_ok());
        }
        let refused = edge.refuses(request("GET", "h", "/open", None), "quota_exceeded");
        let (limit, retry) = refused.limited.unwrap();
        assert_eq!((limit.name.as_str(), retry.0), ("two", Duration::from_secs(60)));
        edge.now = edge.now.plus(Duration::from_secs(60));
        assert!(edge.ask(request("GET", "h", "/open", None)).is_ok());
    }

    #[test]
    fn a_target_with_its_own_host_needs_no_host_field() {
        let over_http2 =
            Request::builder().uri("http://A.example/keyed").header("x-api-key", "secret");
        let admission = Edge::new().ask(over_http2.body(()).unwrap()).unwrap();
        assert_eq!(admission.host, "a.example");
    }
}
