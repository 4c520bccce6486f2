//! An answer as the gateway stores it: the fields of an API behind it, read from the buffer of a
//! connection, and a body that was collected in pieces.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use farmgate::cache::key::{Key, KeyParts, TargetKey};
use farmgate::cache::labels::Labels;
use farmgate::cache::object::{Checked, Object, Validators, Variance};
use farmgate::cache::windows::{Grace, Windows};
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::trace::scattered;

/// What a connection's buffer holds for each head that was read from it.
const BUFFER_BYTES: usize = 4 * 1024;

/// The fields of every answer.
const FIELDS: [(&str, &str); 9] = [
    ("content-type", "application/json; charset=utf-8"),
    ("content-length", "2048"),
    ("date", "Tue, 25 Nov 2025 10:00:00 GMT"),
    ("etag", "\"3f80f1b2c4d5e6a7b8c9d0e1\""),
    ("last-modified", "Tue, 25 Nov 2025 09:00:00 GMT"),
    ("cache-control", "public, max-age=3600"),
    ("vary", "accept-encoding"),
    ("server", "gunicorn"),
    ("x-request-time", "0.023"),
];

/// The key with this number.
pub(crate) fn key(number: u64) -> Key {
    let path = format!("/api/v1/fields/{number}/weather");
    Key::new(&KeyParts {
        route: "weather",
        pool: "weather",
        form: Some("text"),
        scheme: "https",
        host: "api.example.org",
        path: &path,
        query: "hours=24",
        principal: None,
    })
}

/// The key with this number where nothing is to be spent on its digest.
pub(crate) fn plain_key(number: u64) -> [u8; 16] {
    let (low, high) = (scattered(number), scattered(!number));
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(low.to_le_bytes().into_iter().chain(high.to_le_bytes())) {
        *to = from;
    }
    key
}

/// An answer with a body of so many bytes.
pub(crate) fn answer(number: u64, bytes: usize, now: SystemTime) -> Option<Object> {
    let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
    FIELDS.iter().for_each(|(_, value)| buffer.extend_from_slice(value.as_bytes()));
    let mut buffer = buffer.freeze();
    let mut head = ResponseHeader::build(200, Some(FIELDS.len() + 2)).ok()?;
    for (name, value) in FIELDS {
        let value = HeaderValue::from_maybe_shared(buffer.split_to(value.len())).ok()?;
        head.append_header(HeaderName::from_static(name), value).ok()?;
    }
    let mut body = BytesMut::new();
    while body.len() < bytes {
        let piece = (bytes - body.len()).min(1_024);
        body.resize(body.len() + piece, b'x');
    }
    let path = format!("/api/v1/fields/{number}/weather");
    let validators = Validators::of(&head.headers);
    Some(Object {
        head,
        body: body.freeze(),
        windows: Windows::open(now, Duration::ZERO, Duration::from_secs(3_600), Grace::default()),
        validators,
        variance: Variance::default(),
        upstream_status: http::StatusCode::OK,
        target: Some(TargetKey::new("api.example.org", &path)),
        labels: Arc::new(Labels {
            route: "weather".to_owned(),
            host: "api.example.org".to_owned(),
            path,
            query: "hours=24".to_owned(),
            tags: vec![format!("field-{number}")],
        }),
        usage: Arc::default(),
        took: Duration::from_millis(40),
        asked_at: now,
        checked: Checked::default(),
        codings: None,
        refresh_after: UNIX_EPOCH,
    })
}

/// A body as slim as it can be, for a hit ratio: all have one head and one memory.
pub(crate) struct Slim {
    answer: Object,
    body: Bytes,
}

impl Slim {
    pub(crate) fn new(bytes_max: usize) -> Option<Self> {
        let answer = answer(0, 0, UNIX_EPOCH)?;
        Some(Self { answer, body: Bytes::from(vec![b'x'; bytes_max]) })
    }

    /// An answer with a body of so many bytes.
    pub(crate) fn answer(&self, bytes: usize) -> Arc<Object> {
        let body = self.body.slice(..bytes.min(self.body.len()));
        Arc::new(Object { body, ..self.answer.clone() })
    }

    /// What such an answer costs, for policies that are told.
    pub(crate) fn cost_bytes(&self, bytes: usize) -> u32 {
        let (empty, thousand) = (self.answer(0).cost_bytes(), self.answer(16_000).cost_bytes());
        let cost = empty + bytes * (thousand - empty) / 16_000;
        u32::try_from(cost).unwrap_or(u32::MAX)
    }
}
