//! Finds what shows only when all routes are known: two that take the same, and what none uses.

use super::Compiler;
use super::callers::{section, word};
use super::policy::faults as policy_faults;
use crate::config::route::{RouteConfig, SchemeConfig};

impl Compiler<'_> {
    pub(super) fn check_overlaps(&mut self) {
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

    pub(super) fn check_policies(&mut self) {
        let config = &self.source.value;
        for (name, policy) in &config.cache.policies {
            for (key, problem) in policy_faults(policy) {
                self.report(&format!("cache.policies.{name}.{key}"), problem);
            }
        }
    }

    pub(super) fn check_unused(&mut self) {
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
    let paths = match (&one.path_prefix, &other.path_prefix) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.paths.iter().any(|path| other.paths.contains(path)),
        _ => false,
    };
    hosts && methods && paths
}
