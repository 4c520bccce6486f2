//! Tokens for tests: the rules that take them, and keys to sign them with.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod any_bytes;
mod contract;
mod hostile;
mod issuers;
mod vectors;

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::algorithm::KeyKind;
use super::*;

const SECRET: &[u8] = b"a-signing-key-for-tests-of-at-least-64-bytes-so-that-it-suits-HS512-too";
const NOW: u64 = 1_766_666_666;
const ISSUER: &str = "farm-intelligence-platform";

macro_rules! key_file {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/data/keys/", $name)).as_slice()
    };
}
use key_file;

fn now() -> Now {
    Now { wall: UNIX_EPOCH + Duration::from_secs(NOW), ..Now::read() }
}

/// The rule of the existing issuer.
fn rule() -> JwtIssuerRule {
    JwtIssuerRule {
        issuer: Some(ISSUER.into()),
        audience: Some("nextcloud".into()),
        algorithms: vec![TokenAlgorithm::Hs256],
        keys: secret(SECRET),
        token_type: Some("access".into()),
        jti_required: true,
        leeway: Duration::ZERO,
        required_claims: Vec::new(),
    }
}

/// A rule that asks for nothing but a signature.
fn bare(algorithms: &[TokenAlgorithm], keys: KeySource) -> JwtIssuerRule {
    JwtIssuerRule {
        issuer: None,
        audience: None,
        algorithms: algorithms.to_vec(),
        keys,
        token_type: None,
        jti_required: false,
        ..rule()
    }
}

fn secret(bytes: &[u8]) -> KeySource {
    KeySource::Static(vec![VerifyingKey::from_secret(bytes).unwrap()])
}

fn verifier(rule: JwtIssuerRule) -> JwtVerifier {
    JwtVerifier::new(vec![rule]).unwrap()
}

fn claims() -> Value {
    json!({
        "token_type": "access", "exp": NOW + 300, "iat": NOW, "user_id": "42",
        "jti": "0123456789abcdef0123456789abcdef", "iss": ISSUER, "aud": "nextcloud",
    })
}

/// The claims with some replaced, or left out where the new value is null.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    let map = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        map.insert(name.clone(), value.clone());
    }
    map.retain(|_, value| !value.is_null());
    claims
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The first two parts of a token.
fn message(header: &str, payload: &str) -> String {
    format!("{}.{}", encoded(header), encoded(payload))
}

fn sealed(header: &str, payload: &str, secret: &[u8], algorithm: TokenAlgorithm) -> String {
    let message = message(header, payload);
    let key = EncodingKey::from_secret(secret);
    let algorithm = algorithm.of_library();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// The signing half of a key, and its public half as an operator gives it.
fn pair(kind: KeyKind) -> (EncodingKey, &'static [u8]) {
    match kind {
        KeyKind::Secret => (EncodingKey::from_secret(SECRET), SECRET),
        KeyKind::Rsa => (
            EncodingKey::from_rsa_pem(key_file!("rsa_2048_private.pem")).unwrap(),
            key_file!("rsa_2048_public.pem"),
        ),
        KeyKind::P256 => (
            EncodingKey::from_ec_pem(key_file!("p256_private.pem")).unwrap(),
            key_file!("p256_public.pem"),
        ),
        KeyKind::P384 => (
            EncodingKey::from_ec_pem(key_file!("p384_private.pem")).unwrap(),
            key_file!("p384_public.pem"),
        ),
        KeyKind::Ed25519 => (
            EncodingKey::from_ed_pem(key_file!("ed25519_private.pem")).unwrap(),
            key_file!("ed25519_public.pem"),
        ),
    }
}

/// Keys that verify this algorithm.
fn keys_for(algorithm: TokenAlgorithm) -> Vec<VerifyingKey> {
    static_keys(pair(algorithm.kind()).1, &[algorithm]).unwrap()
}

/// Takes the tokens of one algorithm, whatever they say.
fn taking(algorithm: TokenAlgorithm) -> JwtVerifier {
    verifier(bare(&[algorithm], KeySource::Static(keys_for(algorithm))))
}

/// Signs any header and payload, whatever they say.
fn signed(header: &str, payload: &str, algorithm: TokenAlgorithm) -> String {
    let message = message(header, payload);
    let key = pair(algorithm.kind()).0;
    let algorithm = algorithm.of_library();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// A good token of one algorithm.
fn token_of(algorithm: TokenAlgorithm) -> String {
    signed(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), &claims().to_string(), algorithm)
}
