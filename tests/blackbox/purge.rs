//! What does an operator purge, what is served after that, and what do other gateways serve?

mod cli;
mod machines;

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Answer, Gateway, Origin, Reply, Request, burst};
use serde_json::{Value, json};

use crate::fixtures::{KEPT, conf, gateway, kept, time_passes, wait_for_metric};

/// The token behind `env:ADMIN_TOKEN`.
const TOKEN: &str = "a token that only operators know";

/// The host that the harness names unless told another.
const HOST: &str = "a.example";

/// A configuration whose admin listener has a token.
fn conf_with_token(sections: &str, routes: &[&str]) -> String {
    let admin = "admin: {address: '{admin}'";
    conf(sections, routes).replace(admin, &format!("{admin}, token: 'env:ADMIN_TOKEN'"))
}

/// A gateway that keeps answers under this policy.
async fn keeping(policy: &str) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    let gw = gateway()
        .with(conf_with_token(&kept(policy), &[KEPT]))
        .pool("service", origin.address())
        .env("ADMIN_TOKEN", TOKEN);
    (origin, gw.start().await)
}

/// An admin request with the token.
fn asked(gw: &Gateway, method: &str, target: &str) -> Request<SocketAddr> {
    Request::to(gw.admin(), method, target).bearer(TOKEN)
}

async fn purge(gw: &Gateway, body: Value) -> Reply {
    asked(gw, "POST", "/cache/purge").json(&body).send().await
}

async fn purged(gw: &Gateway, body: Value) -> Reply {
    purge(gw, body).await.expect_status(200)
}

/// Answers each call of the path with its number, and these fields.
fn numbered(origin: &Origin, path: &str, fields: &'static [(&'static str, &'static str)]) {
    origin.rule(path, |_, call| {
        let answer = Answer::json(format!("{call}"));
        fields.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    });
}

/// What a client of this target gets.
async fn got(gw: &Gateway, target: &str) -> String {
    gw.get(target).host(HOST).send().await.expect_status(200).text()
}

fn url(target: &str) -> String {
    format!("https://{HOST}{target}")
}

#[tokio::test]
async fn purge_of_a_url_covers_every_query_or_the_one_that_it_names() {
    let (origin, gw) = keeping("fresh: 1h").await;
    numbered(&origin, "/x", &[]);
    numbered(&origin, "/x/y", &[]);
    for target in ["/x", "/x?q=1", "/x?q=2", "/x/y"] {
        got(&gw, target).await;
    }
    purged(&gw, json!({"url": url("/x?q=1")})).await.expect_json("/by", "url");
    let now = [got(&gw, "/x").await, got(&gw, "/x?q=1").await, got(&gw, "/x?q=2").await];
    assert_eq!(now, ["1", "4", "3"]);
    purged(&gw, json!({"url": "/x?", "host": "A.example:443"})).await;
    let now = [got(&gw, "/x").await, got(&gw, "/x?q=1").await, got(&gw, "/x?q=2").await];
    assert_eq!(now, ["5", "4", "3"]);
    purged(&gw, json!({"url": "/x", "host": HOST})).await;
    let now = [got(&gw, "/x").await, got(&gw, "/x?q=1").await, got(&gw, "/x?q=2").await];
    assert_eq!(now, ["6", "7", "8"]);
    purged(&gw, json!({"url": "/x", "host": "b.example"})).await;
    assert_eq!([got(&gw, "/x").await, got(&gw, "/x/y").await], ["6", "1"]);
}

#[tokio::test]
async fn purge_of_an_exact_query_means_all_that_ask_for_the_same() {
    let (origin, gw) = keeping("fresh: 1h, query: {sort: true, drop: [trace]}").await;
    numbered(&origin, "/x", &[]);
    assert_eq!(got(&gw, "/x?b=2&a=1&trace=7").await, "1");
    purged(&gw, json!({"url": url("/x?trace=9&b=2&a=1")})).await;
    assert_eq!(got(&gw, "/x?a=1&b=2").await, "2");
}

#[tokio::test]
async fn purge_of_a_prefix_covers_one_host_or_all() {
    let (origin, gw) = keeping("fresh: 1h").await;
    for path in ["/a/1", "/a/2", "/b"] {
        numbered(&origin, path, &[]);
        got(&gw, path).await;
    }
    purged(&gw, json!({"prefix": "/a/", "host": "b.example"})).await;
    assert_eq!([got(&gw, "/a/1").await, got(&gw, "/a/2").await], ["1", "1"]);
    purged(&gw, json!({"prefix": url("/a/1")})).await;
    assert_eq!([got(&gw, "/a/1").await, got(&gw, "/a/2").await], ["2", "1"]);
    purged(&gw, json!({"prefix": "/a"})).await.expect_json("/name", "/a");
    let now = [got(&gw, "/a/1").await, got(&gw, "/a/2").await, got(&gw, "/b").await];
    assert_eq!(now, ["3", "2", "1"]);
}

#[tokio::test]
async fn purge_of_a_tag_covers_what_the_upstream_tagged() {
    let (origin, gw) = keeping("fresh: 1h").await;
    numbered(&origin, "/a", &[("Surrogate-Key", "field-7 farm-2")]);
    numbered(&origin, "/b", &[("Cache-Tag", "farm-2, ndvi")]);
    numbered(&origin, "/c", &[("Surrogate-Key", "farm-3")]);
    let all = async || [got(&gw, "/a").await, got(&gw, "/b").await, got(&gw, "/c").await];
    assert_eq!(all().await, ["1", "1", "1"]);
    purged(&gw, json!({"tag": "field-7"})).await;
    assert_eq!(all().await, ["2", "1", "1"]);
    purged(&gw, json!({"tag": "farm-2"})).await.expect_json("/applied_by", 1);
    assert_eq!(all().await, ["3", "2", "1"]);
    purged(&gw, json!({"tag": "farm"})).await;
    assert_eq!(all().await, ["3", "2", "1"]);
}

#[tokio::test]
async fn purge_of_a_route_and_of_everything_covers_just_that() {
    let one = "{name: one, path_prefix: /one, pool: service, auth: {anonymous: true}, cache: kept}";
    let origin = Origin::start().await;
    let gw = gateway()
        .with(conf_with_token(&kept("fresh: 1h"), &[one, KEPT]))
        .pool("service", origin.address())
        .env("ADMIN_TOKEN", TOKEN);
    let gw = gw.start().await;
    numbered(&origin, "/one", &[]);
    numbered(&origin, "/x", &[]);
    let both = async || [got(&gw, "/one").await, got(&gw, "/x").await];
    assert_eq!(both().await, ["1", "1"]);
    purged(&gw, json!({"route": "one"})).await;
    assert_eq!(both().await, ["2", "1"]);
    purged(&gw, json!({"all": true})).await;
    assert_eq!(both().await, ["3", "2"]);
    let labels = [("scope", "route"), ("from", "operator")];
    assert_eq!(gw.metric("farmgate_purges_total", &labels).await, Some(1.0));
    // The room of what is used no more comes back by itself.
    purged(&gw, json!({"all": true})).await;
    wait_for_metric(&gw, "farmgate_cache_objects", &[], |objects| objects == 0.0).await;
    assert!(gw.metric("farmgate_cache_reclaimed_total", &[]).await >= Some(2.0));
}

#[tokio::test]
async fn soft_purge_serves_the_old_answer_while_it_is_revalidated() {
    let (origin, gw) = keeping("fresh: 1h, stale_while_revalidate: 1h, stale_if_error: 1h").await;
    origin.rule("/x", |request, call| match request.header("if-none-match") {
        Some("\"v1\"") if call == 2 => Answer::status(304).header("ETag", "\"v1\""),
        _ => Answer::json(format!("{call}")).header("ETag", "\"v1\""),
    });
    got(&gw, "/x").await;
    purged(&gw, json!({"url": url("/x"), "soft": true})).await.expect_json("/soft", true);
    let stale = gw.get("/x").host(HOST).send().await.expect_body("1");
    assert!(stale.header("cache-status").unwrap().ends_with("detail=refreshing"), "{stale:?}");
    origin.wait_for_calls("/x", 2).await;
    // It was confirmed, and is fresh again: nobody asks a third time.
    let shown = async || asked(&gw, "GET", &format!("/cache/show?url={}", url("/x"))).send().await;
    while shown().await.json()["entries"][0]["state"] != "fresh" {}
    assert_eq!((got(&gw, "/x").await.as_str(), origin.calls("/x")), ("1", 2));
}

#[tokio::test]
async fn soft_purge_serves_the_old_answer_when_the_upstream_fails() {
    let (origin, gw) = keeping("fresh: 1h, stale_if_error: 1h").await;
    origin.script("/x", [Answer::json("1"), Answer::status(500).times(2), Answer::json("2")]);
    got(&gw, "/x").await;
    purged(&gw, json!({"url": url("/x"), "soft": true})).await;
    assert_eq!(got(&gw, "/x").await, "1");
    assert_eq!(origin.calls("/x"), 2);
    // A hard one leaves nothing to stand in.
    purged(&gw, json!({"url": url("/x")})).await;
    time_passes(Duration::from_millis(1_100)).await;
    assert_eq!(gw.get("/x").host(HOST).send().await.status, 500);
}

#[tokio::test]
async fn soft_purge_without_grace_asks_before_the_answer_is_served() {
    let (origin, gw) = keeping("fresh: 1h").await;
    numbered(&origin, "/x", &[]);
    got(&gw, "/x").await;
    purged(&gw, json!({"all": true, "soft": true})).await;
    assert_eq!(got(&gw, "/x").await, "2");
}

#[tokio::test]
async fn answer_that_was_on_its_way_is_purged_too() {
    for soft in [false, true] {
        let (origin, gw) = keeping("fresh: 1h").await;
        origin.rule("/x", |_, call| {
            let answer = Answer::json(format!("{call}")).header("Surrogate-Key", "t");
            if call == 1 { answer.hold() } else { answer }
        });
        let early = tokio::spawn(gw.get("/x").host(HOST).send());
        origin.wait_for_in_flight(1).await;
        purged(&gw, json!({"tag": "t", "soft": soft})).await;
        // Who comes after the purge joins the flight, and does not take what it brings.
        let late = tokio::spawn(gw.get("/x").host(HOST).send());
        wait_for_metric(&gw, "farmgate_fill_waiters", &[], |waiters| waiters == 2.0).await;
        origin.release("/x");
        early.await.unwrap().expect_body("1");
        late.await.unwrap().expect_body("2");
        assert_eq!(got(&gw, "/x").await, "2");
    }
}

#[tokio::test]
async fn refill_fetches_what_was_asked_for_before_anybody_asks_again() {
    let (origin, gw) = keeping("fresh: 1h").await;
    for path in ["/hot", "/cold"] {
        numbered(&origin, path, &[("Surrogate-Key", "t")]);
        got(&gw, path).await;
    }
    got(&gw, "/hot").await;
    purged(&gw, json!({"tag": "t", "refill": true})).await.expect_json("/refilling", 1);
    origin.wait_for_calls("/hot", 2).await;
    assert_eq!([got(&gw, "/hot").await, got(&gw, "/cold").await], ["2", "2"]);
    assert_eq!((origin.calls("/hot"), origin.calls("/cold")), (2, 2));
}

#[tokio::test]
async fn no_purged_body_is_served_of_thousands_with_one_tag() {
    const PATHS: usize = 2_000;
    let (origin, gw) = keeping("fresh: 1h").await;
    origin.otherwise(Answer::json("1").header("Surrogate-Key", "all"));
    let path = |n: usize| format!("/{n}");
    let all = async || {
        let mut bodies = Vec::new();
        for from in (0..PATHS).step_by(100) {
            let some = burst(100, |n| gw.get(&path(from + n)).host(HOST).send()).await;
            bodies.extend(some.into_iter().map(|reply| reply.text()));
        }
        bodies
    };
    assert!(all().await.iter().all(|body| body == "1"));
    origin.otherwise(Answer::json("2").header("Surrogate-Key", "all"));
    assert_eq!(got(&gw, "/7").await, "1", "they are kept");
    purged(&gw, json!({"tag": "all"})).await;
    assert!(all().await.iter().all(|body| body == "2"));
}

#[tokio::test]
async fn cache_endpoints_are_closed_without_the_token() {
    let (_origin, gw) = keeping("fresh: 1h").await;
    let body = json!({"all": true});
    let plain = || Request::to(gw.admin(), "POST", "/cache/purge").json(&body);
    plain().send().await.expect_status(401).expect_header("www-authenticate", "Bearer");
    plain().bearer("a token that only operators knew").send().await.expect_status(401);
    plain().header("Authorization", TOKEN).send().await.expect_status(401);
    for target in ["/cache/top", "/cache/show?url=/x&host=h", "/cache/why?url=/x&host=h"] {
        Request::to(gw.admin(), "GET", target).send().await.expect_status(401);
    }
    Request::to(gw.admin(), "GET", "/metrics").send().await.expect_status(200);
    let open = gw.directory().join("conf/gateway.yaml");
    let conf = std::fs::read_to_string(&open).unwrap().replace(", token: 'env:ADMIN_TOKEN'", "");
    gw.rewrite_conf(&conf);
    gw.reload().await;
    wait_for_metric(&gw, "farmgate_config_generation", &[], |generation| generation == 2.0).await;
    let refused = purge(&gw, body.clone()).await.expect_status(403);
    assert!(refused.text().contains("admin: {token"), "{}", refused.text());
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let (_origin, gw) = keeping("fresh: 1h").await;
    for (body, told) in [
        ("", "the body"),
        ("{", "the body"),
        (r#"{"urls": "x"}"#, "unknown field"),
        ("{}", "name one of"),
        (r#"{"tag": "a", "all": true}"#, "name one of"),
        (r#"{"url": "/x"}"#, "name the host"),
        (r#"{"url": "x", "host": "h"}"#, "is no URL"),
        (r#"{"url": "http://a/x", "host": "b"}"#, "another host"),
        (r#"{"prefix": "/x?q=1"}"#, "no query"),
        (r#"{"tag": " "}"#, "a tag has"),
        (r#"{"route": "kep"}"#, "did you mean \\\"kept\\\""),
    ] {
        let request = asked(&gw, "POST", "/cache/purge").body(body);
        let refused = request.send().await.expect_status(400);
        assert!(refused.text().contains(told), "{body}: {}", refused.text());
    }
    for target in
        ["/cache/top?by=size", "/cache/top?n=0", "/cache/top?m=1", "/cache/show", "/cache/why?u=1"]
    {
        asked(&gw, "GET", target).send().await.expect_status(400);
    }
    let long = vec![b' '; 64 * 1024 + 1];
    asked(&gw, "POST", "/cache/purge").body(long).send().await.expect_status(413);
    let wrong = asked(&gw, "GET", "/cache/purge").send().await.expect_status(405);
    wrong.expect_header("allow", "POST");
    let wrong = asked(&gw, "POST", "/cache/top").send().await.expect_status(405);
    wrong.expect_header("allow", "GET, HEAD");
    asked(&gw, "GET", "/cache/other").send().await.expect_status(404);
    let nothing = asked(&gw, "GET", "/cache/show?url=https://h/x").send().await;
    nothing.expect_status(404);
}

#[tokio::test]
async fn answer_is_shown_with_what_an_operator_asks_of_it() {
    let (origin, gw) = keeping("fresh: 1h, stale_if_error: 2h").await;
    numbered(&origin, "/x", &[("Surrogate-Key", "t u"), ("Vary", "Accept-Language")]);
    got(&gw, "/x?q=1").await;
    got(&gw, "/x?q=1").await;
    let show = format!("/cache/show?url={}", url("/x"));
    let shown = asked(&gw, "GET", &show).send().await.expect_status(200);
    let entry = shown.json()["entries"][0].clone();
    for (member, wanted) in [
        ("route", json!("kept")),
        ("host", json!(HOST)),
        ("path", json!("/x")),
        ("query", json!("q=1")),
        ("tags", json!(["t", "u"])),
        ("state", json!("fresh")),
        ("why", json!(null)),
        ("status", json!(200)),
        ("vary", json!(["accept-language"])),
        ("hits", json!(1)),
    ] {
        assert_eq!(entry[member], wanted, "{member}");
    }
    assert_eq!(entry["last_refresh"]["ended"], "fetched");
    purged(&gw, json!({"tag": "u"})).await;
    let shown = asked(&gw, "GET", &show).send().await.expect_status(200);
    shown
        .expect_json("/entries/0/state", "invalid")
        .expect_json("/entries/0/why", "purged by tag u");
}

#[tokio::test]
async fn top_lists_what_is_used_most_and_what_is_largest() {
    let (origin, gw) = keeping("fresh: 1h").await;
    origin.json("/large", format!("\"{}\"", "x".repeat(9_000)));
    origin.json("/used", "1");
    for path in ["/large", "/used", "/used", "/used"] {
        got(&gw, path).await;
    }
    let top = async |query: &str| asked(&gw, "GET", &format!("/cache/top{query}")).send().await;
    top("").await.expect_json("/entries/0/path", "/used").expect_json("/entries/0/hits", 2);
    let largest = top("?by=bytes&n=1").await.expect_json("/entries/0/path", "/large");
    assert_eq!(largest.json()["entries"].as_array().unwrap().len(), 1);
    assert_eq!(largest.json()["objects"], 2);
}

#[tokio::test]
async fn misses_say_why_they_were() {
    let (origin, gw) = keeping("fresh: 1h, error_for: 1s").await;
    numbered(&origin, "/x", &[("Surrogate-Key", "t"), ("Vary", "Accept-Language")]);
    origin.on("/broken", Answer::status(500));
    origin.on("/never", Answer::json("1").header("Set-Cookie", "a=b"));
    got(&gw, "/x").await;
    gw.get("/x").host(HOST).header("Accept-Language", "de").send().await.expect_status(200);
    purged(&gw, json!({"tag": "t"})).await;
    gw.get("/x").host(HOST).header("Accept-Language", "de").send().await.expect_status(200);
    gw.get("/broken").host(HOST).send().await.expect_status(500);
    let why = async |path: &str| {
        let target = format!("/cache/why?url={path}&host={HOST}");
        asked(&gw, "GET", &target).send().await.expect_status(200).json()["misses"].clone()
    };
    let misses = why("/x").await;
    let told: Vec<[&str; 3]> = misses
        .as_array()
        .unwrap()
        .iter()
        .map(|miss| ["why", "detail", "ended"].map(|member| miss[member].as_str().unwrap()))
        .collect();
    let wanted = [
        ["uri-miss", "purged by tag t", "stored"],
        ["vary-miss", "vary: accept-language", "stored"],
        ["uri-miss", "evicted or never stored", "stored"],
    ];
    assert_eq!(told, wanted);
    assert_eq!(why("/broken").await[0]["ended"], "failed");
    asked(&gw, "GET", &format!("/cache/why?url=/other&host={HOST}"))
        .send()
        .await
        .expect_status(404);
}

#[tokio::test]
async fn warming_fetches_targets_before_anybody_asks() {
    let (origin, gw) = keeping("fresh: 1h").await;
    numbered(&origin, "/x", &[]);
    let body = json!({"urls": ["/x", "/x?q=1"], "host": HOST});
    let warmed = asked(&gw, "POST", "/cache/warm").json(&body).send().await.expect_status(200);
    warmed.expect_json("/warmed/0/ended", "stored").expect_json("/warmed/1/ended", "stored");
    let calls = origin.calls("/x");
    got(&gw, "/x").await;
    got(&gw, "/x?q=1").await;
    assert_eq!((calls, origin.calls("/x")), (2, 2));
    asked(&gw, "POST", "/cache/warm").json(&json!({})).send().await.expect_status(400);
}

#[tokio::test]
async fn purge_by_a_tag_covers_what_is_just_confirmed_with_another() {
    let (origin, gw) = keeping("fresh: 50ms, stale_while_revalidate: 1h").await;
    origin.rule("/x", |_, call| match call {
        1 => Answer::json("1").header("etag", "\"a\"").header("surrogate-key", "old"),
        2 => Answer::status(304).header("surrogate-key", "new").hold(),
        _ => Answer::json("3"),
    });
    got(&gw, "/x").await;
    time_passes(Duration::from_millis(100)).await;
    assert_eq!(got(&gw, "/x").await, "1");
    origin.wait_for_calls("/x", 2).await;
    purged(&gw, json!({"tag": "old"})).await;
    origin.release("/x");
    let confirmed = [("origin", "revalidation")];
    wait_for_metric(&gw, "farmgate_fills_total", &confirmed, |fills| fills == 1.0).await;
    assert_eq!(got(&gw, "/x").await, "3", "its body was purged");
}

#[tokio::test]
async fn who_comes_after_a_change_is_not_given_what_was_on_its_way() {
    let (origin, gw) = keeping("fresh: 1h").await;
    origin.rule("/x", |request, call| match (request.method.as_str(), call) {
        ("GET", 1) => Answer::json("1").header("set-cookie", "a=b").hold(),
        _ => Answer::json(call.to_string()).header("set-cookie", "a=b"),
    });
    let first = gw.get("/x").host(HOST).send();
    let later = async {
        origin.wait_for_in_flight(1).await;
        gw.post("/x").host(HOST).send().await.expect_status(200);
        let late = gw.get("/x").host(HOST).send();
        let release = async {
            wait_for_metric(&gw, "farmgate_fill_waiters", &[], |waiters| waiters == 2.0).await;
            origin.release("/x");
        };
        tokio::join!(late, release).0
    };
    let (first, late) = tokio::join!(first, later);
    assert_eq!((first.text(), late.text()), ("1".to_owned(), "3".to_owned()));
}

#[tokio::test]
async fn host_beside_what_it_does_not_narrow_is_refused() {
    let (origin, gw) = keeping("fresh: 1h").await;
    numbered(&origin, "/x", &[]);
    got(&gw, "/x").await;
    for body in [json!({"all": true, "host": HOST}), json!({"tag": "a", "host": HOST})] {
        purge(&gw, body).await.expect_status(400);
    }
    assert_eq!(got(&gw, "/x").await, "1");
}
