//! Does one fetch serve all who want the same answer, however that fetch ends?

use std::time::Duration;

use harness::{Answer, Gateway, Origin, Reply, burst, launch};

use crate::fixtures::{KEPT, kept, serve, time_passes, wait_for_metric};

/// Clients that want one answer at once.
const CLIENTS: usize = 200;

/// Answers that turn stale at once, and failures that are remembered for the whole test.
const STALE_SOON: &str =
    "fresh: 100ms, stale_while_revalidate: 1h, stale_if_error: 1h, error_for: 1h";

/// Just longer than `fresh` of [`STALE_SOON`].
const UNTIL_STALE: Duration = Duration::from_millis(150);

fn cache_status(reply: &Reply) -> &str {
    reply.header("cache-status").expect("a Cache-Status")
}

/// Returns when so many clients wait for a fetch. A request that is in flight may still be on its
/// way to the cache, where the next fetch would be its own.
async fn wait_for_waiters(gw: &Gateway, clients: usize) {
    let all = |waiting: f64| waiting as usize == clients;
    wait_for_metric(gw, "farmgate_fill_waiters", &[], all).await;
}

/// Starts the clients in the background and returns when all of them wait at the gateway.
async fn crowd(gw: &Gateway, path: &str) -> tokio::task::JoinHandle<Vec<Reply>> {
    let replies = launch(CLIENTS, |_| gw.get(path).send());
    wait_for_waiters(gw, CLIENTS).await;
    replies
}

/// 200 clients meet one cold key and this answer; returns what they got.
async fn cold_crowd(answer: Answer) -> (Origin, Gateway, Vec<Reply>) {
    let policy = kept("fresh: 1h, error_for: 1h");
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    origin.on("/x", answer.hold());
    let replies = crowd(&gw, "/x").await;
    origin.wait_for_calls("/x", 1).await;
    origin.release("/x");
    let replies = replies.await.expect("every client has a reply");
    assert_eq!(origin.calls("/x"), 1);
    (origin, gw, replies)
}

/// A gateway whose only stored answer, `old`, has just turned stale.
async fn stale(sections: &str) -> (Origin, Gateway) {
    let (origin, gw) = serve(sections, &[KEPT]).await;
    // The refresh shall open a connection: on an old one a reset is answered by a second try.
    origin.on("/x", Answer::json(r#""old""#).header("Connection", "close"));
    gw.get("/x").send().await.expect_status(200);
    time_passes(UNTIL_STALE).await;
    (origin, gw)
}

/// 200 clients meet a stale key, whose refresh ends with this answer: nobody waits for it, it is
/// tried once, and while it is remembered nobody causes another.
async fn check_refresh_that_fails(answer: Answer) {
    let (origin, gw) = stale(&kept(STALE_SOON)).await;
    origin.on("/x", answer.hold());
    let replies = burst(CLIENTS, |_| gw.get("/x").send()).await;
    for reply in replies {
        reply.expect_status(200).expect_body(r#""old""#);
    }
    origin.wait_for_calls("/x", 2).await;
    origin.release("/x");
    wait_for_metric(&gw, "farmgate_fills_total", &[("origin", "revalidation")], |n| n == 1.0).await;
    for reply in burst(20, |_| gw.get("/x").send()).await {
        reply.expect_status(200).expect_body(r#""old""#);
    }
    assert_eq!(gw.metric("farmgate_fills_total", &[("origin", "revalidation")]).await, Some(1.0));
    assert_eq!(origin.calls("/x"), 2);
}

/// An answer that is too old to be served by itself is served when its fetch fails so.
async fn check_stale_if_error(answer: Answer, route: &str) {
    let policy = kept("fresh: 100ms, stale_if_error: 1h, error_for: 1h");
    let (origin, gw) = serve(&policy, &[route]).await;
    origin.json("/x", r#""old""#);
    gw.get("/x").send().await.expect_status(200);
    time_passes(UNTIL_STALE).await;
    origin.on("/x", answer);
    for _ in 0..2 {
        let reply = gw.get("/x").send().await.expect_status(200).expect_body(r#""old""#);
        let status = cache_status(&reply);
        assert!(status.starts_with("farmgate; hit; ttl="), "{status}");
        assert!(status.ends_with("; detail=upstream-failed"), "{status}");
    }
    assert_eq!(gw.metric("farmgate_fills_total", &[("origin", "client")]).await, Some(2.0));
}

#[tokio::test]
async fn cold_key_costs_one_call_however_many_ask() {
    let (origin, gw, replies) = cold_crowd(Answer::json(r#"{"a":2}"#)).await;
    let stored = "farmgate; fwd=uri-miss; fwd-status=200; stored";
    let misses = replies.iter().filter(|reply| cache_status(reply) == stored);
    assert_eq!(misses.count(), 1);
    let collapsed = "farmgate; fwd=uri-miss; fwd-status=200; collapsed";
    assert!(replies.iter().any(|reply| cache_status(reply) == collapsed));
    for reply in replies {
        reply.expect_status(200).expect_body(r#"{"a":2}"#);
    }
    gw.get("/x").send().await.expect_body(r#"{"a":2}"#);
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn cold_key_costs_one_call_when_the_answer_comes_at_once() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    for n in 0..40 {
        let path = format!("/{n}");
        for reply in burst(25, |_| gw.get(&path).send()).await {
            reply.expect_status(200);
        }
        assert_eq!(origin.calls(&path), 1, "{path}");
    }
}

#[tokio::test]
async fn cold_key_costs_one_call_when_the_upstream_fails() {
    let failure = Answer::status(500).header("Content-Type", "text/plain").body("no");
    let (origin, gw, replies) = cold_crowd(failure).await;
    for reply in replies {
        reply.expect_status(500).expect_body("no");
    }
    gw.get("/x").send().await.expect_status(500).expect_body("no");
    assert_eq!(origin.calls("/x"), 1, "the failure is remembered");
}

#[tokio::test]
async fn cold_key_costs_one_call_when_the_answer_is_not_to_be_stored() {
    let unstored = Answer::json(r#"{"a":2}"#).header("Cache-Control", "no-store");
    let (origin, gw, replies) = cold_crowd(unstored).await;
    for reply in replies {
        reply.expect_status(200).expect_body(r#"{"a":2}"#);
    }
    origin.json("/x", r#"{"a":3}"#);
    gw.get("/x").send().await.expect_body(r#"{"a":3}"#);
    assert_eq!(origin.calls("/x"), 2, "the answer was not stored");
}

#[tokio::test]
async fn cold_key_costs_one_call_when_the_connection_is_reset() {
    let (origin, gw, replies) = cold_crowd(Answer::reset()).await;
    for reply in replies {
        reply.expect_status(502).expect_json("/errors/code", "upstream_broken");
    }
    gw.get("/x").send().await.expect_status(502);
    assert_eq!(origin.calls("/x"), 1, "the failure is remembered");
}

#[tokio::test]
async fn cold_key_costs_one_call_when_the_answer_is_truncated() {
    let (origin, gw, replies) = cold_crowd(Answer::json(r#"{"a":2}"#).truncate(3)).await;
    for reply in replies {
        reply.expect_status(502).expect_json("/errors/code", "upstream_broken");
    }
    gw.get("/x").send().await.expect_status(502);
    assert_eq!(origin.calls("/x"), 1, "the failure is remembered");
}

#[tokio::test]
async fn cold_key_costs_one_call_when_the_upstream_is_too_slow() {
    let route = "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept, \
                 timeout: 500ms}";
    let (origin, gw) = serve(&kept("fresh: 1h, error_for: 1h"), &[route]).await;
    origin.on("/x", Answer::json("1").hold());
    for reply in burst(CLIENTS, |_| gw.get("/x").send()).await {
        reply.expect_status(504).expect_json("/errors/code", "upstream_timeout");
    }
    gw.get("/x").send().await.expect_status(504);
    assert_eq!(origin.calls("/x"), 1);
    origin.wait_until_idle().await;
}

#[tokio::test]
async fn stale_key_is_refreshed_once_and_nobody_waits() {
    let policy = kept("fresh: 1s, stale_while_revalidate: 1h");
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    origin.json("/x", r#""old""#);
    gw.get("/x").send().await.expect_status(200);
    time_passes(Duration::from_millis(1_100)).await;
    origin.on("/x", Answer::json(r#""new""#).hold());
    // The origin holds its answer until all clients have theirs.
    for reply in burst(CLIENTS, |_| gw.get("/x").send()).await {
        let status = cache_status(&reply);
        assert!(status.starts_with("farmgate; hit; ttl="), "{status}");
        assert!(status.ends_with("; detail=refreshing"), "{status}");
        reply.expect_status(200).expect_body(r#""old""#);
    }
    origin.wait_for_calls("/x", 2).await;
    origin.release("/x");
    wait_for_metric(&gw, "farmgate_fills_total", &[("origin", "revalidation")], |n| n == 1.0).await;
    let fresh = gw.get("/x").send().await.expect_body(r#""new""#);
    assert!(!cache_status(&fresh).contains("detail"));
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn stale_key_is_refreshed_once_when_the_answer_comes_at_once() {
    let policy = kept("fresh: 2s, stale_while_revalidate: 1h");
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    let paths: Vec<String> = (0..40).map(|n| format!("/{n}")).collect();
    for path in &paths {
        gw.get(path).send().await.expect_status(200);
    }
    time_passes(Duration::from_millis(2_100)).await;
    for path in &paths {
        for reply in burst(25, |_| gw.get(path).send()).await {
            reply.expect_status(200);
        }
        origin.wait_for_calls(path, 2).await;
    }
    for path in &paths {
        assert_eq!(origin.calls(path), 2, "{path}");
    }
}

#[tokio::test]
async fn stale_key_is_refreshed_once_when_the_upstream_fails() {
    check_refresh_that_fails(Answer::status(500).body("no")).await;
}

#[tokio::test]
async fn stale_key_is_refreshed_once_when_the_answer_is_not_to_be_stored() {
    let unstored = Answer::json(r#""new""#).header("Cache-Control", "no-store");
    check_refresh_that_fails(unstored).await;
}

#[tokio::test]
async fn stale_key_is_refreshed_once_when_the_connection_is_reset() {
    check_refresh_that_fails(Answer::reset()).await;
}

#[tokio::test]
async fn stale_key_is_refreshed_once_when_the_answer_is_truncated() {
    check_refresh_that_fails(Answer::json(r#""new""#).truncate(2)).await;
}

#[tokio::test]
async fn stale_key_is_refreshed_once_when_its_reset_comes_inside_the_answer() {
    check_refresh_that_fails(Answer::json(r#""new""#).reset_after(2)).await;
}

#[tokio::test]
async fn answer_beyond_its_window_is_served_when_the_upstream_fails() {
    check_stale_if_error(Answer::status(500).body("no"), KEPT).await;
}

#[tokio::test]
async fn answer_beyond_its_window_is_served_when_the_connection_is_reset() {
    check_stale_if_error(Answer::reset(), KEPT).await;
}

#[tokio::test]
async fn answer_beyond_its_window_is_served_when_the_upstream_is_too_slow() {
    let route = "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept, \
                 timeout: 500ms}";
    check_stale_if_error(Answer::json("1").hold(), route).await;
}

#[tokio::test]
async fn answer_beyond_its_window_is_served_when_the_upstream_is_gone() {
    let policy = kept("fresh: 100ms, stale_if_error: 1h, error_for: 1h");
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    origin.json("/x", r#""old""#);
    gw.get("/x").send().await.expect_status(200);
    time_passes(UNTIL_STALE).await;
    origin.stop().await;
    gw.get("/x").send().await.expect_status(200).expect_body(r#""old""#);
    gw.get("/other").send().await.expect_json("/errors/code", "upstream_unavailable");
}

#[tokio::test]
async fn answer_beyond_all_its_windows_is_never_served() {
    let policy = kept("fresh: 50ms, stale_while_revalidate: 50ms, error_for: 1h");
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    gw.get("/x").send().await.expect_status(200);
    time_passes(UNTIL_STALE).await;
    origin.on("/x", Answer::status(500).body("no"));
    gw.get("/x").send().await.expect_status(500).expect_body("no");
}

#[tokio::test]
async fn failure_is_remembered_and_then_asked_about_again() {
    let (origin, gw) = serve(&kept("fresh: 1h, error_for: 1s"), &[KEPT]).await;
    let failure = Answer::status(503).header("Content-Type", "application/json").body("0");
    origin.script("/x", [failure, Answer::json("1")]);
    gw.get("/x")
        .send()
        .await
        .expect_status(503)
        .expect_header("cache-status", "farmgate; fwd=uri-miss; fwd-status=503");
    let remembered = gw.get("/x").send().await.expect_status(503).expect_body("0");
    remembered.expect_header("cache-status", "farmgate; hit; detail=failure-remembered");
    assert_eq!(origin.calls("/x"), 1);
    time_passes(Duration::from_millis(1_100)).await;
    gw.get("/x").send().await.expect_status(200).expect_body("1");
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn failure_of_one_key_is_not_remembered_for_another() {
    let (origin, gw) = serve(&kept("fresh: 1h, error_for: 1h"), &[KEPT]).await;
    origin.on("/x", Answer::status(500));
    gw.get("/x").send().await.expect_status(500);
    gw.get("/y").send().await.expect_status(200);
    gw.get("/x?other").send().await.expect_status(500);
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn fetch_outlives_the_client_that_caused_it() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    origin.on("/x", Answer::json(r#"{"a":2}"#).hold());
    let mut first = gw.connect().await;
    first.write_raw("GET /x HTTP/1.1\r\nHost: farm\r\n\r\n").await;
    origin.wait_for_calls("/x", 1).await;
    let others = launch(5, |_| gw.get("/x").host("farm").send());
    wait_for_waiters(&gw, 6).await;
    drop(first);
    origin.release("/x");
    for reply in others.await.expect("every client has a reply") {
        reply.expect_status(200).expect_body(r#"{"a":2}"#);
    }
    let hit = gw.get("/x").host("farm").send().await.expect_body(r#"{"a":2}"#);
    assert!(cache_status(&hit).starts_with("farmgate; hit"));
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn fetch_that_nobody_waits_for_any_more_is_stored() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    origin.on("/x", Answer::json(r#"{"a":2}"#).hold());
    let mut only = gw.connect().await;
    only.write_raw("GET /x HTTP/1.1\r\nHost: farm\r\n\r\n").await;
    origin.wait_for_calls("/x", 1).await;
    drop(only);
    origin.release("/x");
    let stored = [("result", "stored")];
    wait_for_metric(&gw, "farmgate_fills_total", &stored, |fills| fills == 1.0).await;
    gw.get("/x").host("farm").send().await.expect_body(r#"{"a":2}"#);
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn answer_that_is_one_clients_own_is_given_to_no_other() {
    let policy = kept("fresh: 1h, share: everyone");
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    origin.rule("/x", |_, call| {
        Answer::json(call.to_string()).header("Set-Cookie", &format!("session={call}")).hold()
    });
    let replies = launch(5, |_| gw.get("/x").send());
    wait_for_waiters(&gw, 5).await;
    let mut calls = 0;
    while calls < 5 {
        origin.wait_for_calls("/x", calls + 1).await;
        calls = origin.calls("/x");
        origin.release("/x");
    }
    let mut cookies: Vec<String> = replies
        .await
        .expect("every client has a reply")
        .iter()
        .map(|reply| reply.header("set-cookie").expect("a cookie of its own").to_owned())
        .collect();
    cookies.sort_unstable();
    cookies.dedup();
    assert_eq!(cookies.len(), 5);
}

/// Where the upstream is followed, a credential that nobody verified goes along with a fetch, and so
/// does a field in which only the service sees one.
#[tokio::test]
async fn answer_that_is_not_to_be_kept_is_given_to_the_one_who_asked() {
    for (name, said) in [
        ("Authorization", "no-store"),
        ("Authorization", "no-cache"),
        ("X-Session", "no-store"),
        ("X-Session", "no-cache"),
        ("X-Session", "private, max-age=60"),
    ] {
        let policy = kept("fresh: upstream, share: everyone");
        let (origin, gw) = serve(&policy, &[KEPT]).await;
        origin.rule("/x", move |asked, _| {
            let who = asked.header(name).unwrap_or("nobody");
            Answer::json(format!("{who:?}")).header("Cache-Control", said).hold()
        });
        let replies = launch(4, |number| match number {
            0 => gw.get("/x").send(),
            _ => gw.get("/x").header(name, &format!("Basic {number}")).send(),
        });
        wait_for_waiters(&gw, 4).await;
        let mut calls = 0;
        while !replies.is_finished() {
            if origin.calls("/x") > calls {
                calls = origin.calls("/x");
                origin.release("/x");
            }
            tokio::task::yield_now().await;
        }
        for (number, reply) in replies.await.expect("every client has a reply").iter().enumerate() {
            let own = if number == 0 { "nobody".to_owned() } else { format!("Basic {number}") };
            assert_eq!(reply.text(), format!("{own:?}"), "{name} {said}");
        }
    }
}

#[tokio::test]
async fn misses_share_connections_to_the_upstream() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    for n in 0..20 {
        gw.get(&format!("/{n}")).send().await.expect_status(200);
        // The connection is free again a moment after the client has its answer.
        let idle = |requests: f64| requests == 0.0;
        wait_for_metric(&gw, "farmgate_upstream_in_flight", &[], idle).await;
    }
    // Pingora opens another now and then, when it fails to take an idle one over in time.
    assert!(origin.connections() < 20, "none of the connections was used again");
}
