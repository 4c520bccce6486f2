//! Are several issuers kept apart, each with its own algorithms and keys?

use super::super::super::rule::IssuerFault;
use super::*;

const OTHER: &str = "https://id.example";

fn other(algorithms: &[TokenAlgorithm], keys: KeySource) -> JwtIssuerRule {
    JwtIssuerRule { issuer: Some(OTHER.into()), ..bare(algorithms, keys) }
}

fn fault_of(rule: JwtIssuerRule) -> IssuerFault {
    match JwtVerifier::new(vec![rule]).unwrap_err() {
        RuleError::Issuer { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn every_algorithm_is_verified_with_its_own_key_and_no_other() {
    for algorithm in TokenAlgorithm::ALL {
        let token = token_of(algorithm);
        for taken in TokenAlgorithm::ALL {
            let outcome = taking(taken).verify(token.as_bytes(), now());
            let outcome = outcome.map(|token| token.principal.quota_key());
            let wanted = if taken == algorithm {
                Ok("jwt:42".to_owned())
            } else {
                Err(TokenError::Algorithm)
            };
            assert_eq!(outcome, wanted, "{algorithm} where {taken} is taken");
        }
    }
}

#[test]
fn an_issuer_is_chosen_by_its_exact_name() {
    let es = [TokenAlgorithm::Es256];
    let keys = KeySource::Static(keys_for(TokenAlgorithm::Es256));
    let verifier = JwtVerifier::new(vec![rule(), other(&es, keys)]).unwrap();
    let es256 = |claims: &Value| signed(r#"{"alg":"ES256"}"#, &claims.to_string(), es[0]);
    let verify = |token: &str| verifier.verify(token.as_bytes(), now());

    let own = verify(&token_of(TokenAlgorithm::Hs256)).unwrap();
    assert_eq!(own.principal.quota_key(), "jwt:42");
    let others = verify(&es256(&json!({ "iss": OTHER, "exp": NOW + 1, "sub": "42" }))).unwrap();
    assert_eq!(others.principal.quota_key(), "jwt:42@https://id.example");
    assert_eq!(others.principal.subject.as_deref(), Some("42@https://id.example"));
    assert_eq!(others.subject.as_deref(), Some("42"), "as the token says it");
    assert_ne!(own.principal.identity_key(), others.principal.identity_key());

    // The other issuer may not speak for the first one, nor the first key for the other issuer.
    assert_eq!(verify(&es256(&claims())).unwrap_err(), TokenError::Algorithm);
    let crossed = with(&json!({ "iss": OTHER })).to_string();
    let crossed = signed(r#"{"alg":"HS256"}"#, &crossed, TokenAlgorithm::Hs256);
    assert_eq!(verify(&crossed).unwrap_err(), TokenError::Algorithm);
    for iss in [json!(null), json!(""), json!("https://id.example/"), json!("HTTPS://ID.EXAMPLE")] {
        let stranger = es256(&with(&json!({ "iss": iss })));
        assert_eq!(verify(&stranger).unwrap_err(), TokenError::Issuer, "{iss}");
    }
    let listed = es256(&with(&json!({ "iss": [OTHER] })));
    assert_eq!(verify(&listed).unwrap_err(), TokenError::Undecodable);
}

#[test]
fn the_signature_comes_before_what_a_token_says() {
    let token = sealed(
        r#"{"alg":"HS256"}"#,
        &with(&json!({ "exp": 1, "iss": "other", "jti": null })).to_string(),
        b"another secret, of somebody who has none",
        TokenAlgorithm::Hs256,
    );
    let refused = verifier(rule()).verify(token.as_bytes(), now()).unwrap_err();
    assert_eq!(refused, TokenError::Signature);
}

#[test]
fn rules_that_cannot_be_told_apart_are_refused() {
    let unnamed = bare(&[TokenAlgorithm::Hs256], secret(SECRET));
    let of = |rules: Vec<JwtIssuerRule>| JwtVerifier::new(rules).unwrap_err();
    assert_eq!(of(vec![rule(), unnamed]), RuleError::IssuerUnnamed);
    assert_eq!(of(vec![rule(), rule()]), RuleError::IssuerRepeated { issuer: ISSUER.into() });
    assert_eq!(of(vec![]), RuleError::IssuerCount { count: 0, count_max: ISSUERS_MAX });
    let many = vec![rule(); ISSUERS_MAX + 1];
    assert!(matches!(of(many), RuleError::IssuerCount { .. }));
}

#[test]
fn rules_under_which_keys_could_be_confused_are_refused() {
    let (hs, rs) = (TokenAlgorithm::Hs256, TokenAlgorithm::Rs256);
    let rsa = || KeySource::Static(keys_for(rs));
    assert_eq!(fault_of(bare(&[hs, rs], secret(SECRET))), IssuerFault::AlgorithmsMixed);
    assert_eq!(fault_of(bare(&[rs, hs], rsa())), IssuerFault::AlgorithmsMixed);
    assert_eq!(fault_of(bare(&[], rsa())), IssuerFault::NoAlgorithm);
    assert_eq!(fault_of(bare(&[hs], rsa())), IssuerFault::NoKey);
    assert_eq!(fault_of(bare(&[TokenAlgorithm::Es256], rsa())), IssuerFault::NoKey);
    assert_eq!(fault_of(bare(&[rs], KeySource::Static(vec![]))), IssuerFault::NoKey);
    let live = KeySource::Set(Arc::default());
    assert_eq!(fault_of(bare(&[hs], live)), IssuerFault::SecretFetched);
    let many = KeySource::Static(vec![keys_for(rs).remove(0); 9]);
    assert_eq!(fault_of(bare(&[rs], many)), IssuerFault::KeysTooMany { count_max: 8 });
    let unprintable = JwtIssuerRule { issuer: Some("a\nb".into()), ..rule() };
    assert_eq!(fault_of(unprintable), IssuerFault::Name);
    let greedy = JwtIssuerRule { required_claims: vec!["a".into(); 17], ..rule() };
    assert_eq!(fault_of(greedy), IssuerFault::ClaimsTooMany { count_max: 16 });
}

#[test]
fn a_secret_is_as_long_as_the_longest_hash_it_serves() {
    let ask = |algorithms: &[TokenAlgorithm], bytes: usize| {
        JwtVerifier::new(vec![bare(algorithms, secret(&vec![7; bytes]))])
    };
    for (algorithms, bytes_min) in [
        (&[TokenAlgorithm::Hs256][..], 32),
        (&[TokenAlgorithm::Hs384], 48),
        (&[TokenAlgorithm::Hs256, TokenAlgorithm::Hs512], 64),
    ] {
        assert!(ask(algorithms, bytes_min).is_ok());
        let bytes = bytes_min - 1;
        let refused = ask(algorithms, bytes).unwrap_err();
        assert_eq!(refused, RuleError::SecretTooShort { bytes, bytes_min });
    }
}

#[test]
fn every_secret_of_a_rotation_is_tried() {
    let old = *b"the secret of last month, still used by one";
    let keys =
        vec![VerifyingKey::from_secret(SECRET).unwrap(), VerifyingKey::from_secret(&old).unwrap()];
    let verifier = verifier(JwtIssuerRule { keys: KeySource::Static(keys), ..rule() });
    for secret in [SECRET, &old] {
        let header = r#"{"alg":"HS256","kid":"any"}"#;
        let token = sealed(header, &claims().to_string(), secret, TokenAlgorithm::Hs256);
        assert!(verifier.verify(token.as_bytes(), now()).is_ok());
    }
}

#[test]
fn keys_come_and_go_while_a_verifier_serves() {
    let live = Arc::new(LiveKeySet::new());
    let es = [TokenAlgorithm::Es256];
    let verifier = verifier(bare(&es, KeySource::Set(Arc::clone(&live))));
    let token = signed(r#"{"alg":"ES256","kid":"a"}"#, &claims().to_string(), es[0]);
    let verify = || verifier.verify(token.as_bytes(), now());
    assert_eq!(verify().unwrap_err(), TokenError::KeysUnavailable);

    live.publish(set_of(&["b"]));
    assert_eq!(verify().unwrap_err(), TokenError::UnknownKey);
    live.publish(set_of(&["b", "a"]));
    let found = verify().unwrap();
    assert!(verifier.stands_by(&found, now()));
    live.publish(set_of(&["c"]));
    assert!(!verifier.stands_by(&found, now()), "the key has gone");
}

#[test]
fn a_token_stands_only_under_the_rule_that_took_it() {
    let token = token_of(TokenAlgorithm::Hs256);
    let found = verifier(rule()).verify(token.as_bytes(), now()).unwrap();
    assert!(verifier(rule()).stands_by(&found, now()), "the same rule, compiled again");
    let audience = Some("another".into());
    let stricter = [
        JwtIssuerRule { audience, ..rule() },
        JwtIssuerRule { leeway: Duration::from_secs(1), ..rule() },
        JwtIssuerRule { required_claims: vec!["jti".into()], ..rule() },
        JwtIssuerRule { jti_required: false, ..rule() },
        JwtIssuerRule { keys: secret(&[SECRET, b"!"].concat()), ..rule() },
        JwtIssuerRule { algorithms: vec![TokenAlgorithm::Hs512], ..rule() },
    ];
    for rule in stricter {
        assert!(!verifier(rule.clone()).stands_by(&found, now()), "{rule:?}");
    }
    let later = |seconds| now().plus(Duration::from_secs(seconds));
    assert!(verifier(rule()).stands_by(&found, later(299)));
    assert!(!verifier(rule()).stands_by(&found, later(300)), "it has expired");
    let earlier = Now { wall: now().wall - Duration::from_secs(1), ..now() };
    assert!(!verifier(rule()).stands_by(&found, earlier), "the clock was set back");
}

/// The public P-256 key of the tests under these names.
fn set_of(kids: &[&str]) -> KeySet {
    let (x, y) = p256_point();
    let keys: Vec<_> = kids
        .iter()
        .map(|kid| json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid }))
        .collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// The point is the last 64 bytes of the PEM's DER.
fn p256_point() -> (String, String) {
    use base64::engine::general_purpose::STANDARD;
    let text = std::str::from_utf8(pair(KeyKind::P256).1).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).unwrap();
    let (x, y) = der[der.len() - 64..].split_at(32);
    (encoded(x), encoded(y))
}

#[test]
fn a_presented_token_is_never_printed() {
    let token = token_of(TokenAlgorithm::Hs256);
    let verifier = verifier(rule());
    let shown = format!("{:?}", verifier.read(token.as_bytes()).unwrap());
    assert!(token.split('.').all(|part| !shown.contains(part)), "{shown}");
    let found = format!("{:?}", verifier.verify(token.as_bytes(), now()).unwrap());
    assert!(token.split('.').all(|part| !found.contains(part)), "{found}");
}
