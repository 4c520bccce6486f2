//! Compiles `auth`: the verifiers that routes share, and what the gateway signs with.

mod jwt;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{
    ApiKeyRule, ApiKeyTable, ClientRule, ClientSecret, KeyDigest, KeySetSource, SharedSecret,
    SignatureRule, SignatureVerifier, SigningKey, Verifiers, clients_from_json,
};
use crate::config::ConfigFault;
use crate::config::identity::{
    AlgorithmConfig, ApiKeysConfig, HmacClientConfig, HmacConfig, InternalConfig, TokenConfig,
};
use crate::config::scalar::Secret;
use crate::config::sources::Sources;
use crate::endpoint::TokenRule;
use crate::internal_token::InternalRule;

/// The shortest life of a token: its times are whole seconds.
const LIFETIME_MIN: Duration = Duration::from_secs(1);

/// What came of `auth`.
#[derive(Default)]
pub(super) struct Identity {
    /// The verifiers.
    pub(super) verifiers: Verifiers,
    /// What the `token` endpoint issues.
    pub(super) tokens: Option<TokenRule>,
    /// What services are told in place of credentials.
    pub(super) internal: Option<InternalRule>,
}

/// Builds the verifiers, or reports what is wrong with them.
pub(super) fn compile(
    sources: &Sources,
    key_sets: &dyn KeySetSource,
    faults: &mut Vec<ConfigFault>,
    warnings: &mut Vec<ConfigFault>,
) -> Identity {
    let auth = &sources.gateway.value.auth;
    Identity {
        verifiers: Verifiers {
            jwt: jwt::compile(sources, key_sets, faults),
            api_keys: api_keys(sources, &auth.api_keys, faults),
            signature: auth
                .hmac
                .as_ref()
                .and_then(|config| signature(sources, config, faults, warnings)),
        },
        tokens: auth.token.as_ref().and_then(|config| tokens(sources, config, faults)),
        internal: auth.internal.as_ref().and_then(|config| internal(sources, config, faults)),
    }
}

/// The table of the keys that are listed; empty where they are all elsewhere.
fn api_keys(
    sources: &Sources,
    config: &ApiKeysConfig,
    faults: &mut Vec<ConfigFault>,
) -> Option<Arc<ApiKeyTable>> {
    if !config.is_configured() {
        return None;
    }
    let mut rules = Vec::new();
    for (index, key) in config.keys.iter().enumerate() {
        match KeyDigest::from_hex(&key.sha256) {
            Ok(digest) => rules.push(ApiKeyRule {
                id: key.id.clone(),
                user: key.user.clone(),
                digest,
                scopes: key.scopes.join(" "),
                expires_at: key.expires_at.map(|moment| moment.unix_seconds()),
                revoked: key.revoked,
            }),
            Err(error) => {
                let path = format!("auth.api_keys.keys[{index}].sha256");
                sources.gateway.report(faults, &path, error.to_string());
            }
        }
    }
    match ApiKeyTable::new(rules) {
        Ok(table) => Some(Arc::new(table)),
        Err(error) => {
            sources.gateway.report(faults, "auth.api_keys.keys", error.to_string());
            None
        }
    }
}

fn signature(
    sources: &Sources,
    config: &HmacConfig,
    faults: &mut Vec<ConfigFault>,
    warnings: &mut Vec<ConfigFault>,
) -> Option<Arc<SignatureVerifier>> {
    let gateway = &sources.gateway;
    let mut clients = Vec::new();
    for (index, client) in config.clients.iter().enumerate() {
        let secrets = client_secrets(sources, index, client, warnings);
        let scopes = client.scopes.join(" ");
        clients.push(ClientRule { id: client.id.clone(), secrets, scopes });
    }
    if let Some(map) = sources.secrets.get("auth.hmac.clients_json") {
        let path = "auth.hmac.clients_json";
        let text = std::str::from_utf8(map.as_bytes()).unwrap_or_default();
        match clients_from_json(text) {
            Ok(map) => {
                for (id, fault) in map.faults {
                    gateway.report(warnings, path, format!("{id:?}: {fault}"));
                }
                clients.extend(map.clients);
            }
            Err(error) => gateway.report(faults, path, error.to_string()),
        }
    }
    if config.clients.is_empty() && config.clients_json.is_none() {
        let problem = "nobody can sign; name `clients`, or a `clients_json`";
        gateway.report(faults, "auth.hmac", problem);
    }
    let skew = config.skew.duration();
    let rule = SignatureRule { clients, skew, nonce_kept: config.nonce_ttl.duration() };
    match SignatureVerifier::new(rule) {
        Ok(verifier) => Some(Arc::new(verifier)),
        Err(error) => {
            gateway.report(faults, "auth.hmac", error.to_string());
            None
        }
    }
}

fn client_secrets(
    sources: &Sources,
    client_index: usize,
    client: &HmacClientConfig,
    warnings: &mut Vec<ConfigFault>,
) -> Vec<ClientSecret> {
    let mut secrets = Vec::new();
    for (index, config) in client.secrets.iter().enumerate() {
        let path = format!("auth.hmac.clients[{client_index}].secrets[{index}]");
        let Some(secret) = sources.secrets.get(&path) else { continue };
        let text = std::str::from_utf8(secret.as_bytes()).unwrap_or_default();
        match SharedSecret::from_base64(text) {
            Ok(secret) => secrets.push(ClientSecret {
                secret,
                from: config.from.map(|moment| moment.unix_seconds()),
                until: config.until.map(|moment| moment.unix_seconds()),
            }),
            Err(error) => sources.gateway.report(warnings, &path, error.to_string()),
        }
    }
    secrets
}

/// The tokens that are issued: those of an issuer whose secret the gateway has.
fn tokens(
    sources: &Sources,
    config: &TokenConfig,
    faults: &mut Vec<ConfigFault>,
) -> Option<TokenRule> {
    let gateway = &sources.gateway;
    let lifetime = config.lifetime.duration();
    check_lifetime(sources, "auth.token.lifetime", lifetime, faults);
    let mut issuers = gateway.value.auth.jwt.iter().enumerate();
    let found = issuers.find(|(_, issuer)| issuer.issuer.as_ref() == Some(&config.issuer));
    let Some((index, issuer)) = found else {
        if gateway.document.is_whole("auth.jwt") {
            let problem = "no issuer of `auth.jwt` has this name; name one of those";
            gateway.report(faults, "auth.token.issuer", problem);
        }
        return None;
    };
    if !issuer.algorithms.contains(&AlgorithmConfig::HS256) {
        let problem = "the issuer's tokens are not signed by HS256, and only that is issued; name \
                       an issuer with HS256 and a secret";
        gateway.report(faults, "auth.token.issuer", problem);
        return None;
    }
    let Some(secret) = sources.secrets.get(&format!("auth.jwt[{index}].keys[0]")) else {
        if issuer.keys.is_empty() {
            let problem = "the issuer has no secret to sign with; add it to its `keys`";
            gateway.report(faults, "auth.token.issuer", problem);
        }
        return None;
    };
    match SigningKey::new(&SharedSecret::new(secret.as_bytes())) {
        Ok(key) => Some(TokenRule {
            key: Arc::new(key),
            issuer: config.issuer.clone(),
            audience: issuer.audience.clone(),
            lifetime,
        }),
        // The issuer has the same fault, which is already told.
        Err(_) => None,
    }
}

/// A service can see its internal token, so the token must be none that clients could send: where an
/// issuer has the same secret, its `token_type` has to tell them apart.
fn check_that_it_opens_nothing(sources: &Sources, secret: &Secret, faults: &mut Vec<ConfigFault>) {
    for (index, issuer) in sources.gateway.value.auth.jwt.iter().enumerate() {
        let has_it = (0..issuer.keys.len()).any(|number| {
            let key = sources.secrets.get(&format!("auth.jwt[{index}].keys[{number}]"));
            key.is_some_and(|key| key.as_bytes() == secret.as_bytes())
        });
        if has_it && issuer.token_type.is_none() {
            let problem = format!(
                "has the secret of auth.jwt[{index}], so a service could send its internal tokens \
                 back as a client; add `token_type: access` to that issuer, or use another secret"
            );
            sources.gateway.report(faults, "auth.internal.secret", problem);
        }
    }
}

fn internal(
    sources: &Sources,
    config: &InternalConfig,
    faults: &mut Vec<ConfigFault>,
) -> Option<InternalRule> {
    let lifetime = config.lifetime.duration();
    check_lifetime(sources, "auth.internal.lifetime", lifetime, faults);
    let secret = sources.secrets.get("auth.internal.secret")?;
    check_that_it_opens_nothing(sources, secret, faults);
    match SigningKey::new(&SharedSecret::new(secret.as_bytes())) {
        Ok(key) => Some(InternalRule {
            key: Arc::new(key),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            lifetime,
        }),
        Err(error) => {
            sources.gateway.report(faults, "auth.internal.secret", error.to_string());
            None
        }
    }
}

fn check_lifetime(
    sources: &Sources,
    path: &str,
    lifetime: Duration,
    faults: &mut Vec<ConfigFault>,
) {
    if lifetime < LIFETIME_MIN {
        let problem = "a token that ends in the second in which it begins never holds; write 1s or \
                       more";
        sources.gateway.report(faults, path, problem);
    }
}
