//! What does a token's header ask for, and may it ask for that (RFC 7515, section 4)?

use super::super::error::TokenError;
use super::algorithm::TokenAlgorithm;
use super::strict;

/// The longest `kid`, in bytes.
pub(super) const KID_BYTES_MAX: usize = 128;

/// Members that bring a key of the sender's choice, another encoding, or rules that must be
/// understood. None is ever followed: a token that has one, whatever its value, was not made by an
/// issuer of ours. (`b64` counts only beside `crit`; a token with it was made for something else.)
const FORBIDDEN: [&str; 8] = ["b64", "crit", "enc", "jku", "jwk", "x5c", "x5u", "zip"];

/// The types that are tokens for us, case aside: RFC 7519, section 5.1, and RFC 9068, section 2.1.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A header that asks for nothing it may not.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: TokenAlgorithm,
    /// Which key it says was used. Only ever compared with the names of keys that we have.
    pub(super) kid: Option<String>,
}

impl Header {
    pub(super) fn read(text: &[u8]) -> Result<Self, TokenError> {
        let members = strict::object(text).ok_or(TokenError::Undecodable)?;
        if let Some(name) = FORBIDDEN.into_iter().find(|name| members.contains_key(*name)) {
            return Err(TokenError::HeaderField(name));
        }
        if let Some(value) = members.get("typ")
            && !value.as_str().is_some_and(is_token_type)
        {
            return Err(TokenError::HeaderField("typ"));
        }
        let kid = match members.get("kid") {
            None => None,
            Some(value) => {
                let kid = value.as_str().filter(|kid| is_kid(kid));
                Some(kid.ok_or(TokenError::HeaderField("kid"))?.to_owned())
            }
        };
        let name = members.get("alg").and_then(|name| name.as_str());
        let name = name.ok_or(TokenError::Undecodable)?;
        let algorithm = name.parse().map_err(|_| TokenError::Algorithm)?;
        Ok(Self { algorithm, kid })
    }
}

/// Whether a text can be the name of a key.
pub(super) fn is_kid(kid: &str) -> bool {
    kid.len() <= KID_BYTES_MAX && !kid.chars().any(char::is_control)
}

/// `application/` may be left out, and is (RFC 7515, section 4.1.9).
fn is_token_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    let short = typ.strip_prefix("application/").unwrap_or(&typ);
    TYPES.contains(&short)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn harmless_members_are_passed_over() {
        for text in [
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"ES256","typ":"JWT"}"#,
            r#"{"alg":"ES256","typ":"jwt","cty":"x","x5t":"abc","x5t#S256":"abc"}"#,
            r#"{"alg":"ES256","typ":"AT+JWT","nonce":"n","unknown":{"alg":"none"}}"#,
            r#"{"alg":"ES256","typ":"application/at+jwt"}"#,
        ] {
            let header = Header::read(text.as_bytes()).unwrap();
            assert_eq!((header.algorithm, header.kid), (TokenAlgorithm::Es256, None), "{text}");
        }
    }

    #[test]
    fn a_key_name_is_bounded_text() {
        let read = |kid: &str| Header::read(format!(r#"{{"alg":"ES256","kid":{kid}}}"#).as_bytes());
        let long = "k".repeat(KID_BYTES_MAX);
        for kid in ["", "a", "../../dev/null", "' OR 1=1 --", "é", &long] {
            assert_eq!(read(&format!("\"{kid}\"")).unwrap().kid.as_deref(), Some(kid));
        }
        let longer = format!("\"{long}k\"");
        for kid in ["null", "1", "[\"a\"]", "{\"a\":1}", r#""a\u0000b""#, r#""a\nb""#, &longer] {
            assert_eq!(read(kid).unwrap_err(), TokenError::HeaderField("kid"), "{kid}");
        }
    }
}
