//! Is a bearer token taken exactly when its signature and its claims hold, and as what it says?
//!
//! Any input is tried as a token. One that begins with `{` is also taken as a header, a line feed
//! and claims, and signed, since nobody finds a signature by trying.
#![no_main]

use std::sync::LazyLock;

use farmgate::auth::{Token, TokenAlgorithm};
use farmgate_fuzz::tokens::{Claims, Verifier, holds, sign, verifiers};
use farmgate_fuzz::{NOW, at, has_control};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(verifiers);

fuzz_target!(|data: &[u8]| {
    check(data, false);
    let Some((header, claims)) = header_and_claims(data) else { return };
    let read: Option<Value> = serde_json::from_str(header).ok();
    let named = read.as_ref().and_then(|header| header.get("alg")?.as_str()?.parse().ok());
    let algorithm = named.unwrap_or(TokenAlgorithm::Hs256);
    check(sign(header, claims, algorithm).as_bytes(), false);
    // Written anew, no name comes twice, and nothing is left on which two readers could differ.
    let (Some(header), Ok(claims)) = (read, serde_json::from_str::<Value>(claims)) else { return };
    let token = sign(&header.to_string(), &claims.to_string(), algorithm);
    check(token.as_bytes(), true);
});

fn header_and_claims(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok().filter(|text| text.starts_with('{'))?;
    text.split_once('\n')
}

/// What the gateway takes must hold; where `is_plain`, what holds must be taken.
fn check(token: &[u8], is_plain: bool) {
    let (now, seconds) = (at(NOW), NOW.cast_signed());
    for Verifier { verifier, rules } in VERIFIERS.iter() {
        let verified = verifier.verify(token, now);
        let again = verifier.read(token).and_then(|presented| presented.verify(now));
        assert_eq!(verified.as_ref().err(), again.as_ref().err(), "two ways to the same answer");
        let expected =
            || std::str::from_utf8(token).ok().and_then(|token| holds(rules, token, seconds));
        match verified {
            Ok(found) => {
                assert_eq!(expected(), Some(Claims::of(&found)));
                check_sanity(&found);
                assert!(found.holds_at(now) && verifier.stands_by(&found, now));
                assert!(found.valid_until() > seconds);
            }
            Err(error) => {
                let log = format!("{error} {error:?}");
                assert!(log.len() < 256 && !has_control(&log) && !error.sentence().is_empty());
                assert!(!is_plain || expected().is_none(), "{error}");
            }
        }
    }
}

/// Whatever a token says, its caller can be logged and counted by.
fn check_sanity(found: &Token) {
    let principal = &found.principal;
    assert!(!principal.id.is_empty() && !has_control(&principal.id));
    assert!(!has_control(&principal.quota_key()));
    assert_eq!(principal.identity_key().matches('\n').count(), 1);
    for scope in principal.scopes.iter() {
        let is_word = !scope.is_empty() && !scope.contains([',', ' ', '\n', '\t']);
        assert!(is_word, "a scope is one word, not {scope:?}");
    }
}
