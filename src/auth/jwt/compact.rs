//! What are the three parts of a token in the compact serialisation (RFC 7515, section 7.1)?
//!
//! Strict, so that a token has one spelling but for its signature: exactly two dots, base64url
//! without padding, white space or bits that say nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::error::TokenError;

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A token taken apart. Nothing in it is believed yet, and it is not printed: it may hold.
pub(super) struct Compact<'a> {
    pub(super) header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    /// What was signed: the first two parts as they stand.
    pub(super) message: &'a [u8],
    pub(super) signature: Signature<'a>,
}

/// A signature, as it stands and decoded.
pub(super) struct Signature<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(super) fn read(token: &'a [u8]) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong { bytes: token.len() });
        }
        let token = std::str::from_utf8(token).map_err(|_| TokenError::Undecodable)?;
        let (message, text) = token.rsplit_once('.').ok_or(TokenError::Undecodable)?;
        // A third dot, as in an encrypted token, is left in `claims` and is no base64url.
        let (header, claims) = message.split_once('.').ok_or(TokenError::Undecodable)?;
        Ok(Self {
            header: decode(header)?,
            claims: decode(claims)?,
            message: message.as_bytes(),
            signature: Signature { text, bytes: decode(text)? },
        })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Undecodable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn three_parts_are_taken_apart() {
        let compact = Compact::read(b"eyJhIjoxfQ.e30.AAE").ok().unwrap();
        assert_eq!((&compact.header[..], &compact.claims[..]), (&b"{\"a\":1}"[..], &b"{}"[..]));
        assert_eq!(compact.message, b"eyJhIjoxfQ.e30");
        assert_eq!((compact.signature.text, &compact.signature.bytes[..]), ("AAE", &[0, 1][..]));
    }

    #[test]
    fn any_other_form_is_refused() {
        for token in [
            &b""[..],
            b"e30",
            b"e30.e30",
            b"e30.e30.e30.e30",
            b"e30.e30.e30.e30.e30",
            b"e30=.e30.AAE",
            b"e30.e30.AAE=",
            b"e30.e30.AAF",
            b"e31.e30.AAE",
            b"e30.e31.AAE",
            b"e30.e30.AA+",
            b"e30.e30.A/E",
            b"e30.e30.AAE\n",
            b" e30.e30.AAE",
            b"e30. e30.AAE",
            b"e30.e30.AA\0",
            b"e30.e30.AA%45",
            b"\xff.e30.AAE",
            b"{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"AAE\"}",
        ] {
            assert!(Compact::read(token).is_err(), "{}", token.escape_ascii());
        }
    }

    #[test]
    fn a_long_token_is_not_looked_at() {
        let fits = [vec![b'.'; 2], vec![b'A'; TOKEN_BYTES_MAX - 2]].concat();
        assert!(Compact::read(&fits).is_ok());
        let long = [fits, vec![b'A']].concat();
        let refused = Compact::read(&long).err();
        assert_eq!(refused, Some(TokenError::TooLong { bytes: TOKEN_BYTES_MAX + 1 }));
    }
}
