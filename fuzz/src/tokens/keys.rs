//! With what are tokens signed here, and did that sign this one?

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use farmgate::auth::TokenAlgorithm;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{self, RsaEncoding, RsaKeyPair, UnparsedPublicKey};

/// The shared secret of every HS* rule.
pub(super) const SECRET: &[u8] =
    b"a-signing-key-for-tests-of-at-least-64-bytes-so-that-it-suits-HS512-too";

macro_rules! key_file {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/keys/", $name))
    };
}

/// The bytes inside a PEM.
fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).expect("the key files are PEM")
}

static P256: LazyLock<Vec<u8>> = LazyLock::new(|| end_of(key_file!("p256_public.pem"), 65));
static P384: LazyLock<Vec<u8>> = LazyLock::new(|| end_of(key_file!("p384_public.pem"), 97));
static ED25519: LazyLock<Vec<u8>> = LazyLock::new(|| end_of(key_file!("ed25519_public.pem"), 32));
/// The modulus stands before the exponent, which takes the last five bytes.
static MODULUS: LazyLock<Vec<u8>> =
    LazyLock::new(|| end_of(key_file!("rsa_2048_public.pem"), 256 + 5)[..256].to_vec());
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    RsaKeyPair::from_pkcs8(&der(key_file!("rsa_2048_private.pem"))).expect("the key is right")
});
static RSA_PUBLIC: LazyLock<DecodingKey> = LazyLock::new(|| {
    DecodingKey::from_rsa_pem(key_file!("rsa_2048_public.pem").as_bytes()).expect("a public key")
});

fn end_of(pem: &str, length: usize) -> Vec<u8> {
    let der = der(pem);
    der[der.len() - length..].to_vec()
}

pub(super) fn rsa_modulus() -> &'static [u8] {
    &MODULUS
}

/// The uncompressed point, `04` first.
pub(super) fn p256_point() -> &'static [u8] {
    &P256
}

/// The uncompressed point, `04` first.
pub(super) fn p384_point() -> &'static [u8] {
    &P384
}

pub(super) fn ed25519_point() -> &'static [u8] {
    &ED25519
}

/// The public key of an algorithm, as an operator gives it.
pub(super) fn public_pem(algorithm: TokenAlgorithm) -> &'static [u8] {
    match algorithm {
        TokenAlgorithm::Es256 => key_file!("p256_public.pem").as_bytes(),
        TokenAlgorithm::Es384 => key_file!("p384_public.pem").as_bytes(),
        TokenAlgorithm::EdDsa => key_file!("ed25519_public.pem").as_bytes(),
        _ => key_file!("rsa_2048_public.pem").as_bytes(),
    }
}

/// Base64url without padding.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The token with this header and these claims, whatever they say.
///
/// # Panics
///
/// When the keys of the tests cannot sign.
#[must_use]
pub fn sign(header: &str, claims: &str, algorithm: TokenAlgorithm) -> String {
    let message = format!("{}.{}", encoded(header.as_bytes()), encoded(claims.as_bytes()));
    let signature = match algorithm {
        TokenAlgorithm::Hs256 => hs(hmac::HMAC_SHA256, &message),
        TokenAlgorithm::Hs384 => hs(hmac::HMAC_SHA384, &message),
        TokenAlgorithm::Hs512 => hs(hmac::HMAC_SHA512, &message),
        TokenAlgorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256, &message),
        TokenAlgorithm::Rs384 => rsa(&signature::RSA_PKCS1_SHA384, &message),
        TokenAlgorithm::Rs512 => rsa(&signature::RSA_PKCS1_SHA512, &message),
        TokenAlgorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256, &message),
        TokenAlgorithm::Ps384 => rsa(&signature::RSA_PSS_SHA384, &message),
        TokenAlgorithm::Ps512 => rsa(&signature::RSA_PSS_SHA512, &message),
        TokenAlgorithm::Es256 => {
            let pem = key_file!("p256_private.pem").as_bytes();
            by_library(EncodingKey::from_ec_pem(pem), Algorithm::ES256, &message)
        }
        TokenAlgorithm::Es384 => {
            let pem = key_file!("p384_private.pem").as_bytes();
            by_library(EncodingKey::from_ec_pem(pem), Algorithm::ES384, &message)
        }
        TokenAlgorithm::EdDsa => {
            let pem = key_file!("ed25519_private.pem").as_bytes();
            by_library(EncodingKey::from_ed_pem(pem), Algorithm::EdDSA, &message)
        }
    };
    format!("{message}.{signature}")
}

fn hs(hash: hmac::Algorithm, message: &str) -> String {
    encoded(hmac::sign(&hmac::Key::new(hash, SECRET), message.as_bytes()).as_ref())
}

fn rsa(padding: &'static dyn RsaEncoding, message: &str) -> String {
    let mut signature = vec![0; RSA.public().modulus_len()];
    RSA.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .expect("the key can sign");
    encoded(&signature)
}

fn by_library(
    key: jsonwebtoken::errors::Result<EncodingKey>,
    algorithm: Algorithm,
    message: &str,
) -> String {
    let key = key.expect("the key is right");
    jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).expect("the key can sign")
}

/// Whether one of these keys made this signature over this message. Where the gateway asks `ring`,
/// `jsonwebtoken` is asked here, and the other way round.
#[must_use]
pub fn is_signed(algorithm: TokenAlgorithm, message: &[u8], signature: &[u8]) -> bool {
    let hs = |hash| hmac::verify(&hmac::Key::new(hash, SECRET), message, signature).is_ok();
    let point = |how: &'static dyn signature::VerificationAlgorithm, point: &[u8]| {
        UnparsedPublicKey::new(how, point).verify(message, signature).is_ok()
    };
    let rsa = |algorithm| {
        let text = encoded(signature);
        signature.len() == 256
            && jsonwebtoken::crypto::verify(&text, message, &RSA_PUBLIC, algorithm)
                .is_ok_and(|holds| holds)
    };
    match algorithm {
        TokenAlgorithm::Hs256 => hs(hmac::HMAC_SHA256),
        TokenAlgorithm::Hs384 => hs(hmac::HMAC_SHA384),
        TokenAlgorithm::Hs512 => hs(hmac::HMAC_SHA512),
        TokenAlgorithm::Rs256 => rsa(Algorithm::RS256),
        TokenAlgorithm::Rs384 => rsa(Algorithm::RS384),
        TokenAlgorithm::Rs512 => rsa(Algorithm::RS512),
        TokenAlgorithm::Ps256 => rsa(Algorithm::PS256),
        TokenAlgorithm::Ps384 => rsa(Algorithm::PS384),
        TokenAlgorithm::Ps512 => rsa(Algorithm::PS512),
        TokenAlgorithm::Es256 => point(&signature::ECDSA_P256_SHA256_FIXED, &P256),
        TokenAlgorithm::Es384 => point(&signature::ECDSA_P384_SHA384_FIXED, &P384),
        TokenAlgorithm::EdDsa => point(&signature::ED25519, &ED25519),
    }
}
