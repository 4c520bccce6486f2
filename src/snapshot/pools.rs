//! Compiles the files in `upstreams/`: the pools that routes lead to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::ConfigFault;
use crate::config::pool::{BudgetConfig, PoolConfig};
use crate::config::sources::{Source, Sources};
use crate::upstream::{Budget, CALLS_MAX, Peer, Pool, PoolTls, Pools, Window};

/// Largest weight: a peer takes that many turns of one round.
const WEIGHT_MAX: u32 = 100;

/// Most refreshes of a pool, at once and waiting.
const REFRESHES_MAX: usize = 100_000;

/// Builds the pools by name, and reports what is wrong with them.
pub(super) fn compile(
    sources: &Sources,
    states: &Pools,
    faults: &mut Vec<ConfigFault>,
) -> BTreeMap<String, Arc<Pool>> {
    let mut pools = BTreeMap::new();
    for (name, source) in &sources.pools {
        check(source, faults);
        pools.insert(name.clone(), Arc::new(pool(name, source, sources, states, faults)));
    }
    pools
}

fn pool(
    name: &str,
    source: &Source<PoolConfig>,
    sources: &Sources,
    states: &Pools,
    faults: &mut Vec<ConfigFault>,
) -> Pool {
    let config = &source.value;
    let mut turns = Vec::new();
    for (index, peer) in config.peers.iter().enumerate() {
        if !(1..=WEIGHT_MAX).contains(&peer.weight) {
            let problem = format!("write a weight from 1 to {WEIGHT_MAX}");
            source.report(faults, &format!("peers[{index}].weight"), problem);
            continue;
        }
        // An address that does not resolve is reported where it was looked up.
        if let Some(address) = sources.addresses.get(&(name.to_owned(), index)) {
            turns.extend((0..peer.weight).map(|_| Peer { address: *address }));
        }
    }
    Pool {
        name: name.to_owned(),
        turns,
        tls: config.tls.as_ref().map(|tls| PoolTls { server_name: tls.server_name.clone() }),
        connect_timeout: config.connect_timeout.duration(),
        idle_timeout: config.idle_timeout.duration(),
        attempts_max: config.attempts_max,
        in_flight_max: config.in_flight_max,
        eject_for: config.eject_for.duration(),
        budget: config.budget.and_then(budget),
        refreshes_max: config.refreshes_max,
        refresh_queue_max: config.refresh_queue_max,
        state: states.state_of(name),
    }
}

/// The windows that are named; nothing where none is, which is reported.
fn budget(config: BudgetConfig) -> Option<Budget> {
    let windows = windows(config).into_iter().filter_map(|(name, seconds, calls)| {
        Some(Window { name, period: Duration::from_secs(seconds), calls: calls? })
    });
    let windows: Vec<Window> = windows.collect();
    (!windows.is_empty()).then_some(Budget { windows })
}

fn windows(config: BudgetConfig) -> [(&'static str, u64, Option<u32>); 3] {
    let BudgetConfig { minute, hour, day } = config;
    [("minute", 60, minute), ("hour", 3_600, hour), ("day", 86_400, day)]
}

fn check_budget(source: &Source<PoolConfig>, config: BudgetConfig, faults: &mut Vec<ConfigFault>) {
    if windows(config).iter().all(|(_, _, calls)| calls.is_none()) {
        let problem = "write how many calls it may take, as `minute`, `hour` or `day`";
        source.report(faults, "budget", problem);
    }
    for (name, _, calls) in windows(config) {
        if calls.is_some_and(|calls| !(1..=CALLS_MAX).contains(&calls)) {
            let problem = format!("write a number of calls from 1 to {CALLS_MAX}");
            source.report(faults, &format!("budget.{name}"), problem);
        }
    }
}

fn check(source: &Source<PoolConfig>, faults: &mut Vec<ConfigFault>) {
    let config = &source.value;
    if config.peers.is_empty() && source.document.is_whole("peers") {
        source.report(faults, "peers", "name at least one, as `- address: 127.0.0.1:8090`");
    }
    if !(1..=16).contains(&config.attempts_max) {
        source.report(faults, "attempts_max", "write a number from 1 to 16");
    }
    if let Some(budget) = config.budget {
        check_budget(source, budget, faults);
    }
    for (key, value) in
        [("refreshes_max", config.refreshes_max), ("refresh_queue_max", config.refresh_queue_max)]
    {
        if !(1..=REFRESHES_MAX).contains(&value) {
            source.report(faults, key, format!("write a number from 1 to {REFRESHES_MAX}"));
        }
    }
    if config.in_flight_max == 0 {
        source.report(faults, "in_flight_max", "write 1 or more, or no request could pass");
    }
    if config.tls.as_ref().is_some_and(|tls| tls.server_name.trim().is_empty()) {
        let problem = "write the name in the peers' certificates; without one nothing is verified";
        source.report(faults, "tls.server_name", problem);
    }
}
