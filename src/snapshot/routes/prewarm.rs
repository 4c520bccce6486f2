//! Compiles a route's `prewarm`.

use http::uri::PathAndQuery;

use super::Compiler;
use crate::cache::policy::{Lifetime, Policy};
use crate::config::route::{PointsConfig, PrewarmConfig, RouteConfig};
use crate::points::{self, POINTS_MAX, Point};
use crate::route::{Listed, Prewarm};

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
        if config.jitter.duration() >= config.every.duration() {
            self.report(&format!("{path}.jitter"), "must be less than `every`".into());
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
        if host.is_none() {
            self.report(path, "add the `host` that clients will name".into());
        }
        let (targets, listed) = self.targets(path, config)?;
        let listeners = &self.source.value.listeners;
        let mut schemes: Vec<bool> =
            listeners.iter().map(|listener| listener.tls.is_some()).collect();
        schemes.sort_unstable();
        schemes.dedup();
        Some(Prewarm {
            every: config.every.duration(),
            jitter: config.jitter.duration(),
            host: host?.as_str().to_owned(),
            schemes,
            targets,
            listed,
        })
    }

    /// The targets that are complete, and what makes the others so.
    fn targets(
        &mut self,
        path: &str,
        config: &PrewarmConfig,
    ) -> Option<(Vec<String>, Option<Listed>)> {
        let (templates, plain): (Vec<String>, Vec<String>) =
            config.targets.iter().cloned().partition(|target| target.contains('{'));
        let Some(points) = &config.points else {
            if !templates.is_empty() {
                let problem = "names in braces stand for what `points` say, and there are none";
                self.report(&format!("{path}.targets"), problem.into());
            }
            return Some((plain, None));
        };
        let path = format!("{path}.points");
        if templates.is_empty() {
            self.report(&path, "no target has a name in braces, as `?lat={lat}`".into());
        }
        if !(1..=POINTS_MAX).contains(&points.points_max) {
            let problem = format!("write a number from 1 to {POINTS_MAX}");
            self.report(&format!("{path}.points_max"), problem);
        }
        match (&points.file, &points.route, &points.path) {
            (Some(file), None, None) => {
                let is_json = file.extension().is_some_and(|ending| ending == "json");
                let found = self.points_of_file(&path, points, is_json)?;
                match points::targets(&config.targets, &found) {
                    Ok(targets) => return Some((targets, None)),
                    Err(error) => self.report(&format!("{path}.file"), error.to_string()),
                }
            }
            (None, Some(route), Some(list)) => {
                let listed = Listed {
                    route: route.clone(),
                    path: list.clone(),
                    pointer: points.list.clone(),
                    points_max: points.points_max,
                    templates,
                };
                self.check_list(&path, &listed);
                return Some((plain, Some(listed)));
            }
            _ => {
                let problem = "write a `file`, or the `route` and the `path` of a list";
                self.report(&path, problem.into());
            }
        }
        None
    }

    fn points_of_file(
        &mut self,
        path: &str,
        config: &PointsConfig,
        is_json: bool,
    ) -> Option<Vec<Point>> {
        let path = format!("{path}.file");
        // What could not be read is reported where that was tried.
        let text = self.sources.files.get(&path)?;
        let found = if is_json {
            points::of_json(text, &config.list, config.points_max)
        } else {
            points::of_csv(text, config.points_max)
        };
        found.map_err(|error| self.report(&path, error.to_string())).ok()
    }

    fn check_list(&mut self, path: &str, listed: &Listed) {
        let routes = &self.source.value.routes;
        let Some(route) = routes.iter().find(|route| route.name == listed.route) else {
            let problem = format!("there is no route {:?}", listed.route);
            return self.report(&format!("{path}.route"), problem);
        };
        if route.pool.is_none() {
            let problem = "that route leads to no service".to_owned();
            self.report(&format!("{path}.route"), problem);
        }
        if !takes(route, &listed.path) {
            let problem = format!("write a path with query that the route {:?} takes", route.name);
            self.report(&format!("{path}.path"), problem);
        }
    }
}

/// Whether a target can be asked for under this route, whatever its names in braces stand for.
fn takes(route: &RouteConfig, target: &str) -> bool {
    let braces_pair = target.matches('{').count() == target.matches('}').count();
    let plain = target.replace(['{', '}'], "0");
    let Some(target) = plain.parse::<PathAndQuery>().ok().filter(|_| braces_pair) else {
        return false;
    };
    match &route.path_prefix {
        Some(prefix) => target.path().starts_with(prefix.as_str()),
        None => route.paths.iter().any(|path| path.as_str() == target.path()),
    }
}
