//! Compiles `routes`: joins every rule that a path has, and finds what is named and missing, or
//! defined and never used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::uri::PathAndQuery;

use crate::auth::{AuthRule, Authenticator, Requirement, Scheme, Verifiers};
use crate::cache::policy::Policy;
use crate::config::ConfigFault;
use crate::config::gateway::{GatewayConfig, ShareConfig};
use crate::config::route::{CredentialsConfig, PrewarmConfig, RouteConfig, SchemeConfig};
use crate::config::sources::{Source, Sources};
use crate::envelope::Rule;
use crate::ratelimit::Quota;
use crate::route::{Limit, Prewarm, Route};
use crate::upstream::Pool;

use super::{status_form, unknown};

/// Largest quota: each request of it is remembered for the length of its period.
const QUOTA_REQUESTS_MAX: u32 = 10_000;

struct Compiler<'a> {
    sources: &'a Sources,
    source: &'a Source<GatewayConfig>,
    verifiers: &'a Verifiers,
    pools: &'a BTreeMap<String, Arc<Pool>>,
    faults: &'a mut Vec<ConfigFault>,
    used: Used<'a>,
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

/// Builds the routes, and reports what is wrong with them.
pub(super) fn compile(
    sources: &Sources,
    verifiers: &Verifiers,
    pools: &BTreeMap<String, Arc<Pool>>,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Arc<Route>> {
    let source = &sources.gateway;
    let mut compiler =
        Compiler { sources, source, verifiers, pools, faults, used: Used::default() };
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
    compiler.check_quotas();
    compiler.check_unused();
    routes
}

impl<'a> Compiler<'a> {
    fn report(&mut self, path: &str, problem: String) {
        self.source.report(self.faults, path, problem);
    }

    fn route(&mut self, index: usize, config: &'a RouteConfig) -> Option<Route> {
        let at = |key: &str| format!("routes[{index}].{key}");
        let pool = self.pool(&at("pool"), &config.pool);
        let limit = config.quota.as_deref().and_then(|name| self.limit(&at("quota"), name));
        let cache = config.cache.as_deref().and_then(|name| self.policy(&at("cache"), name));
        let authenticator = self.authenticator(&at("auth"), config);
        let prewarm = config
            .prewarm
            .as_ref()
            .and_then(|prewarm| self.prewarm(&at("prewarm"), config, prewarm, cache.as_ref()));
        if config.name.is_empty() || config.name.len() > 64 {
            self.report(&at("name"), "write a name of 1 to 64 characters".into());
        }
        let all = &self.source.value;
        let status_form = status_form(all.envelope.status);
        let body_bytes_max = all.envelope.body_bytes_max.bytes();
        Some(Route {
            name: config.name.clone(),
            hosts: config.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            path_prefix: config.path_prefix.as_str().to_owned(),
            methods: config.methods.iter().map(|name| name.method().clone()).collect(),
            authenticator: authenticator?,
            scope: config.auth.scope.clone(),
            limit,
            cache,
            envelope: config.envelope.then_some(Rule { status_form, body_bytes_max }),
            status_form,
            strips_credentials: config.credentials == CredentialsConfig::Strip,
            timeout: config.timeout.duration(),
            body_bytes_max: config.body_bytes_max.bytes(),
            pool: pool?,
            prewarm,
        })
    }

    fn pool(&mut self, path: &str, name: &'a str) -> Option<Arc<Pool>> {
        self.used.pools.insert(name);
        let found = self.pools.get(name).cloned();
        if found.is_none() && !self.sources.is_broken_pool(name) {
            self.used.named_in_vain = true;
            let problem = unknown("pool", name, self.pools.keys().map(String::as_str));
            self.report(path, problem);
        }
        found
    }

    fn limit(&mut self, path: &str, name: &'a str) -> Option<Arc<Limit>> {
        self.used.quotas.insert(name);
        let quotas = &self.source.value.limits.quotas;
        if let Some(rate) = quotas.get(name) {
            let quota = Quota { requests: rate.count(), period: rate.period() };
            return Limit::new(name, quota).map(Arc::new);
        }
        if self.source.document.is_whole("limits.quotas") {
            self.used.named_in_vain = true;
            self.report(path, unknown("quota", name, quotas.keys().map(String::as_str)));
        }
        None
    }

    fn policy(&mut self, path: &str, name: &'a str) -> Option<Policy> {
        self.used.policies.insert(name);
        let cache = &self.source.value.cache;
        if let Some(config) = cache.policies.get(name) {
            return Some(Policy {
                fresh: config.fresh.duration(),
                stale_while_revalidate: config.stale_while_revalidate.duration(),
                stale_if_error: config.stale_if_error.duration(),
                error_for: config.error_for.duration(),
                shared: config.share == ShareConfig::Everyone,
                object_bytes_max: cache.object_bytes_max.bytes(),
            });
        }
        if self.source.document.is_whole("cache.policies") {
            self.used.named_in_vain = true;
            let known = cache.policies.keys().map(String::as_str);
            self.report(path, unknown("cache policy", name, known));
        }
        None
    }

    fn authenticator(&mut self, path: &str, config: &RouteConfig) -> Option<Authenticator> {
        let auth = &config.auth;
        if !auth.any.is_empty() && !auth.all.is_empty() {
            self.report(path, "write either `any` or `all`, not both".into());
            return None;
        }
        let (listed, requirement): (_, fn(Vec<Scheme>) -> Requirement) = if auth.all.is_empty() {
            (&auth.any, Requirement::Any)
        } else {
            (&auth.all, Requirement::All)
        };
        self.used.schemes.extend(listed);
        for scheme in listed {
            if !self.is_configured(*scheme) {
                let problem = format!(
                    "accepts {}, but `{}` is not configured",
                    word(*scheme),
                    section(*scheme)
                );
                self.report(path, problem);
                return None;
            }
        }
        let methods = config.methods.iter().map(|name| name.method().clone()).collect();
        let schemes = listed.iter().map(|scheme| compiled(*scheme)).collect();
        let rule =
            AuthRule { requirement: requirement(schemes), anonymous: auth.anonymous, methods };
        match Authenticator::new(rule, self.verifiers) {
            Ok(authenticator) => Some(authenticator),
            // The section itself has a fault that is already told.
            Err(_) if !listed.is_empty() => None,
            Err(error) => {
                self.report(path, format!("{error}; for a public route write `anonymous: true`"));
                None
            }
        }
    }

    fn is_configured(&self, scheme: SchemeConfig) -> bool {
        let auth = &self.source.value.auth;
        let written = match scheme {
            SchemeConfig::Jwt => auth.jwt.is_some(),
            SchemeConfig::ApiKey => !auth.api_keys.is_empty(),
            SchemeConfig::Hmac => auth.hmac.is_some(),
        };
        written || self.source.document.was_cut(section(scheme))
    }

    fn prewarm(
        &mut self,
        path: &str,
        route: &RouteConfig,
        config: &PrewarmConfig,
        policy: Option<&Policy>,
    ) -> Option<Prewarm> {
        let Some(policy) = policy else {
            if route.cache.is_none() {
                self.report(path, "warms a cache, but the route has no `cache`".into());
            }
            return None;
        };
        if config.every.duration() >= policy.fresh {
            let every = format!("{path}.every");
            let problem = format!("must be less than the policy's `fresh` ({:?})", policy.fresh);
            self.report(&every, problem);
        }
        if !policy.shared && !route.auth.anonymous {
            let problem = "warms answers that no client can get: the policy keeps one for each \
                           principal; write `share: everyone` in the policy";
            self.report(path, problem.into());
        }
        for (index, target) in config.targets.iter().enumerate() {
            let prefix = route.path_prefix.as_str();
            if target.parse::<PathAndQuery>().is_err() || !target.starts_with(prefix) {
                let problem = format!("write a path with query that begins with `{prefix}`");
                self.report(&format!("{path}.targets[{index}]"), problem);
            }
        }
        let host = config.host.as_ref().or_else(|| route.hosts.first());
        let Some(host) = host else {
            self.report(path, "add the `host` that clients will name".into());
            return None;
        };
        Some(Prewarm {
            every: config.every.duration(),
            host: host.as_str().to_owned(),
            targets: config.targets.clone(),
        })
    }

    fn check_overlaps(&mut self) {
        let routes = &self.source.value.routes;
        let mut found = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            for earlier in routes.iter().take(index) {
                if earlier.name == route.name {
                    let problem = format!("the name \"{}\" is taken by another route", route.name);
                    found.push((format!("routes[{index}].name"), problem));
                } else if overlap(earlier, route) {
                    let problem = format!(
                        "route \"{}\" already takes these hosts, paths and methods",
                        earlier.name
                    );
                    found.push((format!("routes[{index}].path_prefix"), problem));
                }
            }
        }
        for (path, problem) in found {
            self.report(&path, problem);
        }
    }

    fn check_quotas(&mut self) {
        for (name, rate) in &self.source.value.limits.quotas {
            if rate.count() > QUOTA_REQUESTS_MAX {
                let problem = format!(
                    "at most {QUOTA_REQUESTS_MAX} requests can be counted exactly; \
                     write a shorter period"
                );
                self.report(&format!("limits.quotas.{name}"), problem);
            }
        }
    }

    fn check_unused(&mut self) {
        let config = &self.source.value;
        let whole = self.source.document.is_whole("routes");
        if !whole || self.used.named_in_vain {
            return;
        }
        for name in config.limits.quotas.keys() {
            if !self.used.quotas.contains(name.as_str()) {
                self.report(&format!("limits.quotas.{name}"), unused("quota"));
            }
        }
        for name in config.cache.policies.keys() {
            if !self.used.policies.contains(name.as_str()) {
                self.report(&format!("cache.policies.{name}"), unused("cache policy"));
            }
        }
        for scheme in [SchemeConfig::Jwt, SchemeConfig::ApiKey, SchemeConfig::Hmac] {
            if self.is_configured(scheme) && !self.used.schemes.contains(&scheme) {
                let problem = format!("no route accepts {}; remove this section", word(scheme));
                self.report(section(scheme), problem);
            }
        }
        for (name, source) in &self.sources.pools {
            if !self.used.pools.contains(name.as_str()) {
                source.report(self.faults, "", unused("pool"));
            }
        }
    }
}

fn unused(what: &str) -> String {
    format!("no route uses this {what}; remove it, or name it in a route")
}

fn overlap(one: &RouteConfig, other: &RouteConfig) -> bool {
    let hosts = one.hosts.is_empty() && other.hosts.is_empty()
        || one.hosts.iter().any(|host| other.hosts.contains(host));
    let methods = one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|method| other.methods.contains(method));
    hosts && methods && one.path_prefix == other.path_prefix
}

fn compiled(scheme: SchemeConfig) -> Scheme {
    match scheme {
        SchemeConfig::Jwt => Scheme::Jwt,
        SchemeConfig::ApiKey => Scheme::ApiKey,
        SchemeConfig::Hmac => Scheme::Signature,
    }
}

fn word(scheme: SchemeConfig) -> &'static str {
    match scheme {
        SchemeConfig::Jwt => "`jwt`",
        SchemeConfig::ApiKey => "`api_key`",
        SchemeConfig::Hmac => "`hmac`",
    }
}

fn section(scheme: SchemeConfig) -> &'static str {
    match scheme {
        SchemeConfig::Jwt => "auth.jwt",
        SchemeConfig::ApiKey => "auth.api_keys",
        SchemeConfig::Hmac => "auth.hmac",
    }
}
