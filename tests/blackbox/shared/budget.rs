//! Is a pool's budget that of all gateways together?

use harness::{Gateway, Origin, RedisServer, burst};

use super::{launcher_with, origin, over};
use crate::fixtures::{KEPT, kept, wait_for_metric};

/// Two gateways that share this Redis, before an origin that may be called so often a day.
async fn two(origin: &Origin, server: &RedisServer, calls: usize) -> [Gateway; 2] {
    let sections = format!("{}\nstate: {}", kept("fresh: 1h"), over(server, &[]));
    let pool = format!("peers: [{{address: '{}'}}]\nbudget: {{day: {calls}}}\n", origin.address());
    let launcher = launcher_with(origin, &sections, &[KEPT]).pool("service", pool);
    let (one, other) = tokio::join!(launcher.start(), launcher.start());
    [one, other]
}

#[tokio::test]
async fn gateways_of_one_redis_keep_to_one_budget() {
    let (origin, server) = (origin().await, RedisServer::start().await);
    let gateways = two(&origin, &server, 30).await;
    let gateway = |n: usize| if n.is_multiple_of(2) { &gateways[0] } else { &gateways[1] };
    let replies = burst(300, |n| gateway(n).get(&format!("/{n}")).send()).await;
    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((answered, origin.calls_total()), (30, 30));
    let left = [("pool", "service"), ("window", "day")];
    for gw in &gateways {
        let left = gw.metric("farmgate_upstream_budget_left", &left).await.expect("a budget");
        assert!(left < 30.0, "what the other called counts here: {left}");
    }
}

#[tokio::test]
async fn gateway_without_its_redis_keeps_to_the_budget_by_itself() {
    let (origin, mut server) = (origin().await, RedisServer::start().await);
    let [gw, _other] = two(&origin, &server, 10).await;
    for n in 0..4 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
    }
    server.kill().await;
    wait_for_metric(&gw, super::UP, &[], |up| up == 0.0).await;
    let replies = burst(40, |n| gw.get(&format!("/more/{n}")).send()).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 6);
    assert_eq!(origin.calls_total(), 10);
}
