//! What must a token of this issuer fulfil, and does it?
//!
//! The order of the checks is PyJWT's (required claims, `iat`, `nbf`, `exp`, `iss`, `aud`), then
//! SimpleJWT's (`exp` present, `jti`, `token_type`). With the boundary of each comparison that
//! decides which sentence a token with several faults gets, and clients know those sentences.

use std::time::Duration;

use super::super::error::TokenError;
use super::super::rule::{IssuerFault, RuleError, check_time};
use super::algorithm::TokenAlgorithm;
use super::claims::{Claims, Names};
use super::compact::Compact;
use super::fingerprint::{Fingerprint, Parts};
use super::header::Header;
use super::key::VerifyingKey;
use super::key_set::{KEYS_MAX, KEYS_TRIED_MAX, KeySource, candidates};
use super::token::{Proof, Token};
use crate::clock::Now;

/// The shortest secret for HS256, in bytes: as long as the hash (RFC 7518, section 3.2).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;
/// The longest leeway between an issuer's clock and ours.
const LEEWAY_MAX: Duration = Duration::from_secs(600);
/// The longest name of an issuer, in bytes: it is part of the names of its principals.
const ISSUER_BYTES_MAX: usize = 256;
/// The most claims that can be asked for by name.
const REQUIRED_CLAIMS_MAX: usize = 16;

/// What the tokens of one issuer must fulfil.
#[derive(Clone, Debug)]
pub struct JwtIssuerRule {
    /// The `iss` that every token must have. `None` takes any, and then there can be no other rule.
    pub issuer: Option<String>,
    /// The `aud` that every token must have, alone or in a list; not checked when `None`.
    pub audience: Option<String>,
    /// The algorithms that the issuer signs with; no other is accepted. Either HS* or the rest.
    pub algorithms: Vec<TokenAlgorithm>,
    /// The keys that it signs with.
    pub keys: KeySource,
    /// The `token_type` that every token must have, `access` for the existing issuer; not checked
    /// when `None`.
    pub token_type: Option<String>,
    /// Whether every token must have a `jti`.
    pub jti_required: bool,
    /// How far the issuer's clock may be off, in whole seconds.
    pub leeway: Duration,
    /// Further claims that every token must have, whatever their value.
    pub required_claims: Vec<String>,
}

/// A rule that can be applied.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    rule: JwtIssuerRule,
    leeway_seconds: i64,
    /// What is put behind the names of its principals, where they could be another issuer's.
    realm: Option<String>,
    fingerprint: Fingerprint,
}

impl Issuer {
    pub(super) fn new(rule: JwtIssuerRule, has_realm: bool) -> Result<Self, RuleError> {
        check_time("the token leeway", rule.leeway, LEEWAY_MAX)?;
        check(&rule)?;
        let realm = rule.issuer.clone().filter(|_| has_realm);
        let leeway_seconds = rule.leeway.as_secs().cast_signed();
        let fingerprint = fingerprint(&rule, realm.as_deref());
        Ok(Self { rule, leeway_seconds, realm, fingerprint })
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.rule.issuer.as_deref()
    }

    pub(super) fn keys(&self) -> &KeySource {
        &self.rule.keys
    }

    /// Whether `token` was verified under this very rule, by a key that is still in use.
    pub(super) fn stands_by(&self, token: &Token) -> bool {
        token.proof.rule == self.fingerprint && self.rule.keys.has(token.proof.key)
    }

    /// Which key signed the token: the one thing that is asked before what it says.
    pub(super) fn signed(
        &self,
        compact: &Compact<'_>,
        header: &Header,
    ) -> Result<Fingerprint, TokenError> {
        if !self.rule.algorithms.contains(&header.algorithm) {
            return Err(TokenError::Algorithm);
        }
        match &self.rule.keys {
            KeySource::Static(keys) => one_of(keys, false, compact, header),
            KeySource::Set(live) => {
                let set = live.current().ok_or(TokenError::KeysUnavailable)?;
                one_of(set.keys(), true, compact, header)
            }
        }
    }

    /// What the token says, if that is enough. Only for claims that were signed by `key`.
    pub(super) fn accept(
        &self,
        claims: &Claims,
        key: Fingerprint,
        now: Now,
    ) -> Result<Token, TokenError> {
        let expires_at = self.check(claims, now)?;
        let names = claims.names()?;
        let principal = claims.principal(&names, self.realm.as_deref());
        let Names { sub, user_id, client_id, jti, .. } = names;
        let leeway_seconds = self.leeway_seconds;
        Ok(Token {
            principal,
            issuer: claims.issuer().map(Into::into),
            jti,
            subject: sub,
            user_id,
            client: client_id,
            scope: claims.scope().map(Into::into),
            issued_at: claims.issued_at(),
            not_before: claims.not_before(),
            expires_at,
            proof: Proof { rule: self.fingerprint, key, leeway_seconds },
        })
    }

    fn check(&self, claims: &Claims, now: Now) -> Result<i64, TokenError> {
        if let Some(absent) = self.rule.required_claims.iter().find(|name| !claims.has(name)) {
            return Err(TokenError::NoClaim(absent.as_str().into()));
        }
        let now = now.unix_seconds();
        let latest = now.saturating_add(self.leeway_seconds);
        if claims.issued_at().is_some_and(|at| at > latest) {
            return Err(TokenError::NotYetValid("iat"));
        }
        if claims.not_before().is_some_and(|at| at > latest) {
            return Err(TokenError::NotYetValid("nbf"));
        }
        let expiry = claims.expires_at();
        if expiry.is_some_and(|at| at <= now.saturating_sub(self.leeway_seconds)) {
            return Err(TokenError::Expired);
        }
        if self.rule.issuer.is_some() && self.rule.issuer.as_deref() != claims.issuer() {
            return Err(TokenError::Issuer);
        }
        if self.rule.audience.as_ref().is_some_and(|audience| !claims.is_for(audience)) {
            return Err(TokenError::Audience);
        }
        let expiry = expiry.ok_or(TokenError::NoExpiry)?;
        if self.rule.jti_required && !claims.has_id() {
            return Err(TokenError::NoId);
        }
        match (self.rule.token_type.as_deref(), claims.token_type()) {
            (Some(_), None) => Err(TokenError::NoType),
            (Some(wanted), Some(given)) if wanted != given => Err(TokenError::WrongType),
            _ => Ok(expiry),
        }
    }
}

fn one_of(
    keys: &[VerifyingKey],
    is_fetched: bool,
    compact: &Compact<'_>,
    header: &Header,
) -> Result<Fingerprint, TokenError> {
    let Header { algorithm, kid } = header;
    candidates(keys, is_fetched, kid.as_deref(), *algorithm)?
        .into_iter()
        .find(|key| key.verifies(*algorithm, compact.message, &compact.signature))
        .map(VerifyingKey::fingerprint)
        .ok_or(TokenError::Signature)
}

fn check(rule: &JwtIssuerRule) -> Result<(), RuleError> {
    let name = rule.issuer.clone().unwrap_or_else(|| "(any)".to_owned());
    let fault = |fault| Err(RuleError::Issuer { issuer: name.clone(), fault });
    if rule.issuer.as_ref().is_some_and(|name| !is_name(name)) {
        return fault(IssuerFault::Name);
    }
    if rule.required_claims.len() > REQUIRED_CLAIMS_MAX {
        return fault(IssuerFault::ClaimsTooMany { count_max: REQUIRED_CLAIMS_MAX });
    }
    let Some(first) = rule.algorithms.first() else { return fault(IssuerFault::NoAlgorithm) };
    let is_symmetric = first.is_symmetric();
    if rule.algorithms.iter().any(|algorithm| algorithm.is_symmetric() != is_symmetric) {
        return fault(IssuerFault::AlgorithmsMixed);
    }
    let keys = match &rule.keys {
        KeySource::Set(_) if is_symmetric => return fault(IssuerFault::SecretFetched),
        KeySource::Set(_) => return Ok(()),
        KeySource::Static(keys) => keys,
    };
    let nameless = keys.iter().filter(|key| key.kid().is_none()).count();
    if keys.len() > KEYS_MAX || nameless > KEYS_TRIED_MAX {
        return fault(IssuerFault::KeysTooMany { count_max: KEYS_TRIED_MAX });
    }
    let fits = |key: &VerifyingKey| rule.algorithms.iter().any(|algorithm| key.fits(*algorithm));
    if !keys.iter().any(fits) {
        return fault(IssuerFault::NoKey);
    }
    let bytes_min = rule.algorithms.iter().map(|algorithm| algorithm.hash_bytes()).max();
    let bytes_min = bytes_min.unwrap_or(TOKEN_SECRET_BYTES_MIN);
    match keys.iter().filter_map(VerifyingKey::secret_bytes).min() {
        Some(bytes) if bytes < bytes_min => Err(RuleError::SecretTooShort { bytes, bytes_min }),
        _ => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= ISSUER_BYTES_MAX && !name.chars().any(char::is_control)
}

/// Everything that decides, but for the keys: a remembered token answers for its key by itself.
fn fingerprint(rule: &JwtIssuerRule, realm: Option<&str>) -> Fingerprint {
    let parts = Parts::of("rule")
        .and_maybe(rule.issuer.as_deref())
        .and_maybe(rule.audience.as_deref())
        .and_maybe(rule.token_type.as_deref())
        .and_maybe(realm)
        .and(&[u8::from(rule.jti_required)])
        .and(&rule.leeway.as_secs().to_be_bytes());
    let algorithms =
        rule.algorithms.iter().fold(parts, |parts, a| parts.and(a.as_str().as_bytes()));
    let claims = rule.required_claims.iter();
    claims.fold(algorithms.and(b""), |parts, name| parts.and(name.as_bytes())).fingerprint()
}
