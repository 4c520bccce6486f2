//! Sets of keys, and tokens signed with them, for tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::auth::{JwtIssuerRule, JwtVerifier, KeySource, LiveKeySet, TokenAlgorithm};
use crate::clock::Now;

/// The second at which the tests begin.
pub(crate) const TIME: u64 = 1_766_666_666;

const PUBLIC: &str = include_str!("../../../tests/data/keys/ed25519_public.pem");
const PRIVATE: &str = include_str!("../../../tests/data/keys/ed25519_private.pem");

pub(crate) fn now() -> Now {
    Now { wall: UNIX_EPOCH + Duration::from_secs(TIME), ..Now::read() }
}

pub(crate) fn seconds_later(seconds: u64) -> Now {
    now().plus(Duration::from_secs(seconds))
}

/// The one public key of the tests, under each of these names.
pub(crate) fn jwks(kids: &[&str]) -> String {
    let body: String = PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).unwrap();
    // A public key's last 32 bytes are the point.
    let x = URL_SAFE_NO_PAD.encode(der.rchunks(32).next().unwrap());
    let key = |kid: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
    json!({ "keys": kids.iter().map(key).collect::<Vec<_>>() }).to_string()
}

/// A token that names this key and holds for five minutes.
pub(crate) fn token(kid: &str) -> String {
    token_with(kid, &json!({ "sub": "42", "jti": "one", "exp": TIME + 300 }))
}

pub(crate) fn token_with(kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": "EdDSA", "kid": kid }).to_string();
    let parts = [header, claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = parts.join(".");
    let key = EncodingKey::from_ed_pem(PRIVATE.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

/// Takes whatever these keys have signed.
pub(crate) fn verifier(live: &Arc<LiveKeySet>) -> JwtVerifier {
    let rule = JwtIssuerRule {
        issuer: None,
        audience: None,
        algorithms: vec![TokenAlgorithm::EdDsa],
        keys: KeySource::Set(Arc::clone(live)),
        token_type: None,
        jti_required: false,
        leeway: Duration::ZERO,
        required_claims: Vec::new(),
    };
    JwtVerifier::new(vec![rule]).unwrap()
}
