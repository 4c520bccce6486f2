//! What does an API key look like, and how is a new one made?

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use rand::rngs::OsRng;

use super::api_key::{KEY_BYTES_MAX, KeyDigest};

/// What every key of ours begins with, so that a scanner for leaked secrets can find it.
pub const KEY_PREFIX: &str = "wk_live_";

/// How much of the beginning of a key may be shown.
const HINT_PREFIX_BYTES: usize = 12;
/// How much of its end may be shown.
const HINT_LAST_BYTES: usize = 4;
/// Random bytes of a new key: too many to guess, whatever the time.
const RANDOM_BYTES: usize = 32;

/// The two ends of a key, by which people and tables tell it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHint<'a> {
    /// The first twelve characters.
    pub prefix: &'a str,
    /// The last four.
    pub last4: &'a str,
}

impl<'a> KeyHint<'a> {
    /// The ends of a key of the operator's form: `wk_live_` and url-safe characters, with the two
    /// ends apart. Those made by the operator's system have 43 of them; what counts is that no
    /// other text is worth a question to a database.
    #[must_use]
    pub fn of(key: &'a [u8]) -> Option<Self> {
        let is_url_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if key.len() > KEY_BYTES_MAX || !key.iter().all(is_url_safe) {
            return None;
        }
        let text = str::from_utf8(key).ok()?;
        if !text.starts_with(KEY_PREFIX) {
            return None;
        }
        let (prefix, rest) = text.split_at_checked(HINT_PREFIX_BYTES)?;
        let (_, last4) = rest.split_at_checked(rest.len().checked_sub(HINT_LAST_BYTES)?)?;
        Some(Self { prefix, last4 })
    }
}

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

    #[test]
    fn other_texts_have_no_hint() {
        let hint = KeyHint::of(b"wk_live_abcd1234").unwrap();
        assert_eq!((hint.prefix, hint.last4), ("wk_live_abcd", "1234"));
        let long = format!("wk_live_{}", "a".repeat(KEY_BYTES_MAX));
        let others: [&[u8]; 6] = [
            b"wk_live_abcd123",
            b"wk_test_abcd1234",
            b"wk_live_abcd12 4",
            b"wk_live_abcd12=4",
            "wk_live_abcd12\u{e9}4".as_bytes(),
            long.as_bytes(),
        ];
        for key in others {
            assert_eq!(KeyHint::of(key), None, "{key:?}");
        }
    }
}
