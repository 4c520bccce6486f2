//! Does this key say that this message was signed?
//!
//! `jsonwebtoken` checks HMAC, ECDSA and EdDSA. RSA is checked by `ring`: the other library takes
//! no modulus above 4096 bits, and in PSS takes a signature `s` also as `s + n`. What a library is
//! lax about is refused here, when a key is made or before it is asked.
//!
//! ECDSA signatures with a high S are accepted. RFC 7518 allows them, and common signers make them
//! half of the time; so from one good ES256 token anybody can make a second one with the same
//! claims. Nothing may therefore go by a token's text: revocation and counting go by its claims.

use std::fmt;

use jsonwebtoken::DecodingKey;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};

use super::algorithm::{KeyKind, TokenAlgorithm};
use super::compact::Signature;
use super::fingerprint::{Fingerprint, Parts};
use super::key_fault::KeyFault;

/// The shortest RSA modulus (RFC 7518, section 3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// The longest RSA modulus: each verification costs the square of it.
pub const RSA_BITS_MAX: usize = 8192;
/// The greatest RSA exponent, as most libraries have it: it bounds the work of a verification.
const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;
/// With what a PEM begins.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
/// The bytes of an Ed25519 public key.
const ED25519_BYTES: usize = 32;
/// The points of Ed25519 of small order, by their y coordinate, also where it is not reduced. With
/// such a "public key" one signature fits many messages, and needs no private key.
const ED25519_SMALL_ORDER: [[u8; ED25519_BYTES]; 7] = [
    y_coordinate(0x00, 0x00, 0x00),
    y_coordinate(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    y_coordinate(0xec, 0xff, 0x7f),
    y_coordinate(0xed, 0xff, 0x7f),
    y_coordinate(0xee, 0xff, 0x7f),
];

const fn y_coordinate(first: u8, between: u8, last: u8) -> [u8; ED25519_BYTES] {
    let mut bytes = [between; ED25519_BYTES];
    bytes[0] = first;
    bytes[ED25519_BYTES - 1] = last;
    bytes
}

/// One key that can verify tokens. Never printed.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<Box<str>>,
    /// The only algorithm that the key is for, where it says so.
    declared: Option<TokenAlgorithm>,
    kind: KeyKind,
    material: Material,
    fingerprint: Fingerprint,
}

#[derive(Clone)]
enum Material {
    Rsa { modulus: Box<[u8]>, exponent: Box<[u8]> },
    Other { key: DecodingKey, bytes: usize },
}

impl VerifyingKey {
    /// A shared secret, its bytes as they are.
    ///
    /// # Errors
    ///
    /// [`KeyFault::SecretIsKey`] for the text of a key: everybody knows a public key, so whoever
    /// verifies HMAC with it accepts everybody's tokens.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyFault> {
        if is_pem(secret) || std::str::from_utf8(secret).is_ok_and(is_json_object) {
            return Err(KeyFault::SecretIsKey);
        }
        Ok(Self::of(KeyKind::Secret, DecodingKey::from_secret(secret), secret))
    }

    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let top_bits = modulus.first().map_or(0, |top| 8 - top.leading_zeros() as usize);
        let bits = modulus.len().saturating_sub(1) * 8 + top_bits;
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            let (bits_min, bits_max) = (RSA_BITS_MIN, RSA_BITS_MAX);
            return Err(KeyFault::RsaBits { bits, bits_min, bits_max });
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let value = exponent.iter().try_fold(0_u64, |value, byte| {
            value.checked_mul(256).map(|shifted| shifted | u64::from(*byte))
        });
        let is_in_range = value.is_some_and(|e| (3..=RSA_EXPONENT_MAX).contains(&e));
        if !is_odd(modulus) || !is_odd(exponent) || !is_in_range {
            return Err(KeyFault::RsaNumbers);
        }
        let parts = Parts::of("rsa").and(modulus).and(exponent);
        let material = Material::Rsa { modulus: modulus.into(), exponent: exponent.into() };
        Ok(Self {
            kid: None,
            declared: None,
            kind: KeyKind::Rsa,
            material,
            fingerprint: parts.fingerprint(),
        })
    }

    /// A point on P-256 or P-384, uncompressed as in SEC 1: `04`, x, y.
    pub(super) fn point(kind: KeyKind, sec1: &[u8]) -> Result<Self, KeyFault> {
        let (algorithm, bytes) = match kind {
            KeyKind::P256 => (TokenAlgorithm::Es256, 65),
            KeyKind::P384 => (TokenAlgorithm::Es384, 97),
            KeyKind::Secret | KeyKind::Rsa | KeyKind::Ed25519 => return Err(KeyFault::Type),
        };
        if sec1.len() != bytes || sec1.first() != Some(&4) {
            return Err(KeyFault::Point);
        }
        Self::of(kind, DecodingKey::from_ec_der(sec1), sec1).tried(algorithm)
    }

    pub(super) fn ed25519(bytes: &[u8]) -> Result<Self, KeyFault> {
        // The library takes 32 bytes for granted.
        let Ok(mut y) = <[u8; ED25519_BYTES]>::try_from(bytes) else {
            return Err(KeyFault::Point);
        };
        if let Some(last) = y.last_mut() {
            *last &= 0x7f;
        }
        if ED25519_SMALL_ORDER.contains(&y) {
            return Err(KeyFault::Point);
        }
        let key = DecodingKey::from_ed_der(bytes);
        Self::of(KeyKind::Ed25519, key, bytes).tried(TokenAlgorithm::EdDsa)
    }

    /// The same key under the name and for the algorithm that its JWK gives it.
    pub(super) fn named(
        self,
        kid: Option<&str>,
        declared: Option<TokenAlgorithm>,
    ) -> Result<Self, KeyFault> {
        if declared.is_some_and(|algorithm| algorithm.kind() != self.kind) {
            return Err(KeyFault::Algorithm);
        }
        // Under another name or for another algorithm it is another key.
        let fingerprint = Parts::of("named")
            .and(&self.fingerprint.to_bytes())
            .and_maybe(kid)
            .and_maybe(declared.map(TokenAlgorithm::as_str))
            .fingerprint();
        Ok(Self { kid: kid.map(Box::from), declared, fingerprint, ..self })
    }

    /// The `kid` of its JWK.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it can verify this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: TokenAlgorithm) -> bool {
        self.kind == algorithm.kind() && self.declared.is_none_or(|only| only == algorithm)
    }

    /// The length of a shared secret; `None` for any other key.
    pub(super) fn secret_bytes(&self) -> Option<usize> {
        match self.material {
            Material::Other { bytes, .. } if self.kind == KeyKind::Secret => Some(bytes),
            Material::Other { .. } | Material::Rsa { .. } => None,
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether `signature` was made over `message` by the other half of this key.
    pub(super) fn verifies(
        &self,
        algorithm: TokenAlgorithm,
        message: &[u8],
        signature: &Signature<'_>,
    ) -> bool {
        if !self.fits(algorithm) || signature.bytes.len() != self.signature_bytes(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                padding(algorithm)
                    .is_some_and(|padding| key.verify(padding, message, &signature.bytes).is_ok())
            }
            Material::Other { key, .. } => {
                let algorithm = algorithm.of_library();
                jsonwebtoken::crypto::verify(signature.text, message, key, algorithm)
                    .is_ok_and(|holds| holds)
            }
        }
    }

    /// Each algorithm has signatures of one length; a shorter or longer one was tampered with.
    fn signature_bytes(&self, algorithm: TokenAlgorithm) -> usize {
        match &self.material {
            Material::Rsa { modulus, .. } => modulus.len(),
            Material::Other { .. } => match self.kind {
                KeyKind::Secret => algorithm.hash_bytes(),
                KeyKind::P384 => 96,
                KeyKind::Rsa | KeyKind::P256 | KeyKind::Ed25519 => 64,
            },
        }
    }

    fn of(kind: KeyKind, key: DecodingKey, bytes: &[u8]) -> Self {
        let parts = Parts::of("key").and(&[kind as u8]).and(bytes);
        let material = Material::Other { key, bytes: bytes.len() };
        Self { kid: None, declared: None, kind, material, fingerprint: parts.fingerprint() }
    }

    /// The library says only when it is asked that a point is not on its curve, so it is asked.
    fn tried(self, algorithm: TokenAlgorithm) -> Result<Self, KeyFault> {
        let Material::Other { key, .. } = &self.material else { return Ok(self) };
        match jsonwebtoken::crypto::verify("", b"", key, algorithm.of_library()) {
            Ok(_) => Ok(self),
            Err(_) => Err(KeyFault::Point),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("kind", &self.kind)
            .field("declared", &self.declared)
            .finish_non_exhaustive()
    }
}

/// Whether a text is, or has in it, a key in PEM. Tools write what they know of a key in front.
fn is_pem(text: &[u8]) -> bool {
    text.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN)
}

/// Whether a text is a JSON object, as a JWK or a set of them is, with any white space around it.
fn is_json_object(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    text.starts_with('{') && serde_json::from_str::<OnlyAnObject>(text).is_ok()
}

/// Accepts a JSON object, whatever is in it.
type OnlyAnObject = std::collections::BTreeMap<String, serde::de::IgnoredAny>;

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn padding(algorithm: TokenAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        TokenAlgorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        TokenAlgorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        TokenAlgorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        TokenAlgorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        TokenAlgorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        TokenAlgorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        TokenAlgorithm::Hs256
        | TokenAlgorithm::Hs384
        | TokenAlgorithm::Hs512
        | TokenAlgorithm::Es256
        | TokenAlgorithm::Es384
        | TokenAlgorithm::EdDsa => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn signature(bytes: &[u8]) -> (String, Vec<u8>) {
        (URL_SAFE_NO_PAD.encode(bytes), bytes.to_vec())
    }

    #[test]
    fn rsa_moduli_are_bounded_on_both_sides() {
        let modulus = |bits: usize| {
            let mut bytes = vec![0xff; bits.div_ceil(8)];
            *bytes.first_mut().unwrap() = 0xff >> (bytes.len() * 8 - bits);
            bytes
        };
        for bits in [2048, 2049, 3072, 4096, 8191, 8192] {
            assert!(VerifyingKey::rsa(&modulus(bits), &[1, 0, 1]).is_ok(), "{bits}");
        }
        for bits in [8, 512, 1024, 2047, 8193, 16_384] {
            let refused = VerifyingKey::rsa(&modulus(bits), &[1, 0, 1]).unwrap_err();
            assert!(matches!(refused, KeyFault::RsaBits { bits: told, .. } if told == bits));
        }
        assert!(VerifyingKey::rsa(&[], &[1, 0, 1]).is_err());
        let padded = [vec![0; 300], modulus(2048)].concat();
        assert!(VerifyingKey::rsa(&padded, &[0, 1, 0, 1]).is_ok(), "zeros in front say nothing");
    }

    #[test]
    fn rsa_exponents_that_hide_nothing_are_refused() {
        let modulus = [0xff; 256];
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[0xff; 9]] {
            let refused = VerifyingKey::rsa(&modulus, exponent).unwrap_err();
            assert_eq!(refused, KeyFault::RsaNumbers, "{exponent:?}");
        }
        let even = [[0xff; 255].as_slice(), &[0xfe]].concat();
        assert_eq!(VerifyingKey::rsa(&even, &[3]).unwrap_err(), KeyFault::RsaNumbers);
        assert!(VerifyingKey::rsa(&modulus, &[3]).is_ok());
    }

    #[test]
    fn points_off_their_curve_are_refused() {
        let mut off = [1; 65];
        off[0] = 4;
        assert_eq!(VerifyingKey::point(KeyKind::P256, &off).unwrap_err(), KeyFault::Point);
        for bytes in [&[][..], &[0], &[4; 33], &[4; 64], &[4; 66], &[4; 97], &[0; 65]] {
            assert_eq!(VerifyingKey::point(KeyKind::P256, bytes).unwrap_err(), KeyFault::Point);
        }
        for bytes in [&[][..], &[9; 31], &[9; 33], &[2; 32]] {
            assert_eq!(VerifyingKey::ed25519(bytes).unwrap_err(), KeyFault::Point, "{bytes:?}");
        }
    }

    #[test]
    fn an_ed25519_key_with_which_anybody_signs_is_refused() {
        // The neutral element as key, R and no s: a signature over every message.
        let neutral = y_coordinate(1, 0, 0);
        let (text, bytes) = signature(&[neutral, [0; 32]].concat());
        let library = DecodingKey::from_ed_der(&neutral);
        let algorithm = TokenAlgorithm::EdDsa.of_library();
        let holds = jsonwebtoken::crypto::verify(&text, b"anything", &library, algorithm);
        assert_eq!((holds.ok(), bytes.len()), (Some(true), 64), "the reason for the list");
        for point in ED25519_SMALL_ORDER {
            let mut negative = point;
            negative[31] |= 0x80;
            for key in [point, negative] {
                assert_eq!(VerifyingKey::ed25519(&key).unwrap_err(), KeyFault::Point);
            }
        }
    }

    #[test]
    fn a_public_key_cannot_be_a_shared_secret() {
        let pem = include_bytes!("../../../tests/data/keys/rsa_2048_public.pem");
        let jwk = br#" {"kty":"RSA","n":"AQ","e":"AQAB"}"#;
        for text in [&pem[..], jwk, br#"{"keys":[]}"#] {
            assert_eq!(VerifyingKey::from_secret(text).unwrap_err(), KeyFault::SecretIsKey);
        }
        let described = [b"Bag Attributes: <none>\n", &pem[..]].concat();
        let [no_break, marked] = ["\u{a0}{\"keys\":[]}\u{a0}", "\u{feff}{\"keys\":[]}\n"];
        for text in [&described[..], no_break.as_bytes(), marked.as_bytes()] {
            assert_eq!(VerifyingKey::from_secret(text).unwrap_err(), KeyFault::SecretIsKey);
        }
        assert!(VerifyingKey::from_secret(b"{a secret may begin like this}").is_ok());
    }

    #[test]
    fn a_key_is_another_one_under_another_name() {
        let key = || VerifyingKey::rsa(&[0xff; 256], &[3]).unwrap();
        let one = key().named(Some("a"), None).unwrap();
        let other = key().named(Some("b"), None).unwrap();
        let only = key().named(Some("a"), Some(TokenAlgorithm::Rs512)).unwrap();
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_ne!(one.fingerprint(), only.fingerprint());
        assert!(one.fits(TokenAlgorithm::Ps256) && !only.fits(TokenAlgorithm::Ps256));
        let misfit = key().named(None, Some(TokenAlgorithm::Es256));
        assert_eq!(misfit.unwrap_err(), KeyFault::Algorithm);
    }
}
