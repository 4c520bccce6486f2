//! Does a request carry a bearer token?

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::super::error::AuthError;

/// Finds the bearer token of a request.
///
/// Only the word `Bearer` in exactly this case counts, as for the existing issuer; any other
/// scheme is no credential at all. Several fields are refused, because the service behind might
/// read another one than the gateway did.
pub(in super::super) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::BearerRepeated);
    }
    let mut words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.next() != Some(b"Bearer") {
        return Ok(None);
    }
    match (words.next(), words.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(AuthError::BearerMalformed),
    }
}

/// Whether [`bearer`] finds a token, or an attempt at one.
pub(in super::super) fn is_presented(headers: &HeaderMap) -> bool {
    !matches!(bearer(headers), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_words_after_the_exact_scheme_are_a_token() {
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, http::HeaderValue::from_static(value));
            }
            bearer(&headers).map(|token| token.map(<[u8]>::to_vec))
        };
        assert_eq!(found(&[]), Ok(None));
        for ignored in ["", "bearer t", "BEARER t", "Basic dTpw", "Bearer,t", "Token t u"] {
            assert_eq!(found(&[ignored]), Ok(None), "{ignored}");
        }
        for accepted in ["Bearer t", " Bearer \t t ", "Bearer\tt"] {
            assert_eq!(found(&[accepted]), Ok(Some(b"t".to_vec())), "{accepted}");
        }
        for malformed in ["Bearer", "Bearer ", "Bearer t u"] {
            assert_eq!(found(&[malformed]), Err(AuthError::BearerMalformed), "{malformed}");
        }
        assert_eq!(found(&["Bearer t", "Bearer t"]), Err(AuthError::BearerRepeated));
        assert_eq!(found(&["Basic dTpw", "Bearer t"]), Err(AuthError::BearerRepeated));
    }
}
