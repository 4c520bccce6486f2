//! What becomes of requests while Redis is gone, and afterwards?

use std::time::{Duration, Instant};

use harness::{Connection, Gateway, Launcher, Origin, RedisServer, Reply, Request};

use super::{AUTH, Once, SIGNED, UP, launcher, launcher_with, origin, over};
use crate::fixtures::wait_for_metric;

const LIMITED: &str =
    "{name: limited, path_prefix: /, pool: service, quotas: [few], auth: {anonymous: true}}";

/// A gateway with a quota of two requests a minute beside the signed route.
fn limited(origin: &Origin, state: &str) -> Launcher {
    let sections = AUTH.replace("failures", "quotas: {few: 2/min}, failures");
    launcher_with(origin, &format!("{sections}\nstate: {state}"), &[SIGNED, LIMITED])
}

async fn until_up(gw: &Gateway, up: f64) {
    wait_for_metric(gw, UP, &[], |now| now == up).await;
}

/// Requests that were decided without Redis.
async fn degraded(gw: &Gateway, purpose: &str) -> Option<f64> {
    gw.metric("farmgate_shared_state_degraded_total", &[("use", purpose)]).await
}

async fn status(gw: &Gateway) -> u16 {
    gw.get("/").send().await.status
}

/// Fails unless the request was refused because the shared state is gone, and says for how long.
#[track_caller]
fn expect_unavailable(reply: Reply) {
    let reply = reply.expect_status(503).expect_json("/errors/code", "state_unavailable");
    let wait: u64 = reply.header("Retry-After").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&wait), "Retry-After: {wait}");
}

#[tokio::test]
async fn signed_requests_are_refused_while_redis_is_gone_and_others_are_served() {
    let (mut server, origin) = (RedisServer::start().await, origin().await);
    let gw = launcher(&origin, &over(&server, &["nonces: refuse"])).start().await;
    let before = Once::spent(&gw).await;
    until_up(&gw, 1.0).await;
    server.kill().await;
    let once = Once::new();
    expect_unavailable(once.to(&gw).send().await);
    expect_unavailable(before.to(&gw).send().await);
    gw.get("/free").send().await.expect_status(200);
    until_up(&gw, 0.0).await;
    let errors = gw.metric("farmgate_shared_state_errors_total", &[("use", "nonces")]).await;
    assert!(errors >= Some(2.0), "{errors:?}");
    server.restart().await;
    until_up(&gw, 1.0).await;
    // What was refused is not spent; what was spent is known, although Redis forgot it.
    once.to(&gw).send().await.expect_status(200);
    once.is_refused_by(&gw).await;
    before.is_refused_by(&gw).await;
}

#[tokio::test]
async fn gateway_that_went_on_alone_tells_the_others_what_it_accepted() {
    let (mut server, origin) = (RedisServer::start().await, origin().await);
    let alone = launcher(&origin, &over(&server, &["nonces: local"])).start().await;
    let other = launcher(&origin, &over(&server, &["nonces: refuse"])).start().await;
    server.kill().await;
    let once = Once::spent(&alone).await;
    once.is_refused_by(&alone).await;
    expect_unavailable(once.to(&other).send().await);
    assert_eq!(degraded(&alone, "nonces").await, Some(2.0));
    assert_eq!(alone.metric("farmgate_nonces_untold", &[]).await, Some(1.0));
    server.restart().await;
    tokio::join!(until_up(&alone, 1.0), until_up(&other, 1.0));
    alone.wait_for_log(|line| line.contains("told Redis of nonces that it missed")).await;
    assert_eq!(alone.metric("farmgate_nonces_untold", &[]).await, Some(0.0));
    once.is_refused_by(&other).await;
    Once::spent(&other).await.is_refused_by(&alone).await;
}

#[tokio::test]
async fn quotas_without_redis_are_counted_here_refused_or_not_counted() {
    let (mut server, origin) = (RedisServer::start().await, origin().await);
    let [local, refuse, allow] = ["quotas: local", "quotas: refuse", "quotas: allow"]
        .map(|choice| limited(&origin, &over(&server, &[choice])));
    let (local, refuse, allow) = tokio::join!(local.start(), refuse.start(), allow.start());
    assert_eq!(
        [status(&local).await, status(&refuse).await, status(&allow).await],
        [200, 200, 429]
    );
    server.kill().await;
    assert_eq!([status(&local).await, status(&local).await, status(&local).await], [200, 200, 429]);
    for _ in 0..3 {
        expect_unavailable(refuse.get("/").send().await);
        assert_eq!(status(&allow).await, 200);
    }
    for gw in [&local, &refuse, &allow] {
        assert_eq!(degraded(gw, "quotas").await, Some(3.0));
    }
    for gw in [&local, &refuse, &allow] {
        until_up(gw, 0.0).await;
    }
    server.restart().await;
    for gw in [&local, &refuse, &allow] {
        until_up(gw, 1.0).await;
    }
    assert_eq!(
        [status(&refuse).await, status(&allow).await, status(&local).await],
        [200, 200, 429]
    );
}

/// The margins are whole seconds: a busy machine may take that long for what takes a millisecond.
#[tokio::test]
async fn hanging_redis_delays_one_request_by_the_time_limit_and_no_other() {
    const LONG: Duration = Duration::from_secs(2);
    let (server, origin) = (RedisServer::start().await, origin().await);
    let with = |timeout: &str| {
        let state = over(&server, &["quotas: allow"]);
        limited(&origin, &state.replace("timeout: 5s", timeout))
    };
    let (patient, hasty) = (with("timeout: 2s"), with("timeout: 50ms"));
    let (patient, hasty) = tokio::join!(patient.start(), hasty.start());
    until_up(&patient, 1.0).await;
    server.signal("STOP").await;
    let (slow, quick) = tokio::join!(patient.get("/").send(), hasty.get("/").send());
    let (slow, quick) = (slow.expect_status(200).elapsed, quick.expect_status(200).elapsed);
    assert!(slow >= LONG && slow < 2 * LONG, "{slow:?}");
    assert!(quick < LONG, "{quick:?}");
    let (start, mut connection) = (Instant::now(), patient.connect().await);
    for _ in 0..20 {
        connection.send(Request::get("/")).await.expect_status(200);
    }
    assert!(start.elapsed() < LONG, "20 requests after the first: {:?}", start.elapsed());
    tokio::join!(until_up(&patient, 0.0), until_up(&hasty, 0.0));
    server.signal("CONT").await;
    until_up(&patient, 1.0).await;
    Once::spent(&patient).await.is_refused_by(&patient).await;
}

#[tokio::test]
async fn gateway_is_ready_in_time_without_redis_and_finds_it_when_it_comes() {
    const READY_TIMEOUT: Duration = Duration::from_millis(700);
    let (mut server, origin) = (RedisServer::start().await, origin().await);
    server.kill().await;
    let sections =
        format!("{AUTH}\nserver: {{ready_timeout: 700ms}}\nstate: {}", over(&server, &[]));
    let start = Instant::now();
    let gw = launcher_with(&origin, &sections, &[SIGNED, super::FREE]).start().await;
    assert!(start.elapsed() >= READY_TIMEOUT, "ready before Redis had its time");
    gw.wait_for_log(|line| line.contains("ready without Redis")).await;
    assert_eq!(gw.metric(UP, &[]).await, Some(0.0));
    let mut connection = Connection::open(gw.address()).await;
    connection.send(Request::get("/free")).await.expect_status(200);
    expect_unavailable(Once::new().to(&gw).send().await);
    server.restart().await;
    until_up(&gw, 1.0).await;
    Once::spent(&gw).await.is_refused_by(&gw).await;
}
