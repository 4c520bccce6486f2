//! Did this client sign this very request, just now (the existing Nextcloud HMAC contract).
//!
//! The order of the checks is the contract's, since it decides which code a client sees: fields,
//! timestamp, configuration, client, skew, signature, diagnosis. The nonce comes last and is not
//! spent here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};

use super::canonical::CanonicalRequest;
use super::client::{Client, ClientRule};
use super::error::{SignatureError, printable};
use super::nonce::UnclaimedNonce;
use super::principal::{Principal, Scheme};
use super::rule::{RuleError, check_time};
use crate::clock::Now;

/// The longest nonce, in bytes; clients send a UUID.
pub const NONCE_BYTES_MAX: usize = 128;
/// The widest window for a client's clock, to each side.
pub const SKEW_MAX: Duration = Duration::from_secs(3_600);
/// The longest that a nonce may be configured to be kept.
pub const NONCE_KEPT_MAX: Duration = Duration::from_secs(86_400);
/// A nonce outlives the last moment at which its signature holds by this much, so that a small
/// correction of the wall clock does not open a gap.
const NONCE_KEPT_MARGIN: Duration = Duration::from_secs(60);

/// The two names of one field: the first wins where both are there.
pub(super) type FieldNames = (&'static str, HeaderName, HeaderName);

pub(super) const CLIENT: FieldNames = names("X-NC-CLIENT-ID", "x-nc-client-id", "x-client-id");
pub(super) const TIMESTAMP: FieldNames = names("X-NC-TIMESTAMP", "x-nc-timestamp", "x-timestamp");
pub(super) const NONCE: FieldNames = names("X-NC-NONCE", "x-nc-nonce", "x-nonce");
pub(super) const SIGNATURE: FieldNames = names("X-NC-SIGNATURE", "x-nc-signature", "x-signature");

const fn names(shown: &'static str, first: &'static str, alias: &'static str) -> FieldNames {
    (shown, HeaderName::from_static(first), HeaderName::from_static(alias))
}

/// What a signed request must fulfil.
#[derive(Clone, Debug)]
pub struct SignatureRule {
    /// Who may sign. With nobody, every signed request is answered `missing_config`.
    pub clients: Vec<ClientRule>,
    /// How far a client's clock may be off to either side, in whole seconds, inclusive.
    pub skew: Duration,
    /// How long nonces are kept, if that is longer than the window needs.
    pub nonce_kept: Duration,
}

/// Verifies signed requests by one [`SignatureRule`].
pub struct SignatureVerifier {
    clients: HashMap<Arc<str>, Client>,
    skew_seconds: u64,
    nonce_kept: Duration,
}

impl fmt::Debug for SignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureVerifier")
            .field("clients", &self.clients.keys())
            .field("skew_seconds", &self.skew_seconds)
            .field("nonce_kept", &self.nonce_kept)
            .finish()
    }
}

impl SignatureVerifier {
    /// Prepares the keys.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for an id that is malformed or repeated, an empty secret, too many secrets,
    /// or a time that is too long.
    pub fn new(rule: SignatureRule) -> Result<Self, RuleError> {
        check_time("the signature skew", rule.skew, SKEW_MAX)?;
        check_time("the time that nonces are kept", rule.nonce_kept, NONCE_KEPT_MAX)?;
        let mut clients = HashMap::new();
        for rule in rule.clients {
            let client = Client::new(rule)?;
            let id = Arc::clone(&client.id);
            if clients.insert(Arc::clone(&id), client).is_some() {
                return Err(RuleError::IdRepeated { id: id.to_string() });
            }
        }
        // A request dated ahead by the whole skew holds for twice the skew.
        let needed = rule.skew * 2 + NONCE_KEPT_MARGIN;
        Ok(Self {
            clients,
            skew_seconds: rule.skew.as_secs(),
            nonce_kept: rule.nonce_kept.max(needed),
        })
    }

    /// Verifies one request. `methods` are those that its route takes.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] with the first thing that is wrong, in the contract's order.
    pub fn verify(
        &self,
        parts: &Parts,
        body: &[u8],
        methods: &[Method],
        now: Now,
    ) -> Result<(Principal, UnclaimedNonce), SignatureError> {
        let fields = Fields::of(&parts.headers)?;
        let timestamp =
            text(fields.timestamp).and_then(plain_seconds).ok_or(SignatureError::Timestamp)?;
        let client = self.client(fields.client)?;
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0).abs_diff(timestamp);
        if seconds > self.skew_seconds {
            return Err(SignatureError::Skew { client: client.id.to_string(), seconds });
        }
        // A nonce or signature that no client sends matches nothing, so there is nothing to hash.
        let mismatch = || SignatureError::Mismatch { client: client.id.to_string() };
        let nonce = fields.nonce.to_str().ok().filter(|nonce| is_nonce(nonce));
        let nonce = nonce.ok_or_else(mismatch)?;
        let signature = decoded(fields.signature.as_bytes()).ok_or_else(mismatch)?;
        let target = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let request = CanonicalRequest::new(parts.method.as_str(), target, timestamp, nonce, body);
        if !client.signed(&request, &signature, now.unix_seconds()) {
            let presented = Presented { client, body, methods, signature, now };
            return Err(presented.diagnosis(&request));
        }
        let principal = Principal {
            scheme: Scheme::Signature,
            id: Arc::clone(&client.id),
            subject: None,
            scopes: Arc::clone(&client.scopes),
        };
        let (client, kept) = (Arc::clone(&client.id), self.nonce_kept);
        Ok((principal, UnclaimedNonce { client, nonce: nonce.into(), kept }))
    }

    fn client(&self, value: &HeaderValue) -> Result<&Client, SignatureError> {
        if self.clients.is_empty() {
            return Err(SignatureError::MissingConfig);
        }
        let client = text(value).and_then(|id| self.clients.get(id));
        let client = client
            .ok_or_else(|| SignatureError::UnknownClient { client: printable(value.as_bytes()) })?;
        if !client.has_secrets() {
            return Err(SignatureError::BadBase64 { client: client.id.to_string() });
        }
        Ok(client)
    }
}

/// A signature that does not hold, with what a diagnosis of it needs.
struct Presented<'a> {
    client: &'a Client,
    body: &'a [u8],
    methods: &'a [Method],
    signature: [u8; 32],
    now: Now,
}

impl Presented<'_> {
    fn was_made_for(&self, request: &CanonicalRequest<'_>) -> bool {
        self.client.signed(request, &self.signature, self.now.unix_seconds())
    }

    /// Says which single part of the request differs from what was signed. Only who has the secret
    /// can learn anything here: each answer needs a signature that holds for a neighbouring
    /// request.
    fn diagnosis(&self, request: &CanonicalRequest<'_>) -> SignatureError {
        let client = self.client.id.to_string();
        if !self.client.has_secret_in_force(self.now.unix_seconds()) {
            return SignatureError::SecretsRunOut { client };
        }
        let (whole, none) = (Sha256::digest(self.body).into(), Sha256::digest([]).into());
        let other_method = self.methods.iter().map(Method::as_str).any(|method| {
            let body_sha256 = if method == "GET" { none } else { whole };
            let other = CanonicalRequest { method: method.into(), body_sha256, ..request.clone() };
            method != request.method && self.was_made_for(&other)
        });
        if other_method {
            return SignatureError::MethodMismatch { client };
        }
        let path = toggled_slash(&request.path).into();
        if self.was_made_for(&CanonicalRequest { path, ..request.clone() }) {
            return SignatureError::PathMismatch { client };
        }
        let body_sha256 = if request.method == "GET" { whole } else { none };
        if self.was_made_for(&CanonicalRequest { body_sha256, ..request.clone() }) {
            return SignatureError::BodyHashMismatch { client };
        }
        if self.client.ever_signed(request, &self.signature) {
            return SignatureError::SecretRunOut { client };
        }
        SignatureError::Mismatch { client }
    }
}

/// The path with the slash at its end taken away, or put there.
pub(super) fn toggled_slash(path: &str) -> String {
    path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned)
}

/// Whether the request carries a signature, whatever it is worth.
pub(super) fn is_presented(headers: &HeaderMap) -> bool {
    let (_, first, alias) = SIGNATURE;
    headers.contains_key(first) || headers.contains_key(alias)
}

struct Fields<'a> {
    client: &'a HeaderValue,
    timestamp: &'a HeaderValue,
    nonce: &'a HeaderValue,
    signature: &'a HeaderValue,
}

impl<'a> Fields<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, SignatureError> {
        Ok(Self {
            client: field(headers, CLIENT)?,
            timestamp: field(headers, TIMESTAMP)?,
            nonce: field(headers, NONCE)?,
            signature: field(headers, SIGNATURE)?,
        })
    }
}

/// Each field is looked for on its own, so a request may mix both families of names. A field that
/// is there twice cannot be told apart from a smuggled one and is refused.
fn field(
    headers: &HeaderMap,
    (shown, first, alias): FieldNames,
) -> Result<&HeaderValue, SignatureError> {
    for name in [first, alias] {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => return Ok(value),
            (Some(_), Some(_)) => return Err(SignatureError::MissingHeaders(shown)),
            _ => {}
        }
    }
    Err(SignatureError::MissingHeaders(shown))
}

/// The field as text; `None` unless it is ASCII without control characters.
fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|text| !text.contains('\t'))
}

/// A timestamp as clients may write it, in plain digits only: no sign, no space, no underscore.
#[must_use]
pub fn plain_seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Whether a text can be a nonce: printable ASCII, and not too long.
#[must_use]
pub fn is_nonce(text: &str) -> bool {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    !text.is_empty() && text.len() <= NONCE_BYTES_MAX && text.bytes().all(printable)
}

/// A signature is 32 bytes, as hex in any case or as standard base64 with padding. The lengths
/// differ, so no text can be read both ways.
pub(super) fn decoded(text: &[u8]) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    if hex::decode_to_slice(text, &mut signature).is_ok() {
        return Some(signature);
    }
    let base64_bytes = signature.len().div_ceil(3) * 4;
    if text.len() != base64_bytes {
        return None;
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap or index fails the test"
    )]
    use std::time::UNIX_EPOCH;

    use hmac::{Hmac, Mac};
    use http::Request;
    use serde::Deserialize;

    use super::super::canonical::{body_sha256, canonical_path, canonical_query};
    use super::super::client::{ClientSecret, SECRETS_PER_CLIENT_MAX, clients_from_json};
    use super::super::rule::SharedSecret;
    use super::*;

    const TIME: u64 = 1_700_000_000;
    const PING: &str = "/api/v1/integrations/nextcloud/ping/";
    const TOKEN: &str = "/api/v1/integrations/token/";
    const ROUTE_METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        secret_b64: String,
        method: String,
        path: String,
        query: String,
        timestamp: u64,
        nonce: String,
        body_b64: String,
        canonical_query: String,
        body_sha256: String,
        canonical: String,
        sig_hex: String,
        sig_b64: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/data/hmac_vectors.json")).unwrap()
    }

    fn client(id: &str, secrets: &[&[u8]]) -> ClientRule {
        ClientRule {
            id: id.into(),
            secrets: secrets.iter().map(|secret| SharedSecret::new(*secret).into()).collect(),
            scopes: "read".into(),
        }
    }

    fn verifier(clients: Vec<ClientRule>) -> SignatureVerifier {
        SignatureVerifier::new(SignatureRule {
            clients,
            skew: Duration::from_secs(300),
            nonce_kept: Duration::from_secs(360),
        })
        .unwrap()
    }

    fn usual() -> SignatureVerifier {
        verifier(vec![client("nc-1", &[b"secret"]), client("broken", &[])])
    }

    fn at(seconds: u64) -> Now {
        Now { wall: UNIX_EPOCH + Duration::from_secs(seconds), ..Now::read() }
    }

    fn sign(secret: &[u8], canonical: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(canonical);
        hex::encode(mac.finalize().into_bytes())
    }

    /// A request signed by `nc-1` in the way the contract writes it down, built from literal text
    /// so that the code under test does not check itself.
    struct Signed {
        method: &'static str,
        target: &'static str,
        canonical: String,
        body: &'static [u8],
    }

    fn signed(
        method: &'static str,
        target: &'static str,
        path_and_query: &str,
        body: &'static [u8],
    ) -> Signed {
        let counted: &[u8] = if method == "GET" { b"" } else { body };
        let hash = hex::encode(Sha256::digest(counted));
        let canonical = format!("{method}\n{path_and_query}\n{TIME}\nn-1\n{hash}");
        Signed { method, target, canonical, body }
    }

    fn parts(method: &str, target: &str, fields: &[(&'static str, &[u8])]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    impl Signed {
        fn verify(&self) -> Result<Principal, SignatureError> {
            let signature = sign(b"secret", &self.canonical);
            let time = TIME.to_string();
            let parts = parts(
                self.method,
                self.target,
                &[
                    ("x-nc-client-id", b"nc-1"),
                    ("x-nc-timestamp", time.as_bytes()),
                    ("x-nc-nonce", b"n-1"),
                    ("x-nc-signature", signature.as_bytes()),
                ],
            );
            let verified = usual().verify(&parts, self.body, &ROUTE_METHODS, at(TIME));
            verified.map(|(principal, _)| principal)
        }
    }

    #[test]
    fn every_vector_verifies_in_both_encodings() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let body = STANDARD.decode(&vector.body_b64).unwrap();
            assert_eq!(canonical_query(&vector.query), vector.canonical_query, "{}", vector.name);
            let request = CanonicalRequest {
                method: vector.method.as_str().into(),
                path: canonical_path(&vector.path),
                query: canonical_query(&vector.query).into(),
                timestamp: vector.timestamp,
                nonce: &vector.nonce,
                body_sha256: body_sha256(&vector.method, &body),
            };
            assert_eq!(hex::encode(request.body_sha256), vector.body_sha256, "{}", vector.name);
            assert_eq!(request.text(), vector.canonical, "{}", vector.name);
            let map = format!(r#"{{" nc-1 ":" {} "}}"#, vector.secret_b64);
            let verifier = verifier(clients_from_json(&map).unwrap().clients);
            let target = format!("{}?{}", vector.path, vector.query);
            let time = vector.timestamp.to_string();
            for signature in [&vector.sig_hex, &vector.sig_hex.to_uppercase(), &vector.sig_b64] {
                let parts = parts(
                    &vector.method,
                    &target,
                    &[
                        ("x-client-id", b"nc-1"),
                        ("x-timestamp", time.as_bytes()),
                        ("x-nonce", vector.nonce.as_bytes()),
                        ("x-signature", signature.as_bytes()),
                    ],
                );
                let now = at(vector.timestamp);
                let (caller, nonce) = verifier.verify(&parts, &body, &[], now).unwrap();
                assert_eq!(caller.quota_key(), "signature:nc-1");
                assert_eq!(*nonce.nonce, *vector.nonce);
            }
        }
    }

    #[test]
    fn requests_signed_by_the_contract_are_accepted() {
        for request in [
            signed("GET", PING, &format!("{PING}\n"), b""),
            signed("GET", PING, &format!("{PING}\n"), b"ignored"),
            signed("HEAD", PING, &format!("{PING}\n"), b"counts"),
            signed("POST", TOKEN, &format!("{TOKEN}\n"), b"{\"a\":1}"),
            signed("GET", "/api/%70ing/?", "/api/ping/\n", b""),
            signed("GET", "/a?b=%7e&&a+b;c", "/a\na%20b%3Bc=&b=~", b""),
            signed("GET", "/%C3%A9?x=%C3%A9", "/\u{e9}\nx=%C3%A9", b""),
        ] {
            assert_eq!(
                request.verify().map(|p| p.quota_key()),
                Ok("signature:nc-1".into()),
                "{}",
                request.canonical
            );
        }
    }

    #[test]
    fn a_request_that_differs_is_diagnosed() {
        let swapped = |method, canonical_method: &str, target, body| {
            let good = signed(method, target, &format!("{target}\n"), body);
            let canonical = good.canonical.replacen(method, canonical_method, 1);
            Signed { canonical, ..good }
        };
        let rehashed = |method, body, counted: &[u8]| {
            let good = signed(method, TOKEN, &format!("{TOKEN}\n"), body);
            let (head, _) = good.canonical.rsplit_once('\n').unwrap();
            let hash = hex::encode(Sha256::digest(counted));
            Signed { canonical: format!("{head}\n{hash}"), ..good }
        };
        for (request, code) in [
            (swapped("GET", "HEAD", PING, b""), "method_mismatch"),
            (swapped("HEAD", "GET", PING, b""), "method_mismatch"),
            (swapped("POST", "OPTIONS", TOKEN, b"x"), "method_mismatch"),
            // DELETE is not a method of the route.
            (swapped("GET", "DELETE", PING, b""), "sig_mismatch"),
            (signed("GET", "/ping", "/ping/\n", b""), "path_mismatch"),
            (signed("GET", "/ping/", "/ping\n", b""), "path_mismatch"),
            (rehashed("GET", b"body", b"body"), "body_hash_mismatch"),
            (rehashed("POST", b"body", b""), "body_hash_mismatch"),
            (rehashed("POST", b"body", b"other"), "sig_mismatch"),
            (signed("GET", "/ping/?a=1", "/ping/\na=2", b""), "sig_mismatch"),
            (signed("GET", "/ping/?a=1", "/ping/\n", b""), "sig_mismatch"),
            (signed("GET", "/ping//", "/ping\n", b""), "sig_mismatch"),
            (signed("GET", "/PING/", "/ping/\n", b""), "sig_mismatch"),
        ] {
            let refused = request.verify().map_err(|error| error.code());
            assert_eq!(refused, Err(code), "{}", request.canonical);
        }
    }

    /// Each case replaces some fields of a request that holds.
    fn refused(changes: &[(&'static str, &[u8])]) -> Option<&'static str> {
        let hash = hex::encode(Sha256::digest(b""));
        let signature = sign(b"secret", &format!("GET\n/ping/\n\n{TIME}\nn-1\n{hash}"));
        let time = TIME.to_string();
        let mut fields: Vec<(&'static str, &[u8])> = vec![
            ("x-nc-client-id", b"nc-1"),
            ("x-nc-timestamp", time.as_bytes()),
            ("x-nc-nonce", b"n-1"),
            ("x-nc-signature", signature.as_bytes()),
        ];
        fields.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        fields.extend_from_slice(changes);
        let parts = parts("GET", "/ping/", &fields);
        let verified = usual().verify(&parts, b"", &ROUTE_METHODS, at(TIME));
        verified.err().map(|error| error.code())
    }

    #[test]
    fn hostile_fields_are_refused_with_their_code() {
        assert_eq!(refused(&[]), None);
        let long = "n".repeat(NONCE_BYTES_MAX + 1);
        let zeros = "0".repeat(64);
        let cases: [(&'static str, &[u8], &str); 35] = [
            ("x-nc-client-id", b"", "missing_headers"),
            ("x-nc-client-id", b"NC-1", "unknown_client"),
            ("x-nc-client-id", b"nc-1 ", "unknown_client"),
            ("x-nc-client-id", b"nc-\xff", "unknown_client"),
            ("x-nc-client-id", "nc-\u{e9}".as_bytes(), "unknown_client"),
            ("x-nc-client-id", b"broken", "bad_base64"),
            ("x-nc-timestamp", b"", "missing_headers"),
            ("x-nc-timestamp", b"+1700000000", "skew"),
            ("x-nc-timestamp", b"-1700000000", "skew"),
            ("x-nc-timestamp", b"1_700_000_000", "skew"),
            ("x-nc-timestamp", b"1700000000.0", "skew"),
            ("x-nc-timestamp", b"1.7e9", "skew"),
            ("x-nc-timestamp", b" 1700000000 ", "skew"),
            ("x-nc-timestamp", b"0x6553f100", "skew"),
            ("x-nc-timestamp", "\u{661}\u{667}".as_bytes(), "skew"),
            ("x-nc-timestamp", b"1700000000000", "skew"),
            ("x-nc-timestamp", b"99999999999999999999999", "skew"),
            ("x-nc-timestamp", b"1700000301", "skew"),
            ("x-nc-timestamp", b"1699999699", "skew"),
            ("x-nc-timestamp", b"1700000001", "sig_mismatch"),
            ("x-nc-nonce", b"", "missing_headers"),
            ("x-nc-nonce", b"n-2", "sig_mismatch"),
            ("x-nc-nonce", b"n-1\xff", "sig_mismatch"),
            ("x-nc-nonce", b"n-1\t", "sig_mismatch"),
            ("x-nc-nonce", long.as_bytes(), "sig_mismatch"),
            ("x-nc-signature", b"", "missing_headers"),
            ("x-nc-signature", b"0", "sig_mismatch"),
            ("x-nc-signature", zeros.as_bytes(), "sig_mismatch"),
            ("x-nc-signature", &[0xff; 64], "sig_mismatch"),
            ("x-nc-signature", &[b'A'; 44], "sig_mismatch"),
            ("x-nc-signature", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sig_mismatch"),
            ("x-nc-signature", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "sig_mismatch"),
            ("x-nc-signature", b"--------------------------------------------", "sig_mismatch"),
            ("x-nc-signature", &[b'a'; 8_000], "sig_mismatch"),
            ("x-nc-signature", b"sha256=00", "sig_mismatch"),
        ];
        for (name, value, code) in cases {
            let shown = String::from_utf8_lossy(value);
            assert_eq!(refused(&[(name, value)]), Some(code), "{name}: {shown}");
        }
    }

    #[test]
    fn repeated_fields_are_refused_even_when_equal() {
        for (shown, first, alias) in [CLIENT, TIMESTAMP, NONCE, SIGNATURE] {
            for name in [first, alias] {
                let mut headers = HeaderMap::new();
                for (_, field, _) in [CLIENT, TIMESTAMP, NONCE, SIGNATURE] {
                    headers.insert(field, HeaderValue::from_static("1"));
                }
                headers.remove(format!("x-nc-{}", shown[5..].to_ascii_lowercase()));
                headers.append(&name, HeaderValue::from_static("1"));
                assert!(Fields::of(&headers).is_ok());
                headers.append(&name, HeaderValue::from_static("1"));
                let missing = Fields::of(&headers).err();
                assert_eq!(missing, Some(SignatureError::MissingHeaders(shown)), "{name}");
            }
        }
    }

    #[test]
    fn both_families_mix_and_the_first_wins() {
        let time = TIME.to_string();
        let time = time.as_bytes();
        assert_eq!(refused(&[("x-nc-timestamp", b""), ("x-timestamp", time)]), None);
        assert_eq!(refused(&[("x-client-id", b"somebody"), ("x-nonce", b"n-9")]), None);
        let primary_bad: [(&'static str, &[u8]); 2] =
            [("x-nc-client-id", b"somebody"), ("x-client-id", b"nc-1")];
        assert_eq!(refused(&primary_bad), Some("unknown_client"));
    }

    #[test]
    fn the_first_fault_in_the_contracts_order_is_told() {
        let all: [(&'static str, &[u8]); 4] = [
            ("x-nc-nonce", b""),
            ("x-nc-timestamp", b"x"),
            ("x-nc-client-id", b"nobody"),
            ("x-nc-signature", b"0"),
        ];
        assert_eq!(refused(&all), Some("missing_headers"));
        assert_eq!(refused(&all[1..]), Some("skew"));
        let stale: [(&'static str, &[u8]); 2] =
            [("x-nc-timestamp", b"1"), ("x-nc-client-id", b"nobody")];
        assert_eq!(refused(&stale), Some("unknown_client"));
        let stale_and_wrong: [(&'static str, &[u8]); 2] =
            [("x-nc-timestamp", b"1"), ("x-nc-signature", b"0")];
        assert_eq!(refused(&stale_and_wrong), Some("skew"));
        let empty = verifier(Vec::new());
        let parts = parts(
            "GET",
            "/",
            &[
                ("x-client-id", b"nobody"),
                ("x-timestamp", b"1"),
                ("x-nonce", b"n"),
                ("x-signature", b"0"),
            ],
        );
        let refused = empty.verify(&parts, b"", &[], at(TIME)).err();
        assert_eq!(refused, Some(SignatureError::MissingConfig));
    }

    #[test]
    fn the_window_is_inclusive_on_both_sides() {
        let hash = hex::encode(Sha256::digest(b""));
        let signature = sign(b"secret", &format!("GET\n/ping/\n\n{TIME}\nn-1\n{hash}"));
        let time = TIME.to_string();
        let parts = parts(
            "GET",
            "/ping/",
            &[
                ("x-client-id", b"nc-1"),
                ("x-timestamp", time.as_bytes()),
                ("x-nonce", b"n-1"),
                ("x-signature", signature.as_bytes()),
            ],
        );
        for (now, accepted) in
            [(TIME - 301, false), (TIME - 300, true), (TIME + 300, true), (TIME + 301, false)]
        {
            assert_eq!(usual().verify(&parts, b"", &[], at(now)).is_ok(), accepted, "{now}");
        }
    }

    #[test]
    fn a_nonce_outlives_the_window_of_its_signature() {
        let kept = |skew, configured| {
            let rule = SignatureRule {
                clients: Vec::new(),
                skew: Duration::from_secs(skew),
                nonce_kept: Duration::from_secs(configured),
            };
            SignatureVerifier::new(rule).map(|verifier| verifier.nonce_kept.as_secs())
        };
        assert_eq!(kept(300, 360), Ok(660));
        assert_eq!(kept(300, 1_000), Ok(1_000));
        assert!(matches!(kept(3_601, 0), Err(RuleError::TooLong { .. })));
    }

    #[test]
    fn any_secret_of_a_rotation_is_accepted() {
        let hash = hex::encode(Sha256::digest(b""));
        let canonical = format!("GET\n/\n\n{TIME}\nn-1\n{hash}");
        let rotating = verifier(vec![client("nc-1", &[b"old", b"new"])]);
        let time = TIME.to_string();
        for (secret, accepted) in [(b"old", true), (b"new", true), (b"bad", false)] {
            let signature = sign(secret, &canonical);
            let parts = parts(
                "GET",
                "/",
                &[
                    ("x-client-id", b"nc-1"),
                    ("x-timestamp", time.as_bytes()),
                    ("x-nonce", b"n-1"),
                    ("x-signature", signature.as_bytes()),
                ],
            );
            assert_eq!(rotating.verify(&parts, b"", &[], at(TIME)).is_ok(), accepted);
        }
    }

    #[test]
    fn secrets_count_in_their_time_only_and_the_log_says_so() {
        let hash = hex::encode(Sha256::digest(b""));
        let canonical = format!("GET\n/\n\n{TIME}\nn-1\n{hash}");
        let in_time = |secret: &[u8], from: Option<u64>, until: Option<u64>| ClientSecret {
            secret: SharedSecret::new(secret),
            from: from.map(|seconds| i64::try_from(seconds).unwrap()),
            until: until.map(|seconds| i64::try_from(seconds).unwrap()),
        };
        let refused = |secrets: Vec<ClientSecret>, signed_with: &[u8]| {
            let rule = ClientRule { secrets, ..client("nc-1", &[]) };
            let (time, signature) = (TIME.to_string(), sign(signed_with, &canonical));
            let fields: [(&'static str, &[u8]); 4] = [
                ("x-client-id", b"nc-1"),
                ("x-timestamp", time.as_bytes()),
                ("x-nonce", b"n-1"),
                ("x-signature", signature.as_bytes()),
            ];
            let parts = parts("GET", "/", &fields);
            verifier(vec![rule]).verify(&parts, b"", &[], at(TIME)).err()
        };
        let overlap =
            || vec![in_time(b"old", None, Some(TIME + 1)), in_time(b"new", Some(TIME), None)];
        assert_eq!(refused(overlap(), b"old"), None);
        assert_eq!(refused(overlap(), b"new"), None);
        let after = || vec![in_time(b"old", None, Some(TIME)), in_time(b"new", Some(TIME), None)];
        let old = refused(after(), b"old").unwrap();
        assert_eq!(old, SignatureError::SecretRunOut { client: "nc-1".into() });
        assert_eq!(refused(after(), b"new"), None);
        let over = vec![in_time(b"old", None, Some(TIME)), in_time(b"new", Some(TIME + 1), None)];
        let none = refused(over, b"old").unwrap();
        assert_eq!(none, SignatureError::SecretsRunOut { client: "nc-1".into() });
        assert_eq!((old.code(), none.code()), ("sig_mismatch", "sig_mismatch"));
        assert!(none.to_string().contains("all secrets of the client \"nc-1\" have run out"));
    }

    #[test]
    fn ambiguous_rules_are_refused() {
        let build = |clients| {
            let rule = SignatureRule { clients, skew: Duration::ZERO, nonce_kept: Duration::ZERO };
            SignatureVerifier::new(rule).map(|_| ()).unwrap_err()
        };
        let twice = build(vec![client("a", &[b"1"]), client("a", &[b"2"])]);
        assert_eq!(twice, RuleError::IdRepeated { id: "a".into() });
        let empty = build(vec![client("a", &[b""])]);
        assert_eq!(empty, RuleError::SecretEmpty { client: "a".into() });
        let many = build(vec![client("a", &[b"1".as_slice(); SECRETS_PER_CLIENT_MAX + 1])]);
        assert!(matches!(many, RuleError::SecretsTooMany { count: 5, .. }));
        assert!(matches!(build(vec![client("\u{e9}", &[b"1"])]), RuleError::IdMalformed { .. }));
    }
}
