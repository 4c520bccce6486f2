//! How is a new API key made?

use std::fmt;

use apikey::form::{KEY_PREFIX, KeyHint};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use rand::rngs::OsRng;

use super::api_key::KeyDigest;

/// Random bytes of a new key: too many to guess, whatever the time.
const RANDOM_BYTES: usize = 32;

/// A key that was just made: to be shown to its owner once, and never kept. Never printed.
pub struct NewKey(Box<str>);

impl NewKey {
    /// The key itself, for the one who asked for it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.0.as_bytes())
    }

    /// What may be shown of it.
    #[must_use]
    pub fn hint(&self) -> KeyHint<'_> {
        KeyHint::of(self.0.as_bytes()).unwrap_or(KeyHint { prefix: KEY_PREFIX, last4: "" })
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey(redacted)")
    }
}

/// Makes a key of 256 random bits from the operating system.
///
/// # Errors
///
/// When the system has no randomness to give.
pub fn generate_key() -> Result<NewKey, rand::Error> {
    let mut random = [0; RANDOM_BYTES];
    OsRng.try_fill_bytes(&mut random)?;
    Ok(NewKey(format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random)).into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn a_new_key_has_the_operators_form() {
        let (one, other) = (generate_key().unwrap(), generate_key().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 8 + 43);
        assert!(one.expose().starts_with(one.hint().prefix));
        assert!(one.expose().ends_with(one.hint().last4));
        assert_eq!((one.hint().prefix.len(), one.hint().last4.len()), (12, 4));
        assert_eq!(one.digest(), KeyDigest::of(one.expose().as_bytes()));
    }

    #[test]
    fn a_new_key_is_never_printed() {
        assert_eq!(format!("{:?}", generate_key().unwrap()), "NewKey(redacted)");
    }
}
