//! Is this JWK a public key that verifies signatures (RFC 7517, RFC 7518 section 6, RFC 8037)?

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::algorithm::KeyKind;
use super::header::is_kid;
use super::key::VerifyingKey;
use super::key_fault::KeyFault;
use super::strict::Object;

/// The members that make a signing key out of a public one. A key that shows one of them is known
/// to everybody, and so is no proof of anything any more.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Reads one key. Members that it does not know, and certificates, are passed over.
pub(super) fn key(jwk: &Value) -> Result<VerifyingKey, KeyFault> {
    let Value::Object(members) = jwk else { return Err(KeyFault::Json) };
    let kty = text(members, "kty")?.ok_or(KeyFault::Member("kty"))?;
    if kty == "oct" || members.contains_key("k") {
        return Err(KeyFault::Symmetric);
    }
    if PRIVATE.iter().any(|name| members.contains_key(*name)) {
        return Err(KeyFault::Private);
    }
    check_purpose(members)?;
    let kid = text(members, "kid")?;
    if !kid.is_none_or(is_kid) {
        return Err(KeyFault::Member("kid"));
    }
    let declared = match text(members, "alg")? {
        None => None,
        Some(name) => Some(name.parse().map_err(|_| KeyFault::Algorithm)?),
    };
    material(kty, members)?.named(kid, declared)
}

/// `use` and `key_ops` are both optional; what is there must allow verifying.
fn check_purpose(members: &Object) -> Result<(), KeyFault> {
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::Purpose("use"));
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|one| one == "verify") => Ok(()),
        Some(_) => Err(KeyFault::Purpose("key_ops")),
    }
}

fn material(kty: &str, members: &Object) -> Result<VerifyingKey, KeyFault> {
    match (kty, text(members, "crv")?) {
        ("RSA", _) => VerifyingKey::rsa(&bytes(members, "n")?, &bytes(members, "e")?),
        ("EC", Some("P-256")) => point(KeyKind::P256, 32, members),
        ("EC", Some("P-384")) => point(KeyKind::P384, 48, members),
        ("OKP", Some("Ed25519")) => VerifyingKey::ed25519(&bytes(members, "x")?),
        _ => Err(KeyFault::Type),
    }
}

fn point(kind: KeyKind, size: usize, members: &Object) -> Result<VerifyingKey, KeyFault> {
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    // Both together could have the right length while neither has.
    if x.len() != size || y.len() != size {
        return Err(KeyFault::Point);
    }
    VerifyingKey::point(kind, &[&[4], &x[..], &y[..]].concat())
}

fn text<'a>(members: &'a Object, name: &'static str) -> Result<Option<&'a str>, KeyFault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyFault::Member(name)),
    }
}

fn bytes(members: &Object, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    let text = text(members, name)?.ok_or(KeyFault::Member(name))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyFault::Member(name))
}
