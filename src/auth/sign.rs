//! How does the gateway sign a token of its own (RFC 7515, compact serialisation)?

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::rule::{RuleError, SharedSecret};

/// The shortest secret for HS256, in bytes: as long as the hash (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// `{"alg":"HS256","typ":"JWT"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// A secret that signs tokens by HS256, made ready.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Prepares the secret.
    ///
    /// # Errors
    ///
    /// [`RuleError::SecretTooShort`].
    pub fn new(secret: &SharedSecret) -> Result<Self, RuleError> {
        let (bytes, bytes_min) = (secret.bytes().len(), SECRET_BYTES_MIN);
        if bytes < bytes_min {
            return Err(RuleError::SecretTooShort { bytes, bytes_min });
        }
        // HMAC takes a key of any length.
        Hmac::new_from_slice(secret.bytes())
            .map(Self)
            .map_err(|_| RuleError::SecretTooShort { bytes, bytes_min })
    }

    /// The token with these claims, which are a JSON object.
    #[must_use]
    pub fn sign(&self, claims: &str) -> String {
        let mut token = String::with_capacity(HEADER.len() + claims.len() * 4 / 3 + 48);
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.0.clone().chain_update(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use serde_json::Value;

    use super::*;

    const SECRET: &[u8] = b"a-signing-key-for-tests-of-at-least-32-bytes";

    #[test]
    fn signed_tokens_are_read_by_others() {
        let key = SigningKey::new(&SharedSecret::new(SECRET)).unwrap();
        let token = key.sign(r#"{"sub":"7","exp":4102444800}"#);
        let validation = Validation::new(Algorithm::HS256);
        let decoding = DecodingKey::from_secret(SECRET);
        let read = jsonwebtoken::decode::<Value>(&token, &decoding, &validation).unwrap();
        assert_eq!(read.claims["sub"], "7");
        assert_eq!(read.header.typ.as_deref(), Some("JWT"));
        assert!(!format!("{key:?}").contains("115"));
    }

    #[test]
    fn secrets_shorter_than_the_hash_are_refused() {
        let short = SigningKey::new(&SharedSecret::new(*b"short")).unwrap_err();
        assert_eq!(short, RuleError::SecretTooShort { bytes: 5, bytes_min: 32 });
    }
}
