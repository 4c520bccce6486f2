//! What is a service told of who calls, in place of the client's credentials?
//!
//! A short-lived token of the gateway's own. It says what was verified, so a service never hashes a
//! key or checks a signature again, and it is no credential at the edge: its `token_type` is none
//! that clients may send.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde::Serialize;

use crate::auth::{Principal, Scheme, SigningKey};
use crate::clock::Now;

/// What a service is told when nobody in particular asks: a refresh of an answer that all share, or
/// a fetch before anyone asks.
const NOBODY: &str = "farmgate";

/// How internal tokens are made.
#[derive(Clone, Debug)]
pub struct InternalRule {
    /// What signs.
    pub key: Arc<SigningKey>,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// How long a token holds.
    pub lifetime: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    token_type: &'static str,
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    scope: String,
    iat: i64,
    exp: i64,
}

impl InternalRule {
    /// The `Authorization` field for a request of these callers; for one of nobody's, or of nobody
    /// known, the gateway speaks for itself. `None` when the field cannot be written, which signed
    /// tokens rule out.
    #[must_use]
    pub fn authorization(&self, callers: &[Principal], now: Now) -> Option<HeaderValue> {
        let known = |caller: &&Principal| caller.scheme != Scheme::Anonymous;
        let caller = callers.iter().find(known);
        let sub = caller.map_or(NOBODY, |caller| caller.subject.as_deref().unwrap_or(&caller.id));
        let client = callers.iter().rfind(known).map(|caller| &*caller.id);
        let iat = now.unix_seconds();
        let claims = Claims {
            token_type: "internal",
            iss: &self.issuer,
            aud: &self.audience,
            sub,
            client_id: client.filter(|client| *client != sub),
            scope: scopes(callers),
            iat,
            exp: iat.saturating_add_unsigned(self.lifetime.as_secs()),
        };
        let token = self.key.sign(&serde_json::to_string(&claims).ok()?);
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Everything that any of the callers may do: the gateway has let them in together.
fn scopes(callers: &[Principal]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for scope in callers.iter().flat_map(|caller| caller.scopes.iter()) {
        if !all.contains(&&**scope) {
            all.push(scope);
        }
    }
    all.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use std::time::UNIX_EPOCH;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::{SharedSecret, scopes};

    const NOW: u64 = 1_766_666_666;

    fn claims(callers: &[Principal]) -> Value {
        let secret = SharedSecret::new(*b"a-signing-key-for-tests-of-at-least-32-bytes");
        let rule = InternalRule {
            key: Arc::new(SigningKey::new(&secret).unwrap()),
            issuer: "farmgate".into(),
            audience: "services".into(),
            lifetime: Duration::from_secs(60),
        };
        let now = Now { wall: UNIX_EPOCH + Duration::from_secs(NOW), ..Now::read() };
        let field = rule.authorization(callers, now).unwrap();
        assert!(field.is_sensitive());
        let payload = field.to_str().unwrap().split('.').nth(1).unwrap().to_owned();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    fn caller(scheme: Scheme, id: &str, subject: Option<&str>, scope: &str) -> Principal {
        let subject = subject.map(Arc::from);
        Principal { scheme, id: id.into(), subject, scopes: scopes(scope) }
    }

    #[test]
    fn a_service_is_told_who_calls_through_which_client() {
        let key = caller(Scheme::ApiKey, "key-1", Some("7"), "read");
        let client = caller(Scheme::Signature, "nc-1", None, "read write");
        assert_eq!(
            claims(&[key, client]),
            json!({
                "token_type": "internal", "iss": "farmgate", "aud": "services", "sub": "7",
                "client_id": "nc-1", "scope": "read write", "iat": NOW, "exp": NOW + 60,
            })
        );
    }

    #[test]
    fn a_caller_that_is_its_own_client_is_named_once() {
        let user = caller(Scheme::Jwt, "7", Some("7"), "");
        let told = claims(&[user]);
        assert_eq!((&told["sub"], told.get("client_id")), (&json!("7"), None));
    }

    #[test]
    fn nobody_in_particular_is_the_gateway() {
        assert_eq!(claims(&[])["sub"], "farmgate");
        let told = claims(&[Principal::anonymous()]);
        assert_eq!((&told["sub"], told.get("client_id")), (&json!("farmgate"), None));
    }
}
