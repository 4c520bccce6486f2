//! Compiles `auth.jwt`: whose bearer tokens hold.

use std::sync::Arc;

use crate::auth::{
    JwtIssuerRule, JwtVerifier, KeySetSource, KeySource, RemoteKeySet, TokenAlgorithm,
    VerifyingKey, static_keys,
};
use crate::config::ConfigFault;
use crate::config::identity::{AlgorithmConfig, JwksConfig, JwtConfig};
use crate::config::sources::Sources;

/// Builds the verifier of all issuers' tokens, or reports what is wrong with them.
pub(super) fn compile(
    sources: &Sources,
    key_sets: &dyn KeySetSource,
    faults: &mut Vec<ConfigFault>,
) -> Option<Arc<JwtVerifier>> {
    let issuers = &sources.gateway.value.auth.jwt;
    if issuers.is_empty() {
        return None;
    }
    let rules: Vec<Option<JwtIssuerRule>> = issuers
        .iter()
        .enumerate()
        .map(|(index, issuer)| rule(sources, index, issuer, key_sets, faults))
        .collect();
    // Of an issuer that cannot be used it is told why already.
    let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
    match JwtVerifier::new(rules) {
        Ok(verifier) => Some(Arc::new(verifier)),
        Err(error) => {
            sources.gateway.report(faults, "auth.jwt", error.to_string());
            None
        }
    }
}

fn rule(
    sources: &Sources,
    index: usize,
    config: &JwtConfig,
    key_sets: &dyn KeySetSource,
    faults: &mut Vec<ConfigFault>,
) -> Option<JwtIssuerRule> {
    let algorithms: Vec<TokenAlgorithm> =
        config.algorithms.iter().map(|name| algorithm(*name)).collect();
    let path = |key: &str| format!("auth.jwt[{index}].{key}");
    if algorithms.is_empty() {
        // Asked before the keys are read, which is done by what they are for.
        let problem = "list the algorithms that the issuer signs with, such as `[RS256]`";
        sources.gateway.report(faults, &path("algorithms"), problem);
        return None;
    }
    let keys = match (&config.jwks, config.keys.is_empty()) {
        (None, false) => KeySource::Static(keys(sources, index, &algorithms, faults)?),
        (Some(jwks), true) => fetched(sources, index, jwks, key_sets, faults)?,
        (None, true) => {
            let document = &sources.gateway.document;
            if document.is_whole(&path("keys")) && document.is_whole(&path("jwks")) {
                let problem = "nothing verifies the issuer's tokens; add `keys`, or its `jwks`";
                sources.gateway.report(faults, &path("keys"), problem);
            }
            return None;
        }
        (Some(_), false) => {
            let problem = "write either `keys` or `jwks`, not both";
            sources.gateway.report(faults, &path("jwks"), problem);
            return None;
        }
    };
    let rule = JwtIssuerRule {
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        algorithms,
        keys,
        token_type: config.token_type.clone(),
        jti_required: config.jti_required,
        leeway: config.leeway.duration(),
        required_claims: config.required_claims.clone(),
    };
    // Alone first, so that a fault of one of many issuers is told where that one stands.
    match JwtVerifier::new(vec![rule.clone()]) {
        Ok(_) => Some(rule),
        Err(error) => {
            sources.gateway.report(faults, &format!("auth.jwt[{index}]"), error.to_string());
            None
        }
    }
}

/// The keys that are configured; each place may hold several.
fn keys(
    sources: &Sources,
    index: usize,
    algorithms: &[TokenAlgorithm],
    faults: &mut Vec<ConfigFault>,
) -> Option<Vec<VerifyingKey>> {
    let count = sources.gateway.value.auth.jwt.get(index)?.keys.len();
    let (mut all, mut is_whole) = (Vec::new(), true);
    for number in 0..count {
        let path = format!("auth.jwt[{index}].keys[{number}]");
        let read = sources.secrets.get(&path).map(|kept| static_keys(kept.as_bytes(), algorithms));
        match read {
            Some(Ok(keys)) => all.extend(keys),
            Some(Err(error)) => {
                sources.gateway.report(faults, &path, error.to_string());
                is_whole = false;
            }
            // What could not be read is reported where it was read.
            None => is_whole = false,
        }
    }
    is_whole.then_some(all)
}

fn fetched(
    sources: &Sources,
    index: usize,
    config: &JwksConfig,
    key_sets: &dyn KeySetSource,
    faults: &mut Vec<ConfigFault>,
) -> Option<KeySource> {
    let path = format!("auth.jwt[{index}].jwks");
    let authorities_pem = match &config.ca_file {
        Some(_) => Some(Arc::from(sources.files.get(&format!("{path}.ca_file"))?.as_slice())),
        None => None,
    };
    let wanted = RemoteKeySet {
        url: config.url.clone(),
        refresh: config.refresh.duration(),
        cooldown: config.cooldown.duration(),
        timeout: config.timeout.duration(),
        authorities_pem,
    };
    match key_sets.key_set(&wanted) {
        Ok(live) => Some(KeySource::Set(live)),
        Err(error) => {
            sources.gateway.report(faults, &path, error.to_string());
            None
        }
    }
}

fn algorithm(config: AlgorithmConfig) -> TokenAlgorithm {
    match config {
        AlgorithmConfig::HS256 => TokenAlgorithm::Hs256,
        AlgorithmConfig::HS384 => TokenAlgorithm::Hs384,
        AlgorithmConfig::HS512 => TokenAlgorithm::Hs512,
        AlgorithmConfig::RS256 => TokenAlgorithm::Rs256,
        AlgorithmConfig::RS384 => TokenAlgorithm::Rs384,
        AlgorithmConfig::RS512 => TokenAlgorithm::Rs512,
        AlgorithmConfig::PS256 => TokenAlgorithm::Ps256,
        AlgorithmConfig::PS384 => TokenAlgorithm::Ps384,
        AlgorithmConfig::PS512 => TokenAlgorithm::Ps512,
        AlgorithmConfig::ES256 => TokenAlgorithm::Es256,
        AlgorithmConfig::ES384 => TokenAlgorithm::Es384,
        AlgorithmConfig::EdDSA => TokenAlgorithm::EdDsa,
    }
}
