//! Does this bearer token hold, and for whom does it speak?
//!
//! Tokens of several issuers are told apart by their `iss`, which is all that is believed before
//! the signature. The existing issuer is Django with SimpleJWT over PyJWT: the order of the checks,
//! the boundary of each comparison and the sentences are theirs, for every issuer.
//!
//! What a token could bring along to choose its own key or rules (`none`, `jwk`, `jku`, `x5u`,
//! `crit` and their like) is refused. A `kid` is only ever compared with the names of keys that are
//! there. Pure: the answer depends on the token, the time, and the keys of the moment.

mod algorithm;
mod bearer;
mod claims;
mod compact;
mod fingerprint;
mod header;
mod issuer;
mod jwk;
mod key;
mod key_fault;
mod key_set;
mod pem;
mod remote;
mod strict;
mod token;

use std::fmt;
use std::sync::Arc;

pub use self::algorithm::{TokenAlgorithm, UnknownAlgorithm};
pub(super) use self::bearer::{bearer, is_presented};
pub use self::compact::TOKEN_BYTES_MAX;
pub use self::fingerprint::Fingerprint;
pub use self::issuer::{JwtIssuerRule, TOKEN_SECRET_BYTES_MIN};
pub use self::key::{RSA_BITS_MAX, RSA_BITS_MIN, VerifyingKey};
pub use self::key_fault::KeyFault;
pub use self::key_set::{KEY_SET_BYTES_MAX, KEYS_MAX, KeySet, KeySource, LiveKeySet, static_keys};
pub use self::remote::{KeySetSource, RemoteFault, RemoteKeySet};
pub use self::token::Token;

use self::claims::Claims;
use self::compact::Compact;
use self::header::Header;
use self::issuer::Issuer;
use super::error::TokenError;
use super::rule::RuleError;
use crate::clock::Now;

/// The most issuers.
pub const ISSUERS_MAX: usize = 16;

/// Verifies bearer tokens by one rule for each issuer.
#[derive(Clone, Debug)]
pub struct JwtVerifier {
    issuers: Vec<Issuer>,
}

impl JwtVerifier {
    /// Prepares the rules.
    ///
    /// The principals of the first rule keep their names as they are (`42`); those of the others
    /// get their issuer's name behind it (`42@https://id.example`), so that no issuer can speak for
    /// the users of another one. The existing issuer goes first.
    ///
    /// # Errors
    ///
    /// [`RuleError`] when a rule could not tell its issuer's tokens from anybody's, or two rules
    /// are for one issuer.
    pub fn new(rules: Vec<JwtIssuerRule>) -> Result<Self, RuleError> {
        let count = rules.len();
        if count == 0 || count > ISSUERS_MAX {
            return Err(RuleError::IssuerCount { count, count_max: ISSUERS_MAX });
        }
        let mut issuers: Vec<Issuer> = Vec::with_capacity(count);
        for (index, rule) in rules.into_iter().enumerate() {
            match &rule.issuer {
                None if count > 1 => return Err(RuleError::IssuerUnnamed),
                Some(name) if issuers.iter().any(|known| known.name() == Some(name)) => {
                    return Err(RuleError::IssuerRepeated { issuer: name.clone() });
                }
                _ => issuers.push(Issuer::new(rule, index > 0)?),
            }
        }
        Ok(Self { issuers })
    }

    /// Verifies one token.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with the first thing that is wrong.
    pub fn verify(&self, token: &[u8], now: Now) -> Result<Token, TokenError> {
        self.read(token)?.verify(now)
    }

    /// Takes a token apart and finds its issuer, for a caller that wants to fetch keys and try
    /// again.
    ///
    /// # Errors
    ///
    /// [`TokenError`] when it is no token, its header asks for what it may not, or none of several
    /// issuers made it.
    pub fn read<'a>(&'a self, token: &'a [u8]) -> Result<Presented<'a>, TokenError> {
        let compact = Compact::read(token)?;
        let header = Header::read(&compact.header)?;
        let claims = Claims::read(&compact.claims);
        let issuer = match &self.issuers[..] {
            // A single issuer's name is checked in its place among the other claims.
            [only] => only,
            several => {
                let name = claims.as_ref().map_err(Clone::clone)?.issuer();
                let named = several.iter().find(|issuer| name.is_some() && issuer.name() == name);
                named.ok_or(TokenError::Issuer)?
            }
        };
        Ok(Presented { issuer, compact, header, claims })
    }

    /// Whether a token that was verified before would be now: its time is not over, its rule is
    /// still one of these, and its key is still in use.
    #[must_use]
    pub fn stands_by(&self, token: &Token, now: Now) -> bool {
        token.holds_at(now) && self.issuers.iter().any(|issuer| issuer.stands_by(token))
    }
}

/// A token whose issuer is known, and of which nothing is verified yet. Never printed.
pub struct Presented<'a> {
    issuer: &'a Issuer,
    compact: Compact<'a>,
    header: Header,
    claims: Result<Claims, TokenError>,
}

impl Presented<'_> {
    /// Verifies it with the keys of the moment: its signature first, then what it says.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with the first thing that is wrong. [`TokenError::UnknownKey`] and
    /// [`TokenError::KeysUnavailable`] may come out otherwise once [`Self::key_set`] was fetched.
    pub fn verify(&self, now: Now) -> Result<Token, TokenError> {
        let key = self.issuer.signed(&self.compact, &self.header)?;
        let claims = self.claims.as_ref().map_err(Clone::clone)?;
        self.issuer.accept(claims, key, now)
    }

    /// The keys of its issuer, where they are fetched.
    #[must_use]
    pub fn key_set(&self) -> Option<&Arc<LiveKeySet>> {
        match self.issuer.keys() {
            KeySource::Set(live) => Some(live),
            KeySource::Static(_) => None,
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("issuer", &self.issuer.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
