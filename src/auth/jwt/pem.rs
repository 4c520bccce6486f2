//! Which public keys are in a PEM text?
//!
//! `PUBLIC KEY` (SubjectPublicKeyInfo), `RSA PUBLIC KEY` (PKCS #1) and `CERTIFICATE`. A certificate
//! is a wrapping for its key here: that it is given is what makes the key trusted, not who signed
//! it or until when.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::algorithm::KeyKind;
use super::key::VerifyingKey;
use super::key_fault::KeyFault;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate, absent in the first version.
const VERSION: u8 = 0xa0;
/// What stands between the version of a certificate and its key: serial number, algorithm, issuer,
/// validity, subject.
const BEFORE_CERTIFIED_KEY: [u8; 5] = [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE];

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const CURVE_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const CURVE_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Reads every key of a text, at most `keys_max`.
pub(super) fn keys(text: &str, keys_max: usize) -> Result<Vec<VerifyingKey>, KeyFault> {
    let mut keys = Vec::new();
    let mut certificates = 0;
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, body) = begun.split_once("-----").ok_or(KeyFault::Pem)?;
        let end = format!("-----END {label}-----");
        let (body, after) = body.split_once(end.as_str()).ok_or(KeyFault::Pem)?;
        rest = after;
        if keys.len() == keys_max {
            return Err(KeyFault::TooMany { count: keys.len() + 1, count_max: keys_max });
        }
        let der = decode(body)?;
        keys.push(match label {
            "PUBLIC KEY" => public_key(Der(&der)).ok_or(KeyFault::Pem)?,
            "RSA PUBLIC KEY" => rsa(Der(&der)).ok_or(KeyFault::Pem)?,
            "CERTIFICATE" => {
                certificates += 1;
                certified_key(Der(&der)).ok_or(KeyFault::Pem)?
            }
            label if label.ends_with("PRIVATE KEY") => return Err(KeyFault::Private),
            _ => return Err(KeyFault::PemKind),
        }?);
    }
    // Of several certificates the others would be a chain: keys of authorities, not of the issuer.
    if keys.is_empty() || (certificates > 0 && keys.len() > 1) {
        return Err(KeyFault::PemKind);
    }
    Ok(keys)
}

fn decode(body: &str) -> Result<Vec<u8>, KeyFault> {
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).map_err(|_| KeyFault::Pem)
}

/// A key that was read, or what is wrong with its numbers; `None` around it when it is no DER.
type Read = Option<Result<VerifyingKey, KeyFault>>;

fn certified_key(mut der: Der<'_>) -> Read {
    let mut certificate = der.take(SEQUENCE)?;
    let mut signed = certificate.take(SEQUENCE)?;
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    for tag in BEFORE_CERTIFIED_KEY {
        signed.take(tag)?;
    }
    key_info(signed.take(SEQUENCE)?)
}

fn public_key(mut der: Der<'_>) -> Read {
    let info = der.take(SEQUENCE)?;
    der.end()?;
    key_info(info)
}

fn key_info(mut info: Der<'_>) -> Read {
    let mut algorithm = info.take(SEQUENCE)?;
    let [0, key @ ..] = info.take(BIT_STRING)?.0 else { return None };
    info.end()?;
    match algorithm.take(OBJECT)?.0 {
        RSA_ENCRYPTION => rsa(Der(key)),
        ED25519 => Some(VerifyingKey::ed25519(key)),
        EC_PUBLIC_KEY => Some(match algorithm.take(OBJECT)?.0 {
            CURVE_P256 => VerifyingKey::point(KeyKind::P256, key),
            CURVE_P384 => VerifyingKey::point(KeyKind::P384, key),
            _ => Err(KeyFault::Type),
        }),
        _ => Some(Err(KeyFault::Type)),
    }
}

fn rsa(mut der: Der<'_>) -> Read {
    let mut numbers = der.take(SEQUENCE)?;
    der.end()?;
    let (modulus, exponent) = (numbers.take(INTEGER)?, numbers.take(INTEGER)?);
    numbers.end()?;
    Some(VerifyingKey::rsa(modulus.0, exponent.0))
}

/// The rest of some DER bytes.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value, which must have this tag; what is inside of it comes back.
    fn take(&mut self, tag: u8) -> Option<Der<'a>> {
        let [found, rest @ ..] = self.0 else { return None };
        if *found != tag {
            return None;
        }
        let [first, rest @ ..] = rest else { return None };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (inside, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some(Der(inside))
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::super::algorithm::TokenAlgorithm;
    use super::*;

    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../../../tests/data/keys/", $name))
        };
    }

    fn one(text: &str) -> Result<VerifyingKey, KeyFault> {
        keys(text, 1).map(|mut keys| keys.pop().unwrap())
    }

    #[test]
    fn every_wrapping_gives_the_same_key() {
        let rsa = one(file!("rsa_2048_public.pem")).unwrap().fingerprint();
        for text in [file!("rsa_2048_public_pkcs1.pem"), file!("rsa_2048_certificate.pem")] {
            assert_eq!(one(text).unwrap().fingerprint(), rsa);
        }
        let p256 = one(file!("p256_public.pem")).unwrap().fingerprint();
        assert_eq!(one(file!("p256_certificate.pem")).unwrap().fingerprint(), p256);
    }

    #[test]
    fn the_kind_of_a_key_is_told_from_its_text() {
        for (text, algorithm) in [
            (file!("p256_public.pem"), TokenAlgorithm::Es256),
            (file!("p384_public.pem"), TokenAlgorithm::Es384),
            (file!("ed25519_public.pem"), TokenAlgorithm::EdDsa),
            (file!("rsa_8192_public.pem"), TokenAlgorithm::Ps512),
        ] {
            assert!(one(text).unwrap().fits(algorithm), "{algorithm}");
        }
    }

    #[test]
    fn several_public_keys_may_follow_each_other_and_certificates_may_not() {
        let several = format!("# now\n{}\n{}", file!("p256_public.pem"), file!("p384_public.pem"));
        assert_eq!(keys(&several, 2).unwrap().len(), 2);
        let refused = keys(&several, 1).unwrap_err();
        assert_eq!(refused, KeyFault::TooMany { count: 2, count_max: 1 });
        let chain = format!("{}{}", file!("p256_certificate.pem"), file!("rsa_2048_public.pem"));
        assert_eq!(keys(&chain, 8).unwrap_err(), KeyFault::PemKind);
    }

    #[test]
    fn what_is_no_good_public_key_is_refused() {
        let good = file!("p256_public.pem");
        let cut = good.replacen("\n-----END", "", 1);
        let short = good.replacen("MFkw", "MFgw", 1);
        let bits = KeyFault::RsaBits { bits: 1024, bits_min: 2048, bits_max: 8192 };
        for (text, fault) in [
            (file!("rsa_2048_private.pem"), KeyFault::Private),
            (file!("p256_private.pem"), KeyFault::Private),
            (file!("ed25519_private.pem"), KeyFault::Private),
            (file!("rsa_1024_public.pem"), bits),
            (file!("secp256k1_public.pem"), KeyFault::Type),
            ("", KeyFault::PemKind),
            ("-----BEGIN X25519-----\nAA==\n-----END X25519-----", KeyFault::PemKind),
            ("-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----", KeyFault::Pem),
            ("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", KeyFault::Pem),
            (cut.as_str(), KeyFault::Pem),
            (short.as_str(), KeyFault::Pem),
        ] {
            assert_eq!(one(text).unwrap_err(), fault, "{text}");
        }
    }

    #[test]
    fn no_damage_to_a_key_goes_out_of_bounds() {
        for text in [file!("rsa_2048_certificate.pem"), file!("p384_public.pem")] {
            let body = text.split("-----").nth(2).unwrap();
            let whole = decode(body).unwrap();
            for at in 0..whole.len() {
                for damaged in [whole[..at].to_vec(), {
                    let mut bytes = whole.clone();
                    bytes[at] ^= 0xff;
                    bytes
                }] {
                    let read = (certified_key(Der(&damaged)), public_key(Der(&damaged)));
                    drop(read);
                }
            }
        }
    }
}
