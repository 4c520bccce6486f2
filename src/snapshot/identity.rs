//! Compiles `auth`: the verifiers that routes share.

use std::sync::Arc;

use crate::auth::{
    ApiKeyRule, ApiKeyTable, ClientRule, JwtRule, JwtVerifier, KeyDigest, SharedSecret,
    SignatureRule, SignatureVerifier, Verifiers,
};
use crate::config::ConfigFault;
use crate::config::gateway::{ApiKeyConfig, HmacClientConfig, HmacConfig, JwtConfig};
use crate::config::sources::Sources;

/// Builds the verifiers, or reports what is wrong with them.
pub(super) fn compile(sources: &Sources, faults: &mut Vec<ConfigFault>) -> Verifiers {
    let auth = &sources.gateway.value.auth;
    Verifiers {
        jwt: auth.jwt.as_ref().and_then(|config| jwt(sources, config, faults)),
        api_keys: api_keys(sources, &auth.api_keys, faults),
        signature: auth.hmac.as_ref().and_then(|config| signature(sources, config, faults)),
    }
}

fn jwt(
    sources: &Sources,
    config: &JwtConfig,
    faults: &mut Vec<ConfigFault>,
) -> Option<Arc<JwtVerifier>> {
    // A secret that could not be read is reported where it was read.
    let secret = sources.secrets.get("auth.jwt.secret")?;
    let rule = JwtRule {
        secret: SharedSecret::new(secret.as_bytes()),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        token_type: config.token_type.clone(),
        jti_required: config.jti_required,
        leeway: config.leeway.duration(),
    };
    match JwtVerifier::new(rule) {
        Ok(verifier) => Some(Arc::new(verifier)),
        Err(error) => {
            sources.gateway.report(faults, "auth.jwt", error.to_string());
            None
        }
    }
}

fn api_keys(
    sources: &Sources,
    configs: &[ApiKeyConfig],
    faults: &mut Vec<ConfigFault>,
) -> Option<Arc<ApiKeyTable>> {
    if configs.is_empty() {
        return None;
    }
    let mut rules = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        match KeyDigest::from_hex(&config.sha256) {
            Ok(digest) => rules.push(ApiKeyRule {
                id: config.id.clone(),
                digest,
                scopes: config.scopes.join(" "),
                expires_at: config.expires_at,
                revoked: config.revoked,
            }),
            Err(error) => {
                let path = format!("auth.api_keys[{index}].sha256");
                sources.gateway.report(faults, &path, error.to_string());
            }
        }
    }
    match ApiKeyTable::new(rules) {
        Ok(table) => Some(Arc::new(table)),
        Err(error) => {
            sources.gateway.report(faults, "auth.api_keys", error.to_string());
            None
        }
    }
}

fn signature(
    sources: &Sources,
    config: &HmacConfig,
    faults: &mut Vec<ConfigFault>,
) -> Option<Arc<SignatureVerifier>> {
    let mut clients = Vec::new();
    for (index, client) in config.clients.iter().enumerate() {
        let secrets = client_secrets(sources, index, client, faults);
        let scopes = client.scopes.join(" ");
        clients.push(ClientRule { id: client.id.clone(), secrets, scopes });
    }
    let skew = config.skew.duration();
    let rule = SignatureRule { clients, skew, nonce_kept: config.nonce_ttl.duration() };
    match SignatureVerifier::new(rule) {
        Ok(verifier) => Some(Arc::new(verifier)),
        Err(error) => {
            sources.gateway.report(faults, "auth.hmac", error.to_string());
            None
        }
    }
}

fn client_secrets(
    sources: &Sources,
    client_index: usize,
    client: &HmacClientConfig,
    faults: &mut Vec<ConfigFault>,
) -> Vec<SharedSecret> {
    let mut secrets = Vec::new();
    for index in 0..client.secrets.len() {
        let path = format!("auth.hmac.clients[{client_index}].secrets[{index}]");
        let Some(secret) = sources.secrets.get(&path) else { continue };
        let text = std::str::from_utf8(secret.as_bytes()).unwrap_or_default();
        match SharedSecret::from_base64(text) {
            Ok(secret) => secrets.push(secret),
            Err(error) => sources.gateway.report(faults, &path, error.to_string()),
        }
    }
    secrets
}
