//! How is a picture sent, and when is it not sent again?

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Bytes with what a cache has to know about them.
#[derive(Debug)]
pub(super) struct File {
    bytes: Bytes,
    digest: String,
    media_type: &'static str,
    cache_control: &'static str,
    headers: HeaderMap,
}

impl File {
    /// A file whose tag is a hash of its bytes.
    pub(super) fn new(
        bytes: impl Into<Bytes>,
        media_type: &'static str,
        cache_control: &'static str,
    ) -> Self {
        let bytes = bytes.into();
        let digest = hex::encode(Sha256::digest(&bytes));
        Self::known(bytes, digest, media_type, cache_control)
    }

    /// A file whose hash is known.
    pub(super) fn known(
        bytes: Bytes,
        digest: String,
        media_type: &'static str,
        cache_control: &'static str,
    ) -> Self {
        Self { bytes, digest, media_type, cache_control, headers: HeaderMap::new() }
    }

    /// The same with one more header; text that no header can hold is left out.
    pub(super) fn with(mut self, name: HeaderName, text: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// The file, or 304 for a client that has it.
pub(super) fn answer(file: File, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", file.digest);
    let has_it = asked.get_all(IF_NONE_MATCH).iter().any(|sent| names(sent, &tag));
    let mut response = Response::new(if has_it { Body::empty() } else { file.bytes.into() });
    let headers = response.headers_mut();
    headers.extend(file.headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(file.cache_control));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    }
    response
}

/// Whether a list of tags names this one, compared weakly as RFC 9110 (13.1.2) asks for.
fn names(sent: &HeaderValue, tag: &str) -> bool {
    let Ok(text) = sent.to_str() else { return false };
    // No tag of this service holds a comma.
    text.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(if_none_match: &'static str) -> u16 {
        let file = File::known(Bytes::from_static(b"x"), "ab".to_owned(), "text/plain", "no-cache");
        let value = HeaderValue::from_static(if_none_match);
        answer(file, &HeaderMap::from_iter([(IF_NONE_MATCH, value)])).status().as_u16()
    }

    #[test]
    fn client_that_names_the_tag_gets_nothing_again() {
        for has in ["\"ab\"", "W/\"ab\"", "\"other\", \"ab\"", "*"] {
            assert_eq!(status(has), 304, "{has}");
        }
        for has_not in ["\"abc\"", "ab", "", "\"other\""] {
            assert_eq!(status(has_not), 200, "{has_not}");
        }
    }
}
