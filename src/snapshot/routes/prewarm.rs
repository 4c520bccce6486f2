//! Compiles a route's `prewarm`.

use http::uri::PathAndQuery;

use super::Compiler;
use crate::cache::policy::{Lifetime, Policy};
use crate::config::route::{PrewarmConfig, RouteConfig};
use crate::route::Prewarm;

impl Compiler<'_> {
    pub(super) fn prewarm(
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
        if let Lifetime::Fixed(fresh) = policy.lifetime
            && config.every.duration() >= fresh
        {
            let every = format!("{path}.every");
            let problem = format!("must be less than the policy's `fresh` ({fresh:?})");
            self.report(&every, problem);
        }
        if !policy.shared && !route.auth.as_ref().is_some_and(|auth| auth.anonymous) {
            let problem = "warms answers that no client can get: the policy keeps one for each \
                           principal; write `share: everyone` in the policy";
            self.report(path, problem.into());
        }
        for (index, target) in config.targets.iter().enumerate() {
            if !takes(route, target) {
                let problem = "write a path with query that the route takes".to_owned();
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
}

/// Whether a target can be asked for under this route.
fn takes(route: &RouteConfig, target: &str) -> bool {
    let Ok(target) = target.parse::<PathAndQuery>() else { return false };
    match &route.path_prefix {
        Some(prefix) => target.path().starts_with(prefix.as_str()),
        None => route.paths.iter().any(|path| path.as_str() == target.path()),
    }
}
