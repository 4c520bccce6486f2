//! By which id is a request known to the client, the service and the log?

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use rand::Rng;

/// The id of a request, in both directions.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that a client may choose.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The id of a request: the client's when it is well formed, else a new one.
#[must_use]
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    match given.filter(|id| is_request_id(id)) {
        Some(id) => id.into(),
        None => new_request_id(),
    }
}

/// 32 random hex digits.
#[must_use]
pub fn new_request_id() -> Arc<str> {
    let random: u128 = rand::thread_rng().r#gen();
    format!("{random:032x}").into()
}

fn is_request_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check_id(given: &'static str, kept: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static(given));
        assert_eq!(&*request_id(&headers) == given, kept, "{given}");
    }

    #[test]
    fn only_a_well_formed_request_id_is_kept() {
        check_id("3f2b-7c.A_1:x", true);
        check_id("", false);
        check_id("with space", false);
        check_id("quote\"d", false);
        check_id(
            concat!(
                "0123456789012345678901234567890123456789012345678901234567890123456789",
                "0123456789012345678901234567890123456789012345678901234567890123456789"
            ),
            false,
        );
    }

    #[test]
    fn a_new_request_id_is_32_hex_digits_and_new() {
        let (one, other) = (new_request_id(), new_request_id());
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
