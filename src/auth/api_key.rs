//! Whose API key is this.
//!
//! A key is 32 random bytes, so its plain SHA-256 can neither be guessed nor turned back, and no
//! slow hash is needed. The table is keyed by that digest. The lookup compares digests in variable
//! time, which tells a caller nothing useful: to probe a stored digest byte by byte it would have
//! to choose the digest of what it sends, and SHA-256 does not let it. The map's own hash is seeded
//! per process.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use apikey::form::KEY_BYTES_MAX;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::error::KeyError;
use super::key_record::KeyRecord;
use super::principal::{Principal, scopes};
use super::rule::{RuleError, check_id};
use crate::clock::Now;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The SHA-256 of an API key: what is stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Reads a digest from 64 hex digits of any case.
    ///
    /// # Errors
    ///
    /// [`RuleError::DigestMalformed`] when the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self, RuleError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| RuleError::DigestMalformed)?;
        Ok(Self(digest))
    }

    /// A digest as it was stored.
    #[must_use]
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest as it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(redacted)")
    }
}

/// One API key, as configured.
#[derive(Clone, Debug)]
pub struct ApiKeyRule {
    /// The name that the key's calls are counted and logged by.
    pub id: String,
    /// The user it belongs to, whose id its calls are made for.
    pub user: Option<String>,
    /// What is stored of the key.
    pub digest: KeyDigest,
    /// What the key may do, split on commas and spaces.
    pub scopes: String,
    /// From which Unix second on the key no longer holds.
    pub expires_at: Option<i64>,
    /// Whether the key was withdrawn.
    pub revoked: bool,
}

/// All API keys of a configuration.
#[derive(Debug, Default)]
pub struct ApiKeyTable {
    by_digest: HashMap<KeyDigest, KeyRecord>,
}

impl ApiKeyTable {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for an id or a user that is malformed, an id that is repeated, or a key that
    /// two ids share.
    pub fn new(rules: impl IntoIterator<Item = ApiKeyRule>) -> Result<Self, RuleError> {
        let mut by_digest: HashMap<KeyDigest, KeyRecord> = HashMap::new();
        let mut ids = HashSet::new();
        for rule in rules {
            check_id(&rule.id)?;
            rule.user.as_deref().map_or(Ok(()), check_id)?;
            let id: Arc<str> = rule.id.into();
            if !ids.insert(Arc::clone(&id)) {
                return Err(RuleError::IdRepeated { id: id.to_string() });
            }
            let record = KeyRecord {
                id: Arc::clone(&id),
                name: Arc::clone(&id),
                user: rule.user.map(Arc::from),
                scopes: scopes(&rule.scopes),
                expires_at: rule.expires_at,
                revoked: rule.revoked,
                owner_active: true,
            };
            if let Some(earlier) = by_digest.insert(rule.digest, record) {
                let (first, second) = (earlier.id.to_string(), id.to_string());
                return Err(RuleError::KeyRepeated { first, second });
            }
        }
        Ok(Self { by_digest })
    }

    /// Looks up one key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong with it.
    pub fn verify(&self, key: &[u8], now: Now) -> Result<Principal, KeyError> {
        check_form(key)?;
        self.verify_digest(&KeyDigest::of(key), now)
    }

    /// Looks up one key of good form by its digest.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong with it.
    pub fn verify_digest(&self, digest: &KeyDigest, now: Now) -> Result<Principal, KeyError> {
        self.by_digest.get(digest).ok_or(KeyError::Unknown)?.principal(now)
    }
}

/// Whether a text can be a key at all: printable ASCII of a sensible length.
///
/// # Errors
///
/// [`KeyError::Malformed`] when it cannot.
pub fn check_form(key: &[u8]) -> Result<(), KeyError> {
    if key.len() > KEY_BYTES_MAX || !key.iter().all(u8::is_ascii_graphic) {
        return Err(KeyError::Malformed);
    }
    Ok(())
}

/// Finds the API key of a request. An empty field is no credential; several fields are refused,
/// because the service behind might read another one than the gateway did.
pub(super) fn presented(headers: &HeaderMap) -> Result<Option<&[u8]>, KeyError> {
    let mut values = headers.get_all(X_API_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(KeyError::Repeated);
    }
    Ok(Some(value.as_bytes()).filter(|key| !key.is_empty()))
}

/// Whether [`presented`] finds a key, or an attempt at one.
pub(super) fn is_presented(headers: &HeaderMap) -> bool {
    !matches!(presented(headers), Ok(None))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn rule(id: &str, key: &str) -> ApiKeyRule {
        ApiKeyRule {
            id: id.into(),
            user: None,
            digest: KeyDigest::of(key.as_bytes()),
            scopes: "read".into(),
            expires_at: None,
            revoked: false,
        }
    }

    fn at(seconds: u64) -> Now {
        Now { wall: UNIX_EPOCH + Duration::from_secs(seconds), ..Now::read() }
    }

    #[test]
    fn a_known_key_gives_its_id_and_scopes() {
        let table = ApiKeyTable::new([rule("k6", "wk_live_a"), rule("nc", "wk_live_b")]).unwrap();
        let caller = table.verify(b"wk_live_b", at(1)).unwrap();
        assert_eq!(caller.quota_key(), "api_key:nc");
        assert!(caller.has_scope("read") && !caller.has_scope("rea"));
    }

    #[test]
    fn a_key_with_a_user_speaks_for_it() {
        let owned = ApiKeyRule { user: Some("42".into()), ..rule("k6", "wk_live_a") };
        let caller = ApiKeyTable::new([owned]).unwrap().verify(b"wk_live_a", at(1)).unwrap();
        assert_eq!((caller.subject.as_deref(), &*caller.id), (Some("42"), "k6"));
    }

    #[test]
    fn a_key_holds_until_the_second_it_expires() {
        let table =
            ApiKeyTable::new([ApiKeyRule { expires_at: Some(100), ..rule("k", "wk_live_a") }])
                .unwrap();
        assert!(table.verify(b"wk_live_a", at(99)).is_ok());
        assert_eq!(table.verify(b"wk_live_a", at(100)), Err(KeyError::Expired { id: "k".into() }));
    }

    #[test]
    fn bad_keys_are_refused_each_for_its_reason() {
        let table =
            ApiKeyTable::new([ApiKeyRule { revoked: true, ..rule("old", "wk_live_old") }]).unwrap();
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        let cases: [(&[u8], KeyError); 7] = [
            (b"wk_live_other", KeyError::Unknown),
            (b"WK_LIVE_OLD", KeyError::Unknown),
            (b"wk_live_old", KeyError::Revoked { id: "old".into() }),
            (b"wk_live_old ", KeyError::Malformed),
            (b"wk_live_\xff", KeyError::Malformed),
            ("wk_live_\u{e9}".as_bytes(), KeyError::Malformed),
            (long.as_bytes(), KeyError::Malformed),
        ];
        for (key, error) in cases {
            assert_eq!(table.verify(key, at(1)), Err(error), "{key:?}");
        }
    }

    #[test]
    fn the_stored_digest_is_no_key() {
        let table = ApiKeyTable::new([rule("k", "wk_live_a")]).unwrap();
        let digest = hex::encode(Sha256::digest(b"wk_live_a"));
        assert_eq!(table.verify(digest.as_bytes(), at(1)), Err(KeyError::Unknown));
        assert_eq!(KeyDigest::from_hex(&digest).unwrap(), KeyDigest::of(b"wk_live_a"));
        assert_eq!(KeyDigest::from_hex("abc"), Err(RuleError::DigestMalformed));
    }

    #[test]
    fn repeated_ids_and_shared_keys_are_refused() {
        let twice = ApiKeyTable::new([rule("a", "1"), rule("a", "2")]).unwrap_err();
        assert_eq!(twice, RuleError::IdRepeated { id: "a".into() });
        let shared = ApiKeyTable::new([rule("a", "1"), rule("b", "1")]).unwrap_err();
        assert_eq!(shared, RuleError::KeyRepeated { first: "a".into(), second: "b".into() });
        assert!(matches!(ApiKeyTable::new([rule("a b", "1")]), Err(RuleError::IdMalformed { .. })));
        let user = ApiKeyRule { user: Some("a\n".into()), ..rule("a", "1") };
        assert!(matches!(ApiKeyTable::new([user]), Err(RuleError::IdMalformed { .. })));
    }
}
