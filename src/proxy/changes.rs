//! What does a request that changes something make invalid? RFC 9111, section 4.4.
//!
//! Its own target, and what its answer names as the place of what it changed, on the same host.

use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, StatusCode, header};
use url::Url;

use crate::cache::key::TargetKey;

/// A request that may change what other requests are answered.
#[derive(Clone, Debug)]
pub struct Change {
    /// The host of the route, without port.
    host: String,
    /// The path as it was sent.
    path: String,
    /// Where it was sent, as a URL.
    target: Url,
}

impl Change {
    /// What this request to a route's `host` may change; nothing if its method is safe (RFC 9110,
    /// section 9.2.1), or its target is no URL.
    #[must_use]
    pub fn of(head: &Parts, host: &str) -> Option<Self> {
        if head.method.is_safe() {
            return None;
        }
        let named = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = head.uri.authority().map(Authority::as_str).or(named).unwrap_or(host);
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = Url::parse(&format!("http://{authority}{target}")).ok()?;
        Some(Self { host: host.to_owned(), path: head.uri.path().to_owned(), target })
    }

    /// What becomes invalid when it is answered so; nothing where it failed.
    pub fn targets(&self, status: StatusCode, headers: &HeaderMap) -> Vec<TargetKey> {
        if !status.is_success() && !status.is_redirection() {
            return Vec::new();
        }
        let named = [header::LOCATION, header::CONTENT_LOCATION];
        let named = named.iter().filter_map(|name| headers.get(name)?.to_str().ok());
        let named = named.filter_map(|place| self.target.join(place).ok());
        let named = named.filter(|url| self.is_here(url));
        let named = named.map(|url| TargetKey::new(&self.host, url.path()));
        std::iter::once(self.own()).chain(named).collect()
    }

    /// Its own target: all that becomes invalid where nobody knows how it ended.
    #[must_use]
    pub fn own(&self) -> TargetKey {
        TargetKey::new(&self.host, &self.path)
    }

    fn is_here(&self, url: &Url) -> bool {
        url.host() == self.target.host() && url.port() == self.target.port()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::{HeaderValue, Request};

    use super::*;

    fn change(method: &str) -> Option<Change> {
        let request =
            Request::builder().method(method).uri("/x/y?z=1").header("host", "a.example:81");
        let (head, ()) = request.body(()).unwrap().into_parts();
        Change::of(&head, "a.example")
    }

    fn targets(status: StatusCode, place: &'static str) -> Vec<TargetKey> {
        let change = change("POST").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static(place));
        change.targets(status, &headers)
    }

    fn key(path: &str) -> TargetKey {
        TargetKey::new("a.example", path)
    }

    #[test]
    fn what_an_answer_names_on_this_host_is_invalid_with_the_target() {
        for (place, wanted) in [
            ("/n", Some(key("/n"))),
            ("n?m=1", Some(key("/x/n"))),
            ("http://a.example:81/n", Some(key("/n"))),
            ("http://A.example:81/n", Some(key("/n"))),
            ("http://a.example/n", None),
            ("http://b.example:81/n", None),
            ("//b.example/n", None),
            ("http://", None),
        ] {
            let own = std::iter::once(key("/x/y"));
            assert_eq!(targets(StatusCode::CREATED, place), own.chain(wanted).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_is_invalid_after_a_failure_or_a_safe_method() {
        assert!(targets(StatusCode::BAD_REQUEST, "/n").is_empty());
        assert!(targets(StatusCode::BAD_GATEWAY, "/n").is_empty());
        assert_eq!(targets(StatusCode::SEE_OTHER, "/n").len(), 2);
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(change(method).is_none(), "{method}");
        }
        assert!(change("M-SEARCH").is_some());
    }
}
