//! Does this bearer token hold, and for whom does it speak?
//!
//! HS256 alone, the algorithm of the gateway's tokens and of the operator's. `exp`, `iss` and `aud`
//! are required; `nbf` and `iat` count where they are there. The library checks the signature, the
//! issuer and the audience; time is checked here, so that it can be an argument.

use std::sync::Arc;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Number;

use super::principal::{Principal, Scheme, scopes};
use super::settings::TokenSettings;
use crate::clock::Now;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The longest subject or client id, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// How far the clocks of the machine that made a token and of this one may be apart.
const LEEWAY_SECONDS: i64 = 5;

/// Why a token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    #[error("token too long")]
    TooLong,
    #[error("token undecodable")]
    Undecodable,
    #[error("token algorithm")]
    Algorithm,
    #[error("token signature")]
    Signature,
    #[error("token issuer")]
    Issuer,
    #[error("token audience")]
    Audience,
    #[error("token type")]
    Type,
    #[error("token without expiry")]
    NoExpiry,
    #[error("token expired")]
    Expired,
    #[error("token not valid yet")]
    NotYet,
    #[error("token without subject")]
    Subject,
}

/// All whose tokens are believed.
pub(super) struct Tokens(Vec<Rule>);

impl Tokens {
    pub(super) fn new(internal: Option<&TokenSettings>, bearer: Option<&TokenSettings>) -> Self {
        let rules = [(Scheme::Internal, internal), (Scheme::Jwt, bearer)];
        Self(
            rules.into_iter().filter_map(|(scheme, rule)| Some(Rule::new(scheme, rule?))).collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies one token by the rule that it was made for: the first whose key has signed it, or
    /// the next one with the same key.
    pub(super) fn verify(&self, token: &str, now: Now) -> (Scheme, Result<Principal, TokenFault>) {
        let mut outcome = (Scheme::Jwt, Err(TokenFault::Signature));
        for rule in &self.0 {
            match rule.verify(token, now) {
                Ok(principal) => return (rule.scheme, Ok(principal)),
                Err(TokenFault::Signature) => {}
                Err(fault) => outcome = (rule.scheme, Err(fault)),
            }
        }
        outcome
    }
}

/// One issuer of tokens.
struct Rule {
    scheme: Scheme,
    key: DecodingKey,
    validation: Validation,
}

impl Rule {
    fn new(scheme: Scheme, settings: &TokenSettings) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        Self { scheme, key: DecodingKey::from_secret(settings.secret.bytes()), validation }
    }

    fn verify(&self, token: &str, now: Now) -> Result<Principal, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::TooLong);
        }
        let token = decode::<Claims>(token, &self.key, &self.validation);
        let claims = token.map_err(|error| fault(&error))?.claims;
        if claims.token_type.as_deref() != Some(self.token_type()) {
            return Err(TokenFault::Type);
        }
        claims.check_times(now.unix_seconds())?;
        self.principal(claims)
    }

    fn token_type(&self) -> &'static str {
        match self.scheme {
            Scheme::Internal => "internal",
            Scheme::Jwt | Scheme::ApiKey => "access",
        }
    }

    fn principal(&self, claims: Claims) -> Result<Principal, TokenFault> {
        let user = claims.user_id.map(|id| match id {
            UserId::Number(number) => number.to_string(),
            UserId::Text(text) => text,
        });
        // A user's token of a login has no `sub`.
        let subject = name(claims.sub)?.or(name(user)?).ok_or(TokenFault::Subject)?;
        // The gateway always writes a scope, and leaves it empty where the caller's credential has
        // none.
        let scope = claims.scope.filter(|text| self.scheme != Scheme::Internal || !text.is_empty());
        Ok(Principal {
            scheme: self.scheme,
            subject,
            client_id: name(claims.client_id)?,
            scopes: scope.as_deref().map(scopes),
        })
    }
}

/// The claims that are read. One that comes twice, or is of another type, fails the decoding.
#[derive(Deserialize)]
struct Claims {
    token_type: Option<String>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    sub: Option<String>,
    user_id: Option<UserId>,
    client_id: Option<String>,
    scope: Option<String>,
}

/// The issuer writes user ids as text; older tokens have them as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserId {
    Number(i64),
    Text(String),
}

impl Claims {
    fn check_times(&self, now: i64) -> Result<(), TokenFault> {
        let expires_at = self.exp.as_ref().map(seconds).ok_or(TokenFault::NoExpiry)?;
        if now >= expires_at.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenFault::Expired);
        }
        let latest = now.saturating_add(LEEWAY_SECONDS);
        let begins_later = |at: &Option<Number>| at.as_ref().is_some_and(|at| seconds(at) > latest);
        if begins_later(&self.nbf) || begins_later(&self.iat) {
            return Err(TokenFault::NotYet);
        }
        Ok(())
    }
}

/// A NumericDate (RFC 7519, section 2) as whole seconds; a fraction is cut off.
fn seconds(date: &Number) -> i64 {
    // `as` saturates, and a number without a value in either form cannot be read from JSON.
    date.as_i64().or_else(|| date.as_f64().map(|date| date as i64)).unwrap_or(i64::MIN)
}

/// An empty name is as good as none; one that would spoil a log line is refused.
fn name(text: Option<String>) -> Result<Option<Arc<str>>, TokenFault> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(TokenFault::Subject);
    }
    Ok(Some(text.into()))
}

fn fault(error: &Error) -> TokenFault {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenFault::Algorithm,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => TokenFault::Issuer,
        ErrorKind::MissingRequiredClaim(_) => TokenFault::Audience,
        _ => TokenFault::Undecodable,
    }
}

#[cfg(test)]
mod tests;
