//! Is everything refused that collections of attacks on JWT try?
//!
//! Each token has a name, the algorithm that its verifier takes, and the refusal it gets. Where a
//! signature could be made without the attack's help it is a good one, so that nothing but the
//! attacked rule refuses the token.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};

use super::*;

use TokenAlgorithm::{EdDsa, Es256, Es384, Hs256, Hs512, Ps256, Rs256};
use TokenError::{Algorithm, HeaderField, Signature, Undecodable, UnknownKey};

#[derive(Clone)]
struct Hostile {
    name: &'static str,
    taken: TokenAlgorithm,
    token: String,
    refusal: TokenError,
}

fn hostile(
    name: &'static str,
    taken: TokenAlgorithm,
    token: impl Into<String>,
    refusal: TokenError,
) -> Hostile {
    Hostile { name, taken, token: token.into(), refusal }
}

/// A token with this header, signed well.
fn headed(header: &str, algorithm: TokenAlgorithm) -> String {
    signed(header, &claims().to_string(), algorithm)
}

fn unsigned(header: &str) -> String {
    format!("{}.", message(header, &claims().to_string()))
}

/// A good token's message and the bytes of its signature.
fn parts(algorithm: TokenAlgorithm) -> (String, Vec<u8>) {
    let token = token_of(algorithm);
    let (message, signature) = token.rsplit_once('.').unwrap();
    (message.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// A good token with its signature changed.
fn resigned(algorithm: TokenAlgorithm, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (message, signature) = parts(algorithm);
    format!("{message}.{}", encoded(change(signature)))
}

fn without_a_signature() -> Vec<Hostile> {
    let names = [
        ("alg none", "none"),
        ("alg None", "None"),
        ("alg NONE", "NONE"),
        ("alg nOnE", "nOnE"),
        ("alg none with a space", "none "),
        ("alg empty", ""),
    ];
    let mut table: Vec<_> = names
        .into_iter()
        .map(|(name, alg)| {
            hostile(name, Hs256, unsigned(&format!(r#"{{"alg":"{alg}"}}"#)), Algorithm)
        })
        .collect();
    let signed_none = sealed(r#"{"alg":"none"}"#, &claims().to_string(), SECRET, Hs256);
    table.extend([
        hostile("alg none beside a good signature", Hs256, signed_none, Algorithm),
        hostile("no alg", Hs256, unsigned(r#"{"typ":"JWT"}"#), Undecodable),
        hostile("alg null", Hs256, unsigned(r#"{"alg":null}"#), Undecodable),
        hostile("alg a list", Hs256, unsigned(r#"{"alg":["HS256"]}"#), Undecodable),
        hostile("alg a number", Hs256, unsigned(r#"{"alg":256}"#), Undecodable),
        hostile("alg with a null byte", Hs256, unsigned(r#"{"alg":"HS256\u0000"}"#), Algorithm),
        hostile("alg in lower case", Hs256, headed(r#"{"alg":"hs256"}"#, Hs256), Algorithm),
        hostile("empty signature, HS256", Hs256, unsigned(r#"{"alg":"HS256"}"#), Signature),
        hostile("empty signature, RS256", Rs256, unsigned(r#"{"alg":"RS256"}"#), Signature),
        hostile("empty signature, ES256", Es256, unsigned(r#"{"alg":"ES256"}"#), Signature),
        hostile("empty signature, EdDSA", EdDsa, unsigned(r#"{"alg":"EdDSA"}"#), Signature),
    ]);
    table
}

fn with_a_confused_key() -> Vec<Hostile> {
    let payload = claims().to_string();
    let forged = |alg: &str, secret: &[u8], algorithm| {
        sealed(&format!(r#"{{"alg":"{alg}"}}"#), &payload, secret, algorithm)
    };
    let pem = key_file!("rsa_2048_public.pem");
    let trimmed = pem.trim_ascii();
    let der = STANDARD.decode(
        String::from_utf8_lossy(pem).lines().filter(|l| !l.starts_with('-')).collect::<String>(),
    );
    let point = key_file!("p256_public.pem");
    let stranger = EncodingKey::from_ec_pem(key_file!("p256_private.pem")).unwrap();
    let crossed = message(r#"{"alg":"RS256"}"#, &payload);
    let signature =
        jsonwebtoken::crypto::sign(crossed.as_bytes(), &stranger, Es256.of_library()).unwrap();
    vec![
        hostile("HS256 keyed with the RSA PEM", Rs256, forged("HS256", pem, Hs256), Algorithm),
        hostile("the same PEM without its end", Rs256, forged("HS256", trimmed, Hs256), Algorithm),
        hostile("keyed with the DER", Rs256, forged("HS256", &der.unwrap(), Hs256), Algorithm),
        hostile("keyed with the EC PEM", Es256, forged("HS256", point, Hs256), Algorithm),
        hostile("HMAC that says RS256", Rs256, forged("RS256", pem, Hs256), Signature),
        hostile("HMAC that says ES256", Es256, forged("ES256", point, Hs512), Signature),
        hostile("keyed with nothing", Hs256, forged("HS256", b"", Hs256), Signature),
        hostile("keyed with a zero", Hs256, forged("HS256", b"\0", Hs256), Signature),
        hostile("keyed with a common word", Hs256, forged("HS256", b"secret", Hs256), Signature),
        hostile("HS512 that says HS256", Hs256, forged("HS256", SECRET, Hs512), Signature),
        hostile("PS256 where RS256 is taken", Rs256, token_of(Ps256), Algorithm),
        hostile("PS256 that says RS256", Rs256, headed_by("RS256", Ps256), Signature),
        hostile("RS256 that says PS256", Ps256, headed_by("PS256", Rs256), Signature),
        hostile("ES384 where ES256 is taken", Es256, token_of(Es384), Algorithm),
        hostile("ES384 that says ES256", Es256, headed_by("ES256", Es384), Signature),
        hostile("ECDSA that says RS256", Rs256, format!("{crossed}.{signature}"), Signature),
    ]
}

fn headed_by(says: &str, algorithm: TokenAlgorithm) -> String {
    headed(&format!(r#"{{"alg":"{says}"}}"#), algorithm)
}

/// All with a signature that would hold.
fn with_a_key_of_its_own() -> Vec<Hostile> {
    let field = |members: &str| headed(&format!(r#"{{"alg":"ES256",{members}}}"#), Es256);
    let es256 = |name, members: &str, refusal| hostile(name, Es256, field(members), refusal);
    let oct = r#""jwk":{"kty":"oct","k":"YQ"}"#;
    let ec = r#""jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    let kid = |name, kid: &str| es256(name, &format!(r#""kid":{kid}"#), HeaderField("kid"));
    let long = format!("\"{}\"", "k".repeat(129));
    vec![
        es256("embedded oct key", oct, HeaderField("jwk")),
        es256("embedded EC key", ec, HeaderField("jwk")),
        es256("jwk null", r#""jwk":null"#, HeaderField("jwk")),
        es256("jku", r#""jku":"https://attacker.example/jwks""#, HeaderField("jku")),
        es256("jku into this machine", r#""jku":"http://127.0.0.1:1/""#, HeaderField("jku")),
        es256("x5u", r#""x5u":"https://attacker.example/x""#, HeaderField("x5u")),
        es256("x5c", r#""x5c":["AA=="]"#, HeaderField("x5c")),
        es256("crit", r#""crit":["exp"]"#, HeaderField("crit")),
        es256("crit empty", r#""crit":[]"#, HeaderField("crit")),
        es256("crit no list", r#""crit":"exp""#, HeaderField("crit")),
        es256("b64 false", r#""b64":false"#, HeaderField("b64")),
        es256("b64 false and critical", r#""crit":["b64"],"b64":false"#, HeaderField("b64")),
        es256("zip", r#""zip":"DEF""#, HeaderField("zip")),
        es256("enc", r#""enc":"A128GCM""#, HeaderField("enc")),
        es256("typ JOSE", r#""typ":"JOSE""#, HeaderField("typ")),
        es256("typ of another use", r#""typ":"dpop+jwt""#, HeaderField("typ")),
        es256("typ of a logout", r#""typ":"logout+jwt""#, HeaderField("typ")),
        es256("typ no text", r#""typ":1"#, HeaderField("typ")),
        es256("typ null", r#""typ":null"#, HeaderField("typ")),
        es256("alg twice", r#""alg":"ES256""#, Undecodable),
        es256("alg twice, once none", r#""alg":"none""#, Undecodable),
        es256("alg twice, once escaped", r#""\u0061lg":"none""#, Undecodable),
        es256("an unknown member twice", r#""x":1,"x":2"#, Undecodable),
        es256("an inner member twice", r#""x":{"y":1,"y":2}"#, Undecodable),
        kid("kid null", "null"),
        kid("kid a number", "1"),
        kid("kid an object", r#"{"$ne":""}"#),
        kid("kid a list", r#"["a"]"#),
        kid("kid with a null byte", r#""/dev/null\u0000""#),
        kid("kid with a line feed", r#""a\nlevel=error""#),
        kid("kid overlong", &long),
    ]
}

fn with_a_touched_signature() -> Vec<Hostile> {
    let table = |name, algorithm, change: fn(Vec<u8>) -> Vec<u8>| {
        hostile(name, algorithm, resigned(algorithm, change), Signature)
    };
    let last_cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    let one_more = |bytes: Vec<u8>| [bytes, vec![0]].concat();
    let zero_first = |bytes: Vec<u8>| [vec![0], bytes].concat();
    let zeros = |bytes: Vec<u8>| vec![0; bytes.len()];
    let twice = |bytes: Vec<u8>| [bytes.clone(), bytes].concat();
    vec![
        table("HMAC cut by a byte", Hs256, last_cut),
        table("HMAC cut to half", Hs256, |bytes| bytes[..16].to_vec()),
        table("HMAC with a byte more", Hs256, one_more),
        table("HMAC of zeros", Hs256, zeros),
        table("RSA cut by a byte", Rs256, last_cut),
        table("RSA with a zero in front", Rs256, zero_first),
        table("RSA of zeros", Rs256, zeros),
        table("RSA of one", Rs256, |bytes| [vec![0; bytes.len() - 1], vec![1]].concat()),
        table("RSA of the greatest number", Rs256, |bytes| vec![0xff; bytes.len()]),
        table("PSS of zeros", Ps256, zeros),
        table("ECDSA r = s = 0", Es256, zeros),
        table("ECDSA r = 0", Es256, |bytes| [vec![0; 32], bytes[32..].to_vec()].concat()),
        table("ECDSA s = 0", Es256, |bytes| [bytes[..32].to_vec(), vec![0; 32]].concat()),
        table("ECDSA r = s = n", Es256, |_| [P256_ORDER, P256_ORDER].concat()),
        table("ECDSA r and s the greatest numbers", Es256, |_| vec![0xff; 64]),
        table("ECDSA r and s swapped", Es256, |b| [b[32..].to_vec(), b[..32].to_vec()].concat()),
        table("ECDSA in DER", Es256, |bytes| der(&bytes)),
        table("ECDSA with zeros in front", Es256, |b| [&[0], &b[..32], &[0], &b[32..]].concat()),
        table("ECDSA cut by a byte", Es256, last_cut),
        table("ECDSA of 96 bytes", Es256, |bytes| [bytes, vec![0; 32]].concat()),
        table("ES384 r = s = 0", Es384, zeros),
        table("ES384 of 64 bytes", Es384, |bytes| bytes[..64].to_vec()),
        table("Ed25519 with s + L", EdDsa, |bytes| ed25519_twin(&bytes)),
        table("Ed25519 of zeros", EdDsa, zeros),
        table("Ed25519 cut by a byte", EdDsa, last_cut),
        table("Ed25519 twice", EdDsa, twice),
        table("Ed25519 with R of small order", EdDsa, |bytes| {
            [&[1], &[0; 31][..], &bytes[32..]].concat()
        }),
    ]
}

fn malformed() -> Vec<Hostile> {
    let good = token_of(Hs256);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let padded = |part: &str| URL_SAFE.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    let hs256 = |name, token: String| hostile(name, Hs256, token, Undecodable);
    let payload_of = |payload: &str| sealed(r#"{"alg":"HS256"}"#, payload, SECRET, Hs256);
    let (odd, behind) = (encoded(r#"{"alg":"HS256" }"#), format!(".{payload}.{signature}"));
    let padded_header = format!("{}{behind}", padded(&odd));
    assert!(padded_header.contains('='));
    let flattened =
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#);
    let twin = char::from_u32(u32::from(good.chars().last().unwrap()) + 1).unwrap();
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
    vec![
        hs256("nothing", String::new()),
        hs256("dots alone", "..".into()),
        hs256("one part", header.into()),
        hs256("two parts", message.into()),
        hs256("four parts", format!("{good}.")),
        hs256("an encrypted token's five parts", format!("{good}.AAAA.AAAA")),
        hs256("JSON serialisation", flattened),
        hs256("padding on the signature", format!("{message}.{}", padded(signature))),
        hs256("padding on the header", padded_header),
        hs256("bits that say nothing", format!("{}{twin}", &good[..good.len() - 1])),
        hs256("white space in front", format!(" {good}")),
        hs256("a line feed behind", format!("{good}\n")),
        hs256("white space inside", good.replacen('.', " .", 1)),
        hs256("percent encoding", good.replacen('.', "%2E", 1)),
        hs256("standard base64", format!("{message}.{}", STANDARD.encode([0xfb; 32]))),
        hs256("letters of another script", "\u{435}\u{443}J.\u{435}\u{443}J.AAAA".into()),
        hs256("a payload that is no object", payload_of("[]")),
        hs256("a payload that is no JSON", payload_of("exp=1")),
        hs256("an empty payload", payload_of("")),
        hs256("a claim twice", payload_of(r#"{"exp":1999999999,"sub":"1","sub":"2"}"#)),
        hs256("an unknown claim twice", payload_of(r#"{"exp":1999999999,"sub":"1","x":1,"x":2}"#)),
        hs256("a deep payload", payload_of(&deep)),
        hs256("a header that is no object", sealed("[]", "{}", SECRET, Hs256)),
        hs256("a header with more behind", sealed(r#"{"alg":"HS256"}{}"#, "{}", SECRET, Hs256)),
        hostile("8 KiB and a byte", Hs256, "A".repeat(8_193), TokenError::TooLong { bytes: 8_193 }),
    ]
}

/// n, the number of points of P-256.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// L, the order of Ed25519's base point, least byte first.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zero: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(zero.len() + number.len()).unwrap();
        [&[2, length], zero, number].concat()
    };
    let both = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

/// `a + b`, most significant byte first, unless it does not fit.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            carry += u32::from(*a) + u32::from(*b);
            let digit = carry as u8;
            carry >>= 8;
            digit
        })
        .collect();
    digits.reverse();
    (carry == 0).then_some(digits)
}

/// `a - b`, most significant byte first.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let inverted: Vec<u8> = b.iter().map(|byte| !byte).collect();
    let mut one = vec![0; a.len()];
    *one.last_mut().unwrap() = 1;
    // a + !b + 1, whose carry is dropped: the two halves of it cannot both overflow.
    let mut digits = vec![0; a.len()];
    let mut carry = 1;
    for at in (0..a.len()).rev() {
        carry += u32::from(a[at]) + u32::from(inverted[at]);
        digits[at] = carry as u8;
        carry >>= 8;
    }
    digits
}

fn ed25519_twin(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
    let twin = sum(&reversed(s), &reversed(&ED25519_ORDER)).unwrap();
    [r.to_vec(), reversed(&twin)].concat()
}

#[test]
fn hostile_tokens_are_refused_for_what_they_are() {
    let table = [
        without_a_signature(),
        with_a_confused_key(),
        with_a_key_of_its_own(),
        with_a_touched_signature(),
        malformed(),
    ]
    .concat();
    assert!(table.len() >= 100, "{}", table.len());
    let verifiers: Vec<_> =
        TokenAlgorithm::ALL.into_iter().map(|taken| (taken, taking(taken))).collect();
    let mut names = std::collections::BTreeSet::new();
    for Hostile { name, taken, token, refusal } in table {
        assert!(names.insert(name), "{name} is there twice");
        let (_, verifier) = verifiers.iter().find(|(algorithm, _)| *algorithm == taken).unwrap();
        let outcome = verifier.verify(token.as_bytes(), now()).map(|token| token.principal);
        let sentence = outcome.as_ref().map_err(TokenError::sentence).err();
        assert_eq!((outcome, sentence), (Err(refusal), Some("Token is invalid")), "{name}");
    }
}

#[test]
fn a_key_name_never_leaves_the_comparison() {
    let live = Arc::new(LiveKeySet::new());
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "one",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    live.publish(KeySet::parse(jwk.to_string().as_bytes()).unwrap());
    let verifier = verifier(bare(&[EdDsa], KeySource::Set(live)));
    for kid in [
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "x' UNION SELECT 'key';--",
        "| touch /tmp/x",
        "file:///dev/null",
        "https://attacker.example/jwks",
        "{{7*7}}",
        "%00",
        "%s%n",
        "__proto__",
        "",
        "ONE",
        "one ",
    ] {
        let header = json!({ "alg": "EdDSA", "kid": kid }).to_string();
        let refused = verifier.verify(headed(&header, EdDsa).as_bytes(), now()).unwrap_err();
        assert_eq!(refused, UnknownKey, "{kid}");
        assert!(kid.is_empty() || !format!("{refused} {refused:?}").contains(kid), "{kid}");
    }
}

#[test]
fn a_signature_with_a_high_s_is_accepted() {
    let twin = resigned(Es256, |bytes| {
        let (r, s) = bytes.split_at(32);
        [r.to_vec(), difference(&P256_ORDER, s)].concat()
    });
    let found = taking(Es256).verify(twin.as_bytes(), now()).unwrap();
    let original = taking(Es256).verify(token_of(Es256).as_bytes(), now()).unwrap();
    assert_eq!((found.jti, found.principal), (original.jti, original.principal));
}

#[test]
fn a_pss_signature_has_no_twin_above_the_modulus() {
    let pem = |text: &[u8]| {
        let text = std::str::from_utf8(text).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(body).unwrap()
    };
    let public = pem(key_file!("rsa_2048_public.pem"));
    let modulus = &public[public.len() - 5 - 256..public.len() - 5];
    let key = RsaKeyPair::from_pkcs8(&pem(key_file!("rsa_2048_private.pem"))).unwrap();
    let message = message(r#"{"alg":"PS256"}"#, &claims().to_string());
    // Each signature is another number; about every third has a twin of the same length.
    let twins = (0..500).find_map(|_| {
        let mut signature = vec![0; 256];
        key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .unwrap();
        let twin = sum(&signature, modulus)?;
        Some((signature, twin))
    });
    let (signature, twin) = twins.unwrap();
    let verify = |signature: &[u8]| {
        let token = format!("{message}.{}", encoded(signature));
        taking(Ps256).verify(token.as_bytes(), now()).map(|_| ())
    };
    assert_eq!((verify(&signature), verify(&twin)), (Ok(()), Err(Signature)));
    let library =
        jsonwebtoken::DecodingKey::from_rsa_pem(key_file!("rsa_2048_public.pem")).unwrap();
    let (twin, algorithm) = (encoded(twin), Ps256.of_library());
    let holds = jsonwebtoken::crypto::verify(&twin, message.as_bytes(), &library, algorithm);
    assert_eq!(holds.ok(), Some(true), "the reason why RSA is checked by another library");
}
