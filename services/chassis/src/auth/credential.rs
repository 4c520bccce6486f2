//! Which credential does a request carry?

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request carries to prove who is calling. Never printed.
#[derive(PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// A bearer token.
    Bearer(&'a str),
    /// An API key.
    ApiKey(&'a [u8]),
    /// An attempt at a bearer token.
    BearerMalformed,
    /// Several API keys.
    ApiKeyRepeated,
    /// Nothing.
    None,
}

impl<'a> Credential<'a> {
    /// The credential that decides. Only the word `Bearer` in exactly this case counts; any other
    /// scheme of `Authorization` is no credential at all, and leaves the word to the key.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (field, more) = (fields.next(), fields.next());
        if more.is_some() {
            return Self::BearerMalformed;
        }
        let text = field.map_or(Ok(""), |field| field.to_str());
        let Ok(text) = text else { return Self::BearerMalformed };
        let mut words = text.split_ascii_whitespace();
        if words.next() == Some("Bearer") {
            return match (words.next(), words.next()) {
                (Some(token), None) => Self::Bearer(token),
                _ => Self::BearerMalformed,
            };
        }
        Self::key_of(headers)
    }

    fn key_of(headers: &'a HeaderMap) -> Self {
        let mut fields = headers.get_all(X_API_KEY).iter();
        match (fields.next(), fields.next()) {
            (Some(_), Some(_)) => Self::ApiKeyRepeated,
            (Some(key), None) if !key.is_empty() => Self::ApiKey(key.as_bytes()),
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], expected: &Credential<'_>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert!(Credential::of(&headers) == *expected, "{fields:?}");
    }

    #[test]
    fn bearer_token_comes_before_the_key() {
        check(&[], &Credential::None);
        let key = ("x-api-key", "k");
        for token in ["Bearer t", " Bearer \t t "] {
            check(&[("authorization", token), key], &Credential::Bearer("t"));
        }
        for bad in ["Bearer", "Bearer ", "Bearer t u"] {
            check(&[("authorization", bad), key], &Credential::BearerMalformed);
        }
        for other in ["", "bearer t", "Basic dTpw", "Token t"] {
            check(&[("authorization", other), key], &Credential::ApiKey(b"k"));
        }
    }

    #[test]
    fn repeated_fields_are_malformed() {
        let (token, key) = (("authorization", "Bearer t"), ("x-api-key", "k"));
        check(&[token, token], &Credential::BearerMalformed);
        check(&[("authorization", "Basic x"), token], &Credential::BearerMalformed);
        check(&[key, key], &Credential::ApiKeyRepeated);
        check(&[("x-api-key", "")], &Credential::None);
    }
}
