//! By which tag does a client know the bytes that it was given?

use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The strong `ETag` of a body: the first 96 bits of its SHA-256.
#[must_use]
pub fn strong_etag(body: &[u8]) -> Option<HeaderValue> {
    let digest = Sha256::digest(body);
    let short = digest.get(..12)?;
    HeaderValue::from_str(&format!("\"{}\"", hex::encode(short))).ok()
}

/// The strong `ETag` of a body in a coding: that of the plain body with the coding's name, or one of
/// its own where the plain body's is weak and says nothing of bytes.
#[must_use]
pub fn coded_etag(plain: Option<&HeaderValue>, coding: &str, coded: &[u8]) -> Option<HeaderValue> {
    let opaque = plain.and_then(|tag| tag.to_str().ok()?.strip_prefix('"')?.strip_suffix('"'));
    match opaque {
        Some(opaque) => HeaderValue::from_str(&format!("\"{opaque}-{coding}\"")).ok(),
        None => strong_etag(coded),
    }
}
