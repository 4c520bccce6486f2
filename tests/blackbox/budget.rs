//! Does a pool take more calls than its budget says, and do clients get an answer all the same?

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Answer, Gateway, Origin, Reply, burst};

use crate::fixtures::{KEPT, conf, gateway, kept, time_passes, wait_for_metric};

/// A pool of one peer with this budget, in flow style.
fn pool(address: SocketAddr, budget: &str) -> String {
    format!("peers: [{{address: '{address}'}}]\nbudget: {budget}\n")
}

/// A gateway under a policy, before an origin that may be called so often.
async fn limited(policy: &str, budget: &str) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json(r#"{"a":1}"#));
    let gw = gateway().with(conf(&kept(policy), &[KEPT]));
    let gw = gw.pool("service", pool(origin.address(), budget)).start().await;
    (origin, gw)
}

fn cache_status(reply: &Reply) -> &str {
    reply.header("cache-status").expect("a Cache-Status")
}

fn is_refused(reply: &Reply) -> bool {
    reply.status == 503 && reply.text().contains("calls are used up")
}

#[tokio::test]
async fn overload_tenfold_never_exceeds_the_budget_and_everybody_is_answered() {
    for window in ["minute", "hour", "day"] {
        let (origin, gw) = limited("fresh: 1h", &format!("{{{window}: 20}}")).await;
        let replies = burst(200, |n| gw.get(&format!("/{n}")).send()).await;
        let answered = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!((answered, origin.calls_total()), (20, 20), "{window}");
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            assert!(is_refused(reply), "{} {}", reply.status, reply.text());
            let wait: u64 = reply.header("retry-after").expect("a wait").parse().expect("seconds");
            let longest = match window {
                "minute" => 60,
                "hour" => 3_600,
                _ => 86_400,
            };
            assert!((longest - 30..=longest + 1).contains(&wait), "{window} {wait}");
        }
        let left = [("pool", "service"), ("window", window)];
        assert_eq!(gw.metric("farmgate_upstream_budget_left", &left).await, Some(0.0));
        assert_eq!(gw.metric("farmgate_upstream_budget", &left).await, Some(20.0));
        let refused = [("pool", "service"), ("origin", "client")];
        let refusals = gw.metric("farmgate_upstream_budget_refusals_total", &refused).await;
        assert_eq!(refusals, Some(180.0));
    }
}

#[tokio::test]
async fn attempts_at_other_peers_are_calls_too() {
    let (broken, whole) = (Origin::start().await, Origin::start().await);
    broken.otherwise(Answer::reset());
    whole.otherwise(Answer::json("1"));
    let peers = [broken.address(), whole.address()].map(|peer| format!("{{address: '{peer}'}}"));
    let yaml = format!("peers: [{}]\nbudget: {{day: 5}}\n", peers.join(", "));
    let gw = gateway().with(conf(&kept("fresh: 1h"), &[KEPT])).pool("service", yaml).start().await;
    let mut refused = 0;
    for n in 0..8 {
        refused += usize::from(is_refused(&gw.get(&format!("/{n}")).send().await));
    }
    assert_eq!(broken.calls_total() + whole.calls_total(), 5);
    assert!(refused >= 3, "{refused}");
}

#[tokio::test]
async fn route_that_streams_keeps_to_the_budget_and_keeps_the_connection() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let gw = gateway().with(conf("", &[crate::fixtures::OPEN]));
    let gw = gw.pool("service", pool(origin.address(), "{day: 1}")).start().await;
    let mut connection = gw.connect().await;
    connection.send(gw.get("/a")).await.expect_status(200);
    assert!(is_refused(&connection.send(gw.get("/b")).await));
    assert!(is_refused(&connection.send(gw.get("/c")).await));
    assert_eq!(origin.calls_total(), 1);
}

#[tokio::test]
async fn spent_budget_serves_what_is_stored_as_long_as_it_may_be_stale() {
    let policy = "fresh: 100ms, stale_while_revalidate: 100ms, stale_if_error: 1h";
    let (origin, gw) = limited(policy, "{day: 1}").await;
    gw.get("/x").send().await.expect_status(200);
    time_passes(Duration::from_millis(300)).await;
    for _ in 0..3 {
        let reply = gw.get("/x").send().await.expect_status(200).expect_body(r#"{"a":1}"#);
        let status = cache_status(&reply);
        assert!(status.contains("hit") && status.contains("detail=saving-calls"), "{status}");
    }
    assert_eq!(origin.calls_total(), 1);
    let stretched = [("route", "kept"), ("result", "stretched")];
    wait_for_metric(&gw, "farmgate_cache_lookups_total", &stretched, |n| n == 3.0).await;
}

#[tokio::test]
async fn answers_last_longer_before_the_budget_is_spent() {
    // Of ten calls three are left: answers last 1.7 times as long.
    let policy = "fresh: 4s, stale_while_revalidate: 1h, stale_if_error: 1h";
    let (origin, gw) = limited(policy, "{day: 10}").await;
    gw.get("/x").send().await.expect_status(200);
    for n in 0..6 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
    }
    time_passes(Duration::from_millis(4_200)).await;
    let reply = gw.get("/x").send().await.expect_status(200);
    assert!(cache_status(&reply).contains("detail=saving-calls"), "{}", cache_status(&reply));
    assert_eq!(origin.calls("/x"), 1);
    time_passes(Duration::from_millis(2_800)).await;
    let reply = gw.get("/x").send().await.expect_status(200);
    assert!(cache_status(&reply).contains("detail=refreshing"), "{}", cache_status(&reply));
    origin.wait_for_calls("/x", 2).await;
}

#[tokio::test]
async fn answer_that_must_be_confirmed_is_not_served_to_save_calls() {
    let (origin, gw) = limited("fresh: upstream, obey_clients: true", "{day: 1}").await;
    origin.otherwise(
        Answer::json("1")
            .header("cache-control", "max-age=0, must-revalidate")
            .header("etag", "\"a\""),
    );
    gw.get("/x").send().await.expect_status(200);
    assert!(is_refused(&gw.get("/x").send().await));
}

#[tokio::test]
async fn tenth_of_the_budget_is_kept_for_clients() {
    let policy = "fresh: 50ms, stale_while_revalidate: 1h";
    let (origin, gw) = limited(policy, "{day: 10}").await;
    // Half of it, so that nothing is stretched yet.
    for n in 0..5 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
    }
    time_passes(Duration::from_millis(100)).await;
    // Each look makes answers last longer; the refreshes that are made leave one call.
    burst(5, |n| gw.get(&format!("/{n}")).send()).await;
    origin.wait_until_idle().await;
    assert!(origin.calls_total() <= 9, "{}", origin.calls_total());
    let mut fresh = 0..;
    while gw.get(&format!("/new/{:?}", fresh.next())).send().await.status == 200 {}
    assert_eq!(origin.calls_total(), 10, "a client gets the last one");
}

#[tokio::test]
async fn restart_hands_out_no_fresh_budget() {
    let (origin, mut gw) = limited("fresh: 1h", "{day: 3}").await;
    for n in 0..2 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
    }
    gw.kill().await;
    let gw = gw.restart().await;
    gw.get("/2").send().await.expect_status(200);
    assert!(is_refused(&gw.get("/3").send().await));
    assert_eq!(origin.calls_total(), 3);
}

#[tokio::test]
async fn torn_log_of_calls_costs_its_last_call_alone() {
    let (origin, mut gw) = limited("fresh: 1h", "{day: 3}").await;
    for n in 0..3 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
    }
    gw.kill().await;
    let file = gw.directory().join("var/calls/service.calls");
    let bytes = std::fs::read(&file).expect("the log of calls");
    assert_eq!(bytes.len(), 24);
    std::fs::write(&file, &bytes[..20]).expect("a shorter log");
    let gw = gw.restart().await;
    gw.get("/3").send().await.expect_status(200);
    assert!(is_refused(&gw.get("/4").send().await));
    assert_eq!(origin.calls_total(), 4);
}
