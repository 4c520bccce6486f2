//! Compiles a cache policy.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::coding::Coding;
use crate::cache::policy::{Lifetime, Policy};
use crate::cache::query::{QueryRules, Step};
use crate::cache::windows::Grace;
use crate::config::gateway::{CachePolicyConfig, CodingConfig, QueryConfig, ShareConfig};
use crate::config::scalar::{Decimal, Fresh, Period};

/// How long a failure is remembered where the policy has its own times and does not say.
const ERROR_FOR: Duration = Duration::from_secs(1);

/// The policy that a configuration describes; bodies up to `object_bytes_max` are kept.
pub(super) fn policy(config: &CachePolicyConfig, object_bytes_max: usize) -> Policy {
    let unsaid = config.unsaid.map_or(Duration::ZERO, Period::duration);
    let heuristic_max = config.heuristic_max.map(Period::duration);
    // What the upstream does not allow to be kept, a failure among it, is not kept either.
    let (lifetime, error_for) = match config.fresh {
        Fresh::For(fresh) => (Lifetime::Fixed(fresh.duration()), ERROR_FOR),
        Fresh::Upstream => (Lifetime::Upstream { unsaid, heuristic_max }, Duration::ZERO),
    };
    Policy {
        lifetime,
        grace: Grace {
            while_revalidate: config.stale_while_revalidate.duration(),
            if_error: config.stale_if_error.duration(),
        },
        error_for: config.error_for.map_or(error_for, Period::duration),
        shared: config.share == ShareConfig::Everyone,
        refresh_ahead: config.refresh_ahead,
        obeys_clients: config.obey_clients,
        query: Arc::new(query(&config.query)),
        object_bytes_max,
        compress: config.compress.iter().map(coding).collect(),
    }
}

fn coding(config: &CodingConfig) -> Coding {
    match config {
        CodingConfig::Br => Coding::Brotli,
        CodingConfig::Zstd => Coding::Zstd,
        CodingConfig::Gzip => Coding::Gzip,
    }
}

fn query(config: &QueryConfig) -> QueryRules {
    let step = |decimal: &Decimal| Step { units: decimal.digits(), places: decimal.places() };
    QueryRules {
        round: config.round.iter().map(|(name, decimal)| (name.clone(), step(decimal))).collect(),
        keep: config.keep.as_ref().map(|names| names.iter().cloned().collect()),
        drop: config.drop.iter().cloned().collect(),
        defaults: config.defaults.clone(),
        sort: config.sort,
    }
}

/// What is wrong with a policy, each with the key that it is about.
pub(super) fn faults(config: &CachePolicyConfig) -> Vec<(String, String)> {
    let unshared = (config.refresh_ahead && config.share == ShareConfig::Principal).then(|| {
        let problem = "fetches for nobody in particular, and this policy keeps an answer for each \
                       principal; write `share: everyone` or remove it";
        ("refresh_ahead".to_owned(), problem.to_owned())
    });
    let idle = idle_keys(config)
        .map(|key| (key.to_owned(), "counts only with `fresh: upstream`; remove it".to_owned()));
    let QueryConfig { keep, drop, defaults, round, .. } = &config.query;
    let both = (keep.is_some() && !drop.is_empty()).then(|| {
        let problem = "what is not in `keep` is dropped already; write one of the two";
        ("query.drop".to_owned(), problem.to_owned())
    });
    let dropped = |name: &String| {
        drop.contains(name) || keep.as_ref().is_some_and(|keep| !keep.contains(name))
    };
    let vain = round
        .keys()
        .map(|name| ("round", name))
        .chain(defaults.keys().map(|name| ("defaults", name)));
    let vain = vain.filter(|(_, name)| dropped(name)).map(|(key, name)| {
        (format!("query.{key}.{name}"), "the parameter is dropped; remove it here".to_owned())
    });
    let unfit =
        defaults.iter().filter(|(name, value)| !fits_a_query(name, value)).map(|(name, _)| {
            let problem = "write name and value as they stand in a query, with %20 for a space";
            (format!("query.defaults.{name}"), problem.to_owned())
        });
    let compress = &config.compress;
    let is_twice =
        |index: &usize| compress.iter().take(*index).any(|one| Some(one) == compress.get(*index));
    let twice = (0..compress.len()).filter(is_twice).map(|index| {
        (format!("compress[{index}]"), "the coding stands before it already; remove it".to_owned())
    });
    idle.chain(unshared).chain(both).chain(vain).chain(unfit).chain(twice).collect()
}

fn fits_a_query(name: &str, value: &str) -> bool {
    let pair = format!("{name}={value}");
    let is_one = !name.is_empty() && !name.contains('=') && !pair.contains(['&', '#']);
    is_one && format!("/?{pair}").parse::<http::Uri>().is_ok()
}

/// The keys of a policy that count for nothing beside its `fresh`.
fn idle_keys(config: &CachePolicyConfig) -> impl Iterator<Item = &'static str> {
    let is_fixed = matches!(config.fresh, Fresh::For(_));
    let keys = [("unsaid", config.unsaid), ("heuristic_max", config.heuristic_max)];
    keys.into_iter().filter(move |(_, value)| is_fixed && value.is_some()).map(|(key, _)| key)
}
