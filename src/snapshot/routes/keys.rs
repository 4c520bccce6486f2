//! Do requests that differ in what a policy tells apart have different keys?
//!
//! A self-test at start and at each reload: for each route that keeps answers, pairs of requests that
//! differ in one part only are named as a client's would be. Two with one key would get each other's
//! answers, so that a configuration with such a pair is refused. And two that the policy calls the
//! same have one key, or what is warmed would not be found.

use http::Uri;

use crate::auth::Principal;
use crate::cache::key::Key;
use crate::cache::policy::Policy;
use crate::route::{Asking, Route};

/// One request, as far as a key may know it.
#[derive(Clone, Debug)]
struct Sample {
    is_tls: bool,
    host: String,
    path: String,
    /// `name=value` each.
    query: Vec<String>,
    identity: String,
}

impl Sample {
    fn target(&self) -> Option<Uri> {
        let query = self.query.join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{query}", self.path).parse().ok()
    }
}

/// What is wrong with the keys of a route under its policy; nothing where they hold.
pub(super) fn fault(route: &Route, policy: &Policy) -> Option<String> {
    first_fault(policy, |sample| {
        let target = sample.target()?;
        let canonical = policy.query.canonical(&target);
        let asking = Asking {
            is_tls: sample.is_tls,
            host: &sample.host,
            target: canonical.as_ref().unwrap_or(&target),
            identity: &sample.identity,
        };
        Some(route.cache_key(policy, &asking))
    })
}

fn first_fault(policy: &Policy, key_of: impl Fn(&Sample) -> Option<Key>) -> Option<String> {
    let base = base(policy);
    let Some(base_key) = key_of(&base) else {
        return Some("makes a query that is none; look at `query.defaults`".to_owned());
    };
    for (part, sample) in told_apart(policy, &base) {
        if key_of(&sample).is_none_or(|key| key == base_key) {
            let problem = "requests that differ in their";
            return Some(format!("{problem} {part} would share an answer"));
        }
    }
    for (part, sample) in the_same(policy, &base) {
        if key_of(&sample) != Some(base_key) {
            return Some(format!("requests that differ only in {part} would not share an answer"));
        }
    }
    None
}

/// A request with every parameter that a policy names.
fn base(policy: &Policy) -> Sample {
    let mut query: Vec<String> =
        policy.query.examples().map(|(name, value, _)| format!("{name}={value}")).collect();
    query.sort_unstable();
    Sample {
        is_tls: false,
        host: "a.example".to_owned(),
        path: "/a".to_owned(),
        query,
        identity: Principal::anonymous().identity_key(),
    }
}

/// The same request with one part changed that tells answers apart.
fn told_apart(policy: &Policy, base: &Sample) -> Vec<(String, Sample)> {
    let mut changed = vec![
        ("scheme".to_owned(), Sample { is_tls: true, ..base.clone() }),
        ("host".to_owned(), Sample { host: "b.example".to_owned(), ..base.clone() }),
        ("path".to_owned(), Sample { path: "/b".to_owned(), ..base.clone() }),
    ];
    if !policy.shared {
        let identity = format!("{}2", base.identity);
        changed.push(("principal".to_owned(), Sample { identity, ..base.clone() }));
    }
    for (name, value, other) in policy.query.examples() {
        let mut query = base.query.clone();
        for piece in &mut query {
            if *piece == format!("{name}={value}") {
                *piece = format!("{name}={other}");
            }
        }
        changed.push((format!("parameter {name}"), Sample { query, ..base.clone() }));
    }
    if policy.query.keep.is_none() {
        let mut name = "another".to_owned();
        while policy.query.drop.contains(&name) {
            name.push('x');
        }
        let query = base.query.iter().cloned().chain([format!("{name}=1")]).collect();
        changed.push(("further parameters".to_owned(), Sample { query, ..base.clone() }));
    }
    changed
}

/// The same request with one part changed that says nothing under this policy.
fn the_same(policy: &Policy, base: &Sample) -> Vec<(String, Sample)> {
    let mut changed = Vec::new();
    if policy.shared {
        let identity = format!("{}2", base.identity);
        changed.push(("who asks".to_owned(), Sample { identity, ..base.clone() }));
    }
    if policy.query.sort {
        let query = base.query.iter().rev().cloned().collect();
        changed.push(("their order".to_owned(), Sample { query, ..base.clone() }));
    }
    for name in &policy.query.drop {
        let dropped = form_urlencoded(name);
        let query = base.query.iter().cloned().chain([format!("{dropped}=1")]).collect();
        changed.push((format!("parameter {name}"), Sample { query, ..base.clone() }));
    }
    changed
}

fn form_urlencoded(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::super::policy;
    use super::*;
    use crate::cache::key::KeyParts;
    use crate::config::gateway::CachePolicyConfig;

    fn a_policy(yaml: serde_json::Value) -> Policy {
        let config: CachePolicyConfig = serde_json::from_value(yaml).unwrap();
        policy::policy(&config, 1)
    }

    fn wide() -> Policy {
        a_policy(serde_json::json!({
            "fresh": "1h",
            "query": {
                "round": {"lat": "0.25"}, "drop": ["_"], "defaults": {"days": "7"}, "sort": true,
            },
        }))
    }

    /// The key of a request under a policy.
    fn key(policy: &Policy, sample: &Sample) -> Option<Key> {
        let target = sample.target()?;
        let target = policy.query.canonical(&target).unwrap_or(target);
        Some(Key::new(&KeyParts {
            route: "r",
            pool: "p",
            form: None,
            scheme: if sample.is_tls { "https" } else { "http" },
            host: &sample.host,
            path: target.path(),
            query: target.query().unwrap_or_default(),
            principal: (!policy.shared).then_some(&sample.identity),
        }))
    }

    /// A key that forgets what `forget` takes out of the request.
    fn forgetful(policy: &Policy, forget: impl Fn(&mut Sample)) -> Option<String> {
        first_fault(policy, |sample| {
            let mut sample = sample.clone();
            forget(&mut sample);
            key(policy, &sample)
        })
    }

    #[test]
    fn a_key_that_knows_all_parts_holds() {
        assert_eq!(forgetful(&wide(), |_| {}), None);
    }

    #[test]
    fn a_key_that_forgets_a_part_is_found_out() {
        let check = |part: &str, forget: &dyn Fn(&mut Sample)| {
            let fault = forgetful(&wide(), forget).unwrap();
            assert!(fault.contains(part), "{fault}");
        };
        check("scheme", &|sample| sample.is_tls = false);
        check("host", &|sample| sample.host.clear());
        check("path", &|sample| sample.path = "/".to_owned());
        check("principal", &|sample| sample.identity.clear());
        check("parameter days", &|sample| sample.query.retain(|piece| !piece.starts_with("days")));
        check("parameter lat", &|sample| sample.query.retain(|piece| !piece.starts_with("lat")));
        check("further", &|sample| sample.query.retain(|piece| !piece.starts_with("another")));
    }

    #[test]
    fn a_key_that_tells_apart_what_is_the_same_is_found_out() {
        let mut policy = wide();
        policy.shared = true;
        let unsorted = Policy { query: Arc::default(), ..policy.clone() };
        let fault = first_fault(&policy, |sample| key(&unsorted, sample));
        assert!(fault.unwrap().contains("would not share"));
    }
}
