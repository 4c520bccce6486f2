//! Which text does a client sign for a request (the existing Nextcloud clients' canonical form).
//!
//! Six fields joined by line feeds: method, decoded path, canonical query, timestamp, nonce, hash
//! of the body. Only the decoded path can hold a line feed, and it stands between a first and four
//! last fields that cannot, so two different requests never have the same text.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// Everything but the unreserved characters of RFC 3986 is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalRequest<'a> {
    /// The method in upper case.
    pub method: Cow<'a, str>,
    /// The path as [`canonical_path`] gives it.
    pub path: Cow<'a, str>,
    /// The query as [`canonical_query`] gives it.
    pub query: Cow<'a, str>,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    /// The nonce as it was sent.
    pub nonce: &'a str,
    /// The SHA-256 of the body that counts.
    pub body_sha256: [u8; 32],
}

impl<'a> CanonicalRequest<'a> {
    /// What a signature covers of a request that came with this method, this target (path and
    /// query as they were sent) and this body.
    #[must_use]
    pub fn new(
        method: &str,
        (path, query): (&'a str, &str),
        timestamp: u64,
        nonce: &'a str,
        body: &[u8],
    ) -> Self {
        let method = method.to_ascii_uppercase();
        Self {
            body_sha256: body_sha256(&method, body),
            method: method.into(),
            path: canonical_path(path),
            query: canonical_query(query).into(),
            timestamp,
            nonce,
        }
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { method, path, query, timestamp, nonce, .. } = self;
        let hash = hex::encode(self.body_sha256);
        format!("{method}\n{path}\n{query}\n{timestamp}\n{nonce}\n{hash}")
    }
}

/// The hash of the body that counts for `method`: none for GET, whatever was sent; the whole body
/// for every other method, HEAD too.
#[must_use]
pub(super) fn body_sha256(method: &str, body: &[u8]) -> [u8; 32] {
    Sha256::digest(if method == "GET" { &[] } else { body }).into()
}

/// The percent-decoded path, as Django shows it to its views: a malformed `%` stays as it is, and
/// bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn canonical_path(path: &str) -> Cow<'_, str> {
    percent_decode(path.as_bytes()).decode_utf8_lossy()
}

/// The query with its pairs decoded, encoded in one way only, and sorted as encoded text.
///
/// Pairs are split at `&` alone; an empty one is dropped, and a bare key has an empty value. `+`
/// is a space. A malformed `%` is data; bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recoded(key), recoded(value))
        })
        .collect();
    pairs.sort_unstable();
    let mut text = String::with_capacity(query.len());
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&key);
        text.push('=');
        text.push_str(&value);
    }
    text
}

fn recoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8_lossy();
    utf8_percent_encode(&decoded, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_have_one_spelling() {
        for (given, canonical) in [
            ("", ""),
            ("a=2&b=two%20words&plus=%2B&a=1", "a=1&a=2&b=two%20words&plus=%2B"),
            ("q=a+b", "q=a%20b"),
            ("a;b=1;c", "a%3Bb=1%3Bc"),
            ("&&b&a=&&", "a=&b="),
            ("a=b=c", "a=b%3Dc"),
            ("=v&=", "=&=v"),
            ("a=%zz&b=100%", "a=%25zz&b=100%25"),
            ("a=%ff", "a=%EF%BF%BD"),
            ("a=%c3%a9&A=%7e%2D", "A=~-&a=%C3%A9"),
            ("a10=x&a1=y&a%21=z", "a%21=z&a1=y&a10=x"),
            ("a%26b=c%3Dd", "a%26b=c%3Dd"),
        ] {
            assert_eq!(canonical_query(given), canonical, "{given}");
        }
    }

    #[test]
    fn paths_are_decoded_as_django_does() {
        for (given, decoded) in [
            ("/api/%70ing/", "/api/ping/"),
            ("/a%2Fb+c", "/a/b+c"),
            ("/%zz/100%", "/%zz/100%"),
            ("/%ff", "/\u{fffd}"),
            ("/%C3%A9", "/\u{e9}"),
        ] {
            assert_eq!(canonical_path(given), decoded, "{given}");
        }
    }

    #[test]
    fn only_get_ignores_its_body() {
        assert_eq!(body_sha256("GET", b"x"), body_sha256("GET", b""));
        assert_ne!(body_sha256("HEAD", b"x"), body_sha256("HEAD", b""));
    }

    type Fields = (String, String, String, u64, String, [u8; 32]);

    fn fields() -> impl Strategy<Value = Fields> {
        // A small alphabet with the line feed in it makes near collisions likely.
        let path = "/[a\n1/]{0,8}";
        let query = "[a1&=\n%]{0,6}".prop_map(|text| canonical_query(&text));
        (
            "(GET|POST|PUT)",
            path,
            query,
            0..3_u64,
            "[a1]{1,3}",
            prop_oneof![Just([0; 32]), Just([0x11; 32])],
        )
    }

    fn text((method, path, query, timestamp, nonce, body_sha256): &Fields) -> String {
        CanonicalRequest {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            timestamp: *timestamp,
            nonce,
            body_sha256: *body_sha256,
        }
        .text()
    }

    /// Takes a text apart again: the proof that it stands for one request only.
    fn read(text: &str) -> Option<Fields> {
        let mut last = text.rsplitn(5, '\n');
        let hash = hex::decode(last.next()?).ok()?.try_into().ok()?;
        let nonce = last.next()?.to_owned();
        let timestamp = last.next()?.parse().ok()?;
        let query = last.next()?.to_owned();
        let (method, path) = last.next()?.split_once('\n')?;
        Some((method.to_owned(), path.to_owned(), query, timestamp, nonce, hash))
    }

    proptest! {
        #[test]
        fn canonical_query_is_idempotent(query in ".{0,64}") {
            let once = canonical_query(&query);
            prop_assert_eq!(canonical_query(&once), once);
        }

        #[test]
        fn order_of_pairs_does_not_matter(mut pairs in prop::collection::vec("[a-c%+=]{0,4}", 0..6)) {
            let forwards = canonical_query(&pairs.join("&"));
            pairs.reverse();
            prop_assert_eq!(canonical_query(&pairs.join("&")), forwards);
        }

        #[test]
        fn every_field_can_be_read_back_from_the_text(fields in fields()) {
            prop_assert_eq!(read(&text(&fields)), Some(fields));
        }
    }
}
