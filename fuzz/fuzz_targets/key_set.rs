//! Does a document of keys hold keys, and does none of it pass for a secret?
#![no_main]

use std::sync::Arc;

use farmgate::auth::{
    JwtIssuerRule, JwtVerifier, KEYS_MAX, KeySet, KeySource, LiveKeySet, TokenAlgorithm,
    VerifyingKey, static_keys,
};
use farmgate_fuzz::tokens::sign;
use farmgate_fuzz::{NOW, at, has_control};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

const CLAIMS: &str = r#"{"sub":"42","exp":1999999999}"#;

fuzz_target!(|data: &[u8]| {
    let set = KeySet::parse(data);
    if let Ok(set) = &set {
        check_set(set);
    }
    let is_secret = VerifyingKey::from_secret(data).is_ok();
    assert!(!is_secret || set.is_err(), "a set of keys is no secret");
    for algorithm in [TokenAlgorithm::Rs256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa] {
        let Ok(keys) = static_keys(data, &[algorithm]) else { continue };
        assert!(!is_secret, "the text of a key is no secret");
        assert!(keys.iter().any(|key| key.fits(algorithm)));
        check_keys(&keys);
        check_use(KeySource::Static(keys), algorithm);
    }
    if let Ok(set) = set {
        let live = Arc::new(LiveKeySet::new());
        live.publish(set);
        for algorithm in [TokenAlgorithm::Ps256, TokenAlgorithm::Es384, TokenAlgorithm::EdDsa] {
            check_use(KeySource::Set(Arc::clone(&live)), algorithm);
        }
    }
});

fn check_set(set: &KeySet) {
    assert!(!set.keys().is_empty() && set.keys().len() + set.skipped().len() <= KEYS_MAX);
    check_keys(set.keys());
    for fault in set.skipped() {
        assert!(!fault.to_string().is_empty());
    }
}

fn check_keys(keys: &[VerifyingKey]) {
    assert!(!keys.is_empty());
    for key in keys {
        let fitting = TokenAlgorithm::ALL.into_iter().filter(|algorithm| key.fits(*algorithm));
        let fitting: Vec<_> = fitting.collect();
        assert!(!fitting.is_empty(), "a key is for something");
        assert!(
            !fitting.iter().any(|algorithm| algorithm.is_symmetric()),
            "no secret is published"
        );
        assert!(key.kid().is_none_or(|kid| kid.len() <= 128 && !has_control(kid)));
    }
}

/// Verifying with keys that anybody wrote may fail, and no more.
fn check_use(keys: KeySource, algorithm: TokenAlgorithm) {
    let rule = JwtIssuerRule {
        issuer: None,
        audience: None,
        algorithms: vec![algorithm],
        keys,
        token_type: None,
        jti_required: false,
        leeway: Duration::ZERO,
        required_claims: Vec::new(),
    };
    let Ok(verifier) = JwtVerifier::new(vec![rule]) else { return };
    let (header, now) = (format!(r#"{{"alg":"{algorithm}"}}"#), at(NOW));
    // A signature of zeros fits the keys with which anybody could sign.
    let (message, signature) = sign(&header, CLAIMS, algorithm)
        .rsplit_once('.')
        .map(|(message, signature)| (message.to_owned(), signature.to_owned()))
        .expect("a token has three parts");
    let zeros = "A".repeat(signature.len());
    assert!(verifier.verify(format!("{message}.{zeros}").as_bytes(), now).is_err());
    let one = format!("{}Q", "A".repeat(signature.len() - 1));
    assert!(verifier.verify(format!("{message}.{one}").as_bytes(), now).is_err());
    if let Ok(found) = verifier.verify(format!("{message}.{signature}").as_bytes(), now) {
        assert_eq!(&*found.principal.id, "42");
    }
}
