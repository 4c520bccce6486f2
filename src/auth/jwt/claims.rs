//! What does a token say, and for whom does it speak?

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Number, Value};

use super::super::error::TokenError;
use super::super::principal::{Principal, Scheme, Scopes, scopes};
use super::strict::{self, Object};

/// The longest client id, subject or token id, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// The claims of a token: those that the gateway reads, and all by name.
pub(super) struct Claims {
    read: Read,
    all: Object,
}

/// A claim of another type than here fails the decoding.
#[derive(Deserialize)]
struct Read {
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    iss: Option<String>,
    aud: Option<Texts>,
    jti: Option<String>,
    token_type: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    user_id: Option<UserId>,
    scope: Option<String>,
    scp: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

/// The issuer writes user ids as text; older tokens have them as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserId {
    Number(i64),
    Text(String),
}

/// For whom a token speaks, by the names of its claims.
pub(super) struct Names {
    pub(super) sub: Option<Arc<str>>,
    pub(super) user_id: Option<Arc<str>>,
    /// `sub`, else `user_id`.
    pub(super) subject: Arc<str>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) jti: Option<Arc<str>>,
}

impl Claims {
    pub(super) fn read(text: &[u8]) -> Result<Self, TokenError> {
        let all = Value::Object(strict::object(text).ok_or(TokenError::Undecodable)?);
        let read = Read::deserialize(&all).map_err(|_| TokenError::Undecodable)?;
        match all {
            Value::Object(all) => Ok(Self { read, all }),
            _ => Err(TokenError::Undecodable),
        }
    }

    pub(super) fn expires_at(&self) -> Option<i64> {
        seconds(self.read.exp.as_ref())
    }

    pub(super) fn not_before(&self) -> Option<i64> {
        seconds(self.read.nbf.as_ref())
    }

    pub(super) fn issued_at(&self) -> Option<i64> {
        seconds(self.read.iat.as_ref())
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.read.iss.as_deref()
    }

    /// Whether the audience is, or has in its list, the one that is wanted.
    pub(super) fn is_for(&self, wanted: &str) -> bool {
        match &self.read.aud {
            None => false,
            Some(Texts::One(name)) => name == wanted,
            Some(Texts::Several(names)) => names.iter().any(|name| name == wanted),
        }
    }

    pub(super) fn has_id(&self) -> bool {
        self.read.jti.is_some()
    }

    pub(super) fn token_type(&self) -> Option<&str> {
        self.read.token_type.as_deref()
    }

    /// The `scope` text as it stands; `None` also where it is `null`.
    pub(super) fn scope(&self) -> Option<&str> {
        self.read.scope.as_deref()
    }

    /// Whether the claim is there; `null` counts as absent, as for PyJWT.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.get(name).is_some_and(|value| !value.is_null())
    }

    /// A token must speak for somebody. That comes before any fault of the other names.
    pub(super) fn names(&self) -> Result<Names, TokenError> {
        let user = self.read.user_id.as_ref().map(|id| match id {
            UserId::Number(number) => number.to_string(),
            UserId::Text(text) => text.clone(),
        });
        let sub = name("sub", self.read.sub.as_deref())?;
        let user_id = name("user_id", user.as_deref())?;
        let subject = sub.clone().or_else(|| user_id.clone()).ok_or(TokenError::NoSubject)?;
        let client_id = name("client_id", self.read.client_id.as_deref())?;
        let jti = name("jti", self.read.jti.as_deref())?;
        Ok(Names { sub, user_id, subject, client_id, jti })
    }

    /// `scope` is the text of RFC 8693; some issuers write `scp` in its place, as text or as list.
    /// `scope` alone counts where both are there. An entry of a list that is not one word is no
    /// scope: written as text for a service, it would become another one, or several.
    fn scopes(&self) -> Scopes {
        match (&self.read.scope, &self.read.scp) {
            (Some(text), _) | (None, Some(Texts::One(text))) => scopes(text),
            (None, Some(Texts::Several(words))) => {
                let is_word = |word: &&String| *scopes(word) == [Box::<str>::from(word.as_str())];
                words.iter().filter(is_word).map(|word| word.as_str().into()).collect()
            }
            (None, None) => Scopes::default(),
        }
    }

    /// Whoever the token speaks for is counted by its client where it names one. `realm` keeps
    /// apart the names of different issuers, who may each know a "42".
    pub(super) fn principal(&self, names: &Names, realm: Option<&str>) -> Principal {
        let id = names.client_id.as_ref().unwrap_or(&names.subject);
        let of_realm = |name: &Arc<str>| match realm {
            None => Arc::clone(name),
            Some(realm) => format!("{name}@{realm}").into(),
        };
        Principal {
            scheme: Scheme::Jwt,
            id: of_realm(id),
            subject: Some(of_realm(&names.subject)),
            scopes: self.scopes(),
        }
    }
}

/// An empty name is as good as none; a name that would spoil a log line or a key is refused.
fn name(claim: &'static str, text: Option<&str>) -> Result<Option<Arc<str>>, TokenError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(TokenError::Name(claim));
    }
    Ok(Some(text.into()))
}

/// A NumericDate (RFC 7519, section 2) as whole seconds: a fraction is cut off as PyJWT does, and
/// what lies outside of `i64` is taken to its end.
fn seconds(date: Option<&Number>) -> Option<i64> {
    let date = date?;
    date.as_i64().or_else(|| {
        // `as` saturates, and cutting off the fraction is meant.
        date.as_f64().map(|float| float as i64)
    })
}
