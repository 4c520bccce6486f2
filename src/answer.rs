//! What does an upstream's complete answer become?
//!
//! Pure: the route's rules, the answer and the request that caused it in, an [`Outcome`] out. Here
//! the envelope is written, once for all who will get the answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use pingora::http::ResponseHeader;

use crate::cache::coding;
use crate::cache::directives::Directives;
use crate::cache::key::TargetKey;
use crate::cache::labels::{self, CACHE_TAG, Labels, SURROGATE_KEY};
use crate::cache::object::{Checked, Object, Validators, Variance};
use crate::cache::outcome::Outcome;
use crate::cache::part::Part;
use crate::cache::policy::{self, Policy, Verdict, judge};
use crate::cache::said::Received;
use crate::cache::tag::strong_etag;
use crate::cache::windows::Windows;
use crate::clock::Now;
use crate::envelope::{self, Kind};
use crate::refusal::Refusal;
use crate::route::Route;

/// Fields that describe a connection or one hop, not the answer (RFC 9110, section 7.6.1), and
/// those that the gateway writes itself.
const DROPPED: [HeaderName; 11] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHENTICATE,
    header::AGE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-cache"),
];

/// Fields that describe the bytes of the upstream's body, and lie about any other.
const OF_THE_BODY: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
];

/// Fields that tell a cache what an answer is made of; clients are not told.
const TAGS: [HeaderName; 2] = [SURROGATE_KEY, CACHE_TAG];

/// The request that an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The route's host, without port.
    pub host: &'a str,
    /// Its target as the upstream is asked for it.
    pub uri: &'a Uri,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Whether the client asked for a part.
    pub wants_part: bool,
    /// Whether it has a credential that the gateway passed on without verifying it.
    pub is_authorized: bool,
    /// When it was sent.
    pub at: SystemTime,
}

/// Brings an upstream's answer into the form in which it leaves, and decides whether it is kept.
#[must_use]
pub fn shape(
    route: &Route,
    asked: Asked<'_>,
    head: &ResponseHeader,
    body: &Bytes,
    now: Now,
) -> Outcome {
    let Some(wrapped) = wrap(route, head, body) else {
        return Outcome::Refused(Refusal::UpstreamInvalid);
    };
    let Some(object) = object(route, asked, head, &wrapped, now) else {
        return Outcome::Refused(Refusal::Internal);
    };
    let Some(policy) = route.cache.as_ref().filter(|_| route.caches(asked.method)) else {
        return Outcome::Given(Arc::new(object));
    };
    settle(policy, object, head, &wrapped, asked, now)
}

/// A stored answer that the upstream confirmed with a 304: the fields of that replace its own, but
/// for those that describe the body (RFC 9111, section 3.2).
#[must_use]
pub fn confirm(
    policy: &Policy,
    asked: Asked<'_>,
    stored: &Object,
    head: &ResponseHeader,
    now: Now,
) -> Outcome {
    let mut updated = stored.head.clone();
    let named = connection_names(&head.headers);
    for name in head.headers.keys() {
        let is_kept =
            [&DROPPED[..], &OF_THE_BODY, &TAGS].iter().any(|fields| fields.contains(name));
        if is_kept || named.contains(name) {
            continue;
        }
        // What selects the answer stays; and a cookie would be somebody's.
        let stays = [header::CONTENT_TYPE, header::CONTENT_RANGE, header::VARY, header::SET_COOKIE];
        if stays.contains(name) {
            continue;
        }
        updated.remove_header(name);
        for value in head.headers.get_all(name) {
            let _was_a_field_already = updated.append_header(name.clone(), value.clone());
        }
    }
    let varies_anew = head.headers.contains_key(header::VARY)
        && Variance::of(&head.headers, asked.headers).as_ref() != Some(&stored.variance);
    if !head.headers.contains_key(header::DATE) {
        let _date_is_a_field =
            updated.insert_header(header::DATE, httpdate::fmt_http_date(now.wall));
    }
    let mut told = updated.headers.clone();
    for name in [header::AGE, header::DATE] {
        // Of how old the answer is, only what is said now counts.
        told.remove(&name);
        told.extend(head.headers.get(&name).map(|value| (name, value.clone())));
    }
    let labels = relabelled(stored, &head.headers);
    let is_purgeable = labels.is_some();
    let confirmed = |windows| {
        let labels = labels.unwrap_or_else(|| stored.labels.clone());
        Arc::new(Object { labels, ..stored.confirmed(updated, windows, asked.at) })
    };
    let closed = Windows::closed(now.wall);
    match policy::confirmed(policy, &received(asked, stored.head.status, &told, now)) {
        // Which other requests it still answers, or which purges are about it, is not known.
        Some(_) if varies_anew || !is_purgeable => Outcome::Stored(confirmed(closed)),
        Some(windows) => Outcome::Stored(confirmed(windows)),
        // What is kept stays as it was, and has to be confirmed again.
        None => Outcome::Personal(confirmed(closed)),
    }
}

/// The labels with the tags that a 304 gives beside those that the answer had: a purge by one of these
/// may be about the body that is confirmed. `None` where there would be more than are kept.
fn relabelled(stored: &Object, told: &HeaderMap) -> Option<Arc<Labels>> {
    let told = labels::tags(told)?;
    let mut tags = stored.labels.tags.clone();
    tags.extend(told.into_iter().filter(|tag| !stored.labels.tags.contains(tag)));
    if tags.len() == stored.labels.tags.len() {
        return Some(stored.labels.clone());
    }
    let bytes: usize = tags.iter().map(String::len).sum();
    let fit = tags.len() <= labels::TAGS_MAX && bytes <= labels::TAGS_BYTES_MAX;
    fit.then(|| Arc::new(Labels { tags, ..Labels::clone(&stored.labels) }))
}

fn received<'a>(
    asked: Asked<'_>,
    status: StatusCode,
    headers: &'a HeaderMap,
    now: Now,
) -> Received<'a> {
    let Asked { is_authorized, at, .. } = asked;
    Received { status, headers, is_authorized, asked_at: at, now: now.wall }
}

/// The fields that `Connection` names: they are for one hop only, in either direction
/// (RFC 9110, section 7.6.1).
#[must_use]
pub fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect()
}

struct Wrapped {
    status: StatusCode,
    body: Bytes,
    /// The envelope's content type; `None` when the body is the upstream's own.
    content_type: Option<&'static str>,
    /// The upstream says that it failed, by its status or inside its own envelope.
    success: bool,
}

/// `None` when the body is called JSON and is none.
fn wrap(route: &Route, head: &ResponseHeader, body: &Bytes) -> Option<Wrapped> {
    let plain = Wrapped {
        status: head.status,
        body: body.clone(),
        content_type: None,
        success: !head.status.is_client_error() && !head.status.is_server_error(),
    };
    let Some(rule) = route.envelope else { return Some(plain) };
    let encoded = head.headers.get(header::CONTENT_ENCODING);
    if !rule.fits(body.len()) || encoded.is_some_and(|coding| coding != "identity") {
        return Some(plain);
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let wrapped = envelope::wrap(rule, head.status, content_type, body);
    match wrapped.kind {
        Kind::Invalid => None,
        Kind::PassedThrough => Some(plain),
        Kind::Wrapped | Kind::Reformed | Kind::Empty | Kind::Text => Some(Wrapped {
            status: wrapped.status,
            content_type: wrapped.content_type(),
            success: wrapped.success,
            body: wrapped.body,
        }),
    }
}

fn object(
    route: &Route,
    asked: Asked<'_>,
    head: &ResponseHeader,
    wrapped: &Wrapped,
    now: Now,
) -> Option<Object> {
    let mut out = ResponseHeader::build(wrapped.status, Some(head.headers.len() + 2)).ok()?;
    let named = connection_names(&head.headers);
    for (name, value) in &head.headers {
        if !DROPPED.contains(name) && !named.contains(name) {
            out.append_header(name.clone(), value.clone()).ok()?;
        }
    }
    if let Some(content_type) = wrapped.content_type {
        out.insert_header(header::CONTENT_TYPE, content_type).ok()?;
        for name in &OF_THE_BODY {
            out.remove_header(name);
        }
    }
    if route.cache.is_some() {
        for name in &TAGS {
            out.remove_header(name);
        }
    }
    if !out.headers.contains_key(header::DATE) {
        // Whoever keeps an answer or passes it on says when it came (RFC 9110, section 6.6.1).
        out.insert_header(header::DATE, httpdate::fmt_http_date(now.wall)).ok()?;
    }
    if !bodiless(wrapped.status) {
        out.insert_header(header::CONTENT_LENGTH, wrapped.body.len()).ok()?;
    }
    if wrapped.status == StatusCode::OK
        && route.cache.is_some()
        && !out.headers.contains_key(header::ETAG)
        && let Some(etag) = strong_etag(&wrapped.body)
    {
        out.insert_header(header::ETAG, etag).ok()?;
    }
    Some(Object {
        head: out,
        body: wrapped.body.clone(),
        codings: None,
        windows: Windows::closed(now.wall),
        validators: Validators::of(&head.headers),
        variance: Variance::of(&head.headers, asked.headers).unwrap_or_else(Variance::unknown),
        upstream_status: head.status,
        target: route.cache.is_some().then(|| TargetKey::new(asked.host, asked.uri.path())),
        labels: Arc::new(labelled(route, asked, &head.headers)),
        usage: Arc::default(),
        took: Duration::ZERO,
        asked_at: asked.at,
        refresh_after: now.wall,
        checked: Checked::default(),
    })
}

fn labelled(route: &Route, asked: Asked<'_>, headers: &HeaderMap) -> Labels {
    if route.cache.is_none() {
        return Labels::default();
    }
    Labels {
        route: route.name.clone(),
        host: asked.host.to_owned(),
        path: asked.uri.path().to_owned(),
        query: asked.uri.query().unwrap_or_default().to_owned(),
        tags: labels::tags(headers).unwrap_or_default(),
    }
}

fn settle(
    policy: &Policy,
    mut object: Object,
    head: &ResponseHeader,
    wrapped: &Wrapped,
    asked: Asked<'_>,
    now: Now,
) -> Outcome {
    match judge(policy, &received(asked, head.status, &head.headers, now)) {
        Verdict::Failure => {
            // It goes to all who wait: a cookie in it would be somebody's.
            object.head.remove_header(&header::SET_COOKIE);
            Outcome::Failed(Arc::new(object))
        }
        Verdict::Personal => Outcome::Personal(Arc::new(object)),
        _ if !is_expected(head, wrapped, asked) => Outcome::Personal(Arc::new(object)),
        _ if is_personal(policy, head, asked) => Outcome::Personal(Arc::new(object)),
        Verdict::Store(windows)
            if object.body.len() <= policy.object_bytes_max
                // A success that says inside that it is none is no answer to keep.
                && (wrapped.success || !head.status.is_success())
                && labels::tags(&head.headers).is_some() =>
        {
            if !policy.compress.is_empty() && coding::is_compressible(&object.head) {
                coding::vary(&mut object.head);
            }
            Outcome::Stored(Arc::new(Object { windows, ..object }))
        }
        Verdict::Store(_) | Verdict::Uncacheable(_) => Outcome::Given(Arc::new(object)),
    }
}

/// A part is kept where a part was asked for, and if it says where it lies (RFC 9111, section 3.3).
fn is_expected(head: &ResponseHeader, wrapped: &Wrapped, asked: Asked<'_>) -> bool {
    head.status != StatusCode::PARTIAL_CONTENT
        || asked.wants_part
            && wrapped.content_type.is_none()
            && Part::of(&head.headers, wrapped.body.len()).is_some()
}

/// Whether an answer concerns only the one who asked: it judges a credential, sets a cookie, says
/// so, or depends on more of the request than can be compared.
fn is_personal(policy: &Policy, head: &ResponseHeader, asked: Asked<'_>) -> bool {
    // Where the upstream is followed, its verdict knows whom `private` is said to.
    let is_private = || Directives::of(&head.headers, &header::CACHE_CONTROL).has("private");
    matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || head.headers.contains_key(header::SET_COOKIE)
        || !policy.follows_upstream() && is_private()
        || Variance::of(&head.headers, asked.headers).is_none()
}

fn bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
