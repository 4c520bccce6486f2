//! What a bearer token says, and for whom it speaks.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Number;

use super::super::error::TokenError;
use super::super::principal::{Principal, Scheme, scopes};

/// The longest client id or subject of a token, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// The claims that the gateway reads. A claim of another type, or there twice, fails the decoding.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) exp: Option<Number>,
    pub(super) nbf: Option<Number>,
    pub(super) iat: Option<Number>,
    pub(super) iss: Option<String>,
    pub(super) aud: Option<Audience>,
    pub(super) jti: Option<String>,
    pub(super) token_type: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    user_id: Option<UserId>,
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Whether the audience is, or has in its list, the one that is wanted.
    pub(super) fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Several(names) => names.iter().any(|name| name == wanted),
        }
    }
}

/// The issuer writes user ids as text; older tokens have them as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserId {
    Number(i64),
    Text(String),
}

impl Claims {
    /// A token must speak for somebody (`sub`, else `user_id`); it is counted by its client where
    /// it names one.
    pub(super) fn principal(self) -> Result<Principal, TokenError> {
        let user = self.user_id.map(|id| match id {
            UserId::Number(number) => number.to_string(),
            UserId::Text(text) => text,
        });
        let subject = match name("sub", self.sub)? {
            Some(subject) => Some(subject),
            None => name("user_id", user)?,
        };
        let subject = subject.ok_or(TokenError::NoSubject)?;
        let client = name("client_id", self.client_id)?;
        Ok(Principal {
            scheme: Scheme::Jwt,
            id: client.unwrap_or_else(|| Arc::clone(&subject)),
            subject: Some(subject),
            scopes: scopes(self.scope.as_deref().unwrap_or_default()),
        })
    }
}

/// An empty name is as good as none; a name that would spoil a log line or a key is refused.
fn name(claim: &'static str, text: Option<String>) -> Result<Option<Arc<str>>, TokenError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(TokenError::Name(claim));
    }
    Ok(Some(text.into()))
}

/// A NumericDate (RFC 7519, section 2) as whole seconds: a fraction is cut off as PyJWT does, and
/// what lies outside of `i64` is taken to its end.
pub(super) fn seconds(date: Option<&Number>) -> Option<i64> {
    let date = date?;
    date.as_i64().or_else(|| {
        // `as` saturates, and cutting off the fraction is meant.
        date.as_f64().map(|float| float as i64)
    })
}
