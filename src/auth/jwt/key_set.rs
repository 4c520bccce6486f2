//! Which keys has an issuer published, and which of them may have signed a token?

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;

use super::super::error::TokenError;
use super::algorithm::TokenAlgorithm;
use super::fingerprint::Fingerprint;
use super::jwk;
use super::key::VerifyingKey;
use super::key_fault::KeyFault;
use super::{pem, strict};

/// The most keys of one issuer.
pub const KEYS_MAX: usize = 64;
/// The longest text of a set of keys, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// The most keys that are tried for a token that names none: each costs a verification.
pub(super) const KEYS_TRIED_MAX: usize = 8;

/// The keys of one document, without those that cannot be used.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<KeyFault>,
}

impl KeySet {
    /// Reads a JWKS, or a single JWK. A key that cannot be used is left out and counted: one that
    /// encrypts, one of another type, one that is weak, and one that shows its secret half.
    ///
    /// # Errors
    ///
    /// [`KeyFault`] when no key is left, or when the document as a whole is none.
    pub fn parse(json: &[u8]) -> Result<Self, KeyFault> {
        if json.len() > KEY_SET_BYTES_MAX {
            return Err(KeyFault::TooLarge { bytes_max: KEY_SET_BYTES_MAX });
        }
        let mut document = strict::object(json).ok_or(KeyFault::Json)?;
        let entries = match document.remove("keys") {
            Some(Value::Array(entries)) => entries,
            None if document.contains_key("kty") => vec![Value::Object(document)],
            Some(_) | None => return Err(KeyFault::NoKeys),
        };
        if entries.len() > KEYS_MAX {
            return Err(KeyFault::TooMany { count: entries.len(), count_max: KEYS_MAX });
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for entry in &entries {
            match jwk::key(entry) {
                Ok(key) => keys.push(key),
                Err(fault) => skipped.push(fault),
            }
        }
        match (keys.is_empty(), skipped.first()) {
            (false, _) => Ok(Self { keys, skipped }),
            (true, None) => Err(KeyFault::Empty),
            (true, Some(first)) => {
                Err(KeyFault::NoneUsable { count: skipped.len(), first: Box::new(first.clone()) })
            }
        }
    }

    /// The keys that can be used.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Why keys of the document were left out, in its order.
    #[must_use]
    pub fn skipped(&self) -> &[KeyFault] {
        &self.skipped
    }
}

/// Reads the key material of one issuer as an operator gives it: the bytes of a secret where the
/// algorithms are HS*, else public keys as PEM or as JWK or JWKS.
///
/// # Errors
///
/// [`KeyFault`] when nothing in it verifies one of the algorithms.
pub fn static_keys(
    material: &[u8],
    algorithms: &[TokenAlgorithm],
) -> Result<Vec<VerifyingKey>, KeyFault> {
    if algorithms.first().is_some_and(|algorithm| algorithm.is_symmetric()) {
        return Ok(vec![VerifyingKey::from_secret(material)?]);
    }
    if material.len() > KEY_SET_BYTES_MAX {
        return Err(KeyFault::TooLarge { bytes_max: KEY_SET_BYTES_MAX });
    }
    let text = std::str::from_utf8(material).map_err(|_| KeyFault::Unreadable)?.trim();
    let keys = if text.starts_with('{') {
        KeySet::parse(text.as_bytes())?.keys
    } else if text.contains("-----BEGIN ") {
        pem::keys(text, KEYS_TRIED_MAX)?
    } else {
        return Err(KeyFault::Unreadable);
    };
    match algorithms.first() {
        Some(first) if !keys.iter().any(|key| algorithms.iter().any(|a| key.fits(*a))) => {
            Err(KeyFault::Unfit(*first))
        }
        _ => Ok(keys),
    }
}

/// The keys of one issuer as they are now. Whoever fetches them publishes them here; verifiers
/// look here, each time. The set is replaced whole and never taken away.
#[derive(Debug, Default)]
pub struct LiveKeySet(ArcSwapOption<KeySet>);

impl LiveKeySet {
    /// A place for keys, still without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the keys.
    pub fn publish(&self, keys: KeySet) {
        self.0.store(Some(Arc::new(keys)));
    }

    /// The keys, unless there never were any.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0.load_full()
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// They are configured. Several are a rotation that is under way.
    Static(Vec<VerifyingKey>),
    /// They are fetched from the issuer.
    Set(Arc<LiveKeySet>),
}

/// The keys that may have signed a token. A fetched set has names, and a token's name must be one
/// of them exactly: only so is an unknown name worth a fetch. A configured key without a name
/// serves tokens of any name, because there the name never chose.
pub(super) fn candidates<'a>(
    keys: &'a [VerifyingKey],
    is_fetched: bool,
    kid: Option<&str>,
    algorithm: TokenAlgorithm,
) -> Result<Vec<&'a VerifyingKey>, TokenError> {
    let may_be = |key: &&VerifyingKey| match (kid, key.kid()) {
        (Some(kid), Some(name)) => name == kid,
        (Some(_), None) => !is_fetched,
        (None, _) => true,
    };
    let named: Vec<_> = keys.iter().filter(may_be).collect();
    let is_unknown = named.is_empty();
    let tried_max = if kid.is_some() { KEYS_MAX } else { KEYS_TRIED_MAX };
    let fit: Vec<_> = named.into_iter().filter(|key| key.fits(algorithm)).take(tried_max).collect();
    match fit.is_empty() {
        false => Ok(fit),
        true if is_unknown || (kid.is_none() && is_fetched) => Err(TokenError::UnknownKey),
        true => Err(TokenError::Algorithm),
    }
}

impl KeySource {
    /// Whether the key of this fingerprint is still one of them.
    pub(super) fn has(&self, key: Fingerprint) -> bool {
        let is_among = |keys: &[VerifyingKey]| keys.iter().any(|k| k.fingerprint() == key);
        match self {
            Self::Static(keys) => is_among(keys),
            Self::Set(live) => live.0.load().as_ref().is_some_and(|set| is_among(&set.keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    const P256: &str = include_str!("../../../tests/data/keys/p256_public.pem");
    const RSA: &str = include_str!("../../../tests/data/keys/rsa_2048_public.pem");

    /// The key of RFC 7515, appendix A.3.
    fn ec() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    fn with(changes: &Value) -> Value {
        let mut key = ec();
        for (name, value) in changes.as_object().unwrap() {
            key.as_object_mut().unwrap().insert(name.clone(), value.clone());
        }
        key
    }

    fn set(keys: &[Value]) -> Result<KeySet, KeyFault> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn fault(key: &Value) -> KeyFault {
        match set(std::slice::from_ref(key)).unwrap_err() {
            KeyFault::NoneUsable { count: 1, first } => *first,
            other => other,
        }
    }

    #[test]
    fn keys_that_cannot_be_used_are_left_out_and_counted() {
        let keys = set(&[
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            with(&json!({ "kid": "a", "use": "sig", "alg": "ES256", "key_ops": ["verify"] })),
            with(&json!({ "use": "enc" })),
            json!(5),
            with(&json!({ "kid": "b", "x5c": ["AA=="], "x5t": "AA", "unknown": { "a": 1 } })),
        ])
        .unwrap();
        let names: Vec<_> = keys.keys().iter().map(VerifyingKey::kid).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
        let skipped = [KeyFault::Symmetric, KeyFault::Purpose("use"), KeyFault::Json];
        assert_eq!(keys.skipped(), skipped);
    }

    #[test]
    fn every_reason_to_leave_a_key_out_is_told() {
        let rsa = |n: &str| json!({ "kty": "RSA", "e": "AQAB", "n": n });
        let long = "k".repeat(129);
        for (key, told) in [
            (json!({}), KeyFault::Member("kty")),
            (json!({ "kty": ["EC"] }), KeyFault::Member("kty")),
            (json!({ "kty": "oct", "alg": "HS256", "k": "AA" }), KeyFault::Symmetric),
            (with(&json!({ "k": "AA" })), KeyFault::Symmetric),
            (with(&json!({ "d": "AA" })), KeyFault::Private),
            (with(&json!({ "d": null })), KeyFault::Private),
            (with(&json!({ "use": "enc" })), KeyFault::Purpose("use")),
            (with(&json!({ "use": 1 })), KeyFault::Member("use")),
            (with(&json!({ "key_ops": [] })), KeyFault::Purpose("key_ops")),
            (with(&json!({ "key_ops": ["sign"] })), KeyFault::Purpose("key_ops")),
            (with(&json!({ "key_ops": "verify" })), KeyFault::Purpose("key_ops")),
            (with(&json!({ "kid": 1 })), KeyFault::Member("kid")),
            (with(&json!({ "kid": long })), KeyFault::Member("kid")),
            (with(&json!({ "kid": "a\nb" })), KeyFault::Member("kid")),
            (with(&json!({ "alg": "none" })), KeyFault::Algorithm),
            (with(&json!({ "alg": "HS256" })), KeyFault::Algorithm),
            (with(&json!({ "alg": "ES384" })), KeyFault::Algorithm),
            (with(&json!({ "alg": "ECDH-ES" })), KeyFault::Algorithm),
            (with(&json!({ "crv": "P-384" })), KeyFault::Point),
            (with(&json!({ "crv": "P-521" })), KeyFault::Type),
            (with(&json!({ "crv": "secp256k1" })), KeyFault::Type),
            (with(&json!({ "kty": "OKP" })), KeyFault::Type),
            (with(&json!({ "kty": "ec" })), KeyFault::Type),
            (with(&json!({ "x": "AA" })), KeyFault::Point),
            (with(&json!({ "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV" })), {
                KeyFault::Member("x")
            }),
            (with(&json!({ "y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU" })), KeyFault::Point),
            (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" }), KeyFault::Point),
            (json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }), KeyFault::Type),
            (rsa("AQ=="), KeyFault::Member("n")),
            (json!({ "kty": "RSA", "e": "AQAB" }), KeyFault::Member("n")),
        ] {
            assert_eq!(fault(&key), told, "{key}");
        }
        assert!(matches!(fault(&rsa("AQ")), KeyFault::RsaBits { bits: 1, .. }));
    }

    #[test]
    fn a_document_that_is_no_set_says_what_is_wrong() {
        for (text, told) in [
            ("", KeyFault::Json),
            ("[]", KeyFault::Json),
            ("<html>", KeyFault::Json),
            (r#"{"keys":[],"keys":[]}"#, KeyFault::Json),
            (r#"{"keys":{}}"#, KeyFault::NoKeys),
            (r#"{"error":"not found"}"#, KeyFault::NoKeys),
            (r#"{"keys":[]}"#, KeyFault::Empty),
        ] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), told, "{text}");
        }
        let many = vec![ec(); KEYS_MAX + 1];
        let (count, count_max) = (KEYS_MAX + 1, KEYS_MAX);
        assert_eq!(set(&many).unwrap_err(), KeyFault::TooMany { count, count_max });
        assert_eq!(set(&many[1..]).unwrap().keys().len(), KEYS_MAX);
        let large = [br#"{"keys":[]}"#.to_vec(), vec![b' '; KEY_SET_BYTES_MAX]].concat();
        let told = KeyFault::TooLarge { bytes_max: KEY_SET_BYTES_MAX };
        assert_eq!(KeySet::parse(&large).unwrap_err(), told);
    }

    #[test]
    fn configured_keys_are_a_secret_a_pem_a_jwk_or_a_set() {
        let es = [TokenAlgorithm::Es256];
        let jwk = ec().to_string();
        let jwks = format!(" {}\n", json!({ "keys": [ec(), ec()] }));
        for (text, count) in [(P256, 1), (jwk.as_str(), 1), (jwks.as_str(), 2)] {
            assert_eq!(static_keys(text.as_bytes(), &es).unwrap().len(), count, "{text}");
        }
        let secret = static_keys(b"any bytes \xff", &[TokenAlgorithm::Hs256]).unwrap();
        assert!(secret[0].fits(TokenAlgorithm::Hs256));
    }

    #[test]
    fn configured_keys_that_verify_nothing_are_refused() {
        let es = [TokenAlgorithm::Es256];
        let rs = [TokenAlgorithm::Rs256, TokenAlgorithm::Ps256];
        for (text, algorithms, told) in [
            (RSA, &es[..], KeyFault::Unfit(TokenAlgorithm::Es256)),
            (P256, &rs, KeyFault::Unfit(TokenAlgorithm::Rs256)),
            (P256, &[TokenAlgorithm::Es384], KeyFault::Unfit(TokenAlgorithm::Es384)),
            (RSA, &[TokenAlgorithm::Hs256], KeyFault::SecretIsKey),
            ("a secret of some length or other", &rs, KeyFault::Unreadable),
            ("", &rs, KeyFault::Unreadable),
            ("{", &rs, KeyFault::Json),
        ] {
            assert_eq!(static_keys(text.as_bytes(), algorithms).unwrap_err(), told, "{text}");
        }
        assert_eq!(static_keys(b"\xff", &es).unwrap_err(), KeyFault::Unreadable);
    }

    #[test]
    fn a_name_chooses_exactly_in_a_fetched_set() {
        let keys = set(&[
            with(&json!({ "kid": "a" })),
            with(&json!({ "kid": "a", "use": "sig" })),
            with(&json!({ "kid": "b", "alg": "ES256" })),
            ec(),
        ])
        .unwrap();
        let found = |is_fetched, kid, algorithm| {
            candidates(keys.keys(), is_fetched, kid, algorithm).map(|found| found.len())
        };
        assert_eq!(found(true, Some("a"), TokenAlgorithm::Es256), Ok(2));
        assert_eq!(found(true, Some("b"), TokenAlgorithm::Es256), Ok(1));
        assert_eq!(found(true, None, TokenAlgorithm::Es256), Ok(4));
        for kid in ["", "A", "a ", "../a", "*"] {
            let unknown = found(true, Some(kid), TokenAlgorithm::Es256);
            assert_eq!(unknown, Err(TokenError::UnknownKey), "{kid}");
        }
        let misfit = found(true, Some("a"), TokenAlgorithm::Rs256);
        assert_eq!(misfit, Err(TokenError::Algorithm));
        // A rotation to keys of another kind looks like this where keys have no names.
        assert_eq!(found(true, None, TokenAlgorithm::Rs256), Err(TokenError::UnknownKey));
        // Configured keys cannot be fetched anew, and one without a name serves every name.
        assert_eq!(found(false, Some("c"), TokenAlgorithm::Es256), Ok(1));
        assert_eq!(found(false, None, TokenAlgorithm::Rs256), Err(TokenError::Algorithm));
    }

    #[test]
    fn few_keys_are_tried_for_a_token_without_a_name() {
        let keys = set(&vec![ec(); KEYS_MAX]).unwrap();
        let tried = candidates(keys.keys(), true, None, TokenAlgorithm::Es256).unwrap();
        assert_eq!(tried.len(), KEYS_TRIED_MAX);
    }
}
