//! Two gateways with one Redis: what is purged on one, or changed through it.

use harness::{Answer, Gateway, Origin, RedisServer, Reply};
use serde_json::json;

use super::{HOST, KEPT, TOKEN, conf_with_token, got, numbered, purged};
use crate::fixtures::{gateway, kept, wait_for_metric};

const UNTOLD: &str = "farmgate_purges_untold";
const UP: &str = "farmgate_shared_state_up";

/// Two gateways over this Redis that keep everything for an hour.
async fn two(origin: &Origin, server: &RedisServer) -> [Gateway; 2] {
    let state = format!("state: {{redis: {{url: '{}', timeout: 5s}}}}", server.url());
    let sections = format!("{}\n{state}", kept("fresh: 1h"));
    let launcher = gateway()
        .with(conf_with_token(&sections, &[KEPT]))
        .pool("service", origin.address())
        .env("ADMIN_TOKEN", TOKEN);
    let (one, other) = tokio::join!(launcher.start(), launcher.start());
    // Each has said that it hears the other.
    for gw in [&one, &other] {
        gw.wait_for_log(|line| line.contains("the purges of other gateways are heard")).await;
    }
    [one, other]
}

/// Purges on one until both have noted it; the time for that has an end on a machine with other
/// things to do.
async fn purged_on_both(gw: &Gateway, body: serde_json::Value) -> Reply {
    loop {
        let reply = purged(gw, body.clone()).await;
        if reply.json()["missing"] == 0 {
            return reply.expect_json("/applied_by", 2);
        }
    }
}

#[tokio::test]
async fn no_gateway_serves_what_was_purged_on_another() {
    let (server, origin) = (RedisServer::start().await, Origin::start().await);
    let [one, other] = two(&origin, &server).await;
    for (path, body) in [
        ("/tag", json!({"tag": "t"})),
        ("/url", json!({"url": "/url", "host": HOST})),
        ("/prefix", json!({"prefix": "/pre"})),
        ("/exact", json!({"url": "/exact?", "host": HOST})),
        ("/route", json!({"route": "kept"})),
        ("/all", json!({"all": true})),
        ("/soft", json!({"all": true, "soft": true})),
    ] {
        numbered(&origin, path, &[("Surrogate-Key", "t")]);
        assert_eq!([got(&one, path).await, got(&other, path).await], ["1", "2"]);
        purged_on_both(&one, body).await;
        assert_eq!([got(&other, path).await, got(&one, path).await], ["3", "4"], "{path}");
        assert_eq!([got(&other, path).await, got(&one, path).await], ["3", "4"], "{path}");
    }
}

#[tokio::test]
async fn change_through_one_gateway_reaches_the_other() {
    let (server, origin) = (RedisServer::start().await, Origin::start().await);
    let [one, other] = two(&origin, &server).await;
    numbered(&origin, "/x", &[]);
    assert_eq!([got(&one, "/x").await, got(&other, "/x").await], ["1", "2"]);
    one.post("/x").host(HOST).send().await.expect_status(200);
    let labels = [("scope", "target"), ("from", "other")];
    wait_for_metric(&other, "farmgate_purges_total", &labels, |noted| noted == 1.0).await;
    assert_eq!([got(&one, "/x").await, got(&other, "/x").await], ["4", "5"]);
    let labels = [("scope", "target"), ("from", "client")];
    assert_eq!(one.metric("farmgate_purges_total", &labels).await, Some(1.0));
}

#[tokio::test]
async fn what_is_purged_while_redis_is_gone_is_told_when_it_is_back() {
    let server = RedisServer::launcher().persistent().start();
    let (mut server, origin) = (server.await, Origin::start().await);
    let [one, other] = two(&origin, &server).await;
    numbered(&origin, "/x", &[("Surrogate-Key", "t")]);
    numbered(&origin, "/y", &[]);
    for path in ["/x", "/y"] {
        assert_eq!([got(&one, path).await, got(&other, path).await], ["1", "2"]);
    }
    server.kill().await;
    purged(&one, json!({"tag": "t"})).await.expect_json("/waits_for_redis", true);
    wait_for_metric(&one, UNTOLD, &[], |untold| untold == 1.0).await;
    assert_eq!([got(&one, "/x").await, got(&other, "/x").await], ["3", "2"]);
    server.restart().await;
    let labels = [("scope", "tag"), ("from", "other")];
    wait_for_metric(&other, "farmgate_purges_total", &labels, |noted| noted == 1.0).await;
    wait_for_metric(&one, UNTOLD, &[], |untold| untold == 0.0).await;
    assert_eq!(got(&other, "/x").await, "4");
    // The stream was there again with all that it had, so nothing else had to go.
    assert_eq!([got(&one, "/y").await, got(&other, "/y").await], ["1", "2"]);
}

#[tokio::test]
async fn gateway_that_may_have_missed_something_trusts_nothing_that_it_kept() {
    let (mut server, origin) = (RedisServer::start().await, Origin::start().await);
    let [one, other] = two(&origin, &server).await;
    origin.on("/x", Answer::json("1"));
    assert_eq!([got(&one, "/x").await, got(&other, "/x").await], ["1", "1"]);
    origin.on("/x", Answer::json("2"));
    // Without its data: what others said meanwhile is lost.
    server.kill().await;
    wait_for_metric(&other, UP, &[], |up| up == 0.0).await;
    server.restart().await;
    let labels = [("scope", "all"), ("from", "missed")];
    for gw in [&one, &other] {
        wait_for_metric(gw, "farmgate_purges_total", &labels, |noted| noted >= 1.0).await;
        assert_eq!(got(gw, "/x").await, "2");
    }
}

/// A gateway over this Redis that keeps everything for an hour, on disk as well.
async fn with_disk(origin: &Origin, server: &RedisServer) -> Gateway {
    let policies = "policies: {kept: {fresh: 1h}}";
    let cache = format!("cache: {{disk: {{dir: kept, size: 16MiB}}, {policies}}}");
    let state = format!("state: {{redis: {{url: '{}', timeout: 5s}}}}", server.url());
    let launcher = gateway()
        .with(conf_with_token(&format!("{cache}\n{state}"), &[KEPT]))
        .pool("service", origin.address())
        .env("ADMIN_TOKEN", TOKEN);
    let gw = launcher.start().await;
    gw.wait_for_log(|line| line.contains("the purges of other gateways are heard")).await;
    gw
}

#[tokio::test]
async fn what_was_purged_while_a_gateway_was_down_is_known_when_it_serves() {
    let (server, origin) = (RedisServer::start().await, Origin::start().await);
    let [one, other] = [with_disk(&origin, &server).await, with_disk(&origin, &server).await];
    numbered(&origin, "/x", &[]);
    numbered(&origin, "/y", &[]);
    for path in ["/x", "/y"] {
        assert_eq!([got(&one, path).await, got(&other, path).await], ["1", "2"]);
    }
    let mut other = other;
    wait_for_metric(&other, "farmgate_cache_disk_entries", &[], |kept| kept == 2.0).await;
    other.kill().await;
    purged(&one, json!({"url": "/x", "host": HOST})).await;
    let other = other.restart().await;
    assert_eq!([got(&other, "/x").await, got(&other, "/y").await], ["3", "2"]);
}

#[tokio::test]
async fn what_a_gateway_kept_is_stale_while_it_cannot_hear_what_it_missed() {
    let (mut server, origin) = (RedisServer::start().await, Origin::start().await);
    let mut gw = with_disk(&origin, &server).await;
    numbered(&origin, "/x", &[]);
    assert_eq!([got(&gw, "/x").await, got(&gw, "/x").await], ["1", "1"]);
    wait_for_metric(&gw, "farmgate_cache_disk_entries", &[], |kept| kept == 1.0).await;
    server.kill().await;
    gw.kill().await;
    let gw = gw.restart().await;
    assert_eq!(got(&gw, "/x").await, "2");
}
