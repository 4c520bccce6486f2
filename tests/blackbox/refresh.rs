//! Who refreshes what is stored, when, and how many at once?

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{Answer, Gateway, Origin, PATIENCE, burst};

use crate::fixtures::{KEPT, conf, gateway, kept, serve, time_passes, wait_for_metric};

/// A gateway under a policy, before a pool with further keys.
async fn refreshing(policy: &str, pool: &str) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let gw = gateway().with(conf(&kept(policy), &[KEPT]));
    let gw = gw.pool("service", of_one(origin.address(), pool)).start().await;
    (origin, gw)
}

fn of_one(address: SocketAddr, pool: &str) -> String {
    format!("peers: [{{address: '{address}'}}]\n{pool}\n")
}

const STALE_AT_ONCE: &str = "fresh: 50ms, stale_while_revalidate: 1h, error_for: 1ms";

async fn turn_stale() {
    time_passes(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn thousand_stale_keys_open_no_more_calls_than_the_pool_allows_and_all_are_refreshed() {
    let (origin, gw) = refreshing(STALE_AT_ONCE, "refreshes_max: 4").await;
    let path = |n: usize| format!("/{n}");
    burst(1_000, |n| gw.get(&path(n)).send()).await;
    turn_stale().await;
    let connections = origin.connections();
    origin.otherwise(Answer::json("2").hold());
    let replies = burst(1_000, |n| gw.get(&path(n)).send()).await;
    assert!(replies.iter().all(|reply| reply.text() == "1"), "nobody waits");
    origin.wait_for_in_flight(4).await;
    let waiting = [("pool", "service")];
    wait_for_metric(&gw, "farmgate_refreshes_waiting", &waiting, |n| n == 996.0).await;
    assert_eq!(gw.metric("farmgate_refreshes_in_flight", &[]).await, Some(4.0));
    assert_eq!((origin.in_flight(), origin.calls_total()), (4, 1_004));
    assert!(origin.connections() <= connections + 4);
    origin.otherwise(Answer::json("2"));
    (0..1_000).for_each(|n| origin.release(&path(n)));
    wait_for_metric(&gw, "farmgate_refreshes_waiting", &waiting, |n| n == 0.0).await;
    let stored = [("route", "kept"), ("origin", "revalidation"), ("result", "stored")];
    wait_for_metric(&gw, "farmgate_fills_total", &stored, |n| n == 1_000.0).await;
    assert_eq!(origin.calls_total(), 2_000, "each once");
}

#[tokio::test]
async fn full_queue_drops_what_comes_and_says_so() {
    let pool = "refreshes_max: 1\nrefresh_queue_max: 2";
    let (origin, gw) = refreshing(STALE_AT_ONCE, pool).await;
    for n in 0..5 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
    }
    turn_stale().await;
    origin.otherwise(Answer::json("2").hold());
    gw.get("/0").send().await.expect_body("1");
    origin.wait_for_in_flight(1).await;
    for n in 1..5 {
        gw.get(&format!("/{n}")).send().await.expect_body("1");
    }
    let of_pool = [("pool", "service")];
    assert_eq!(gw.metric("farmgate_refreshes_skipped_total", &of_pool).await, Some(2.0));
    assert_eq!(gw.metric("farmgate_refreshes_waiting", &of_pool).await, Some(2.0));
}

#[tokio::test]
async fn refreshes_of_one_pool_do_not_wait_for_those_of_another() {
    let (slow, quick) = (Origin::start().await, Origin::start().await);
    for origin in [&slow, &quick] {
        origin.otherwise(Answer::json("1"));
    }
    let route = |name: &str| {
        format!(
            "{{name: {name}, path_prefix: /{name}, pool: {name}, auth: {{anonymous: true}}, cache: kept}}"
        )
    };
    let gw = gateway()
        .with(conf(&kept(STALE_AT_ONCE), &[&route("slow"), &route("quick")]))
        .pool("slow", of_one(slow.address(), "refreshes_max: 1"))
        .pool("quick", of_one(quick.address(), "refreshes_max: 1"))
        .start()
        .await;
    for path in ["/slow", "/quick"] {
        gw.get(path).send().await.expect_status(200);
    }
    turn_stale().await;
    slow.otherwise(Answer::json("2").hold());
    gw.get("/slow").send().await.expect_body("1");
    slow.wait_for_in_flight(1).await;
    gw.get("/quick").send().await.expect_body("1");
    quick.wait_for_calls("/quick", 2).await;
}

#[tokio::test]
async fn upstream_that_fails_refreshes_in_a_row_is_left_alone_and_then_tried_again() {
    let (origin, gw) = refreshing(STALE_AT_ONCE, "refreshes_max: 1").await;
    burst(20, |n| gw.get(&format!("/{n}")).send()).await;
    turn_stale().await;
    origin.otherwise(Answer::status(503));
    burst(20, |n| gw.get(&format!("/{n}")).send()).await;
    let of_pool = [("pool", "service")];
    wait_for_metric(&gw, "farmgate_refreshes_paused", &of_pool, |paused| paused == 1.0).await;
    assert_eq!(origin.calls_total(), 23, "three failed, the others wait");
    origin.otherwise(Answer::json("2"));
    wait_for_metric(&gw, "farmgate_refreshes_waiting", &of_pool, |waiting| waiting == 0.0).await;
    wait_for_metric(&gw, "farmgate_refreshes_paused", &of_pool, |paused| paused == 0.0).await;
}

/// A policy whose hot answers are fetched ahead.
const AHEAD: &str = "fresh: 400ms, share: everyone, refresh_ahead: true";

#[tokio::test]
async fn answer_that_is_asked_for_is_never_missed_again() {
    // Long enough that a busy machine fetches within the moments that are left for it.
    let policy = "fresh: 2s, share: everyone, refresh_ahead: true";
    let (origin, gw) = serve(&kept(policy), &[KEPT]).await;
    origin.rule("/x", |_, call| Answer::json(call.to_string()).delay(Duration::from_millis(100)));
    gw.get("/x").send().await.expect_status(200);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(7) {
        let reply = gw.get("/x").send().await.expect_status(200);
        let status = reply.header("cache-status").expect("a Cache-Status").to_owned();
        assert!(
            status.starts_with("farmgate; hit; ttl="),
            "{status} after {:?}",
            started.elapsed()
        );
        assert!(!status.contains("detail"), "never stale: {status}");
        time_passes(Duration::from_millis(20)).await;
    }
    // Each copy lasts 1.5 to 1.9 s: a quarter of its time is the most that is given away.
    let calls = origin.calls("/x");
    assert!((4..=6).contains(&calls), "{calls}");
}

#[tokio::test]
async fn answer_that_nobody_asks_for_any_more_is_left_to_expire() {
    let (origin, gw) = serve(&kept(AHEAD), &[KEPT]).await;
    for _ in 0..2 {
        gw.get("/x").send().await.expect_status(200);
    }
    origin.wait_for_calls("/x", 2).await;
    // One hit buys one fetch; nobody asks after that.
    let ahead = [("route", "kept"), ("origin", "ahead"), ("result", "stored")];
    wait_for_metric(&gw, "farmgate_fills_total", &ahead, |n| n == 1.0).await;
    time_passes(Duration::from_millis(1_200)).await;
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn answer_that_was_given_once_is_not_fetched_ahead() {
    let (origin, gw) = serve(&kept(AHEAD), &[KEPT]).await;
    gw.get("/x").send().await.expect_status(200);
    time_passes(Duration::from_millis(600)).await;
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn policy_that_does_not_look_ahead_fetches_when_it_is_asked() {
    let (origin, gw) = serve(&kept("fresh: 400ms, share: everyone"), &[KEPT]).await;
    for _ in 0..5 {
        gw.get("/x").send().await.expect_status(200);
    }
    time_passes(Duration::from_millis(600)).await;
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn reload_that_ends_looking_ahead_is_followed() {
    let (origin, gw) = serve(&kept(AHEAD), &[KEPT]).await;
    gw.get("/x").send().await.expect_status(200);
    gw.rewrite_conf(&conf(&kept("fresh: 400ms, share: everyone"), &[KEPT]));
    gw.get("/x").send().await.expect_status(200);
    gw.reload().await;
    wait_for_metric(&gw, "farmgate_config_generation", &[], |generation| generation == 2.0).await;
    time_passes(Duration::from_millis(600)).await;
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn answer_that_changed_on_the_way_is_fetched_ahead_by_its_new_use() {
    let (origin, gw) = serve(&kept(AHEAD), &[KEPT]).await;
    for _ in 0..2 {
        gw.get("/x").send().await.expect_status(200);
    }
    gw.post("/x").send().await.expect_status(200);
    // A new answer, which nobody asked for twice.
    gw.get("/x").send().await.expect_status(200);
    time_passes(Duration::from_millis(600)).await;
    let gets = origin.requests("/x").iter().filter(|request| request.method == "GET").count();
    assert_eq!(gets, 2);
}

#[tokio::test]
async fn failing_upstream_is_not_asked_ahead_again_and_again() {
    let (origin, gw) = serve(&kept(AHEAD), &[KEPT]).await;
    for _ in 0..9 {
        gw.get("/x").send().await.expect_status(200);
    }
    origin.on("/x", Answer::status(503));
    let failed = [("route", "kept"), ("origin", "ahead"), ("result", "failed")];
    wait_for_metric(&gw, "farmgate_fills_total", &failed, |n| n >= 1.0).await;
    time_passes(PATIENCE.min(Duration::from_secs(1))).await;
    let calls = origin.calls("/x");
    assert!(calls <= 4, "{calls}");
}
