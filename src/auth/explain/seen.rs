//! What did the gateway see of a signed request, before it judged it?

use http::request::Parts;
use http::{HeaderMap, header};

use super::guesses::Received;
use super::recipe::Lines;
use super::report::Asked;
use crate::auth::canonical::{CanonicalRequest, canonical_path, canonical_query};
use crate::auth::signature::{self, FieldNames, plain_seconds};

/// The signed fields as they came, and the six lines that the gateway makes of them.
pub(super) struct Seen {
    method: String,
    path: String,
    query: String,
    timestamp: String,
    pub(super) nonce: String,
    body_hash: String,
    sent_timestamp: String,
    pub(super) signature: String,
    others: [Option<String>; 3],
    host: Option<String>,
}

impl Seen {
    pub(super) fn of(parts: &Parts, body: &[u8]) -> Self {
        let (timestamp, other_timestamp) = value(&parts.headers, &signature::TIMESTAMP);
        let (nonce, other_nonce) = value(&parts.headers, &signature::NONCE);
        let (signature, other_signature) = value(&parts.headers, &signature::SIGNATURE);
        let sent_timestamp = timestamp.unwrap_or_default();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let hash = CanonicalRequest::new(parts.method.as_str(), ("", ""), 0, "", body).body_sha256;
        let host = parts.headers.get(header::HOST).map(|host| lossy(host.as_bytes()));
        Self {
            method: parts.method.as_str().to_ascii_uppercase(),
            path: canonical_path(path).into_owned(),
            query: canonical_query(query),
            // A timestamp that the gateway does not take is shown as it came.
            timestamp: plain_seconds(&sent_timestamp)
                .map_or_else(|| sent_timestamp.clone(), |seconds| seconds.to_string()),
            nonce: nonce.unwrap_or_default(),
            body_hash: hex::encode(hash),
            sent_timestamp,
            signature: signature.unwrap_or_default(),
            others: [other_timestamp, other_nonce, other_signature],
            host: host.or_else(|| parts.uri.host().map(str::to_owned)),
        }
    }

    pub(super) fn lines(&self) -> Lines<'_> {
        Lines {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            timestamp: &self.timestamp,
            nonce: &self.nonce,
            body: &self.body_hash,
        }
    }

    pub(super) fn received<'a>(
        &'a self,
        parts: &'a Parts,
        body: &'a [u8],
        asked: &Asked<'a>,
    ) -> Received<'a> {
        let [other_timestamp, other_nonce, other_signature] = self.others.each_ref();
        Received {
            lines: self.lines(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            timestamp: &self.sent_timestamp,
            signature: &self.signature,
            other_timestamp: other_timestamp.as_deref(),
            other_nonce: other_nonce.as_deref(),
            other_signature: other_signature.as_deref(),
            host: self.host.as_deref(),
            body,
            skew_seconds: asked.skew.as_secs(),
            secrets: asked.secrets.iter().map(|secret| secret.0.as_str()).collect(),
        }
    }

    pub(super) fn is_incomplete(&self) -> bool {
        [&self.sent_timestamp, &self.nonce, &self.signature].iter().any(|text| text.is_empty())
    }
}

/// A field's value, as the gateway chooses it of both names, and the other name's where that is
/// another one.
pub(super) fn value(
    headers: &HeaderMap,
    (_, first, alias): &FieldNames,
) -> (Option<String>, Option<String>) {
    let of = |name| {
        let value = headers.get(name).map(|value| lossy(value.as_bytes()));
        value.filter(|text| !text.is_empty())
    };
    match (of(first), of(alias)) {
        (Some(first), Some(alias)) if first != alias => (Some(first), Some(alias)),
        (first, alias) => (first.or(alias), None),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
