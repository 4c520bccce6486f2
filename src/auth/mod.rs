//! Who is calling: from the head of a request, its body and the time to a [`Principal`].
//!
//! Everything here is pure. [`Authenticator`] reads the credentials that its route accepts, in one
//! fixed order: bearer token, API key, signature. The first one that is present decides, so a bad
//! bearer token is not rescued by a good API key beside it. What the process remembers and asks
//! for (tokens seen before, keys in a database) it is told by a [`Witness`]. A signature's nonce is
//! not spent by verifying it: [`Verified::nonce`] is claimed by whoever admits the request, and by
//! nobody else.

mod api_key;
mod canonical;
mod client;
mod error;
pub mod explain;
mod jwt;
mod key_form;
mod key_record;
mod nonce;
mod principal;
mod rule;
mod sign;
mod signature;

use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};

pub use self::api_key::{ApiKeyRule, ApiKeyTable, KeyDigest, check_form};
pub use self::canonical::{CanonicalRequest, canonical_path, canonical_query};
pub use self::client::{
    ClientMap, ClientRule, ClientSecret, SECRETS_PER_CLIENT_MAX, clients_from_json, sign,
};
pub use self::error::{AuthError, KeyError, SignatureError, TokenError};
pub use self::jwt::{
    Fingerprint, ISSUERS_MAX, JwtIssuerRule, JwtVerifier, KEY_SET_BYTES_MAX, KEYS_MAX, KeyFault,
    KeySet, KeySetSource, KeySource, LiveKeySet, Presented, RSA_BITS_MAX, RSA_BITS_MIN,
    RemoteFault, RemoteKeySet, TOKEN_BYTES_MAX, TOKEN_SECRET_BYTES_MIN, Token, TokenAlgorithm,
    UnknownAlgorithm, VerifyingKey, static_keys,
};
pub use self::key_form::{NewKey, generate_key};
pub use self::key_record::KeyRecord;
pub use self::nonce::{NonceDigest, NonceError, NonceMemory, UnclaimedNonce};
pub use self::principal::{Principal, Scheme, Scopes, scopes};
pub use self::rule::{ID_BYTES_MAX, IssuerFault, RuleError, SharedSecret, check_id};
pub use self::sign::SigningKey;
pub use self::signature::{
    NONCE_BYTES_MAX, NONCE_KEPT_MAX, SKEW_MAX, SignatureRule, SignatureVerifier, is_nonce,
    plain_seconds,
};
use crate::clock::Now;
use crate::refusal::Refusal;

/// `WWW-Authenticate` where a bearer token is accepted.
const CHALLENGE_BEARER: &str = "Bearer realm=\"api\"";
/// `WWW-Authenticate` where an API key is accepted and a bearer token is not.
const CHALLENGE_API_KEY: &str = "X-API-Key";

/// Which credentials a route asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// One of these is enough.
    Any(Vec<Scheme>),
    /// All of these must hold for the same request.
    All(Vec<Scheme>),
}

/// What a route says about its callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRule {
    /// Which credentials are looked at; others that a request carries are ignored.
    pub requirement: Requirement,
    /// Whether a request without any of them passes as [`Scheme::Anonymous`]. One that carries a
    /// bad credential is refused all the same.
    pub anonymous: bool,
    /// The methods that the route takes. They only tell a signature made for another method
    /// (`method_mismatch`) from one that is plainly wrong (`sig_mismatch`).
    pub methods: Vec<Method>,
}

/// The verifiers that a configuration has, for its routes to share.
#[derive(Clone, Debug, Default)]
pub struct Verifiers {
    /// Verifies bearer tokens.
    pub jwt: Option<Arc<JwtVerifier>>,
    /// Knows the API keys.
    pub api_keys: Option<Arc<ApiKeyTable>>,
    /// Verifies signed requests.
    pub signature: Option<Arc<SignatureVerifier>>,
}

/// What the process knows of credentials beyond the configuration.
pub trait Witness: Sync {
    /// Verifies a bearer token, or knows it from before.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with the first thing that is wrong.
    fn token(
        &self,
        verifier: &JwtVerifier,
        token: &[u8],
        now: Now,
    ) -> impl Future<Output = Result<Arc<Token>, TokenError>> + Send;

    /// Verifies an API key that may stand in the configuration's `table` or elsewhere.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong with it.
    fn api_key(
        &self,
        table: &ApiKeyTable,
        key: &[u8],
        now: Now,
    ) -> impl Future<Output = Result<Principal, KeyError>> + Send;
}

/// A caller whose credentials hold.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who is calling: the first in the fixed order, where several credentials were required.
    pub principal: Principal,
    /// The principals of the further credentials of a [`Requirement::All`] route, in that order.
    pub also: Vec<Principal>,
    /// What the bearer token says, where there is one.
    pub token: Option<Arc<Token>>,
    /// The nonce of a signed request, still to be claimed before the request is let in.
    pub nonce: Option<UnclaimedNonce>,
}

impl Verified {
    fn by(principal: Principal) -> Self {
        Self { principal, also: Vec::new(), token: None, nonce: None }
    }
}

/// One route's way to tell who is calling.
#[derive(Clone, Debug)]
pub struct Authenticator {
    every: bool,
    anonymous: bool,
    methods: Vec<Method>,
    /// `Some` where the route accepts the scheme; the same for the two below.
    jwt: Option<Arc<JwtVerifier>>,
    api_keys: Option<Arc<ApiKeyTable>>,
    signature: Option<Arc<SignatureVerifier>>,
}

impl Authenticator {
    /// Joins a route's rule with the verifiers it needs.
    ///
    /// # Errors
    ///
    /// [`RuleError`] when the rule accepts nobody, lists [`Scheme::Anonymous`], or names a scheme
    /// that `verifiers` lacks.
    pub fn new(rule: AuthRule, verifiers: &Verifiers) -> Result<Self, RuleError> {
        let (every, schemes) = match rule.requirement {
            Requirement::Any(schemes) => (false, schemes),
            Requirement::All(schemes) => (true, schemes),
        };
        if schemes.is_empty() && !rule.anonymous {
            return Err(RuleError::NobodyAccepted);
        }
        let mut built = Self { every, methods: rule.methods, ..Self::open() };
        built.anonymous = rule.anonymous;
        for scheme in schemes {
            let found = match scheme {
                Scheme::Anonymous => return Err(RuleError::AnonymousListed),
                Scheme::Jwt => {
                    built.jwt.clone_from(&verifiers.jwt);
                    built.jwt.is_some()
                }
                Scheme::ApiKey => {
                    built.api_keys.clone_from(&verifiers.api_keys);
                    built.api_keys.is_some()
                }
                Scheme::Signature => {
                    built.signature.clone_from(&verifiers.signature);
                    built.signature.is_some()
                }
            };
            if !found {
                return Err(RuleError::VerifierMissing { scheme });
            }
        }
        Ok(built)
    }

    /// Lets everybody in as [`Scheme::Anonymous`] and looks at no credential.
    #[must_use]
    pub fn open() -> Self {
        Self {
            every: false,
            anonymous: true,
            methods: Vec::new(),
            jwt: None,
            api_keys: None,
            signature: None,
        }
    }

    /// Tells who is calling. Spends nothing: calling it twice gives the same answer.
    ///
    /// `body` is the whole request body where [`Self::needs_body`] says so; it may be empty
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`AuthError`] with the first thing that is wrong, in the order of the schemes.
    pub async fn authenticate(
        &self,
        witness: &impl Witness,
        parts: &Parts,
        body: &[u8],
        now: Now,
    ) -> Result<Verified, AuthError> {
        if self.every {
            self.all(witness, parts, body, now).await
        } else {
            self.any(witness, parts, body, now).await
        }
    }

    /// Whether this request can only be judged with its body: it will be judged by its signature.
    #[must_use]
    pub fn needs_body(&self, parts: &Parts) -> bool {
        let decided_earlier = !self.every
            && (self.jwt.is_some() && jwt::is_presented(&parts.headers)
                || self.api_keys.is_some() && api_key::is_presented(&parts.headers));
        self.signature.is_some() && signature::is_presented(&parts.headers) && !decided_earlier
    }

    /// The `WWW-Authenticate` value that goes with `refusal` on this route: none unless its status
    /// is 401, so none for a signature that does not hold.
    #[must_use]
    pub fn challenge(&self, refusal: &Refusal) -> Option<&'static str> {
        if refusal.status() != StatusCode::UNAUTHORIZED {
            return None;
        }
        if self.jwt.is_some() {
            Some(CHALLENGE_BEARER)
        } else {
            self.api_keys.as_ref().map(|_| CHALLENGE_API_KEY)
        }
    }

    async fn any(
        &self,
        witness: &impl Witness,
        parts: &Parts,
        body: &[u8],
        now: Now,
    ) -> Result<Verified, AuthError> {
        if let Some(token) = self.by_jwt(witness, parts, now).await? {
            let principal = token.principal.clone();
            return Ok(Verified { token: Some(token), ..Verified::by(principal) });
        }
        if let Some(principal) = self.by_api_key(witness, parts, now).await? {
            return Ok(Verified::by(principal));
        }
        // A client id or a nonce alone is no attempt to sign, unless signing is the only way in:
        // then the answer names what is missing.
        let only_way = self.jwt.is_none() && self.api_keys.is_none() && !self.anonymous;
        if let Some(verifier) = &self.signature
            && (only_way || signature::is_presented(&parts.headers))
        {
            let (principal, nonce) = verifier.verify(parts, body, &self.methods, now)?;
            return Ok(Verified { nonce: Some(nonce), ..Verified::by(principal) });
        }
        self.nobody()
    }

    async fn all(
        &self,
        witness: &impl Witness,
        parts: &Parts,
        body: &[u8],
        now: Now,
    ) -> Result<Verified, AuthError> {
        if self.anonymous && !self.presents_any(parts) {
            return self.nobody();
        }
        let (mut principals, mut token, mut nonce) = (Vec::new(), None, None);
        if self.jwt.is_some() {
            let held = self.by_jwt(witness, parts, now).await?.ok_or(AuthError::Missing)?;
            principals.push(held.principal.clone());
            token = Some(held);
        }
        if self.api_keys.is_some() {
            let held = self.by_api_key(witness, parts, now).await?;
            principals.push(held.ok_or(AuthError::Missing)?);
        }
        if let Some(verifier) = &self.signature {
            let (principal, unclaimed) = verifier.verify(parts, body, &self.methods, now)?;
            principals.push(principal);
            nonce = Some(unclaimed);
        }
        let mut principals = principals.into_iter();
        let Some(principal) = principals.next() else { return self.nobody() };
        Ok(Verified { principal, also: principals.collect(), token, nonce })
    }

    async fn by_jwt(
        &self,
        witness: &impl Witness,
        parts: &Parts,
        now: Now,
    ) -> Result<Option<Arc<Token>>, AuthError> {
        let Some(verifier) = &self.jwt else { return Ok(None) };
        let Some(token) = jwt::bearer(&parts.headers)? else { return Ok(None) };
        Ok(Some(witness.token(verifier, token, now).await?))
    }

    async fn by_api_key(
        &self,
        witness: &impl Witness,
        parts: &Parts,
        now: Now,
    ) -> Result<Option<Principal>, AuthError> {
        let Some(table) = &self.api_keys else { return Ok(None) };
        let Some(key) = api_key::presented(&parts.headers)? else { return Ok(None) };
        Ok(Some(witness.api_key(table, key, now).await?))
    }

    fn presents_any(&self, parts: &Parts) -> bool {
        self.jwt.is_some() && jwt::is_presented(&parts.headers)
            || self.api_keys.is_some() && api_key::is_presented(&parts.headers)
            || self.signature.is_some() && signature::is_presented(&parts.headers)
    }

    fn nobody(&self) -> Result<Verified, AuthError> {
        if self.anonymous {
            Ok(Verified::by(Principal::anonymous()))
        } else {
            Err(AuthError::Missing)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use std::time::{Duration, UNIX_EPOCH};

    use futures::FutureExt;
    use hmac::{Hmac, Mac};
    use http::{HeaderName, HeaderValue, Request, Uri};
    use jsonwebtoken::{EncodingKey, Header};
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    /// Knows nothing but the configuration.
    struct Nobody;

    impl Witness for Nobody {
        async fn token(
            &self,
            verifier: &JwtVerifier,
            token: &[u8],
            now: Now,
        ) -> Result<Arc<Token>, TokenError> {
            verifier.verify(token, now).map(Arc::new)
        }

        async fn api_key(
            &self,
            table: &ApiKeyTable,
            key: &[u8],
            now: Now,
        ) -> Result<Principal, KeyError> {
            table.verify(key, now)
        }
    }

    fn authenticate(
        route: &Authenticator,
        parts: &Parts,
        body: &[u8],
    ) -> Result<Verified, AuthError> {
        route.authenticate(&Nobody, parts, body, now()).now_or_never().unwrap()
    }

    const TIME: u64 = 1_700_000_000;
    const TOKEN_SECRET: &[u8] = b"a-signing-key-for-tests-of-at-least-32-bytes";
    const KEY: &str = "wk_live_0123456789";

    fn now() -> Now {
        Now { wall: UNIX_EPOCH + Duration::from_secs(TIME), ..Now::read() }
    }

    fn verifiers() -> Verifiers {
        let jwt = JwtVerifier::new(vec![JwtIssuerRule {
            issuer: None,
            audience: None,
            algorithms: vec![TokenAlgorithm::Hs256],
            keys: KeySource::Static(vec![VerifyingKey::from_secret(TOKEN_SECRET).unwrap()]),
            token_type: None,
            jti_required: false,
            leeway: Duration::ZERO,
            required_claims: Vec::new(),
        }]);
        let keys = ApiKeyTable::new([ApiKeyRule {
            id: "k6".into(),
            user: None,
            digest: KeyDigest::of(KEY.as_bytes()),
            scopes: "read".into(),
            expires_at: None,
            revoked: false,
        }]);
        let signature = SignatureVerifier::new(SignatureRule {
            clients: clients_from_json(r#"{"nc-1":"c2VjcmV0"}"#).unwrap().clients,
            skew: Duration::from_secs(300),
            nonce_kept: Duration::ZERO,
        });
        Verifiers {
            jwt: Some(Arc::new(jwt.unwrap())),
            api_keys: Some(Arc::new(keys.unwrap())),
            signature: Some(Arc::new(signature.unwrap())),
        }
    }

    fn route(requirement: Requirement, anonymous: bool) -> Authenticator {
        let rule = AuthRule { requirement, anonymous, methods: vec![Method::GET] };
        Authenticator::new(rule, &verifiers()).unwrap()
    }

    fn any_of(schemes: &[Scheme]) -> Authenticator {
        route(Requirement::Any(schemes.to_vec()), false)
    }

    fn all_of(schemes: &[Scheme]) -> Authenticator {
        route(Requirement::All(schemes.to_vec()), false)
    }

    const EVERY: [Scheme; 3] = [Scheme::Signature, Scheme::ApiKey, Scheme::Jwt];

    type Field = (&'static str, String);

    fn bearer() -> Field {
        let claims = serde_json::json!({ "exp": TIME + 60, "sub": "42" });
        let key = EncodingKey::from_secret(TOKEN_SECRET);
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
        ("authorization", format!("Bearer {token}"))
    }

    fn bad_bearer() -> Field {
        ("authorization", "Bearer a.b.c".into())
    }

    fn key() -> Field {
        ("x-api-key", KEY.into())
    }

    fn bad_key() -> Field {
        ("x-api-key", "wk_live_other".into())
    }

    fn signature() -> Vec<Field> {
        let hash = hex::encode(Sha256::digest(b""));
        let mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        let mac = mac.chain_update(format!("GET\n/\n\n{TIME}\nn-1\n{hash}"));
        vec![
            ("x-nc-client-id", "nc-1".into()),
            ("x-nc-timestamp", TIME.to_string()),
            ("x-nc-nonce", "n-1".into()),
            ("x-nc-signature", hex::encode(mac.finalize().into_bytes())),
        ]
    }

    fn bad_signature() -> Vec<Field> {
        let mut fields = signature();
        fields.pop();
        fields.push(("x-signature", "00".repeat(32)));
        fields
    }

    fn parts(fields: &[Field]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in fields {
            request = request.header(*name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn called(route: &Authenticator, fields: &[Field]) -> Result<String, &'static str> {
        match authenticate(route, &parts(fields), b"") {
            Ok(verified) => Ok(verified.principal.quota_key()),
            Err(error) => Err(match Refusal::from(&error) {
                Refusal::SignatureInvalid(code) => code,
                refusal => refusal.code(),
            }),
        }
    }

    #[test]
    fn the_first_credential_that_is_present_decides() {
        let route = any_of(&EVERY);
        let good = signature();
        for (fields, outcome) in [
            (vec![bearer(), bad_key()], Ok("jwt:42")),
            (vec![bad_bearer(), key()], Err("token_not_valid")),
            (vec![("authorization", "Bearer".into()), key()], Err("credential_malformed")),
            (vec![("authorization", "bearer x".into()), key()], Ok("api_key:k6")),
            (vec![("authorization", "Basic dTpw".into())], Err("credential_missing")),
            (vec![key(), key()], Err("key_not_valid")),
            (vec![("x-api-key", String::new())], Err("credential_missing")),
            (vec![], Err("credential_missing")),
            (vec![("x-client-id", "nc-1".into())], Err("credential_missing")),
            (vec![("x-nc-signature", "00".into())], Err("missing_headers")),
            (good.clone(), Ok("signature:nc-1")),
            (bad_signature(), Err("sig_mismatch")),
            ([good.clone(), vec![bad_key()]].concat(), Err("key_not_valid")),
            ([bad_signature(), vec![key()]].concat(), Ok("api_key:k6")),
        ] {
            let outcome = outcome.map(str::to_owned);
            assert_eq!(called(&route, &fields), outcome, "{fields:?}");
        }
    }

    #[test]
    fn credentials_that_a_route_does_not_accept_are_not_looked_at() {
        assert_eq!(
            called(&any_of(&[Scheme::ApiKey]), &[bad_bearer(), key()]),
            Ok("api_key:k6".into())
        );
        assert_eq!(called(&any_of(&[Scheme::Jwt]), &[bearer(), bad_key()]), Ok("jwt:42".into()));
        assert_eq!(called(&any_of(&[Scheme::Jwt]), &[key()]), Err("credential_missing"));
        assert_eq!(called(&Authenticator::open(), &[bad_bearer()]), Ok("anonymous:".into()));
    }

    #[test]
    fn an_open_route_still_refuses_a_bad_credential() {
        let route = route(Requirement::Any(EVERY.to_vec()), true);
        assert_eq!(called(&route, &[]), Ok("anonymous:".into()));
        assert_eq!(called(&route, &[("x-client-id", "nc-1".into())]), Ok("anonymous:".into()));
        assert_eq!(called(&route, &[bad_bearer()]), Err("token_not_valid"));
        assert_eq!(called(&route, &[bad_key()]), Err("key_not_valid"));
        assert_eq!(called(&route, &bad_signature()), Err("sig_mismatch"));
    }

    #[test]
    fn a_route_for_signatures_alone_says_what_is_missing() {
        let route = any_of(&[Scheme::Signature]);
        assert_eq!(called(&route, &[]), Err("missing_headers"));
        assert_eq!(called(&route, &[key()]), Err("missing_headers"));
    }

    #[test]
    fn all_credentials_must_hold_where_all_are_required() {
        let route = all_of(&[Scheme::Signature, Scheme::ApiKey]);
        let with_key = |mut fields: Vec<Field>, key: Field| {
            fields.push(key);
            fields
        };
        assert_eq!(called(&route, &signature()), Err("credential_missing"));
        assert_eq!(called(&route, &with_key(signature(), bad_key())), Err("key_not_valid"));
        assert_eq!(called(&route, &with_key(bad_signature(), bad_key())), Err("key_not_valid"));
        assert_eq!(called(&route, &with_key(bad_signature(), key())), Err("sig_mismatch"));
        assert_eq!(called(&route, &[key()]), Err("missing_headers"));
        let fields = with_key(signature(), key());
        let verified = authenticate(&route, &parts(&fields), b"").unwrap();
        assert_eq!(verified.principal.quota_key(), "api_key:k6");
        assert_eq!(verified.also.len(), 1);
        assert_eq!(verified.also.first().unwrap().quota_key(), "signature:nc-1");
        assert!(verified.nonce.is_some());
    }

    #[test]
    fn anonymous_beside_all_means_all_or_nothing() {
        let route = route(Requirement::All(vec![Scheme::ApiKey, Scheme::Signature]), true);
        assert_eq!(called(&route, &[]), Ok("anonymous:".into()));
        assert_eq!(called(&route, &[key()]), Err("missing_headers"));
        assert_eq!(called(&route, &signature()), Err("credential_missing"));
    }

    #[test]
    fn verifying_twice_spends_no_nonce_and_claiming_twice_is_a_replay() {
        let route = any_of(&[Scheme::Signature]);
        let parts = parts(&signature());
        let first = authenticate(&route, &parts, b"").unwrap().nonce.unwrap();
        let second = authenticate(&route, &parts, b"").unwrap().nonce.unwrap();
        let memory = NonceMemory::new(1);
        assert_eq!(memory.claim(&first, now()), Ok(()));
        let replay = AuthError::from(memory.claim(&second, now()).unwrap_err());
        assert_eq!(Refusal::from(&replay), Refusal::SignatureInvalid("replay"));
    }

    #[test]
    fn a_full_nonce_memory_is_an_overload_and_not_the_clients_fault() {
        let full = NonceMemory::new(0);
        let route = any_of(&[Scheme::Signature]);
        let verified = authenticate(&route, &parts(&signature()), b"").unwrap();
        let error = AuthError::from(full.claim(&verified.nonce.unwrap(), now()).unwrap_err());
        assert!(matches!(Refusal::from(&error), Refusal::Overloaded { .. }));
    }

    #[test]
    fn the_challenge_follows_the_route_and_goes_with_401_only() {
        let missing = Refusal::CredentialMissing;
        let bearer = Some("Bearer realm=\"api\"");
        assert_eq!(any_of(&EVERY).challenge(&missing), bearer);
        assert_eq!(any_of(&[Scheme::Jwt]).challenge(&Refusal::TokenInvalid("")), bearer);
        assert_eq!(any_of(&[Scheme::ApiKey, Scheme::Jwt]).challenge(&Refusal::KeyInvalid), bearer);
        assert_eq!(any_of(&[Scheme::ApiKey]).challenge(&missing), Some("X-API-Key"));
        let bootstrap = all_of(&[Scheme::ApiKey, Scheme::Signature]);
        assert_eq!(bootstrap.challenge(&missing), Some("X-API-Key"));
        assert_eq!(bootstrap.challenge(&Refusal::SignatureInvalid("replay")), None);
        assert_eq!(any_of(&EVERY).challenge(&Refusal::ScopeMissing(vec!["read".into()])), None);
        assert_eq!(any_of(&[Scheme::Signature]).challenge(&missing), None);
    }

    #[test]
    fn the_body_is_wanted_only_for_a_signature_that_decides() {
        let needs = |route: &Authenticator, fields: &[Field]| route.needs_body(&parts(fields));
        let signed_and_key = [signature(), vec![key()]].concat();
        assert!(needs(&any_of(&EVERY), &signature()));
        assert!(!needs(&any_of(&EVERY), &signed_and_key));
        assert!(needs(&all_of(&[Scheme::ApiKey, Scheme::Signature]), &signed_and_key));
        assert!(!needs(&any_of(&[Scheme::ApiKey]), &signature()));
        assert!(!needs(&any_of(&[Scheme::Signature]), &[]));
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        let build = |requirement, anonymous, verifiers: &Verifiers| {
            let rule = AuthRule { requirement, anonymous, methods: Vec::new() };
            Authenticator::new(rule, verifiers).map(|_| ()).unwrap_err()
        };
        let none = Requirement::Any(Vec::new());
        assert_eq!(build(none, false, &verifiers()), RuleError::NobodyAccepted);
        let listed = Requirement::All(vec![Scheme::Anonymous]);
        assert_eq!(build(listed, true, &verifiers()), RuleError::AnonymousListed);
        let missing = Requirement::Any(vec![Scheme::Jwt]);
        assert_eq!(
            build(missing, true, &Verifiers::default()),
            RuleError::VerifierMissing { scheme: Scheme::Jwt }
        );
    }

    #[test]
    fn no_secret_is_in_any_debug_or_display() {
        let route = any_of(&EVERY);
        let expected = signature().pop().unwrap().1;
        let mut shown = format!("{route:?} {:?}", verifiers());
        for fields in [vec![bad_bearer()], vec![bad_key()], bad_signature()] {
            let error = authenticate(&route, &parts(&fields), b"").unwrap_err();
            shown.push_str(&format!("{error} {error:?}"));
        }
        for secret in [
            expected.as_str(),
            "c2VjcmV0",
            "115, 101, 99",
            "a-signing",
            "97, 45",
            "a.b.c",
            "wk_live",
        ] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    fn field() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
        let names = prop::sample::select(vec![
            "authorization",
            "x-api-key",
            "x-nc-client-id",
            "x-client-id",
            "x-nc-timestamp",
            "x-timestamp",
            "x-nc-nonce",
            "x-nonce",
            "x-nc-signature",
            "x-signature",
        ]);
        let values = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "Bearer [a-zA-Z0-9_.-]{0,60}".prop_map(String::into_bytes),
            "[0-9a-f]{64}".prop_map(String::into_bytes),
            Just(b"nc-1".to_vec()),
            Just(TIME.to_string().into_bytes()),
        ];
        (names, values).prop_filter_map("not a field value", |(name, value)| {
            let value = HeaderValue::from_bytes(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        })
    }

    proptest! {
        #[test]
        fn no_request_without_a_credential_gets_in_and_none_panics(
            fields in prop::collection::vec(field(), 0..8),
            method in "[A-Za-z]{1,7}",
            target in "/[ -~]{0,40}",
            body in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
            let mut request = Request::builder().method(method.as_str()).uri(uri);
            request.headers_mut().unwrap().extend(fields);
            let parts = request.body(()).unwrap().into_parts().0;
            for route in [any_of(&EVERY), all_of(&EVERY), any_of(&[Scheme::Signature])] {
                let refused = authenticate(&route, &parts, &body);
                prop_assert!(refused.is_err());
                let refusal = Refusal::from(&refused.unwrap_err());
                prop_assert!(refusal.status().is_client_error());
                let unauthorized = refusal.status() == StatusCode::UNAUTHORIZED;
                prop_assert_eq!(route.challenge(&refusal).is_some(), unauthorized);
                let judged_by_signature = matches!(
                    refusal,
                    Refusal::SignatureInvalid(code) if code != "missing_headers"
                );
                prop_assert!(route.needs_body(&parts) || !judged_by_signature);
            }
        }
    }
}
