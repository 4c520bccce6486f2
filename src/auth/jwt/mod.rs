//! Does this bearer token hold, and for whom does it speak (HS256, contract of the existing issuer).
//!
//! The issuer is Django with SimpleJWT over PyJWT: the order of the checks, the boundary of each
//! comparison and the sentences are theirs. `jsonwebtoken` decodes and checks the signature; the
//! claims are checked here, against the caller's clock.

mod claims;

use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use super::error::{AuthError, TokenError};
use super::principal::Principal;
use super::rule::{RuleError, SharedSecret, check_time};
use crate::clock::Now;
use claims::{Claims, seconds};

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The shortest secret for HS256, in bytes: as long as the hash (RFC 7518, section 3.2).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;
/// The longest leeway between the issuer's clock and ours.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// What a bearer token must fulfil.
#[derive(Clone, Debug)]
pub struct JwtRule {
    /// The HS256 secret.
    pub secret: SharedSecret,
    /// The `iss` that every token must have; not checked when `None`.
    pub issuer: Option<String>,
    /// The `aud` that every token must have, alone or in a list; not checked when `None`.
    pub audience: Option<String>,
    /// The `token_type` that every token must have, `access` for the existing issuer; not checked
    /// when `None`.
    pub token_type: Option<String>,
    /// Whether every token must have a `jti`.
    pub jti_required: bool,
    /// How far the issuer's clock may be off, in whole seconds.
    pub leeway: Duration,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who is calling.
    pub principal: Principal,
    /// Whether it says what it may do.
    pub has_scope_claim: bool,
}

/// Verifies bearer tokens by one [`JwtRule`].
#[derive(Clone, Debug)]
pub struct JwtVerifier {
    key: DecodingKey,
    decoding: Validation,
    issuer: Option<String>,
    audience: Option<String>,
    token_type: Option<String>,
    jti_required: bool,
    leeway_seconds: i64,
}

impl JwtVerifier {
    /// Prepares the key.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for a secret that is too short or a leeway that is too long.
    pub fn new(rule: JwtRule) -> Result<Self, RuleError> {
        let bytes = rule.secret.bytes().len();
        if bytes < TOKEN_SECRET_BYTES_MIN {
            return Err(RuleError::SecretTooShort { bytes, bytes_min: TOKEN_SECRET_BYTES_MIN });
        }
        check_time("the token leeway", rule.leeway, LEEWAY_MAX)?;
        Ok(Self {
            key: DecodingKey::from_secret(rule.secret.bytes()),
            decoding: signature_only(),
            issuer: rule.issuer,
            audience: rule.audience,
            token_type: rule.token_type,
            jti_required: rule.jti_required,
            leeway_seconds: rule.leeway.as_secs().cast_signed(),
        })
    }

    /// Verifies one token. The answer depends on its bytes and the time alone.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with the first thing that is wrong.
    pub fn verify(&self, token: &[u8], now: Now) -> Result<Principal, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong { bytes: token.len() });
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &self.decoding)
            .map_err(|error| fault(error.kind()))?;
        check_header(&decoded.header)?;
        self.check(&decoded.claims, now)?;
        decoded.claims.principal()
    }

    /// The order is PyJWT's (`iat`, `nbf`, `exp`, `iss`, `aud`), then SimpleJWT's (`exp` present,
    /// `jti`, `token_type`); it decides which sentence a token with several faults gets.
    fn check(&self, claims: &Claims, now: Now) -> Result<(), TokenError> {
        let now = now.unix_seconds();
        let latest = now.saturating_add(self.leeway_seconds);
        if seconds(claims.iat.as_ref()).is_some_and(|at| at > latest) {
            return Err(TokenError::NotYetValid("iat"));
        }
        if seconds(claims.nbf.as_ref()).is_some_and(|at| at > latest) {
            return Err(TokenError::NotYetValid("nbf"));
        }
        let expiry = seconds(claims.exp.as_ref());
        if expiry.is_some_and(|at| at <= now.saturating_sub(self.leeway_seconds)) {
            return Err(TokenError::Expired);
        }
        if self.issuer.is_some() && self.issuer != claims.iss {
            return Err(TokenError::Issuer);
        }
        if let Some(audience) = &self.audience
            && !claims.aud.as_ref().is_some_and(|aud| aud.names(audience))
        {
            return Err(TokenError::Audience);
        }
        if expiry.is_none() {
            return Err(TokenError::NoExpiry);
        }
        if self.jti_required && claims.jti.is_none() {
            return Err(TokenError::NoId);
        }
        match (&self.token_type, &claims.token_type) {
            (Some(_), None) => Err(TokenError::NoType),
            (Some(wanted), Some(given)) if wanted != given => Err(TokenError::WrongType),
            _ => Ok(()),
        }
    }
}

/// Finds the bearer token of a request.
///
/// Only the word `Bearer` in exactly this case counts, as for the existing issuer; any other
/// scheme is no credential at all. Several fields are refused, because the service behind might
/// read another one than the gateway did.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::BearerRepeated);
    }
    let mut words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.next() != Some(b"Bearer") {
        return Ok(None);
    }
    match (words.next(), words.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(AuthError::BearerMalformed),
    }
}

/// Whether [`bearer`] finds a token, or an attempt at one.
pub(super) fn is_presented(headers: &HeaderMap) -> bool {
    !matches!(bearer(headers), Ok(None))
}

/// Pins the algorithm and leaves every claim to [`JwtVerifier::check`]: with nothing to compare
/// against the time, the crate does not read the clock.
fn signature_only() -> Validation {
    let mut decoding = Validation::new(Algorithm::HS256);
    decoding.required_spec_claims.clear();
    decoding.validate_exp = false;
    decoding.validate_nbf = false;
    decoding.validate_aud = false;
    decoding
}

fn fault(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        _ => TokenError::Undecodable,
    }
}

/// Refuses header fields that bring a key of the sender's choice, another encoding, or rules that
/// must be understood. None is ever followed; a token that has one was not made by our issuer.
/// `kid` is ignored: there is one key.
fn check_header(header: &Header) -> Result<(), TokenError> {
    let forbidden = [
        ("crit", header.crit.is_some()),
        ("jwk", header.jwk.is_some()),
        ("jku", header.jku.is_some()),
        ("x5u", header.x5u.is_some()),
        ("x5c", header.x5c.is_some()),
        ("enc", header.enc.is_some()),
        ("zip", header.zip.is_some()),
    ];
    if let Some((field, _)) = forbidden.iter().find(|(_, present)| *present) {
        return Err(TokenError::HeaderField(field));
    }
    match header.typ.as_deref() {
        None => Ok(()),
        Some(typ) if typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt") => {
            Ok(())
        }
        Some(_) => Err(TokenError::HeaderField("typ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use std::time::UNIX_EPOCH;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use serde_json::{Value, json};

    use super::claims::NAME_BYTES_MAX;
    use super::*;

    const SECRET: &[u8] = b"a-signing-key-for-tests-of-at-least-32-bytes";
    const NOW: u64 = 1_766_666_666;

    fn rule() -> JwtRule {
        JwtRule {
            secret: SharedSecret::new(SECRET),
            issuer: Some("farm-intelligence-platform".into()),
            audience: Some("nextcloud".into()),
            token_type: Some("access".into()),
            jti_required: true,
            leeway: Duration::ZERO,
        }
    }

    fn now() -> Now {
        Now { wall: UNIX_EPOCH + Duration::from_secs(NOW), ..Now::read() }
    }

    fn verify(token: &str) -> Result<Principal, TokenError> {
        JwtVerifier::new(rule()).unwrap().verify(token.as_bytes(), now())
    }

    fn claims() -> Value {
        json!({
            "token_type": "access", "exp": NOW + 300, "iat": NOW, "user_id": "42",
            "jti": "0123456789abcdef0123456789abcdef",
            "iss": "farm-intelligence-platform", "aud": "nextcloud",
        })
    }

    /// The claims with some replaced, or left out where the new value is null.
    fn with(changes: &Value) -> Value {
        let mut claims = claims();
        let map = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            map.insert(name.clone(), value.clone());
        }
        map.retain(|_, value| !value.is_null());
        claims
    }

    fn sealed(header: &str, payload: &str, secret: &[u8], algorithm: Algorithm) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let key = EncodingKey::from_secret(secret);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn token(claims: &Value) -> String {
        sealed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), SECRET, Algorithm::HS256)
    }

    fn headed(header: &str) -> String {
        sealed(header, &claims().to_string(), SECRET, Algorithm::HS256)
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
            let forged = sealed(&header, &claims().to_string(), b"", Algorithm::HS256);
            assert_eq!(verify(&forged), Err(TokenError::Signature), "{kid}");
        }
    }

    #[test]
    fn tampered_tokens_are_refused() {
        let good = token(&claims());
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (head, payload) = message.split_once('.').unwrap();
        let other = with(&json!({ "user_id": "1" })).to_string();
        let hs512 = sealed(r#"{"alg":"HS512"}"#, &claims().to_string(), SECRET, Algorithm::HS512);
        let crossed = sealed(r#"{"alg":"HS256"}"#, &claims().to_string(), SECRET, Algorithm::HS512);
        let foreign =
            sealed(r#"{"alg":"HS256"}"#, &claims().to_string(), b"other", Algorithm::HS256);
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
        let doubled = sealed(r#"{"alg":"HS256"}"#, &payload, SECRET, Algorithm::HS256);
        assert_eq!(verify(&doubled), Err(TokenError::Undecodable));
    }

    #[test]
    fn deep_and_odd_payloads_are_refused() {
        let deep = "[".repeat(2_000);
        let nested = format!("{}\"exp\":1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
        for payload in [deep.as_str(), nested.as_str(), "", "[]", "1", "\u{0}", "{\"exp\":1e999}"] {
            let odd = sealed(r#"{"alg":"HS256"}"#, payload, SECRET, Algorithm::HS256);
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
        let verifier =
            JwtVerifier::new(JwtRule { leeway: Duration::from_secs(60), ..rule() }).unwrap();
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
        let verifier = JwtVerifier::new(JwtRule {
            issuer: None,
            audience: None,
            token_type: None,
            jti_required: false,
            ..rule()
        })
        .unwrap();
        let bare = token(&json!({ "exp": NOW + 1, "sub": "a", "aud": "anything" }));
        assert!(verifier.verify(bare.as_bytes(), now()).is_ok());
    }

    #[test]
    fn weak_rules_are_refused() {
        let short = JwtRule { secret: SharedSecret::new(*b"short"), ..rule() };
        assert!(matches!(JwtVerifier::new(short), Err(RuleError::SecretTooShort { bytes: 5, .. })));
        let lax = JwtRule { leeway: Duration::from_secs(601), ..rule() };
        assert!(matches!(JwtVerifier::new(lax), Err(RuleError::TooLong { .. })));
    }

    #[test]
    fn the_secret_is_not_in_the_verifiers_debug() {
        let shown = format!("{:?} {:?}", rule(), JwtVerifier::new(rule()).unwrap());
        assert!(!shown.contains("a-signing-key") && !shown.contains("97, 45"), "{shown}");
    }

    #[test]
    fn only_two_words_after_the_exact_scheme_are_a_token() {
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, http::HeaderValue::from_static(value));
            }
            bearer(&headers).map(|token| token.map(<[u8]>::to_vec))
        };
        assert_eq!(found(&[]), Ok(None));
        for ignored in ["", "bearer t", "BEARER t", "Basic dTpw", "Bearer,t", "Token t u"] {
            assert_eq!(found(&[ignored]), Ok(None), "{ignored}");
        }
        for accepted in ["Bearer t", " Bearer \t t ", "Bearer\tt"] {
            assert_eq!(found(&[accepted]), Ok(Some(b"t".to_vec())), "{accepted}");
        }
        for malformed in ["Bearer", "Bearer ", "Bearer t u"] {
            assert_eq!(found(&[malformed]), Err(AuthError::BearerMalformed), "{malformed}");
        }
        assert_eq!(found(&["Bearer t", "Bearer t"]), Err(AuthError::BearerRepeated));
        assert_eq!(found(&["Basic dTpw", "Bearer t"]), Err(AuthError::BearerRepeated));
    }
}
