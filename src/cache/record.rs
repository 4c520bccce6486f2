//! How is an entry written down?
//!
//! A line of JSON with everything but the bodies, then the bodies. A field that an object gets one
//! day has a default here, or makes another [`VERSION`]: what was written in another one is not read.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;
use serde::{Deserialize, Serialize};

use super::key::TargetKey;
use super::labels::Labels;
use super::object::{Checked, Object, Usage, Validators, Variance};
use super::windows::Windows;

/// The form of what is written.
pub const VERSION: u32 = 1;

/// An object without its body.
#[derive(Serialize, Deserialize)]
struct Written {
    status: u16,
    fields: Vec<(String, String)>,
    body_bytes: usize,
    windows: WrittenWindows,
    etag: Option<String>,
    last_modified: Option<String>,
    vary: Vec<String>,
    selected_by: [u8; 16],
    upstream_status: u16,
    target: Option<[u8; 16]>,
    labels: WrittenLabels,
    hits: u64,
    took_ns: u64,
    asked_at: u64,
    refresh_after: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenWindows {
    stored_at: u64,
    born_at: u64,
    fresh_until: u64,
    stale_until: u64,
    error_until: u64,
    may_be_stale: bool,
}

#[derive(Serialize, Deserialize)]
struct WrittenLabels {
    route: String,
    host: String,
    path: String,
    query: String,
    tags: Vec<String>,
}

/// Until when an entry may be used at all.
#[must_use]
pub fn usable_until(objects: &[Arc<Object>]) -> SystemTime {
    let last =
        |windows: &Windows| windows.fresh_until.max(windows.stale_until).max(windows.error_until);
    objects.iter().map(|object| last(&object.windows)).max().unwrap_or(UNIX_EPOCH)
}

/// Writes an entry down; `None` when it cannot be, which no object that came over HTTP is.
#[must_use]
pub fn encode(objects: &[Arc<Object>]) -> Option<Vec<u8>> {
    let written: Vec<Written> = objects.iter().map(|object| write(object)).collect();
    let mut bytes = serde_json::to_vec(&written).ok()?;
    bytes.push(b'\n');
    objects.iter().for_each(|object| bytes.extend_from_slice(&object.body));
    Some(bytes)
}

/// Reads an entry; `None` when it is not one that [`encode`] wrote in this form.
#[must_use]
pub fn decode(bytes: &Bytes) -> Option<Vec<Arc<Object>>> {
    // JSON on one line has no line end in it.
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let written: Vec<Written> = serde_json::from_slice(bytes.get(..end)?).ok()?;
    let mut bodies = bytes.slice(end + 1..);
    let mut objects = Vec::with_capacity(written.len());
    for written in written {
        if bodies.len() < written.body_bytes {
            return None;
        }
        // A copy: the entry's memory must not live as long as its smallest variant.
        let body = Bytes::copy_from_slice(bodies.get(..written.body_bytes)?);
        bodies.advance(written.body_bytes);
        objects.push(Arc::new(read(written, body)?));
    }
    bodies.is_empty().then_some(objects)
}

fn write(object: &Object) -> Written {
    let Object { windows, labels, variance, .. } = object;
    let (vary, selected_by) = variance.parts();
    Written {
        status: object.head.status.as_u16(),
        fields: (object.head.headers.iter())
            .map(|(name, value)| (name.as_str().to_owned(), text_of(value)))
            .collect(),
        body_bytes: object.body.len(),
        windows: WrittenWindows {
            stored_at: nanos(windows.stored_at),
            born_at: nanos(windows.born_at),
            fresh_until: nanos(windows.fresh_until),
            stale_until: nanos(windows.stale_until),
            error_until: nanos(windows.error_until),
            may_be_stale: windows.may_be_stale,
        },
        etag: object.validators.etag.as_ref().map(text_of),
        last_modified: object.validators.last_modified.as_ref().map(text_of),
        vary: vary.iter().map(|name| name.as_str().to_owned()).collect(),
        selected_by: *selected_by,
        upstream_status: object.upstream_status.as_u16(),
        target: object.target.map(|target| *target.as_bytes()),
        labels: WrittenLabels {
            route: labels.route.clone(),
            host: labels.host.clone(),
            path: labels.path.clone(),
            query: labels.query.clone(),
            tags: labels.tags.clone(),
        },
        hits: object.usage.hits(),
        took_ns: u64::try_from(object.took.as_nanos()).unwrap_or(u64::MAX),
        asked_at: nanos(object.asked_at),
        refresh_after: nanos(object.refresh_after),
    }
}

fn read(written: Written, body: Bytes) -> Option<Object> {
    let mut headers = HeaderMap::with_capacity(written.fields.len());
    for (name, value) in &written.fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value_of(value)?);
    }
    let mut parts = http::Response::new(()).into_parts().0;
    (parts.status, parts.headers) = (StatusCode::from_u16(written.status).ok()?, headers);
    let vary = written.vary.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    let validator = |text: Option<String>| match text {
        Some(text) => value_of(&text).map(Some),
        None => Some(None),
    };
    let WrittenLabels { route, host, path, query, tags } = written.labels;
    Some(Object {
        head: ResponseHeader::from(parts),
        body,
        // They are made again, sooner than they would be read.
        codings: None,
        windows: Windows {
            stored_at: time(written.windows.stored_at),
            born_at: time(written.windows.born_at),
            fresh_until: time(written.windows.fresh_until),
            stale_until: time(written.windows.stale_until),
            error_until: time(written.windows.error_until),
            may_be_stale: written.windows.may_be_stale,
        },
        validators: Validators {
            etag: validator(written.etag)?,
            last_modified: validator(written.last_modified)?,
        },
        variance: Variance::from_parts(vary.collect::<Option<_>>()?, written.selected_by),
        upstream_status: StatusCode::from_u16(written.upstream_status).ok()?,
        target: written.target.map(TargetKey::from_bytes),
        labels: Arc::new(Labels { route, host, path, query, tags }),
        usage: Arc::new(Usage::of(written.hits)),
        took: Duration::from_nanos(written.took_ns),
        asked_at: time(written.asked_at),
        refresh_after: time(written.refresh_after),
        checked: Checked::default(),
    })
}

/// The bytes of a value as the characters of the same numbers: what is not ASCII survives.
fn text_of(value: &HeaderValue) -> String {
    value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
}

fn value_of(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text.chars().map(|one| u8::try_from(one).ok()).collect();
    HeaderValue::from_maybe_shared(Bytes::from(bytes?)).ok()
}

/// Nanoseconds since 1970, until the year 2554.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The time so many nanoseconds after 1970.
pub(super) fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn object(body: &[u8], value: &[u8], at: u64) -> Arc<Object> {
        let mut head = ResponseHeader::build(203, None).unwrap();
        head.append_header("x-a", HeaderValue::from_bytes(value).unwrap()).unwrap();
        head.append_header("x-a", "2").unwrap();
        let mut answer = HeaderMap::new();
        answer.insert("vary", HeaderValue::from_static("accept-language"));
        let mut asked = HeaderMap::new();
        asked.insert("accept-language", HeaderValue::from_bytes(value).unwrap());
        Arc::new(Object {
            head,
            body: Bytes::copy_from_slice(body),
            codings: None,
            windows: Windows {
                stored_at: time(at),
                born_at: time(at / 2),
                fresh_until: time(at.saturating_add(1)),
                stale_until: time(at.saturating_add(3)),
                error_until: time(at.saturating_add(2)),
                may_be_stale: at.is_multiple_of(2),
            },
            validators: Validators {
                etag: Some(HeaderValue::from_bytes(value).unwrap()),
                last_modified: None,
            },
            variance: Variance::of(&answer, &asked).unwrap(),
            upstream_status: StatusCode::NOT_MODIFIED,
            target: Some(TargetKey::new("h", "/a")),
            labels: Arc::new(Labels { tags: vec!["t".into()], ..Labels::default() }),
            usage: Arc::new(Usage::of(7)),
            took: Duration::from_nanos(at),
            asked_at: time(at),
            refresh_after: time(at),
            checked: Checked::default(),
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_nothing_shorter_is(
            body in prop::collection::vec(any::<u8>(), 0..200),
            value in prop::collection::vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..20),
            at in any::<u64>(),
        ) {
            let objects = [object(&body, &value, at), object(b"second", b"x", 1)];
            let bytes = Bytes::from(encode(&objects).unwrap());
            let read = decode(&bytes).unwrap();
            for (read, wanted) in read.iter().zip(&objects) {
                prop_assert_eq!(&read.head.headers, &wanted.head.headers);
                prop_assert_eq!(read.head.status, wanted.head.status);
                prop_assert_eq!(&read.body, &wanted.body);
                prop_assert_eq!(read.windows, wanted.windows);
                prop_assert_eq!(&read.validators, &wanted.validators);
                prop_assert_eq!(&read.variance, &wanted.variance);
                prop_assert_eq!(read.upstream_status, wanted.upstream_status);
                prop_assert_eq!(read.target, wanted.target);
                prop_assert_eq!(&read.labels, &wanted.labels);
                prop_assert_eq!(read.usage.hits(), 7);
                prop_assert_eq!(read.took, wanted.took);
                prop_assert_eq!(read.asked_at, wanted.asked_at);
                prop_assert_eq!(read.refresh_after, wanted.refresh_after);
            }
            prop_assert_eq!(read.len(), 2);
            prop_assert!(decode(&bytes.slice(..bytes.len() - 1)).is_none());
        }
    }

    #[test]
    fn an_entry_is_usable_until_the_last_of_its_windows_ends() {
        let objects = [object(b"", b"x", 10), object(b"", b"y", 20)];
        assert_eq!((usable_until(&objects), usable_until(&[])), (time(23), UNIX_EPOCH));
    }
}
