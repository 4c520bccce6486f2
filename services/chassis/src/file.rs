//! How is a picture sent, and when is it not sent again?

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

/// Bytes with what a cache has to know about them.
#[derive(Clone, Debug)]
pub struct File {
    bytes: Bytes,
    digest: String,
    media_type: &'static str,
    cache_control: Cow<'static, str>,
    headers: HeaderMap,
}

impl File {
    /// A file whose tag is a hash of its bytes.
    pub fn new(
        bytes: impl Into<Bytes>,
        media_type: &'static str,
        cache_control: impl Into<Cow<'static, str>>,
    ) -> Self {
        let bytes = bytes.into();
        let digest = hex::encode(Sha256::digest(&bytes));
        Self::known(bytes, digest, media_type, cache_control)
    }

    /// A file whose hash, in hexadecimal digits, is known.
    pub fn known(
        bytes: Bytes,
        digest: String,
        media_type: &'static str,
        cache_control: impl Into<Cow<'static, str>>,
    ) -> Self {
        let cache_control = cache_control.into();
        Self { bytes, digest, media_type, cache_control, headers: HeaderMap::new() }
    }

    /// The same with one more header; text that no header can hold is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, text: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// The file, or 304 for a client whose request headers say that it has it (RFC 9110, 13.1.2).
#[must_use]
pub fn answer(file: File, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", file.digest);
    let has_it = asked.get_all(IF_NONE_MATCH).iter().any(|sent| names(sent, &tag));
    let mut response = Response::new(if has_it { Body::empty() } else { file.bytes.into() });
    let headers = response.headers_mut();
    headers.extend(file.headers);
    for (name, text) in [(CACHE_CONTROL, file.cache_control.as_ref()), (ETAG, tag.as_str())] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    }
    response
}

/// Whether a list of tags names this one, compared weakly.
fn names(sent: &HeaderValue, tag: &str) -> bool {
    let Ok(text) = sent.to_str() else { return false };
    // No tag of ours holds a comma.
    text.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(if_none_match: &'static str) -> Response {
        let file = File::known(Bytes::from_static(b"x"), "ab".to_owned(), "text/plain", "no-cache");
        let value = HeaderValue::from_static(if_none_match);
        answer(file, &HeaderMap::from_iter([(IF_NONE_MATCH, value)]))
    }

    #[test]
    fn client_that_names_the_tag_gets_nothing_again() {
        for has in ["\"ab\"", "W/\"ab\"", "\"other\", \"ab\"", "*"] {
            let response = asked(has);
            assert_eq!(response.status(), 304, "{has}");
            assert_eq!(response.headers().get(ETAG), Some(&HeaderValue::from_static("\"ab\"")));
            assert_eq!(response.headers().get(CONTENT_TYPE), None);
        }
        for has_not in ["\"abc\"", "ab", "", "\"other\""] {
            assert_eq!(asked(has_not).status(), 200, "{has_not}");
        }
    }

    #[test]
    fn other_bytes_have_another_tag() {
        let tag = |bytes: &'static str| {
            answer(File::new(bytes, "text/plain", "no-cache"), &HeaderMap::new())
                .headers()
                .get(ETAG)
                .cloned()
        };
        assert_eq!(tag("one"), tag("one"));
        assert_ne!(tag("one"), tag("other"));
    }
}
