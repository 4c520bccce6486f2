//! Compiles who may call a route.

use super::Compiler;
use crate::auth::{AuthRule, Authenticator, Requirement, Scheme};
use crate::config::route::{RouteAuthConfig, RouteConfig, SchemeConfig};
use crate::route::Endpoint;

impl<'a> Compiler<'a> {
    /// Who may call a route that its configuration describes.
    pub(super) fn authenticator(
        &mut self,
        index: usize,
        config: &'a RouteConfig,
    ) -> Option<Authenticator> {
        let path = format!("routes[{index}].auth");
        let Some(auth) = &config.auth else {
            let problem = "the key \"auth\" is missing; say who may call, such as \
                           `auth: {any: [jwt]}` or `auth: {anonymous: true}`";
            self.report(&path, problem.into());
            return None;
        };
        if !auth.any.is_empty() && !auth.all.is_empty() {
            self.report(&path, "write either `any` or `all`, not both".into());
            return None;
        }
        self.check_scopes(&path, auth);
        let (listed, requirement): (_, fn(Vec<Scheme>) -> Requirement) = if auth.all.is_empty() {
            (&auth.any, Requirement::Any)
        } else {
            (&auth.all, Requirement::All)
        };
        if !self.are_configured(&path, listed) {
            return None;
        }
        let methods = config.methods.iter().map(|name| name.method().clone()).collect();
        let schemes = listed.iter().map(|scheme| compiled(*scheme)).collect();
        let rule =
            AuthRule { requirement: requirement(schemes), anonymous: auth.anonymous, methods };
        match Authenticator::new(rule, self.parts.verifiers) {
            Ok(authenticator) => Some(authenticator),
            // The section itself has a fault that is already told.
            Err(_) if !listed.is_empty() => None,
            Err(error) => {
                self.report(&path, format!("{error}; for a public route write `anonymous: true`"));
                None
            }
        }
    }

    /// Who may call an endpoint: it decides that by itself. A public one looks at the credentials
    /// that there are.
    pub(super) fn endpoint_authenticator(
        &mut self,
        index: usize,
        endpoint: Endpoint,
    ) -> Option<Authenticator> {
        let path = format!("routes[{index}].endpoint");
        let (all, mut schemes) = match endpoint.requirement() {
            Requirement::All(schemes) => (true, schemes),
            Requirement::Any(schemes) => (false, schemes),
        };
        if endpoint.is_public() {
            schemes.retain(|scheme| self.is_configured(written(*scheme)));
        }
        let listed: Vec<SchemeConfig> = schemes.iter().map(|scheme| written(*scheme)).collect();
        if !self.are_configured(&path, &listed) {
            return None;
        }
        let requirement = if all { Requirement::All(schemes) } else { Requirement::Any(schemes) };
        let (anonymous, methods) = (endpoint.is_public(), endpoint.methods());
        let rule = AuthRule { requirement, anonymous, methods };
        // A scheme that is configured and has no verifier has a fault that is already told.
        Authenticator::new(rule, self.parts.verifiers).ok()
    }

    fn check_scopes(&mut self, path: &str, auth: &RouteAuthConfig) {
        for (number, scope) in auth.scopes.iter().enumerate() {
            if scope.any.is_empty() || scope.any.iter().any(String::is_empty) {
                let problem = "name at least one scope, such as `read`".to_owned();
                self.report(&format!("{path}.scopes[{number}]"), problem);
            }
        }
        if auth.integration && (auth.any != [SchemeConfig::Jwt] || auth.anonymous) {
            let problem = "integration tokens are bearer tokens; write `any: [jwt]` and nothing \
                           else beside `integration: true`";
            self.report(path, problem.into());
        }
    }

    fn are_configured(&mut self, path: &str, listed: &[SchemeConfig]) -> bool {
        self.used.schemes.extend(listed);
        for scheme in listed {
            if !self.is_configured(*scheme) {
                let (word, section) = (word(*scheme), section(*scheme));
                self.report(path, format!("accepts {word}, but `{section}` is not configured"));
                return false;
            }
        }
        true
    }

    /// Whether a section that verifies this scheme is written, with faults or without.
    pub(super) fn is_configured(&self, scheme: SchemeConfig) -> bool {
        let auth = &self.source.value.auth;
        let is_written = match scheme {
            SchemeConfig::Jwt => !auth.jwt.is_empty(),
            SchemeConfig::ApiKey => auth.api_keys.is_configured(),
            SchemeConfig::Hmac => auth.hmac.is_some(),
        };
        is_written || !self.source.document.is_whole(section(scheme))
    }
}

fn compiled(scheme: SchemeConfig) -> Scheme {
    match scheme {
        SchemeConfig::Jwt => Scheme::Jwt,
        SchemeConfig::ApiKey => Scheme::ApiKey,
        SchemeConfig::Hmac => Scheme::Signature,
    }
}

/// The word of the configuration for a scheme; there is none for anonymous callers, whom no
/// endpoint requires.
fn written(scheme: Scheme) -> SchemeConfig {
    match scheme {
        Scheme::Anonymous | Scheme::Jwt => SchemeConfig::Jwt,
        Scheme::ApiKey => SchemeConfig::ApiKey,
        Scheme::Signature => SchemeConfig::Hmac,
    }
}

pub(super) fn word(scheme: SchemeConfig) -> &'static str {
    match scheme {
        SchemeConfig::Jwt => "`jwt`",
        SchemeConfig::ApiKey => "`api_key`",
        SchemeConfig::Hmac => "`hmac`",
    }
}

pub(super) fn section(scheme: SchemeConfig) -> &'static str {
    match scheme {
        SchemeConfig::Jwt => "auth.jwt",
        SchemeConfig::ApiKey => "auth.api_keys",
        SchemeConfig::Hmac => "auth.hmac",
    }
}
