//! What the operator sees, whatever the clients do.

use std::time::{Duration, Instant};

use farmgate::metrics::NAMES;
use farmgate::refusal::Refusal;
use harness::{Answer, Origin, Request, launch, samples};
use serde_json::{Value, json};

use crate::fixtures::{OPEN, api_key, conf, gateway, nextcloud, serve, token, wait_for_metric};

const HELD: usize = 500;
const SCRAPES: usize = 100;
const SCRAPE_P99_MAX: Duration = Duration::from_millis(50);

/// Metrics and health answer while every client is stuck.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_are_answered_while_500_requests_are_stuck() {
    let (origin, gw) = serve("", &[OPEN]).await;
    origin.on("/slow", Answer::json("1").hold());
    let slow = gw.get("/slow");
    let stuck = launch(HELD, |_| slow.clone().send());
    origin.wait_for_in_flight(HELD).await;
    for path in ["/metrics", "/healthz"] {
        let mut times = Vec::new();
        for _ in 0..SCRAPES {
            let reply = gw.admin_get(path).send().await.expect_status(200);
            times.push(reply.elapsed);
        }
        times.sort_unstable();
        let p99 = times[SCRAPES * 99 / 100 - 1];
        assert!(p99 < SCRAPE_P99_MAX, "{path}: p99 {p99:?}, slowest {:?}", times[SCRAPES - 1]);
    }
    let labels: [(&str, &str); 0] = [];
    let in_flight = gw.metric("farmgate_requests_in_flight", &labels).await;
    assert_eq!(in_flight, Some(500.0));
    assert_eq!(origin.in_flight(), HELD);
    origin.release("/slow");
    for reply in stuck.await.unwrap() {
        reply.expect_status(200);
    }
}

#[tokio::test]
async fn every_series_and_refusal_code_is_exposed() {
    let route = "{name: warm, path_prefix: /, pool: service, cache: kept, auth: {anonymous: true}, \
                 quotas: [one], prewarm: {every: 1m, host: a.example, targets: [/x]}}";
    let sections = "cache: {policies: {kept: {fresh: 1h, share: everyone}}}\n\
                    limits: {quotas: {one: 1/hour}}";
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let pool = format!("peers: [{{address: '{}'}}]\nbudget: {{day: 9}}\n", origin.address());
    let gw = gateway().with(conf(sections, &[route])).pool("service", pool).start().await;
    gw.get("/y").send().await.expect_status(200);
    gw.get("/y").send().await.expect_status(429);
    // A request is counted after its answer has left.
    wait_for_metric(&gw, "farmgate_requests_total", &[], |requests| requests >= 1.0).await;
    let text = gw.admin_get("/metrics").send().await.expect_status(200).text();
    let described = |kind: &str, name: &str| text.contains(&format!("# {kind} {name} "));
    let hidden: Vec<_> =
        NAMES.iter().filter(|name| !described("HELP", name) || !described("TYPE", name)).collect();
    assert!(hidden.is_empty(), "not exposed before something happens: {hidden:?}");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE farmgate_")) {
        let name = format!("farmgate_{}", line.split(' ').next().unwrap());
        assert!(NAMES.contains(&name.as_str()), "{name} is not in the list of series");
    }
    // A code that never happened is there with 0, so that an alert on its rate can work.
    for code in Refusal::CODES {
        let (labels, happened) = ([("code", code)], f64::from(code == "quota_exceeded"));
        let refusals = harness::metric(&text, "farmgate_refusals_total", &labels);
        assert_eq!(refusals, Some(happened), "{code}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let guarded = "{name: key, path_prefix: /key, pool: service, auth: {any: [api_key]}}";
    let sections = format!("auth: {{api_keys: {{keys: [{}]}}}}", api_key("a", "key", ""));
    let (_origin, gw) = serve(&sections, &[OPEN, guarded]).await;
    gw.get("/x").send().await.expect_status(200);
    gw.request("HEAD", "/x").send().await.expect_status(200);
    gw.post("/y").send().await.expect_status(200);
    gw.get("/key").send().await.expect_status(401);
    gw.wait_for_logs(4, |line| line.contains("\"access\"")).await;
    let total = async |route: &str, method: &str, status: &str| {
        let labels = [("route", route), ("method", method), ("status", status)];
        gw.metric("farmgate_requests_total", &labels).await
    };
    assert_eq!(total("open", "GET", "200").await, Some(1.0));
    assert_eq!(total("open", "HEAD", "200").await, Some(1.0));
    assert_eq!(total("open", "POST", "200").await, Some(1.0));
    assert_eq!(total("key", "GET", "401").await, Some(1.0));
    let labels = [("code", "credential_missing")];
    assert_eq!(gw.metric("farmgate_refusals_total", &labels).await, Some(1.0));
    let attempts = [("pool", "service"), ("result", "answered")];
    assert_eq!(gw.metric("farmgate_upstream_attempts_total", &attempts).await, Some(3.0));
}

#[tokio::test]
async fn client_cannot_invent_labels() {
    let route = "{name: open, path_prefix: /open, pool: service, auth: {anonymous: true}}";
    let (_origin, gw) = serve("", &[route]).await;
    let exposed = async || {
        let text = gw.admin_get("/metrics").send().await.text();
        let labels = samples(&text).into_iter().flat_map(|sample| sample.labels);
        labels.map(|(_, value)| value).collect::<std::collections::BTreeSet<_>>()
    };
    gw.request("BREW", "/open/x").send().await;
    gw.get("/nowhere/secret").send().await.expect_status(404);
    gw.wait_for_logs(2, |line| line.contains("\"access\"")).await;
    let labels = exposed().await;
    assert!(labels.contains("other") && labels.contains("none"), "{labels:?}");
    let invented = ["BREW", "/open/x", "/nowhere/secret", "secret"];
    assert!(invented.iter().all(|text| !labels.contains(*text)), "{labels:?}");
}

#[tokio::test]
async fn one_line_is_logged_for_each_request() {
    let sections = format!("auth: {{api_keys: {{keys: [{}]}}}}", api_key("script", "key", ""));
    let route = "{name: one, path_prefix: /, pool: service, auth: {any: [api_key]}}";
    let (origin, gw) = serve(&sections, &[route]).await;
    let request = gw.get("/x?token=hidden").host("a.example").api_key("key");
    request.header("X-Request-ID", "rid-1").send().await.expect_status(200);
    gw.get("/x").header("X-Request-ID", "rid-2").send().await.expect_status(401);
    let lines = gw.wait_for_logs(2, |line| line.contains("\"access\"")).await;
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    let expected = json!({
        "target": "access", "level": "INFO", "request_id": "rid-1", "client": "127.0.0.1",
        "method": "GET", "host": "a.example", "path": "/x", "status": 200, "route": "one",
        "scheme": "api_key", "principal": "script", "cache": "none", "generation": 1,
        "peer": origin.address().to_string(), "bytes": 7,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&first[name], value, "{name} of {first}");
    }
    assert!(first["duration_us"].as_u64().is_some_and(|duration| duration > 0));
    let second: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!((&second["request_id"], &second["status"]), (&json!("rid-2"), &json!(401)));
    assert_eq!(second["refused"], "credential_missing");
    assert!(second["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    assert_eq!(second.get("peer"), None);
}

#[tokio::test]
async fn log_and_metrics_never_show_a_credential() {
    let sections = format!(
        "auth: {{jwt: [{{keys: ['env:JWT_SECRET']}}], api_keys: {{keys: [{}]}}, \
         hmac: {{clients: [{{id: nextcloud, secrets: ['env:HMAC_SECRET']}}]}}}}",
        api_key("script", "the-key-itself", "")
    );
    let route = "{name: one, path_prefix: /, pool: service, auth: {any: [jwt, api_key, hmac]}}";
    let (_origin, gw) = serve(&sections, &[route]).await;
    let token = token("7");
    gw.get("/x?key=in-the-query").bearer(&token).send().await.expect_status(200);
    gw.get("/x").api_key("the-key-itself").send().await.expect_status(200);
    gw.get("/x").api_key("another-key").send().await.expect_status(401);
    gw.get("/x").bearer("not.a.token").send().await.expect_status(401);
    let signed = Request::get("/x").signed_by(&nextcloud());
    gw.connect().await.send(signed).await.expect_status(200);
    gw.wait_for_logs(5, |line| line.contains("\"access\"")).await;
    let mut shown = gw.log_lines();
    shown.push(gw.admin_get("/metrics").send().await.text());
    shown.push(gw.admin_get("/config").send().await.text());
    let secret = nextcloud().secret_base64();
    let secrets = [
        token.as_str(),
        "the-key-itself",
        "another-key",
        "not.a.token",
        "in-the-query",
        secret.as_str(),
        crate::fixtures::JWT_SECRET,
    ];
    for secret in secrets {
        assert!(shown.iter().all(|text| !text.contains(secret)), "{secret} is shown");
    }
}

#[tokio::test]
async fn admin_listener_says_what_it_answers() {
    let (_origin, gw) = serve("", &[OPEN]).await;
    gw.admin_get("/healthz").send().await.expect_status(200).expect_json("/status", "alive");
    gw.admin_get("/readyz").send().await.expect_status(200).expect_json("/status", "ready");
    let config = gw.admin_get("/config").send().await.expect_status(200);
    config.expect_json("/generation", 1).expect_json("/success", true);
    let lost = gw.admin_get("/").send().await.expect_status(404);
    for path in ["/healthz", "/readyz", "/metrics", "/config"] {
        assert!(lost.text().contains(path), "{path} is not named");
    }
    Request::to(gw.admin(), "POST", "/metrics").send().await.expect_status(405);
    let head = Request::to(gw.admin(), "HEAD", "/metrics").send().await.expect_status(200);
    assert!(head.body.is_empty());
    // What is private does not leak through the public listener.
    for path in ["/healthz", "/metrics", "/config"] {
        let reply = gw.get(path).send().await.expect_status(200);
        reply.expect_body(r#"{"a":1}"#);
    }
}

#[tokio::test]
async fn readiness_waits_for_prewarming_no_longer_than_it_may() {
    let origin = Origin::start().await;
    origin.on("/x", Answer::json("1").hold());
    let route = "{name: warm, path_prefix: /, pool: service, cache: kept, auth: {anonymous: true}, \
                 timeout: 1m, prewarm: {every: 10m, host: a.example, targets: [/x]}}";
    let sections = "server: {ready_timeout: 700ms}\n\
                    cache: {policies: {kept: {fresh: 1h, share: everyone}}}";
    let launcher = gateway().with(conf(sections, &[route])).pool("service", origin.address());
    let started = Instant::now();
    let gw = launcher.start().await;
    assert!(started.elapsed() >= Duration::from_millis(700), "ready before anything was warm");
    gw.wait_for_log(|line| line.contains("ready before pre-warming was complete")).await;
    assert_eq!(gw.metric("farmgate_ready", &[]).await, Some(1.0));
    origin.release("/x");
}

#[tokio::test]
async fn threads_are_as_many_as_configured() {
    let (_origin, gw) = serve("server: {worker_threads: 3}", &[OPEN]).await;
    let id = gw.process().id().unwrap();
    let workers = || {
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.unwrap().path().join("comm")).unwrap_or_default()
        };
        threads.map(name).filter(|name| name.contains("clients")).count()
    };
    // A thread takes its name a moment after it was started.
    let named = async {
        while workers() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(harness::PATIENCE, named).await.expect("three workers");
    assert_eq!(workers(), 3);
}

#[tokio::test]
async fn runway_says_how_long_a_route_could_do_without_its_upstream() {
    let route = |name: &str, policy: &str| {
        format!(
            "{{name: {name}, path_prefix: /{name}, pool: service, auth: {{anonymous: true}}, cache: {policy}}}"
        )
    };
    let sections = "cache: {policies: {long: {fresh: 1h, stale_if_error: 1d}, short: {fresh: 1m}}}";
    let (_origin, gw) = serve(sections, &[&route("long", "long"), &route("short", "short")]).await;
    let runway = async |route: &str| {
        gw.metric("farmgate_cache_runway_seconds", &[("route", route)]).await.expect("a runway")
    };
    assert_eq!((runway("long").await, runway("short").await), (0.0, 0.0));
    gw.get("/long/x").send().await.expect_status(200);
    let (long, short) = (runway("long").await, runway("short").await);
    assert!((86_400.0 + 3_500.0..=90_000.0).contains(&long) && short == 0.0, "{long} {short}");
    gw.get("/short/x").send().await.expect_status(200);
    assert!((1.0..=60.0).contains(&runway("short").await));
    gw.post("/long/x").send().await.expect_status(200);
    assert_eq!(runway("long").await, 0.0, "what is invalid helps nobody");
}
