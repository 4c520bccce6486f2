//! Does a purge reach every gateway, whatever it covers and whatever became of Redis?

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use farmgate::cache::key::{Key, KeyParts, TargetKey};
use farmgate::cache::labels::Labels;
use farmgate::cache::note::{Purge, Scope};
use farmgate::cache::object::{Checked, Object, Validators, Variance};
use farmgate::cache::store::Store;
use farmgate::cache::windows::{Grace, Windows};
use farmgate::clock::Now;
use farmgate::metrics::Metrics;
use farmgate::state::purges::Purges;
use farmgate::state::redis::Redis;
use harness::RedisServer;
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;

use crate::fixtures::{eventually, two};

/// Answers in each store.
const ANSWERS: usize = 100_000;

/// A gateway's store, and what purges it.
struct Machine {
    store: &'static Store,
    purges: Arc<Purges>,
}

impl Machine {
    async fn new(redis: &Arc<Redis>) -> Self {
        let store: &'static Store = Box::leak(Box::new(Store::new(1 << 30)));
        let metrics = Metrics::new().unwrap().purge;
        let purges = Arc::new(Purges::new(store, Some(redis.clone()), metrics));
        purges.begin(Now::read).await;
        let kept = purges.clone();
        tokio::spawn(async move { kept.keep(Now::read).await });
        Self { store, purges }
    }

    fn fill(&self, tag: &str, answers: usize) {
        for n in 0..answers {
            let path = format!("/{n}");
            let labels =
                Labels { path: path.clone(), tags: vec![tag.to_owned()], ..Labels::default() };
            assert!(self.store.put(&key(&path), object(labels, Now::read().wall)));
        }
    }

    fn is_kept(&self, n: usize) -> bool {
        self.store.select(&key(&format!("/{n}")), &HeaderMap::new()).is_some()
    }
}

fn key(path: &str) -> Key {
    let (route, pool, scheme, host, query) = ("r", "p", "http", "h", "");
    Key::new(&KeyParts { route, pool, form: None, scheme, host, path, query, principal: None })
}

fn object(labels: Labels, asked_at: SystemTime) -> Arc<Object> {
    Arc::new(Object {
        head: ResponseHeader::build(200, None).unwrap(),
        body: Bytes::from_static(b"1"),
        windows: Windows::open(
            asked_at,
            Duration::ZERO,
            Duration::from_secs(3_600),
            Grace::default(),
        ),
        validators: Validators::default(),
        variance: Variance::default(),
        upstream_status: StatusCode::OK,
        target: None,
        labels: Arc::new(labels),
        usage: Arc::default(),
        took: Duration::ZERO,
        asked_at,
        refresh_after: UNIX_EPOCH,
        checked: Checked::default(),
        codings: None,
    })
}

fn by_tag(tag: &str) -> Purge {
    Purge::hard(Scope::Tag(TargetKey::tag(tag)))
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the figure is for whoever asks for it with --no-capture")]
async fn purge_of_a_hundred_thousand_answers_costs_no_more_than_one() {
    let server = RedisServer::start().await;
    let connections = two(&server).await;
    let machines = [Machine::new(&connections[0]).await, Machine::new(&connections[1]).await];
    let [one, other] = &machines;
    // Both are counted when both have said that they listen.
    eventually("both listen", async || {
        one.purges.purge(&[by_tag("nothing")], Now::read()).await.by == 2
    })
    .await;
    for machine in &machines {
        machine.fill("t", ANSWERS);
        assert!(machine.is_kept(0) && machine.is_kept(ANSWERS - 1));
    }
    let began = Now::read();
    let applied = one.purges.purge(&[by_tag("t")], began).await;
    let took = Now::read().instant - began.instant;
    println!("a tag of {ANSWERS} answers on two gateways: {took:?}, {applied:?}");
    assert!((0..ANSWERS).all(|n| !one.is_kept(n)));
    if applied.missing > 0 {
        // A busy machine may take longer than the one who purges waits.
        eventually("the other knows", async || !other.is_kept(0)).await;
    }
    assert!((0..ANSWERS).all(|n| !other.is_kept(n)));
}

#[tokio::test]
async fn more_purges_than_can_wait_become_one_of_everything() {
    let mut server = RedisServer::launcher().persistent().start().await;
    let connections = two(&server).await;
    let [one, other] = [Machine::new(&connections[0]).await, Machine::new(&connections[1]).await];
    other.fill("t", 1);
    server.kill().await;
    for n in 0..10_001 {
        let target = TargetKey::new("h", &n.to_string());
        one.purges.change([target], Now::read()).await;
    }
    assert!(one.purges.waiting() < 10_000);
    assert!(other.is_kept(0));
    server.restart().await;
    eventually("the other knows", async || !other.is_kept(0)).await;
    eventually("nothing waits", async || one.purges.waiting() == 0).await;
}
