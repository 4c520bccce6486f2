//! Compiles a cache policy.

use std::time::Duration;

use crate::cache::policy::{Lifetime, Policy};
use crate::cache::windows::Grace;
use crate::config::gateway::{CachePolicyConfig, ShareConfig};
use crate::config::scalar::{Fresh, Period};

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
        obeys_clients: config.obey_clients,
        object_bytes_max,
    }
}

/// The keys of a policy that count for nothing beside its `fresh`.
pub(super) fn idle_keys(config: &CachePolicyConfig) -> impl Iterator<Item = &'static str> {
    let is_fixed = matches!(config.fresh, Fresh::For(_));
    let keys = [("unsaid", config.unsaid), ("heuristic_max", config.heuristic_max)];
    keys.into_iter().filter(move |(_, value)| is_fixed && value.is_some()).map(|(key, _)| key)
}
