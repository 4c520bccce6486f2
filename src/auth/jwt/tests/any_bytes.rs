//! Can any bytes at all break the verifier, or pass it without the key?

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// Verifiers of each kind of key, with rules that ask for as little as possible.
static LAX: LazyLock<Vec<JwtVerifier>> = LazyLock::new(|| {
    let taken = [
        TokenAlgorithm::Hs256,
        TokenAlgorithm::Rs256,
        TokenAlgorithm::Ps256,
        TokenAlgorithm::Es256,
        TokenAlgorithm::Es384,
        TokenAlgorithm::EdDsa,
    ];
    taken.into_iter().map(taking).collect()
});

fn is_refused(token: &[u8]) -> bool {
    LAX.iter().all(|verifier| verifier.verify(token, now()).is_err())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Names that mean something, more often than not.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] =
        &["alg", "typ", "kid", "crit", "jwk", "exp", "nbf", "iat", "iss", "aud", "sub"];
    prop_oneof![prop::sample::select(KNOWN).prop_map(str::to_owned), "\\PC{0,4}"]
}

fn any_algorithm() -> impl Strategy<Value = &'static str> {
    const NAMES: &[&str] =
        &["none", "HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "hs256", ""];
    prop::sample::select(NAMES)
}

/// Of a length that an algorithm has.
fn any_signature() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(&[0, 32, 64, 96, 256][..])
        .prop_flat_map(|bytes| prop::collection::vec(any::<u8>(), bytes))
}

proptest! {
    #[test]
    fn no_bytes_break_the_verifier_or_pass_it(token in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(is_refused(&token));
    }

    #[test]
    fn nothing_that_looks_like_a_token_passes_without_the_key(
        algorithm in any_algorithm(),
        header in prop::collection::hash_map(name(), any_json(), 0..4),
        claims in any_json(),
        signature in any_signature(),
    ) {
        let mut header: serde_json::Map<_, _> = header.into_iter().collect();
        header.insert("alg".into(), algorithm.into());
        let message = message(&Value::Object(header).to_string(), &claims.to_string());
        let token = format!("{message}.{}", encoded(signature));
        prop_assert!(is_refused(token.as_bytes()));
    }

    #[test]
    fn no_key_document_breaks_its_reader(
        keys in prop::collection::vec(any_json(), 0..4),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let document = json!({ "keys": keys }).to_string();
        prop_assert!(KeySet::parse(document.as_bytes()).is_err());
        prop_assert!(KeySet::parse(&bytes).is_err());
        prop_assert!(static_keys(&bytes, &[TokenAlgorithm::Rs256]).is_err());
    }
}

#[test]
fn no_change_of_one_byte_leaves_a_token_good() {
    for algorithm in [TokenAlgorithm::Hs256, TokenAlgorithm::Rs256] {
        let (verifier, token) = (taking(algorithm), token_of(algorithm).into_bytes());
        assert!(verifier.verify(&token, now()).is_ok());
        for at in 0..token.len() {
            for changed in [token[at] ^ 1, b'A', b'.', b'=', 0, 0xff] {
                let mut bytes = token.clone();
                bytes[at] = changed;
                let is_same = changed == token[at];
                assert_eq!(verifier.verify(&bytes, now()).is_ok(), is_same, "{algorithm} {at}");
            }
        }
    }
}

#[test]
fn every_cut_and_every_extension_is_refused() {
    for algorithm in TokenAlgorithm::ALL {
        let (verifier, token) = (taking(algorithm), token_of(algorithm));
        for length in 0..token.len() {
            assert!(verifier.verify(&token.as_bytes()[..length], now()).is_err(), "{algorithm}");
        }
        for more in ["A", "AA", "AAA", "AAAA", "=", ".", "\n", " ", "\0"] {
            let longer = format!("{token}{more}");
            assert!(verifier.verify(longer.as_bytes(), now()).is_err(), "{algorithm} {more:?}");
        }
    }
}
