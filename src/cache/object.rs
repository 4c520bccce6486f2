//! What is kept of one answer, and which requests does it answer?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora_cache::CacheMeta;
use sha2::{Digest, Sha256};

use super::coding::{self, Coded, Coding};
use super::directives::elements;
use super::key::TargetKey;
use super::labels::Labels;
use super::windows::Windows;

/// Most request fields that one answer may vary on; with more it is not kept.
pub const VARY_FIELDS_MAX: usize = 8;

/// Request fields whose commas separate nothing.
const NO_LISTS: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::USER_AGENT];

/// One stored answer, in the form in which it leaves.
#[derive(Clone, Debug)]
pub struct Object {
    /// Status and header fields, with the gateway's own `ETag` and the body's length.
    pub head: ResponseHeader,
    /// The body, in the envelope where the route wants one.
    pub body: Bytes,
    /// The body in codings, for clients that take them; `None` until they were made.
    pub codings: Option<Arc<[Coded]>>,
    /// From when until when it may be used.
    pub windows: Windows,
    /// The upstream's own validators, for asking it whether anything changed.
    pub validators: Validators,
    /// Which requests it answers.
    pub variance: Variance,
    /// The status with which the upstream gave or confirmed it.
    pub upstream_status: StatusCode,
    /// What it was asked for; a change of that makes it invalid.
    pub target: Option<TargetKey>,
    /// What it is shown with and purged by.
    pub labels: Arc<Labels>,
    /// How it is used: one count for all successive copies of the answer.
    pub usage: Arc<Usage>,
    /// How long the upstream took to give or confirm it.
    pub took: Duration,
    /// When it was asked for, or for its last confirmation.
    pub asked_at: SystemTime,
    /// Until here it is not refreshed again, because the last refresh brought nothing to keep.
    pub refresh_after: SystemTime,
    /// When it was last found to hold.
    pub checked: Checked,
}

/// The epoch of the notes at which an answer was found to hold; a copy has to be looked at itself,
/// because it may have other tags and other times.
#[derive(Debug, Default)]
pub struct Checked(AtomicU64);

impl Checked {
    /// Whether it was found to hold at this epoch.
    #[must_use]
    pub fn at(&self, epoch: u64) -> bool {
        self.0.load(Ordering::Relaxed) == epoch
    }

    /// It was found to hold at this epoch.
    pub fn found(&self, epoch: u64) {
        self.0.store(epoch, Ordering::Relaxed);
    }
}

impl Clone for Checked {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// How an answer is used.
#[derive(Debug, Default)]
pub struct Usage {
    hits: AtomicU64,
    planned: AtomicBool,
    coding: AtomicBool,
}

impl Usage {
    /// One that has counted so many already.
    #[must_use]
    pub fn of(hits: u64) -> Self {
        Self { hits: AtomicU64::new(hits), ..Self::default() }
    }

    /// Counts one request that was answered from what is kept.
    pub fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were answered from what is kept.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Claims the plan to fetch the answer ahead; there is one at a time.
    #[must_use]
    pub fn claim_plan(&self) -> bool {
        !self.planned.load(Ordering::Relaxed) && !self.planned.swap(true, Ordering::AcqRel)
    }

    /// Claims the work of compressing the answer; one does it at a time.
    #[must_use]
    pub fn claim_coding(&self) -> bool {
        !self.coding.load(Ordering::Relaxed) && !self.coding.swap(true, Ordering::AcqRel)
    }

    /// Ends the work, done or not.
    pub fn drop_coding(&self) {
        self.coding.store(false, Ordering::Release);
    }

    /// Gives the plan up: the next hit may make another.
    pub fn drop_plan(&self) {
        self.planned.store(false, Ordering::Release);
    }
}

/// The upstream's validators of the body before it was wrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its `ETag`.
    pub etag: Option<HeaderValue>,
    /// Its `Last-Modified`.
    pub last_modified: Option<HeaderValue>,
}

impl Validators {
    /// Takes the validators from an upstream's answer.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            etag: headers.get(header::ETAG).cloned(),
            last_modified: headers.get(header::LAST_MODIFIED).cloned(),
        }
    }
}

/// The first 128 bits of a SHA-256 over selecting fields: clients choose their values.
pub type VarianceDigest = [u8; 16];

/// The request fields that selected an answer, and a digest of their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variance {
    fields: Vec<HeaderName>,
    digest: VarianceDigest,
}

impl Variance {
    /// Reads `Vary` from an answer and digests the values that the request has for it.
    ///
    /// `None` when the answer varies on everything, on more than [`VARY_FIELDS_MAX`] fields, or on
    /// what the gateway itself writes: then no other request can be told to get the same answer.
    /// `Host` does not count, the key knows it.
    #[must_use]
    pub fn of(answer: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let mut fields = Vec::new();
        for value in answer.get_all(header::VARY) {
            for name in value.to_str().ok()?.split(',').map(str::trim) {
                if !name.is_empty() {
                    fields.push(HeaderName::from_bytes(name.as_bytes()).ok()?);
                }
            }
        }
        fields.retain(|name| *name != header::ACCEPT_ENCODING && *name != header::HOST);
        let is_ours =
            |name: &HeaderName| name.as_str().starts_with("x-forwarded-") || name == "x-request-id";
        fields.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        fields.dedup();
        let is_unknown = |name: &HeaderName| name == "*" || is_ours(name);
        if fields.len() > VARY_FIELDS_MAX || fields.iter().any(is_unknown) {
            return None;
        }
        let digest = digest(&fields, request);
        Some(Self { fields, digest })
    }

    /// Of an answer that varies on more than can be told: no request is known to select it.
    #[must_use]
    pub fn unknown() -> Self {
        // No digest of fields is zero, as far as anybody can find out.
        Self { fields: vec![header::VARY], digest: VarianceDigest::default() }
    }

    /// The fields and the digest, for writing them down.
    pub(super) fn parts(&self) -> (&[HeaderName], &VarianceDigest) {
        (&self.fields, &self.digest)
    }

    /// What was written down.
    pub(super) fn from_parts(fields: Vec<HeaderName>, digest: VarianceDigest) -> Self {
        Self { fields, digest }
    }

    /// Whether the answer is the one that this request selects.
    #[must_use]
    pub fn selects(&self, request: &HeaderMap) -> bool {
        self.fields.is_empty() || digest(&self.fields, request) == self.digest
    }

    /// The fields that select it.
    #[must_use]
    pub fn fields(&self) -> &[HeaderName] {
        &self.fields
    }

    /// Whether the answer is the same for every request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The digest that a request has under these fields.
    #[must_use]
    pub fn digest_of(&self, request: &HeaderMap) -> VarianceDigest {
        digest(&self.fields, request)
    }
}

/// Several fields of one name are one list, in which the spaces between members say nothing, and
/// languages have no case (RFC 9111, section 4.1). Where commas are no list, the value is as it is.
fn absorb(hasher: &mut Sha256, name: &HeaderName, value: &HeaderValue) {
    let mut take = |member: &[u8]| {
        hasher.update((member.len() as u64).to_be_bytes());
        hasher.update(member);
    };
    match value.to_str() {
        Ok(text) if !NO_LISTS.contains(name) => {
            for member in elements(text) {
                if *name == header::ACCEPT_LANGUAGE {
                    take(member.to_ascii_lowercase().as_bytes());
                } else {
                    take(member.as_bytes());
                }
            }
        }
        _ => take(value.as_bytes().trim_ascii()),
    }
}

/// `Accept-Encoding` never counts: the gateway asks upstreams for the plain body.
fn digest(fields: &[HeaderName], request: &HeaderMap) -> VarianceDigest {
    let mut hasher = Sha256::new();
    for name in fields {
        hasher.update(name.as_str());
        hasher.update([u8::from(request.contains_key(name))]);
        for value in request.get_all(name) {
            absorb(&mut hasher, name, value);
        }
        hasher.update([0xff]);
    }
    let mut short = VarianceDigest::default();
    for (to, from) in short.iter_mut().zip(hasher.finalize()) {
        *to = from;
    }
    short
}

impl Object {
    /// The same object, confirmed by the upstream: new windows, and what its answer says now.
    #[must_use]
    pub fn confirmed(&self, head: ResponseHeader, windows: Windows, asked_at: SystemTime) -> Self {
        let (upstream_status, refresh_after) = (StatusCode::NOT_MODIFIED, windows.stored_at);
        // The body did not change, but whether it may be transformed can.
        let codings = self.codings.clone().filter(|_| coding::is_compressible(&head));
        Self { head, codings, windows, asked_at, upstream_status, refresh_after, ..self.clone() }
    }

    /// The same object with its body in codings.
    #[must_use]
    pub fn coded(&self, codings: Arc<[Coded]>) -> Self {
        let mut head = self.head.clone();
        coding::vary(&mut head);
        Self { head, codings: Some(codings), ..self.clone() }
    }

    /// The tag of the body as it is.
    #[must_use]
    pub fn etag(&self) -> Option<&HeaderValue> {
        self.head.headers.get(header::ETAG)
    }

    /// The codings that there are.
    #[must_use]
    pub fn codings(&self) -> &[Coded] {
        self.codings.as_deref().unwrap_or_default()
    }

    /// Whether codings of the body are worth making, and were not made.
    #[must_use]
    pub fn lacks_codings(&self) -> bool {
        self.codings.is_none()
            && self.body.len() >= coding::BODY_BYTES_MIN
            && coding::is_compressible(&self.head)
    }

    /// Whether another object has the very bytes of this one, because it is a copy of it.
    #[must_use]
    pub fn has_body_of(&self, other: &Self) -> bool {
        self.body.as_ptr() == other.body.as_ptr() && self.body.len() == other.body.len()
    }

    /// The head with which it leaves in a coding, or as it is.
    #[must_use]
    pub fn head_in(&self, coding: Option<Coding>) -> ResponseHeader {
        self.in_coding(coding).map_or_else(|| self.head.clone(), |coded| coded.head(&self.head))
    }

    /// The body with which it leaves in a coding, or as it is.
    #[must_use]
    pub fn body_in(&self, coding: Option<Coding>) -> &Bytes {
        self.in_coding(coding).map_or(&self.body, |coded| &coded.body)
    }

    fn in_coding(&self, coding: Option<Coding>) -> Option<&Coded> {
        self.codings().iter().find(|coded| Some(coded.coding) == coding)
    }

    /// The same object, fresh no longer than until `at`.
    #[must_use]
    pub fn stale_since(&self, at: SystemTime) -> Self {
        Self { windows: self.windows.stale_since(at), ..self.clone() }
    }

    /// The same object, left alone by refreshes until `refresh_after`.
    #[must_use]
    pub fn left_alone(&self, refresh_after: SystemTime) -> Self {
        Self { refresh_after, ..self.clone() }
    }

    /// The form in which Pingora's cache hands it on in a coding, or as it is.
    #[must_use]
    pub fn meta(&self, coding: Option<Coding>) -> CacheMeta {
        let seconds = |from, until: SystemTime| {
            let window: Duration = until.duration_since(from).unwrap_or_default();
            u32::try_from(window.as_secs()).unwrap_or(u32::MAX)
        };
        CacheMeta::new(
            self.windows.fresh_until,
            self.windows.born_at,
            seconds(self.windows.fresh_until, self.windows.stale_until),
            seconds(self.windows.fresh_until, self.windows.error_until),
            self.head_in(coding),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn an_answer_that_varies_on_nothing_answers_everyone() {
        let variance = Variance::of(&map(&[]), &map(&[("accept", "a")])).unwrap();
        assert!(variance.selects(&map(&[("accept", "b")])));
    }

    #[test]
    fn an_answer_is_selected_by_each_field_that_it_varies_on() {
        let answer = map(&[("vary", "Accept-Language, X-Unit")]);
        let variance = Variance::of(&answer, &map(&[("accept-language", "de")])).unwrap();
        assert!(variance.selects(&map(&[("accept-language", "de"), ("accept", "x")])));
        assert!(!variance.selects(&map(&[("accept-language", "fr")])));
        assert!(!variance.selects(&map(&[("accept-language", "de"), ("x-unit", "m")])));
    }

    #[test]
    fn lists_are_the_same_however_they_are_written() {
        let select = |name, one: &[(&'static str, &'static str)], other| {
            let mut answer = HeaderMap::new();
            answer.insert("vary", HeaderValue::from_static(name));
            Variance::of(&answer, &map(one)).unwrap().selects(&map(other))
        };
        assert!(select("x-a", &[("x-a", "1, 2")], &[("x-a", "1,2")]));
        assert!(select("x-a", &[("x-a", "1, 2")], &[("x-a", "1"), ("x-a", "2")]));
        assert!(select(
            "accept-language",
            &[("accept-language", "de")],
            &[("accept-language", "DE")]
        ));
        assert!(!select("x-a", &[("x-a", "a")], &[("x-a", "A")]));
        assert!(!select("x-a", &[("x-a", "1, 2")], &[("x-a", "2, 1")]));
        assert!(!select("x-a", &[("x-a", "12")], &[("x-a", "1,2")]));
        assert!(!select("user-agent", &[("user-agent", "a, b")], &[("user-agent", "a,b")]));
    }

    #[test]
    fn an_absent_field_is_not_an_empty_one() {
        let answer = map(&[("vary", "x-unit")]);
        let variance = Variance::of(&answer, &map(&[])).unwrap();
        assert!(!variance.selects(&map(&[("x-unit", "")])));
    }

    #[test]
    fn an_answer_that_varies_on_all_selects_nobody() {
        assert!(!Variance::unknown().selects(&map(&[])));
        assert_eq!(Variance::of(&map(&[("vary", "*")]), &map(&[])), None);
    }
}
