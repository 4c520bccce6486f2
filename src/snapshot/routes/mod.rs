//! Compiles `routes`: joins every rule that a path has, and finds what is named and missing, or
//! defined and never used.

mod callers;
mod catalog;
mod keys;
mod policy;
mod prewarm;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::auth::Verifiers;
use crate::cache::policy::Policy;
use crate::config::ConfigFault;
use crate::config::gateway::GatewayConfig;
use crate::config::route::{
    CredentialsConfig, EndpointConfig, RouteConfig, SchemeConfig, ScopeConfig,
};
use crate::config::sources::{Source, Sources};
use crate::envelope::Rule;
use crate::route::{Credentials, Endpoint, Limit, Paths, Route, ScopeRule, Target};
use crate::upstream::Pool;

use super::limits::Limits;
use super::{status_form, unknown};

/// Most quotas of one route: one fewer than are charged at once, for the failures of a login.
const QUOTAS_MAX: usize = 7;

struct Compiler<'a> {
    sources: &'a Sources,
    source: &'a Source<GatewayConfig>,
    parts: &'a Parts<'a>,
    faults: &'a mut Vec<ConfigFault>,
    used: Used<'a>,
}

/// What routes refer to.
pub(super) struct Parts<'a> {
    /// The verifiers.
    pub(super) verifiers: &'a Verifiers,
    /// The pools by name.
    pub(super) pools: &'a BTreeMap<String, Arc<Pool>>,
    /// The quotas by name.
    pub(super) limits: &'a Limits,
    /// Whether there is something to issue tokens with.
    pub(super) issues_tokens: bool,
    /// Whether there is something to make internal tokens with.
    pub(super) makes_internal_tokens: bool,
}

#[derive(Default)]
struct Used<'a> {
    pools: BTreeSet<&'a str>,
    quotas: BTreeSet<&'a str>,
    policies: BTreeSet<&'a str>,
    schemes: Vec<SchemeConfig>,
    /// Whether a route names a pool, quota or policy that is not there: then the one that is meant
    /// is not unused.
    named_in_vain: bool,
}

pub(super) use catalog::catalog;

/// Builds the routes, and reports what is wrong with them.
pub(super) fn compile(
    sources: &Sources,
    parts: &Parts<'_>,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Arc<Route>> {
    let source = &sources.gateway;
    let mut compiler = Compiler { sources, source, parts, faults, used: Used::default() };
    if source.value.routes.is_empty() {
        compiler.report("routes", "name at least one route, or nothing can be answered".into());
    }
    let routes: Vec<_> = source
        .value
        .routes
        .iter()
        .enumerate()
        .filter_map(|(index, config)| compiler.route(index, config))
        .map(Arc::new)
        .collect();
    compiler.check_overlaps();
    compiler.check_documents();
    compiler.check_policies();
    compiler.check_unused();
    routes
}

impl<'a> Compiler<'a> {
    fn report(&mut self, path: &str, problem: String) {
        self.source.report(self.faults, path, problem);
    }

    fn route(&mut self, index: usize, config: &'a RouteConfig) -> Option<Route> {
        let at = |key: &str| format!("routes[{index}].{key}");
        let target = self.target(index, config);
        if config.quotas.len() > QUOTAS_MAX {
            let problem = format!("at most {QUOTAS_MAX} quotas hold for one route; leave some out");
            self.report(&at("quotas"), problem);
        }
        let quotas = config.quotas.iter().enumerate();
        let limits: Vec<Option<Arc<Limit>>> = quotas
            .map(|(number, name)| self.limit(&at(&format!("quotas[{number}]")), name))
            .collect();
        let cache = config.cache.as_deref().and_then(|name| self.policy(&at("cache"), name));
        let paths = self.paths(index, config);
        let auth = config.auth.clone().unwrap_or_default();
        let authenticator = match config.endpoint {
            Some(endpoint) => self.endpoint_authenticator(index, endpoint.into()),
            None => self.authenticator(index, config),
        };
        let prewarm = config
            .prewarm
            .as_ref()
            .and_then(|prewarm| self.prewarm(&at("prewarm"), config, prewarm, cache.as_ref()));
        if config.name.is_empty() || config.name.len() > 64 {
            self.report(&at("name"), "write a name of 1 to 64 characters".into());
        }
        let credentials = self.credentials(&at("credentials"), config);
        let endpoint: Option<Endpoint> = config.endpoint.map(Into::into);
        let all = &self.source.value;
        let status_form = status_form(all.envelope.status);
        let body_bytes_max = all.envelope.body_bytes_max.bytes();
        let route = Route {
            name: config.name.clone(),
            hosts: config.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            paths: paths?,
            methods: match endpoint {
                Some(endpoint) => endpoint.methods(),
                None => config.methods.iter().map(|name| name.method().clone()).collect(),
            },
            authenticator: authenticator?,
            scopes: auth.scopes.iter().map(scope_rule).collect(),
            integration: auth.integration
                || endpoint.is_some_and(Endpoint::wants_integration_token),
            limits: limits.into_iter().collect::<Option<_>>()?,
            is_login: config.login,
            is_json_only: config.json_only
                || endpoint.is_some_and(|endpoint| !endpoint.ignores_accept()),
            cache,
            envelope: config.envelope.then_some(Rule { status_form, body_bytes_max }),
            status_form,
            credentials,
            timeout: config.timeout.duration(),
            body_bytes_max: config.body_bytes_max.bytes(),
            target: target?,
            prewarm,
        };
        if let Some(problem) = route.cache.as_ref().and_then(|policy| keys::fault(&route, policy)) {
            self.report(&at("cache"), problem);
        }
        Some(route)
    }

    fn pool(&mut self, path: &str, name: &'a str) -> Option<Arc<Pool>> {
        self.used.pools.insert(name);
        let found = self.parts.pools.get(name).cloned();
        if found.is_none() && !self.sources.is_broken_pool(name) {
            self.used.named_in_vain = true;
            let problem = unknown("pool", name, self.parts.pools.keys().map(String::as_str));
            self.report(path, problem);
        }
        found
    }

    fn limit(&mut self, path: &str, name: &'a str) -> Option<Arc<Limit>> {
        self.used.quotas.insert(name);
        let found = self.parts.limits.quotas.get(name).cloned();
        if found.is_none() && self.source.document.is_whole("limits.quotas") {
            self.used.named_in_vain = true;
            let known = self.source.value.limits.quotas.keys().map(String::as_str);
            self.report(path, unknown("quota", name, known));
        }
        found
    }

    fn policy(&mut self, path: &str, name: &'a str) -> Option<Policy> {
        self.used.policies.insert(name);
        let cache = &self.source.value.cache;
        if let Some(config) = cache.policies.get(name) {
            return Some(policy::policy(config, cache.object_bytes_max.bytes()));
        }
        if self.source.document.is_whole("cache.policies") {
            self.used.named_in_vain = true;
            let known = cache.policies.keys().map(String::as_str);
            self.report(path, unknown("cache policy", name, known));
        }
        None
    }

    /// Who answers: the gateway itself, or a pool.
    fn target(&mut self, index: usize, config: &'a RouteConfig) -> Option<Target> {
        let at = |key: &str| format!("routes[{index}].{key}");
        match (config.endpoint, &config.pool) {
            (None, Some(pool)) => self.pool(&at("pool"), pool).map(Target::Pool),
            (Some(endpoint), None) => {
                let endpoint = Endpoint::from(endpoint);
                self.check_endpoint(index, config, endpoint);
                Some(Target::Endpoint(endpoint))
            }
            (Some(_), Some(_)) => {
                let problem = "the gateway answers an endpoint itself; remove the pool";
                self.report(&at("pool"), problem.into());
                None
            }
            (None, None) => {
                let problem = "nothing answers this route; add `pool: <name of its file>`, or \
                               `endpoint`";
                self.report(&at("pool"), problem.into());
                None
            }
        }
    }

    fn check_endpoint(&mut self, index: usize, config: &RouteConfig, endpoint: Endpoint) {
        let decided = [
            ("api_document", config.api_document.is_some()),
            ("auth", config.auth.is_some()),
            ("cache", config.cache.is_some()),
            ("envelope", config.envelope),
            ("login", config.login),
            ("methods", !config.methods.is_empty()),
            ("prewarm", config.prewarm.is_some()),
        ];
        for (key, _) in decided.into_iter().filter(|(_, is_written)| *is_written) {
            let problem = "the endpoint decides this by itself; remove the key";
            self.report(&format!("routes[{index}].{key}"), problem.into());
        }
        if endpoint == Endpoint::Token && !self.parts.issues_tokens {
            let path = format!("routes[{index}].endpoint");
            let problem = "issues tokens, but `auth.token` does not say which; configure it";
            self.report(&path, problem.into());
        }
    }

    fn paths(&mut self, index: usize, config: &RouteConfig) -> Option<Paths> {
        let problem = match (&config.path_prefix, config.paths.is_empty(), config.endpoint) {
            (Some(prefix), true, None) => return Some(Paths::Prefix(prefix.as_str().to_owned())),
            (None, false, _) => {
                let paths = config.paths.iter().map(|path| path.as_str().to_owned());
                return Some(Paths::Exact(paths.collect()));
            }
            (None, true, None) => "the route takes no path; add `path_prefix`, or exact `paths`",
            (_, _, Some(_)) => "an endpoint has exact `paths`; write those",
            (Some(_), false, None) => "write either `path_prefix` or `paths`, not both",
        };
        self.report(&format!("routes[{index}].path_prefix"), problem.into());
        None
    }

    fn credentials(&mut self, path: &str, config: &RouteConfig) -> Credentials {
        match config.credentials {
            CredentialsConfig::Forward => Credentials::Forward,
            CredentialsConfig::Strip => Credentials::Strip,
            CredentialsConfig::Internal => {
                if !self.parts.makes_internal_tokens {
                    let problem = "replaces credentials by an internal token, but `auth.internal` \
                                   does not say which; configure it";
                    self.report(path, problem.into());
                }
                Credentials::Internal
            }
        }
    }
}

impl From<EndpointConfig> for Endpoint {
    fn from(config: EndpointConfig) -> Self {
        match config {
            EndpointConfig::ApiCatalog => Self::ApiCatalog,
            EndpointConfig::Health => Self::Health,
            EndpointConfig::KeyPing => Self::KeyPing,
            EndpointConfig::SignedPing => Self::SignedPing,
            EndpointConfig::Status => Self::Status,
            EndpointConfig::Token => Self::Token,
            EndpointConfig::Whoami => Self::Whoami,
        }
    }
}

fn scope_rule(config: &ScopeConfig) -> ScopeRule {
    let methods = config.methods.iter().map(|name| name.method().clone()).collect();
    ScopeRule { any: config.any.clone(), methods }
}
