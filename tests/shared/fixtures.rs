//! What most tests begin with: a connection that is kept, and a way to wait.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use farmgate::clock::Now;
use farmgate::ratelimit::Buckets;
use farmgate::state::redis::{Redis, RedisRules};
use harness::{PATIENCE, RedisServer};
use tokio::time::timeout;

/// The rules for an address, with a time limit that a busy machine keeps too.
pub(crate) fn rules(url: &str) -> RedisRules {
    let mut rules = RedisRules::new(url.parse().unwrap());
    rules.timeout = Duration::from_secs(5);
    rules
}

/// A connection that is looked after, as in the running gateway.
pub(crate) async fn connected(rules: RedisRules) -> Arc<Redis> {
    let redis = Redis::new(rules).unwrap();
    redis.connect().await.unwrap();
    tokio::spawn(redis.clone().keep());
    redis
}

/// Two connections to one server, as two gateways have them.
pub(crate) async fn two(server: &RedisServer) -> [Arc<Redis>; 2] {
    [connected(rules(&server.url())).await, connected(rules(&server.url())).await]
}

/// Room for a few windows.
pub(crate) fn buckets() -> Buckets {
    Buckets::new(NonZeroUsize::new(100).unwrap(), Now::read())
}

/// Returns when the condition holds, looking again whenever others had their turn.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let search = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, search).await.is_ok(), "waited {PATIENCE:?} for this: {what}");
}

/// Returns when each connection is as wanted.
pub(crate) async fn until_up(connections: &[Arc<Redis>], up: bool) {
    eventually(&format!("Redis is up: {up}"), async || {
        connections.iter().all(|redis| redis.is_up() == up)
    })
    .await;
}
