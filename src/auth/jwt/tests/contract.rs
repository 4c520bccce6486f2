//! Does the existing issuer's contract hold: which tokens, which sentence, in which order?

use super::super::claims::NAME_BYTES_MAX;
use super::*;
use crate::auth::Principal;

fn verify(token: &str) -> Result<Principal, TokenError> {
    verifier(rule()).verify(token.as_bytes(), now()).map(|token| token.principal)
}

fn token(claims: &Value) -> String {
    sealed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), SECRET, TokenAlgorithm::Hs256)
}

fn headed(header: &str) -> String {
    sealed(header, &claims().to_string(), SECRET, TokenAlgorithm::Hs256)
}

#[test]
fn a_user_token_speaks_for_its_user() {
    let caller = verify(&token(&claims())).unwrap();
    assert_eq!(caller.quota_key(), "jwt:42");
    assert_eq!(caller.subject.as_deref(), Some("42"));
    assert!(caller.scopes.is_empty());
}

#[test]
fn an_integration_token_counts_by_client_and_keeps_its_subject() {
    let claims = with(&json!({
        "sub": "7", "user_id": "7", "client_id": "nc-test-1", "scope": "read,write",
    }));
    let caller = verify(&token(&claims)).unwrap();
    assert_eq!(caller.quota_key(), "jwt:nc-test-1");
    assert_eq!(caller.subject.as_deref(), Some("7"));
    assert!(caller.has_scope("write") && !caller.has_scope("admin"));
}

#[test]
fn harmless_variations_are_accepted() {
    for changes in [
        json!({ "user_id": 42 }),
        json!({ "aud": ["other", "nextcloud"] }),
        json!({ "nbf": NOW }),
        json!({ "exp": NOW + 1 }),
        json!({ "exp": 9e300 }),
        json!({ "iat": null }),
        json!({ "iat": NOW as f64 + 0.9 }),
        json!({ "client_id": "", "sub": "", "scope": "" }),
        json!({ "unknown": { "deep": [1, 2, 3] } }),
    ] {
        assert_eq!(
            verify(&token(&with(&changes))).map(|p| p.quota_key()),
            Ok("jwt:42".into()),
            "{changes}"
        );
    }
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":"at+JWT"}"#] {
        assert!(verify(&headed(header)).is_ok(), "{header}");
    }
}

#[test]
fn bad_claims_are_refused_with_their_sentence() {
    let invalid = "Token is invalid";
    for (changes, sentence) in [
        (json!({ "exp": NOW }), "Token is expired"),
        (json!({ "exp": NOW - 1 }), "Token is expired"),
        (json!({ "exp": -1 }), "Token is expired"),
        (json!({ "exp": NOW as f64 + 0.9 }), "Token is expired"),
        (json!({ "exp": NOW - 1, "iss": "other" }), "Token is expired"),
        (json!({ "exp": NOW - 1, "iat": NOW + 1 }), invalid),
        (json!({ "exp": null }), "Token has no 'exp' claim"),
        (json!({ "exp": null, "jti": null }), "Token has no 'exp' claim"),
        (json!({ "exp": "1999999999" }), invalid),
        (json!({ "exp": [NOW + 300] }), invalid),
        (json!({ "exp": true }), invalid),
        (json!({ "nbf": NOW + 1 }), invalid),
        (json!({ "nbf": "soon" }), invalid),
        (json!({ "iat": NOW + 1 }), invalid),
        (json!({ "iss": null }), invalid),
        (json!({ "iss": "Farm-Intelligence-Platform" }), invalid),
        (json!({ "iss": ["farm-intelligence-platform"] }), invalid),
        (json!({ "aud": null }), invalid),
        (json!({ "aud": "nextcloud " }), invalid),
        (json!({ "aud": [] }), invalid),
        (json!({ "aud": { "nextcloud": true } }), invalid),
        (json!({ "jti": null }), "Token has no id"),
        (json!({ "jti": 5 }), invalid),
        (json!({ "jti": null, "token_type": null }), "Token has no id"),
        (json!({ "token_type": null }), "Token has no type"),
        (json!({ "token_type": "refresh" }), "Token has wrong type"),
        (json!({ "token_type": "ACCESS" }), "Token has wrong type"),
        (json!({ "user_id": null }), "Token contained no recognizable user identification"),
        (json!({ "user_id": "" }), "Token contained no recognizable user identification"),
        (
            json!({ "user_id": null, "client_id": "nc-1" }),
            "Token contained no recognizable user identification",
        ),
        (json!({ "user_id": { "id": 1 } }), invalid),
        (json!({ "user_id": "42\nadmin" }), invalid),
        (json!({ "sub": 42 }), invalid),
        (json!({ "sub": "a\u{0}" }), invalid),
        (json!({ "client_id": "c".repeat(NAME_BYTES_MAX + 1) }), invalid),
        (json!({ "client_id": ["nc-1"] }), invalid),
        (json!({ "scope": ["admin"] }), invalid),
    ] {
        let refused = verify(&token(&with(&changes))).map_err(|error| error.sentence());
        assert_eq!(refused, Err(sentence), "{changes}");
    }
}

#[test]
fn forged_headers_are_refused() {
    let jwk = r#"{"kty":"oct","k":"YQ"}"#;
    for header in [
        r#"{"alg":"none"}"#.to_owned(),
        r#"{"alg":"None","typ":"JWT"}"#.to_owned(),
        r#"{"alg":"hs256"}"#.to_owned(),
        r#"{"alg":"HS512"}"#.to_owned(),
        r#"{"alg":"RS256"}"#.to_owned(),
        r#"{"alg":"EdDSA"}"#.to_owned(),
        r#"{"alg":"HS256","alg":"HS256"}"#.to_owned(),
        r#"{"alg":["HS256"]}"#.to_owned(),
        r#"{"typ":"JWT"}"#.to_owned(),
        r#"{"alg":"HS256","typ":"JOSE"}"#.to_owned(),
        r#"{"alg":"HS256","crit":["exp"]}"#.to_owned(),
        r#"{"alg":"HS256","crit":[]}"#.to_owned(),
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#.to_owned(),
        r#"{"alg":"HS256","crit":"exp"}"#.to_owned(),
        r#"{"alg":"HS256","jku":"https://attacker.example/jwks"}"#.to_owned(),
        r#"{"alg":"HS256","x5u":"https://attacker.example/x5u"}"#.to_owned(),
        r#"{"alg":"HS256","x5c":["AA=="]}"#.to_owned(),
        format!(r#"{{"alg":"HS256","jwk":{jwk}}}"#),
        r#"{"alg":"HS256","zip":"DEF"}"#.to_owned(),
        r#"{"alg":"HS256","enc":"A128GCM"}"#.to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        String::new(),
    ] {
        let refused = verify(&headed(&header)).map_err(|error| error.sentence());
        assert_eq!(refused, Err("Token is invalid"), "{header}");
    }
}

#[test]
fn a_kid_never_chooses_the_key() {
    for kid in ["../../dev/null", "' UNION SELECT 'k", "|id"] {
        let header = json!({ "alg": "HS256", "kid": kid }).to_string();
        assert!(verify(&headed(&header)).is_ok(), "{kid}");
        let forged = sealed(&header, &claims().to_string(), b"", TokenAlgorithm::Hs256);
        assert_eq!(verify(&forged), Err(TokenError::Signature), "{kid}");
    }
}

#[test]
fn tampered_tokens_are_refused() {
    let good = token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let other = with(&json!({ "user_id": "1" })).to_string();
    let hs512 = sealed(r#"{"alg":"HS512"}"#, &claims().to_string(), SECRET, TokenAlgorithm::Hs512);
    let crossed =
        sealed(r#"{"alg":"HS256"}"#, &claims().to_string(), SECRET, TokenAlgorithm::Hs512);
    let foreign =
        sealed(r#"{"alg":"HS256"}"#, &claims().to_string(), b"other", TokenAlgorithm::Hs256);
    let last = signature.chars().last().unwrap();
    // The last of 43 characters carries two unused bits: another spelling of the same bytes.
    let twin = char::from_u32(u32::from(last) + 1).unwrap();
    let malleable = format!("{message}.{}{twin}", &signature[..signature.len() - 1]);
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        message.into(),
        format!("{message}."),
        format!("{message}.{}", &signature[..signature.len() - 4]),
        format!("{good}A"),
        format!("{good}="),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(&other)),
        format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)),
        malleable,
        hs512,
        crossed,
        foreign,
        good.to_uppercase(),
        "\u{e9}.\u{e9}.\u{e9}".into(),
    ] {
        let refused = verify(&bad).map_err(|error| error.sentence());
        assert_eq!(refused, Err("Token is invalid"), "{bad}");
    }
    assert!(verify(&good).is_ok());
}

#[test]
fn claims_there_twice_are_refused() {
    let payload = claims().to_string().replacen('{', r#"{"user_id":"1","#, 1);
    let doubled = sealed(r#"{"alg":"HS256"}"#, &payload, SECRET, TokenAlgorithm::Hs256);
    assert_eq!(verify(&doubled), Err(TokenError::Undecodable));
}

#[test]
fn deep_and_odd_payloads_are_refused() {
    let deep = "[".repeat(2_000);
    let nested = format!("{}\"exp\":1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
    for payload in [deep.as_str(), nested.as_str(), "", "[]", "1", "\u{0}", "{\"exp\":1e999}"] {
        let odd = sealed(r#"{"alg":"HS256"}"#, payload, SECRET, TokenAlgorithm::Hs256);
        let refused = verify(&odd).map_err(|error| error.sentence());
        assert_eq!(refused, Err("Token is invalid"), "{payload}");
    }
}

#[test]
fn a_long_token_is_refused_unseen() {
    let padding = "p".repeat(TOKEN_BYTES_MAX);
    let long = token(&with(&json!({ "padding": padding })));
    assert_eq!(verify(&long), Err(TokenError::TooLong { bytes: long.len() }));
}

#[test]
fn leeway_moves_every_limit() {
    let verifier = verifier(JwtIssuerRule { leeway: Duration::from_secs(60), ..rule() });
    for (changes, accepted) in [
        (json!({ "exp": NOW - 59 }), true),
        (json!({ "exp": NOW - 60 }), false),
        (json!({ "nbf": NOW + 60, "iat": NOW + 60 }), true),
        (json!({ "nbf": NOW + 61 }), false),
        (json!({ "iat": NOW + 61 }), false),
    ] {
        let token = token(&with(&changes));
        assert_eq!(verifier.verify(token.as_bytes(), now()).is_ok(), accepted, "{changes}");
    }
}

#[test]
fn unset_rules_are_not_checked() {
    let verifier = verifier(bare(&[TokenAlgorithm::Hs256], secret(SECRET)));
    let bare = token(&json!({ "exp": NOW + 1, "sub": "a", "aud": "anything" }));
    assert!(verifier.verify(bare.as_bytes(), now()).is_ok());
}

#[test]
fn what_a_token_says_is_handed_on() {
    let claims = with(&json!({
        "sub": "7", "user_id": 7, "client_id": "nc-1", "scope": "read", "nbf": NOW - 1,
    }));
    let verifier = verifier(JwtIssuerRule { leeway: Duration::from_secs(5), ..rule() });
    let found = verifier.verify(token(&claims).as_bytes(), now()).unwrap();
    let named = [&found.issuer, &found.subject, &found.user_id, &found.client, &found.scope];
    let named = named.map(|name| name.as_deref().unwrap());
    assert_eq!(named, [ISSUER, "7", "7", "nc-1", "read"]);
    assert_eq!(found.jti.as_deref(), Some("0123456789abcdef0123456789abcdef"));
    let now_seconds = NOW.cast_signed();
    let times = (found.issued_at, found.not_before, found.expires_at, found.valid_until());
    let (begun, over) = (now_seconds - 1, now_seconds + 300);
    assert_eq!(times, (Some(now_seconds), Some(begun), over, over + 5));
}

#[test]
fn a_scope_is_there_unless_it_is_absent_or_null() {
    let scope_of = |changes: Value| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let found = verifier(rule()).verify(token(&claims).as_bytes(), now()).unwrap();
        (found.has_scope_claim(), found.principal.scopes.iter().map(|s| s.to_string()).collect())
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    assert_eq!(scope_of(json!({})), (false, words(&[])));
    assert_eq!(scope_of(json!({ "scope": null })), (false, words(&[])));
    assert_eq!(scope_of(json!({ "scope": "" })), (true, words(&[])));
    assert_eq!(scope_of(json!({ "scope": "read,write" })), (true, words(&["read", "write"])));
    assert_eq!(scope_of(json!({ "scp": ["read", "write"] })), (false, words(&["read", "write"])));
    let odd = json!({ "scp": ["", "read", "read write", "write,admin", " write", "admin\t"] });
    assert_eq!(scope_of(odd), (false, words(&["read"])));
    assert_eq!(scope_of(json!({ "scp": "read write" })), (false, words(&["read", "write"])));
    assert_eq!(scope_of(json!({ "scp": ["admin"], "scope": "read" })), (true, words(&["read"])));
}

#[test]
fn further_claims_can_be_required() {
    let required_claims = vec!["client_id".into(), "azp".into()];
    let verifier = verifier(JwtIssuerRule { required_claims, ..rule() });
    let verify = |changes: &Value| verifier.verify(token(&with(changes)).as_bytes(), now());
    assert!(verify(&json!({ "client_id": "a", "azp": { "any": [] } })).is_ok());
    for changes in [json!({ "client_id": "a" }), json!({ "client_id": "a", "AZP": 1 })] {
        assert_eq!(verify(&changes).unwrap_err(), TokenError::NoClaim("azp".into()), "{changes}");
    }
    let null = claims().to_string().replacen('{', r#"{"client_id":"a","azp":null,"#, 1);
    let null = sealed(r#"{"alg":"HS256"}"#, &null, SECRET, TokenAlgorithm::Hs256);
    let refused = verifier.verify(null.as_bytes(), now()).unwrap_err();
    assert_eq!(
        (refused.sentence(), refused),
        ("Token is invalid", TokenError::NoClaim("azp".into()))
    );
}

#[test]
fn weak_rules_are_refused() {
    let short = JwtIssuerRule { keys: secret(b"short"), ..rule() };
    let refused = JwtVerifier::new(vec![short]).unwrap_err();
    assert!(matches!(refused, RuleError::SecretTooShort { bytes: 5, .. }));
    let lax = JwtIssuerRule { leeway: Duration::from_secs(601), ..rule() };
    assert!(matches!(JwtVerifier::new(vec![lax]), Err(RuleError::TooLong { .. })));
}

#[test]
fn the_secret_is_not_in_the_verifiers_debug() {
    let shown = format!("{:?} {:?}", rule(), verifier(rule()));
    assert!(!shown.contains("a-signing-key") && !shown.contains("97, 45"), "{shown}");
}
