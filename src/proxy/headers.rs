//! Which header fields go where?
//!
//! Pure edits of heads: what a service is told of a request, what a client is told of an answer,
//! and what a request's head must not look like.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use pingora::http::{RequestHeader, ResponseHeader};

use super::ctx::{CacheResult, Ctx};
use super::request_id::REQUEST_ID;
use crate::admission::Charged;
use crate::answer::connection_names;
use crate::auth::Scheme;
use crate::cache::date::date_in;
use crate::cache::object::{Object, Validators};
use crate::clock::Now;
use crate::ratelimit;
use crate::route::{Credentials, Limit};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a fetch for the cache, or for the envelope, leaves out of a client's head: ranges are answered
/// from the whole answer, codings are the gateway's business, and the rest is for one hop.
const NOT_FETCHED: [HeaderName; 10] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::IF_RANGE,
    header::RANGE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Conditions, which a fetch in place of a `GET` or `HEAD` leaves out as well: they are answered from
/// the whole answer. Those of other methods are the service's: they keep a change from being lost.
const CONDITIONS: [HeaderName; 4] = [
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_UNMODIFIED_SINCE,
];

/// What an upstream's answer says for one hop only, beside what its `Connection` names.
const HOP: [HeaderName; 4] = [
    header::CONNECTION,
    header::TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Where a credential can stand, and which it is.
const CREDENTIALS: [(Scheme, HeaderName); 10] = [
    (Scheme::Jwt, header::AUTHORIZATION),
    (Scheme::ApiKey, HeaderName::from_static("x-api-key")),
    (Scheme::Signature, HeaderName::from_static("x-nc-client-id")),
    (Scheme::Signature, HeaderName::from_static("x-nc-timestamp")),
    (Scheme::Signature, HeaderName::from_static("x-nc-nonce")),
    (Scheme::Signature, HeaderName::from_static("x-nc-signature")),
    (Scheme::Signature, HeaderName::from_static("x-client-id")),
    (Scheme::Signature, HeaderName::from_static("x-timestamp")),
    (Scheme::Signature, HeaderName::from_static("x-nonce")),
    (Scheme::Signature, HeaderName::from_static("x-signature")),
];

/// What only a proxy in front may say, and there is none that says it: the gateway's own fields
/// tell a service who asked and how.
const FORGED: [HeaderName; 20] = [
    header::FORWARDED,
    HeaderName::from_static("proxy"),
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-email"),
    HeaderName::from_static("x-groups"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-principal"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-remote-user"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-roles"),
    HeaderName::from_static("x-scopes"),
    HeaderName::from_static("x-script-name"),
    HeaderName::from_static("x-user"),
    HeaderName::from_static("x-user-id"),
];

/// How the fields begin by which proxies tell services who was let in, each product its own way.
const FORGED_PREFIXES: [&str; 9] = [
    "remote-",
    "x-auth-request-",
    "x-authenticated-",
    "x-client-cert",
    "x-consumer-",
    "x-forwarded-",
    "x-remote-",
    "x-ssl-client-",
    "x-webauth-",
];

/// Whether the raw head of an HTTP/1.1 request says twice, and differently, how long its body is
/// (RFC 9112, section 6.3): Pingora drops the `Content-Length` before anyone can see it.
#[must_use]
pub(super) fn has_two_lengths(headers: &HeaderMap, raw_head: &[u8]) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        && raw_head.split(|byte| *byte == b'\n').any(|line| {
            line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case(b"content-length:"))
        })
}

/// Whether a request's target is one that routes are found by: a path, or a URI of HTTP. Any other
/// one (`admin`, `?x`, `..`) Pingora shows as `/`, and passes on as it came.
#[must_use]
pub(super) fn names_a_path(head: &RequestHeader) -> bool {
    let target = head.raw_path();
    let is_uri_of = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    target.starts_with(b"/") || is_uri_of(b"http://") || is_uri_of(b"https://")
}

/// Asks for the path alone, as an origin server is asked (RFC 9112, section 3.2.1), also where the
/// client's target was a whole URI: a service that takes it for a path would serve another one.
fn ask_for_a_path(head: &mut RequestHeader) {
    if head.raw_path().starts_with(b"/") {
        return;
    }
    if let Some(target) = head.uri.path_and_query().cloned() {
        head.set_uri(Uri::from(target));
    }
}

/// The head of a fetch in a client's name: a whole `GET` for its `GET` or `HEAD`, else its method.
///
/// `None` when the head cannot be written, which a head that was read rules out.
#[must_use]
pub(super) fn fetch_head(client: &RequestHeader, host: &str) -> Option<RequestHeader> {
    let method = if client.method == Method::HEAD { Method::GET } else { client.method.clone() };
    let target = client.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = RequestHeader::build(method, target.as_bytes(), None).ok()?;
    let connection_names = connection_names(&client.headers);
    let conditions = if head.method == Method::GET { &CONDITIONS[..] } else { &[] };
    for (name, value) in &client.headers {
        let is_left_out = NOT_FETCHED.contains(name) || conditions.contains(name);
        if !is_left_out && !connection_names.contains(name) {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
    }
    if !head.headers.contains_key(header::HOST) {
        let named = client.uri.authority().map_or(host, |authority| authority.as_str());
        head.insert_header(header::HOST, named).ok()?;
    }
    Some(head)
}

/// Makes a fetch one whose answer may be kept: what the key does not know must not shape it. A
/// cookie or a credential that nobody verified could bring an answer for one person, and the host
/// goes without the port that the key leaves out.
///
/// Where the upstream's word counts, `Authorization` goes along all the same (`passes_on`): the answer
/// says itself whether it may be kept (RFC 9111, section 3.5). Tells whether it does so unverified.
pub(super) fn make_keepable(
    head: &mut RequestHeader,
    host: &str,
    verified: &[Scheme],
    passes_on: bool,
) -> bool {
    head.remove_header(&header::COOKIE);
    for (scheme, name) in &CREDENTIALS {
        let is_passed = *name == header::AUTHORIZATION && passes_on;
        if !verified.contains(scheme) && !is_passed {
            head.remove_header(name);
        }
    }
    // A host that a route took is always a field.
    let _host_is_a_field = head.insert_header(header::HOST, host);
    head.headers.contains_key(header::AUTHORIZATION) && !verified.contains(&Scheme::Jwt)
}

/// The head of a fetch that no client caused.
#[must_use]
pub fn prewarm_head(target: &str, host: &str) -> Option<RequestHeader> {
    let mut head = RequestHeader::build(Method::GET, target.as_bytes(), None).ok()?;
    head.insert_header(header::HOST, host).ok()?;
    head.insert_header(header::ACCEPT, "*/*").ok()?;
    Some(head)
}

/// Asks the upstream whether a stored answer still holds.
pub(super) fn make_conditional(head: &mut RequestHeader, validators: &Validators) {
    if let Some(etag) = &validators.etag {
        let _etag_was_a_field_already = head.insert_header(header::IF_NONE_MATCH, etag);
    }
    if let Some(date) = &validators.last_modified {
        let _date_was_a_field_already = head.insert_header(header::IF_MODIFIED_SINCE, date);
    }
}

/// What the service is told beside what the client said.
///
/// # Errors
///
/// When a field cannot be written.
pub(super) fn tell_upstream(head: &mut RequestHeader, ctx: &Ctx, now: Now) -> pingora::Result<()> {
    ask_for_a_path(head);
    head.insert_header(REQUEST_ID, &*ctx.request_id)?;
    let forged = head.headers.keys().filter(|name| is_forged(name)).cloned();
    for name in forged.collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    let credentials = ctx.route.as_ref().map(|route| route.credentials);
    if matches!(credentials, Some(Credentials::Internal | Credentials::Strip)) {
        head.remove_header(&header::COOKIE);
        for (_, name) in &CREDENTIALS {
            head.remove_header(name);
        }
    }
    if credentials == Some(Credentials::Internal) {
        let internal = ctx.snapshot.internal.as_ref();
        let authorization = internal.and_then(|rule| rule.authorization(&ctx.callers, now));
        if let Some(authorization) = authorization {
            head.insert_header(header::AUTHORIZATION, authorization)?;
        }
    }
    if let Some(client) = ctx.client {
        forward_address(head, client)?;
    }
    if let Some(host) = head.headers.get(header::HOST).cloned() {
        head.insert_header(FORWARDED_HOST, host)?;
    }
    head.insert_header(FORWARDED_PROTO, if ctx.is_tls { "https" } else { "http" })
}

/// The address that was found is the only one that is passed on: a list that a client could have
/// begun is worth nothing to a service.
fn forward_address(head: &mut RequestHeader, client: IpAddr) -> pingora::Result<()> {
    head.insert_header(FORWARDED_FOR, client.to_string())
}

/// What the client is told beside what the service said.
///
/// # Errors
///
/// When a field cannot be written.
pub(super) fn tell_client(head: &mut ResponseHeader, ctx: &Ctx, now: Now) -> pingora::Result<()> {
    head.insert_header(REQUEST_ID, &*ctx.request_id)?;
    let is_just_made = |object: &Arc<Object>| object.windows.age(now.wall).as_secs() == 0;
    if !ctx.cache.is_from_memory() && ctx.pinned.as_ref().is_some_and(is_just_made) {
        // Pingora ages whatever it serves from a cache; this was fetched for the client.
        head.remove_header(&header::AGE);
    }
    if ctx.route.as_ref().is_some_and(|route| route.cache.is_some()) {
        head.insert_header(CACHE_STATUS, cache_status(ctx, head.status, now))?;
    }
    tell_quotas(head, &ctx.charged)
}

/// One member for each quota that counted the request.
fn tell_quotas(head: &mut ResponseHeader, charged: &[Charged]) -> pingora::Result<()> {
    for (index, Charged { limit, remaining, .. }) in charged.iter().enumerate() {
        let (policy, left) =
            (limit.policy_field.clone(), ratelimit::remaining_field(&limit.name, remaining));
        if index == 0 {
            head.insert_header(RATE_LIMIT_POLICY, policy)?;
            head.insert_header(RATE_LIMIT, left)?;
        } else {
            // A list may stand in several fields (RFC 9110, section 5.3).
            head.append_header(RATE_LIMIT_POLICY, policy)?;
            head.append_header(RATE_LIMIT, left)?;
        }
    }
    Ok(())
}

/// The fields of an answer to a request that is over its quota.
///
/// # Errors
///
/// When a field cannot be written.
pub(super) fn tell_limited(
    head: &mut ResponseHeader,
    limit: &Limit,
    retry_after: ratelimit::RetryAfter,
) -> pingora::Result<()> {
    head.insert_header(RATE_LIMIT_POLICY, limit.policy_field.clone())?;
    head.insert_header(RATE_LIMIT, ratelimit::refused_field(&limit.name, retry_after))
}

/// Whether a field claims what only a proxy may say, or would pass for another one: services that
/// read fields as environment variables take `X_API_Key` for `X-API-Key`.
fn is_forged(name: &HeaderName) -> bool {
    let text = name.as_str();
    FORGED.contains(name)
        || FORGED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || text.contains('_')
}

/// Whether the client gets the whole though it asks for a range, which it must be ready for
/// (RFC 9110, section 14.2). Pingora would answer some ranges with a part that is not there: of an
/// empty body, the last 0 bytes, or one that ends before it begins; and it would answer `HEAD`, which
/// knows no ranges. What is weak says nothing of bytes, so that no range goes by it (section 13.1.5).
pub(super) fn is_whole_wanted(head: &RequestHeader, kept: &Object, body_bytes: usize) -> bool {
    let asked = &head.headers;
    let Some(range) = asked.get(header::RANGE) else { return false };
    let Ok(range) = range.to_str() else { return true };
    let specs = range.split_once('=').map_or(range, |(_, specs)| specs);
    let is_none = |spec: &str| match spec.trim().split_once('-') {
        Some(("", last)) => last.trim().bytes().all(|digit| digit == b'0'),
        Some((first, last)) => {
            let (first, last) = (first.trim().parse::<u64>(), last.trim().parse::<u64>());
            matches!((first, last), (Ok(first), Ok(last)) if last < first)
        }
        None => false,
    };
    head.method != Method::GET
        || body_bytes == 0
        || asked.get(header::IF_RANGE).is_some_and(|known| is_weak(known, kept))
        || specs.split(',').any(is_none)
}

/// Whether what `If-Range` names is weak: a tag that says so, or a date that is not a second before
/// the answer's own, so that the answer may have changed after it (RFC 9110, section 8.8.2.2).
fn is_weak(known: &HeaderValue, kept: &Object) -> bool {
    let known = known.as_bytes();
    if known.ends_with(b"\"") {
        return known.starts_with(b"W/");
    }
    if !kept.codings().is_empty() {
        // One date stands for several forms of it.
        return true;
    }
    let when = |name| date_in(&kept.head.headers, name);
    let times = when(&header::LAST_MODIFIED).zip(when(&header::DATE));
    times.is_none_or(|(modified, made)| modified + Duration::from_secs(1) > made)
}

/// Takes off what an upstream's answer says for one hop only. An upgrade keeps it: there the hop is
/// what the client asked for.
pub(super) fn strip_hop(head: &mut ResponseHeader) {
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    for name in connection_names(&head.headers) {
        head.remove_header(&name);
    }
    for name in &HOP {
        head.remove_header(name);
    }
}

/// `Cache-Status` (RFC 9211) of an answer with this status.
fn cache_status(ctx: &Ctx, status: StatusCode, now: Now) -> String {
    let ttl = ctx.pinned.as_ref().map(|object| object.windows.ttl_seconds(now.wall));
    let ttl = ttl.unwrap_or_default();
    let forwarded = |end: &str| {
        let upstream = ctx.pinned.as_ref().map_or(status, |object| object.upstream_status);
        let (why, status) = (ctx.forwarded.as_str(), upstream.as_u16());
        format!("farmgate; fwd={why}; fwd-status={status}{end}")
    };
    match ctx.cache {
        CacheResult::None => forwarded(""),
        CacheResult::Hit => format!("farmgate; hit; ttl={ttl}"),
        CacheResult::Stale => format!("farmgate; hit; ttl={ttl}; detail=refreshing"),
        CacheResult::Stretched => format!("farmgate; hit; ttl={ttl}; detail=saving-calls"),
        CacheResult::StaleOnError => format!("farmgate; hit; ttl={ttl}; detail=upstream-failed"),
        CacheResult::Miss if ctx.is_stored => forwarded("; stored"),
        CacheResult::Miss => forwarded(""),
        CacheResult::Collapsed => forwarded("; collapsed"),
        CacheResult::Remembered => "farmgate; hit; detail=failure-remembered".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_fetch_asks_for_the_whole_plain_answer() {
        let mut client = RequestHeader::build("HEAD", b"/a?b=1", None).unwrap();
        for (name, value) in [
            ("host", "a.example"),
            ("range", "bytes=0-1"),
            ("if-none-match", "\"x\""),
            ("accept-encoding", "gzip"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-api-key", "k"),
        ] {
            client.insert_header(name, value).unwrap();
        }
        let head = fetch_head(&client, "a.example").unwrap();
        assert_eq!(head.method, Method::GET);
        assert_eq!(head.raw_path(), b"/a?b=1");
        let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["host", "x-api-key"]);
    }

    #[test]
    fn only_a_path_or_a_uri_of_http_names_a_path() {
        let names = |target: &str| {
            names_a_path(&RequestHeader::build("GET", target.as_bytes(), None).unwrap())
        };
        for target in ["/", "/a?b", "http://a/b", "HTTPS://a", "http://a?b"] {
            assert!(names(target), "{target}");
        }
        for target in ["admin", "../admin", "?admin", "*", "a:80", "%20/admin", "ftp://a/b"] {
            assert!(!names(target), "{target}");
        }
    }

    #[test]
    fn a_service_is_asked_for_the_path_of_a_whole_uri() {
        for (target, asked) in [
            ("http://a.example/b?c=d", "/b?c=d"),
            ("http://a.example", "/"),
            ("http://a.example?c", "/?c"),
            ("/b?c=http://d", "/b?c=http://d"),
        ] {
            let mut head = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
            ask_for_a_path(&mut head);
            assert_eq!(head.raw_path(), asked.as_bytes(), "{target}");
        }
    }

    #[test]
    fn two_lengths_are_seen_in_the_raw_head() {
        let mut headers = HeaderMap::new();
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        let raw = b"POST / HTTP/1.1\r\nContent-LENGTH: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(has_two_lengths(&headers, raw));
        assert!(!has_two_lengths(
            &headers,
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
    }
}
