//! What does an API key look like?

/// What every key of ours begins with, so that a scanner for leaked secrets can find it.
pub const KEY_PREFIX: &str = "wk_live_";

/// The longest key that is looked up, in bytes.
pub const KEY_BYTES_MAX: usize = 256;

/// How much of the beginning of a key may be shown.
const HINT_PREFIX_BYTES: usize = 12;
/// How much of its end may be shown.
const HINT_LAST_BYTES: usize = 4;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

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
