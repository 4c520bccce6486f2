//! What does the gateway answer itself?
//!
//! The part of the operator's integration API that needs nothing but credentials, with the keys,
//! their order and the sentences that his clients already compare.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use jiff::fmt::strtime;
use rand::RngCore;
use rand::rngs::OsRng;
use serde::Serialize;

use crate::auth::{Principal, Scheme, SigningKey};
use crate::clock::Now;
use crate::envelope::{self, StatusForm};
use crate::refusal::Refusal;
use crate::route::Endpoint;

/// The version of the integration API that `status` names, as the operator's system does.
const VERSION: &str = "1.0.0";

/// The media type of a catalogue of APIs (RFC 9727, section 4, and RFC 9264).
const LINKSET_TYPE: &str =
    r#"application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727""#;

/// One request to an endpoint, whose caller is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its callers, the first of the fixed order first.
    pub callers: &'a [Principal],
    /// Its id.
    pub request_id: &'a str,
    /// When it arrived.
    pub now: Now,
}

/// What the `token` endpoint issues.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// What signs.
    pub key: Arc<SigningKey>,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: Option<String>,
    /// How long a token holds.
    pub lifetime: Duration,
}

/// What endpoints answer with, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// What the `token` endpoint issues.
    pub tokens: Option<&'a TokenRule>,
    /// What the `api_catalog` endpoint lists, as it is sent.
    pub catalog: &'a Bytes,
    /// How the envelope writes its status.
    pub form: StatusForm,
}

/// The content of an endpoint's answer, which is always a 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its media type.
    pub media_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Content {
    fn json(body: impl Into<Bytes>) -> Self {
        Self { media_type: envelope::CONTENT_TYPE, body: body.into() }
    }
}

/// What an endpoint answers.
///
/// # Errors
///
/// [`Refusal::Internal`] when there is nothing to sign a token with, which compiling rules out.
pub fn answer(
    endpoint: Endpoint,
    asked: &Asked<'_>,
    material: Material<'_>,
) -> Result<Content, Refusal> {
    if *asked.method == Method::OPTIONS {
        return written(&Metadata::of(endpoint)).map(Content::json);
    }
    let server_time = server_time(asked.now);
    let caller = |scheme| asked.callers.iter().find(move |caller| caller.scheme == scheme);
    let (message, data) = match endpoint {
        Endpoint::ApiCatalog => {
            let body = material.catalog.clone();
            return Ok(Content { media_type: LINKSET_TYPE, body });
        }
        Endpoint::Health => ("Integration health OK", written(&Health { ok: true, server_time })?),
        Endpoint::KeyPing => {
            let key = caller(Scheme::ApiKey).ok_or(Refusal::Internal)?;
            let (user_id, key_id, scope) = (user(key), &*key.id, scope(key));
            let ok = KeyPing { ok: true, auth: "api_key", user_id, key_id, scope, server_time };
            ("pong", written(&ok)?)
        }
        Endpoint::SignedPing => {
            let client = caller(Scheme::Signature).ok_or(Refusal::Internal)?;
            ("OK", written(&SignedPing { ok: true, client_id: &client.id })?)
        }
        Endpoint::Status => {
            let capabilities = Capabilities { png_preview: true };
            let status = Status { ok: true, server_time, version: VERSION, capabilities };
            ("Integration status", written(&status)?)
        }
        Endpoint::Token => {
            let access = issue(asked, material.tokens.ok_or(Refusal::Internal)?)?;
            ("Integration token issued", written(&access)?)
        }
        Endpoint::Whoami => {
            let token = caller(Scheme::Jwt).ok_or(Refusal::Internal)?;
            let whoami = Whoami { sub: user(token), scope: scope(token), server_time };
            ("Integration identity", written(&whoami)?)
        }
    };
    let body = envelope::accept(material.form, message, &data, asked.request_id);
    Ok(Content::json(body))
}

#[derive(Serialize)]
struct Health {
    ok: bool,
    server_time: String,
}

#[derive(Serialize)]
struct KeyPing<'a> {
    ok: bool,
    auth: &'a str,
    user_id: &'a str,
    key_id: &'a str,
    scope: String,
    server_time: String,
}

#[derive(Serialize)]
struct SignedPing<'a> {
    ok: bool,
    client_id: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    ok: bool,
    server_time: String,
    version: &'a str,
    capabilities: Capabilities,
}

#[derive(Serialize)]
struct Capabilities {
    png_preview: bool,
}

#[derive(Serialize)]
struct Whoami<'a> {
    sub: &'a str,
    scope: String,
    server_time: String,
}

#[derive(Serialize)]
struct Access {
    access: String,
    token_type: &'static str,
    expires_in: u64,
}

/// The claims of an integration token.
#[derive(Serialize)]
struct Claims<'a> {
    token_type: &'static str,
    exp: i64,
    iat: i64,
    jti: String,
    user_id: &'a str,
    sub: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    iss: &'a str,
}

/// What Django REST framework answers to `OPTIONS`: the one body without an envelope.
#[derive(Serialize)]
struct Metadata {
    name: &'static str,
    description: &'static str,
    renders: [&'static str; 1],
    parses: [&'static str; 1],
}

impl Metadata {
    fn of(endpoint: Endpoint) -> Self {
        let name = match endpoint {
            Endpoint::ApiCatalog => "Api Catalog",
            Endpoint::Health => "Integration Health",
            Endpoint::KeyPing => "Integration Ping",
            Endpoint::SignedPing => "Nextcloud Hmac Ping",
            Endpoint::Status => "Nextcloud Status",
            Endpoint::Token => "Integration Token",
            Endpoint::Whoami => "Integration Whoami",
        };
        let json = [envelope::CONTENT_TYPE];
        Self { name, description: "", renders: json, parses: json }
    }
}

/// Issues a token for the owner of the API key, in the name of the client that signed.
fn issue(asked: &Asked<'_>, rule: &TokenRule) -> Result<Access, Refusal> {
    let caller = |scheme| asked.callers.iter().find(|caller| caller.scheme == scheme);
    let key = caller(Scheme::ApiKey).ok_or(Refusal::Internal)?;
    let client = caller(Scheme::Signature).map(|client| &*client.id);
    let (iat, expires_in) = (asked.now.unix_seconds(), rule.lifetime.as_secs());
    let claims = Claims {
        token_type: "access",
        exp: iat.saturating_add_unsigned(expires_in),
        iat,
        jti: token_id(),
        user_id: user(key),
        sub: user(key),
        scope: scope(key),
        client_id: client.filter(|id| !id.is_empty()),
        aud: rule.audience.as_deref(),
        iss: &rule.issuer,
    };
    let access = rule.key.sign(&written(&claims)?);
    Ok(Access { access, token_type: "Bearer", expires_in })
}

/// 32 hex digits from the system's own randomness.
fn token_id() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Whom a credential acts for: its owner where that is known, else itself.
fn user(caller: &Principal) -> &str {
    caller.subject.as_deref().unwrap_or(&caller.id)
}

/// What a credential may do, in one text; `read` where it says nothing.
fn scope(caller: &Principal) -> String {
    if caller.scopes.is_empty() { "read".to_owned() } else { caller.scopes.join(" ") }
}

/// UTC with microseconds, as Python's `isoformat` writes it: `2026-11-23T01:17:51.795266+00:00`.
fn server_time(now: Now) -> String {
    let at = Timestamp::try_from(now.wall).unwrap_or(Timestamp::UNIX_EPOCH);
    // Python leaves out a fraction of exactly zero; clients read both.
    strtime::format("%Y-%m-%dT%H:%M:%S%.6f+00:00", at).unwrap_or_default()
}

/// JSON; structs of texts and numbers can always be written.
fn written(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|_| Refusal::Internal)
}
