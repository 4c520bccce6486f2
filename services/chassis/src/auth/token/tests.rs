//! Which tokens hold?
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, UNIX_EPOCH};

use harness::jwt;
use serde_json::{Value, json};

use super::*;
use crate::settings::Settings;

const NOW: i64 = 1_766_666_666;
const INTERNAL: &str = "what the gateway and its services share";
const SIGNING: &str = "what the issuer and its services share";

fn now() -> Now {
    Now { wall: UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()), ..Now::read() }
}

fn tokens_of(internal: &str, signing: &str) -> Tokens {
    let mut env =
        Settings::from_pairs([("INTERNAL_TOKEN_SECRET", internal), ("JWT_SIGNING_KEY", signing)]);
    let settings = super::super::AuthSettings::read(&mut env);
    env.finish(&super::super::PREFIXES).unwrap();
    Tokens::new(settings.internal.as_ref(), settings.bearer.as_ref())
}

fn tokens() -> Tokens {
    tokens_of(INTERNAL, SIGNING)
}

/// The claims of a user's login with these changes; `null` takes a claim out.
fn user(changes: Value) -> Value {
    let claims = json!({
        "token_type": "access", "iss": "farm-intelligence-platform", "aud": "nextcloud",
        "user_id": "42", "jti": "0123456789abcdef", "iat": NOW - 60, "exp": NOW + 60,
    });
    changed(claims, changes)
}

/// The claims of the gateway with these changes.
fn internal(changes: Value) -> Value {
    let claims = json!({
        "token_type": "internal", "iss": "farmgate", "aud": "services", "sub": "42",
        "client_id": "nc-1", "scope": "read write", "iat": NOW, "exp": NOW + 60,
    });
    changed(claims, changes)
}

fn changed(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        let claims = claims.as_object_mut().unwrap();
        match value {
            Value::Null => drop(claims.remove(name)),
            value => drop(claims.insert(name.clone(), value.clone())),
        }
    }
    claims
}

fn of_user(changes: Value) -> Result<Principal, TokenFault> {
    let (scheme, outcome) = tokens().verify(&jwt(SIGNING, &user(changes)), now());
    assert_eq!(scheme, Scheme::Jwt);
    outcome
}

#[test]
fn token_of_a_login_speaks_for_its_user_though_it_has_no_sub() {
    let caller = of_user(json!({})).unwrap();
    assert_eq!((&*caller.subject, caller.client_id, caller.scopes), ("42", None, None));
    assert_eq!(&*of_user(json!({"user_id": 42})).unwrap().subject, "42");
    assert_eq!(&*of_user(json!({"sub": "7"})).unwrap().subject, "7");
    let integration = of_user(json!({"sub": "42", "scope": "read", "client_id": "nc"})).unwrap();
    assert_eq!(integration.client_id.as_deref(), Some("nc"));
    assert_eq!(integration.scopes, Some(scopes("read")));
}

#[test]
fn token_of_the_gateway_says_who_calls() {
    let verify = |changes| {
        let (scheme, outcome) = tokens().verify(&jwt(INTERNAL, &internal(changes)), now());
        assert_eq!(scheme, Scheme::Internal);
        outcome
    };
    let caller = verify(json!({})).unwrap();
    assert_eq!((&*caller.subject, caller.client_id.as_deref()), ("42", Some("nc-1")));
    assert_eq!(caller.scopes, Some(scopes("read write")));
    // A caller whose credential has no scope is not limited by one.
    assert_eq!(verify(json!({"scope": ""})).unwrap().scopes, None);
    assert_eq!(verify(json!({"token_type": "access"})), Err(TokenFault::Type));
    assert_eq!(verify(json!({"iss": "other"})), Err(TokenFault::Issuer));
    assert_eq!(verify(json!({"aud": "nextcloud"})), Err(TokenFault::Audience));
}

#[test]
fn each_wrong_claim_is_told_apart() {
    for (changes, fault) in [
        (json!({"exp": NOW - 5}), TokenFault::Expired),
        (json!({"exp": -1}), TokenFault::Expired),
        (json!({"exp": NOW as f64 - 5.5}), TokenFault::Expired),
        (json!({"exp": null}), TokenFault::NoExpiry),
        (json!({"exp": "4102444800"}), TokenFault::Undecodable),
        (json!({"nbf": NOW + 6}), TokenFault::NotYet),
        (json!({"iat": NOW + 6}), TokenFault::NotYet),
        (json!({"aud": "services"}), TokenFault::Audience),
        (json!({"aud": null}), TokenFault::Audience),
        (json!({"aud": []}), TokenFault::Audience),
        (json!({"iss": "farmgate"}), TokenFault::Issuer),
        (json!({"iss": null}), TokenFault::Issuer),
        (json!({"token_type": "refresh"}), TokenFault::Type),
        (json!({"token_type": "internal"}), TokenFault::Type),
        (json!({"token_type": null}), TokenFault::Type),
        (json!({"user_id": null}), TokenFault::Subject),
        (json!({"user_id": ""}), TokenFault::Subject),
        (json!({"user_id": "4\n2"}), TokenFault::Subject),
        (json!({"client_id": "n".repeat(257)}), TokenFault::Subject),
        (json!({"scope": ["read"]}), TokenFault::Undecodable),
    ] {
        assert_eq!(of_user(changes.clone()), Err(fault), "{changes}");
    }
}

#[test]
fn clocks_may_be_a_little_apart() {
    for changes in [
        json!({"exp": NOW - 4}),
        json!({"nbf": NOW + 5, "iat": NOW + 5}),
        json!({"aud": ["other", "nextcloud"]}),
    ] {
        assert!(of_user(changes.clone()).is_ok(), "{changes}");
    }
}

#[test]
fn signature_must_be_hs256_of_the_right_key() {
    let verify = |token: &str| tokens().verify(token, now()).1;
    let good = jwt(SIGNING, &user(json!({})));
    assert!(verify(&good).is_ok());
    assert_eq!(verify(&jwt("another secret", &user(json!({})))), Err(TokenFault::Signature));
    assert_eq!(verify(&jwt(INTERNAL, &user(json!({})))), Err(TokenFault::Issuer));

    let mut parts = good.split('.');
    let (head, body, signature) =
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let admin = jwt("x", &user(json!({"user_id": "1"})));
    let other_body = admin.split('.').nth(1).unwrap();
    assert_eq!(verify(&format!("{head}.{other_body}.{signature}")), Err(TokenFault::Signature));
    // {"alg":"none"} and {"alg":"HS512"}, with the signature of the good one and without.
    for (header, fault) in [
        ("eyJhbGciOiJub25lIn0", TokenFault::Undecodable),
        ("eyJhbGciOiJIUzUxMiJ9", TokenFault::Algorithm),
    ] {
        for signature in ["", signature] {
            assert_eq!(verify(&format!("{header}.{body}.{signature}")), Err(fault), "{header}");
        }
    }
    for broken in ["", "a", "a.b", "a.b.c", &format!("{good}.x"), &format!("{good}=")] {
        assert!(verify(broken).is_err(), "{broken}");
    }
    assert_eq!(verify(&"a".repeat(TOKEN_BYTES_MAX + 1)), Err(TokenFault::TooLong));
}

#[test]
fn one_secret_for_both_kinds_of_token_still_tells_them_apart() {
    let tokens = tokens_of(SIGNING, SIGNING);
    let (scheme, caller) = tokens.verify(&jwt(SIGNING, &user(json!({}))), now());
    assert!(scheme == Scheme::Jwt && caller.is_ok());
    let (scheme, caller) = tokens.verify(&jwt(SIGNING, &internal(json!({}))), now());
    assert!(scheme == Scheme::Internal && caller.is_ok());
    let forged = internal(json!({"iss": "farm-intelligence-platform", "aud": "nextcloud"}));
    assert!(tokens.verify(&jwt(SIGNING, &forged), now()).1.is_err());
}

#[test]
fn claim_that_comes_twice_is_refused() {
    let once = r#"{"user_id":"42","token_type":"access","exp":1}"#;
    assert!(serde_json::from_str::<Claims>(once).is_ok());
    let twice = once.replacen('{', r#"{"user_id":"1","#, 1);
    assert!(serde_json::from_str::<Claims>(&twice).is_err());
}
