//! Which requests are the same question, so that one recorded answer fits both?
//!
//! Method, path, the pairs of the query in the order of their names, the range of a file and the
//! body as JSON, whatever the order of its members. Keys are left out: they are no part of a
//! question, and must not reach a disk.

use axum::extract::Query;
use axum::http::{HeaderMap, Method, Uri, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::exchange::SUFFIX;
use super::hosts::ASSETS_PREFIX;

/// Names of query parameters and of body members that hold a key.
const KEYS: [&str; 5] = ["apikey", "api_key", "api-key", "access_token", "subscription-key"];

/// Hex digits of the hash that names a file.
const NAME_DIGITS: usize = 32;

/// A request without what does not belong to its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The method as sent.
    pub(crate) method: String,
    /// The path at replay.
    pub(crate) path: String,
    /// Decoded pairs, by name; equal names keep their order.
    query: Vec<(String, String)>,
    /// The `Range` header of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    /// The body of a POST: JSON in one form, or text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Question {
    pub(crate) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let mut query = pairs.map(|query| query.0).unwrap_or_default();
        query.retain(|(name, _)| !is_key(name));
        query.sort_by(|a, b| a.0.cmp(&b.0));
        let path = uri.path().to_owned();
        let range = headers.get(header::RANGE).filter(|_| path.starts_with(ASSETS_PREFIX));
        let range = range.map(|range| String::from_utf8_lossy(range.as_bytes()).into_owned());
        let body = (!body.is_empty()).then(|| canonical(body));
        Self { method: method.to_string(), path, query, range, body }
    }

    /// Whether a file is asked for, of which parts may be recorded.
    pub(crate) fn is_file(&self) -> bool {
        self.path.starts_with(ASSETS_PREFIX)
    }

    /// The name of the file that holds the answer.
    pub(crate) fn file_name(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let mut digits = hex::encode(Sha256::digest(text));
        digits.truncate(NAME_DIGITS);
        format!("{digits}.{SUFFIX}")
    }
}

fn is_key(name: &str) -> bool {
    KEYS.iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// JSON with its members in order and without keys; other text as it is.
fn canonical(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            if let Some(members) = value.as_object_mut() {
                members.retain(|name, _| !is_key(name));
            }
            value.to_string()
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::*;

    fn question(method: &Method, uri: &str, body: &str) -> Question {
        Question::new(method, &uri.parse().unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    fn get(uri: &str) -> Question {
        question(&Method::GET, uri, "")
    }

    #[test]
    fn order_and_spelling_do_not_matter() {
        let one = get("/v1/forecast?latitude=1&hourly=a%2Cb");
        assert_eq!(one, get("/v1/forecast?hourly=a,b&latitude=1"));
        assert_ne!(one, get("/v1/forecast?hourly=b,a&latitude=1"));
        let posted = |body| question(&Method::POST, "/search", body);
        assert_eq!(posted(r#"{"a":1,"b":2}"#), posted(r#"{ "b": 2, "a": 1 }"#));
        assert_ne!(posted(r#"{"a":1}"#), posted(r#"{"a":2}"#));
    }

    #[test]
    fn repeated_names_keep_their_order() {
        assert_ne!(get("/v1/archive?a=1&a=2"), get("/v1/archive?a=2&a=1"));
    }

    #[test]
    fn keys_are_no_part_of_a_question() {
        let keyed = get("/v1/forecast?apikey=secret&latitude=1&API_KEY=secret");
        assert_eq!(keyed, get("/v1/forecast?latitude=1"));
        assert!(!serde_json::to_string(&keyed).unwrap().contains("secret"));
        let posted = question(&Method::POST, "/search", r#"{"apikey":"secret","limit":1}"#);
        assert!(!serde_json::to_string(&posted).unwrap().contains("secret"));
    }

    #[test]
    fn names_are_plain_and_differ() {
        let (one, other) = (get("/a?x=../../etc"), get("/b"));
        assert_ne!(one.file_name(), other.file_name());
        assert_eq!(one.file_name().len(), NAME_DIGITS + 1 + SUFFIX.len());
    }
}
