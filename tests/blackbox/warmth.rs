//! Is what the schedule names warm before anyone asks, and does it stay so?

use std::time::{Duration, Instant};

use harness::{Answer, Gateway, Origin, Reply, burst};

use crate::fixtures::{conf, gateway, kept, wait_for_metric};

/// What a provider takes for one answer.
const PROVIDER_DELAY: Duration = Duration::from_millis(400);

/// The metric that says how fetches ended.
const FILLS: &str = "farmgate_fills_total";

/// A configuration that keeps these targets of one route warm: fresh for 2 s, fetched every 800 ms.
fn warmed(server: &str, targets: &str) -> String {
    let policy = kept("fresh: 2s, stale_while_revalidate: 10s, error_for: 50ms");
    let route = format!(
        "{{name: warm, path_prefix: /, pool: service, auth: {{anonymous: true}}, cache: kept, \
         prewarm: {{every: 800ms, host: farm.example, targets: [{targets}]}}}}"
    );
    conf(&format!("server: {{{server}}}\n{policy}"), &[&route])
}

async fn start(origin: &Origin, conf: String) -> Gateway {
    gateway().with(conf).pool("service", origin.address()).start().await
}

async fn get(gw: &Gateway, target: &str) -> Reply {
    gw.get(target).host("farm.example").send().await
}

#[tokio::test]
async fn no_client_ever_pays_the_providers_delay() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json(r#"{"a":1}"#).delay(PROVIDER_DELAY));
    let gw = start(&origin, warmed("ready_timeout: 10s", "/a, '/b?c=1'")).await;
    // Each round of the schedule is a beat of this loop; it lasts longer than an answer is fresh.
    for round in 1..6 {
        origin.wait_for_calls("/a", round).await;
        for target in ["/a", "/b?c=1"] {
            for reply in burst(20, |_| get(&gw, target)).await {
                assert!(reply.elapsed < PROVIDER_DELAY, "{:?}", reply.elapsed);
                let status = reply.header("cache-status").expect("a Cache-Status").to_owned();
                assert!(status.starts_with("farmgate; hit; ttl="), "{status}");
                assert!(!status.contains("detail"), "{status}");
                reply.expect_status(200).expect_body(r#"{"a":1}"#);
            }
        }
    }
    assert_eq!(gw.metric(FILLS, &[("origin", "client")]).await, None);
    assert_eq!(gw.metric(FILLS, &[("origin", "revalidation")]).await, None);
}

#[tokio::test]
async fn rounds_follow_one_another_at_the_period() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1").delay(PROVIDER_DELAY));
    let started = Instant::now();
    let _gw = start(&origin, warmed("ready_timeout: 10s", "/a")).await;
    origin.wait_for_calls("/a", 4).await;
    // Three periods; the provider's delay is a part of each and not added to it.
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(2_300), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(3_500), "{elapsed:?}");
}

#[tokio::test]
async fn readiness_waits_until_all_is_warm() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    origin.on("/slow", Answer::json("1").hold());
    let conf = warmed("ready_timeout: 20s", "/a, /slow");
    let launcher = gateway().with(conf).pool("service", origin.address());
    let starting = tokio::spawn(async move { launcher.start().await });
    origin.wait_for_calls("/slow", 1).await;
    assert!(!starting.is_finished(), "ready before the warming is done");
    origin.release("/slow");
    let gw = starting.await.expect("a gateway that starts");
    for target in ["/a", "/slow"] {
        let reply = get(&gw, target).await;
        let status = reply.header("cache-status").expect("a Cache-Status");
        assert!(status.starts_with("farmgate; hit"), "{status}");
    }
    assert_eq!(gw.metric("farmgate_ready", &[]).await, Some(1.0));
}

#[tokio::test]
async fn readiness_is_not_held_back_for_ever() {
    let origin = Origin::start().await;
    origin.on("/a", Answer::json("1").hold());
    let started = Instant::now();
    let gw = start(&origin, warmed("ready_timeout: 500ms", "/a")).await;
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    gw.wait_for_log(|line| line.contains("ready before pre-warming was complete")).await;
    // What is being fetched already is not fetched again for a client.
    let reply = get(&gw, "/a");
    let waiting = |clients: f64| clients == 1.0;
    let release = async {
        wait_for_metric(&gw, "farmgate_fill_waiters", &[], waiting).await;
        origin.release("/a");
    };
    let (reply, ()) = tokio::join!(reply, release);
    reply
        .expect_status(200)
        .expect_header("cache-status", "farmgate; fwd=uri-miss; fwd-status=200; collapsed");
    assert_eq!(origin.calls("/a"), 1);
}

#[tokio::test]
async fn failed_warming_does_not_keep_the_gateway_from_starting() {
    let origin = Origin::start().await;
    origin.script("/a", [Answer::status(500), Answer::reset(), Answer::json("1")]);
    let gw = start(&origin, warmed("ready_timeout: 10s", "/a")).await;
    // The schedule tries again sooner than its period says.
    let stored = [("origin", "prewarm"), ("result", "stored")];
    wait_for_metric(&gw, FILLS, &stored, |fills| fills >= 1.0).await;
    let reply = get(&gw, "/a").await.expect_status(200);
    let status = reply.header("cache-status").expect("a Cache-Status");
    assert!(status.starts_with("farmgate; hit"), "{status}");
}

#[tokio::test]
async fn provider_that_fails_later_leaves_the_warm_answer() {
    let origin = Origin::start().await;
    origin.script("/a", [Answer::json(r#""good""#), Answer::status(503)]);
    let gw = start(&origin, warmed("ready_timeout: 10s", "/a")).await;
    origin.wait_for_calls("/a", 3).await;
    get(&gw, "/a").await.expect_status(200).expect_body(r#""good""#);
}

#[tokio::test]
async fn warming_shows_when_it_last_succeeded() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let gw = start(&origin, warmed("ready_timeout: 10s", "/a")).await;
    let name = "farmgate_prewarm_last_success_timestamp_seconds";
    let now = harness::unix_now() as f64;
    let recent = |at: f64| (at - now).abs() < 60.0;
    wait_for_metric(&gw, name, &[("route", "warm")], recent).await;
}

#[tokio::test]
async fn fetches_of_the_schedule_carry_no_credential_and_an_id_each() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let _gw = start(&origin, warmed("ready_timeout: 10s", "/a, '/b?c=1'")).await;
    let (one, other) = (origin.requests("/a").remove(0), origin.requests("/b").remove(0));
    assert_eq!(other.query(), "c=1");
    assert_eq!((one.header("host"), one.method.as_str()), (Some("farm.example"), "GET"));
    assert_eq!((one.header("authorization"), one.header("x-forwarded-for")), (None, None));
    let id = one.header("x-request-id").expect("an id");
    assert_eq!(id.len(), 32);
    assert_ne!(other.header("x-request-id"), Some(id));
}

#[tokio::test]
async fn targets_of_a_new_configuration_are_warmed_at_once() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let slow = |targets: &str| warmed("ready_timeout: 10s", targets).replace("800ms", "1900ms");
    let gw = start(&origin, slow("/a")).await;
    let before = Instant::now();
    gw.rewrite_conf(&slow("/a, /b"));
    gw.reload().await;
    origin.wait_for_calls("/b", 1).await;
    assert!(before.elapsed() < Duration::from_millis(1_900), "{:?}", before.elapsed());
}

/// A gateway that warms one route with these members of `prewarm`, and has another that leads to the
/// same service; `points.csv` and `points.json` stand beside its configuration.
async fn warming(origin: &Origin, prewarm: &str, file: (&str, &str)) -> Gateway {
    let warm = format!(
        "{{name: warm, path_prefix: /w, pool: service, auth: {{anonymous: true}}, cache: kept, \
         prewarm: {{host: farm.example, {prewarm}}}}}"
    );
    let fields = "{name: fields, path_prefix: /fields, pool: service, auth: {any: [jwt]}}";
    let auth = "auth: {jwt: [{issuer: farm, audience: nextcloud, algorithms: [HS256], \
                keys: ['env:JWT_SECRET']}]}";
    let conf = conf(&format!("{auth}\n{}", kept("fresh: 1h")), &[&warm, fields]);
    let launcher = gateway().with(conf).pool("service", origin.address());
    launcher.file(&format!("conf/{}", file.0), file.1).start().await
}

#[tokio::test]
async fn every_point_of_a_file_is_warm_before_anyone_asks() {
    let csv = ("points.csv", "name,lat,lon\nnorth end,-1.25,36.75\nriver,2,3\n");
    let json = ("points.json", r#"{"data": [{"name": "river", "at": [3, 2]}]}"#);
    let of_csv =
        "every: 55m, targets: ['/w?lat={lat}&lon={lon}', /w/plain], points: {file: points.csv}";
    let of_json = "every: 55m, targets: ['/w?lat={at.1}&lon={at.0}'], \
                   points: {file: points.json, list: /data}";
    for (prewarm, file, targets) in [
        (of_csv, csv, &["/w?lat=-1.25&lon=36.75", "/w?lat=2&lon=3", "/w/plain"][..]),
        (of_json, json, &["/w?lat=2&lon=3"]),
    ] {
        let origin = Origin::start().await;
        origin.otherwise(Answer::json("1"));
        let gw = warming(&origin, prewarm, file).await;
        for target in targets {
            let reply = get(&gw, target).await.expect_status(200);
            let status = reply.header("cache-status").expect("a Cache-Status");
            assert!(status.starts_with("farmgate; hit"), "{target}: {status}");
        }
        assert_eq!(origin.calls_total(), targets.len());
    }
}

#[tokio::test]
async fn points_that_a_service_lists_are_warm_and_the_last_list_is_kept() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let list = |ids: &str| Answer::json(format!(r#"{{"data": [{ids}]}}"#));
    origin.script("/fields", [list(r#"{"id": 1}, {"id": 2}"#), Answer::status(503)]);
    let prewarm = "every: 300ms, targets: ['/w/{id}'], \
                   points: {route: fields, path: '/fields?all', list: /data}";
    let gw = warming(&origin, prewarm, ("none", "")).await;
    let asked = origin.requests("/fields");
    assert_eq!(asked[0].query(), "all");
    for target in ["/w/1", "/w/2"] {
        let reply = get(&gw, target).await.expect_status(200);
        let status = reply.header("cache-status").expect("a Cache-Status");
        assert!(status.starts_with("farmgate; hit"), "{status}");
    }
    gw.wait_for_log(|line| line.contains("points to pre-warm could not be listed")).await;
    origin.wait_for_calls("/w/2", 2).await;
}

#[tokio::test]
async fn list_with_too_many_points_warms_none_of_them() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json(r#"[{"id": 1}, {"id": 2}]"#));
    let prewarm = "every: 55m, targets: ['/w/{id}'], \
                   points: {route: fields, path: /fields, points_max: 1}";
    let gw = warming(&origin, prewarm, ("none", "")).await;
    gw.wait_for_log(|line| line.contains("more than 1 points; raise `points_max`")).await;
    assert_eq!(origin.calls("/w/1"), 0);
}

#[tokio::test]
async fn faults_of_points_are_told_before_anything_starts() {
    for (prewarm, wanted) in [
        ("targets: ['/w?lat={lat}']", "names in braces stand for what `points` say"),
        ("targets: ['/w?lat={lat}'], points: {file: points.csv}", "point 1 has no `lat`"),
        ("targets: ['/w?lat={lat'], points: {file: points.csv}", "write a path with query"),
        ("targets: ['/w/{a}'], points: {file: none.csv}", "cannot read"),
        ("targets: ['/w/{a}'], points: {file: points.csv, points_max: 1}", "more than 1 points"),
        ("targets: [/w], points: {file: points.csv}", "no target has a name in braces"),
        ("targets: ['/w/{a}'], points: {route: fields}", "write a `file`, or"),
        ("targets: ['/w/{a}'], points: {route: fieds, path: /fields}", "there is no route"),
        ("targets: ['/w/{a}'], points: {route: fields, path: /other}", "path with query that"),
        ("targets: [/w], jitter: 55m", "must be less than `every`"),
    ] {
        let warm = format!(
            "{{name: warm, path_prefix: /w, pool: service, auth: {{anonymous: true}}, \
             cache: kept, prewarm: {{every: 55m, host: farm.example, {prewarm}}}}}"
        );
        let fields = "{name: fields, path_prefix: /fields, pool: service, auth: {anonymous: true}}";
        let launcher = gateway()
            .with(conf(&kept("fresh: 1h"), &[&warm, fields]))
            .pool("service", "127.0.0.1:9".parse::<std::net::SocketAddr>().expect("an address"))
            .file("conf/points.csv", "a,b\n1,2\n3,4\n");
        let finished = launcher.finish("check").await;
        let told = finished.stderr.join("\n");
        assert!(told.contains(wanted), "{prewarm}: {told}");
    }
}

#[tokio::test]
async fn rounds_with_jitter_come_earlier_and_never_later() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let started = Instant::now();
    let prewarm = "every: 2s, jitter: 1900ms, targets: [/w]";
    let _gw = warming(&origin, prewarm, ("none", "")).await;
    origin.wait_for_calls("/w", 9).await;
    // Without jitter it takes 16 s; all eight pauses near 2 s are as likely as a coin on its edge.
    assert!(started.elapsed() < Duration::from_millis(15_500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn target_that_fails_is_tried_again_alone() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    origin.on("/w/bad", Answer::status(503));
    let prewarm = "every: 10s, targets: [/w/good, /w/bad]";
    let _gw = warming(&origin, prewarm, ("none", "")).await;
    origin.wait_for_calls("/w/bad", 3).await;
    assert_eq!(origin.calls("/w/good"), 1);
}

#[tokio::test]
async fn points_beyond_the_budget_are_warmed_when_there_are_calls_again() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let warm = "{name: warm, path_prefix: /w, pool: service, auth: {anonymous: true}, \
                cache: kept, prewarm: {every: 55m, host: farm.example, \
                targets: [/w/1, /w/2, /w/3, /w/4, /w/5, /w/6, /w/7, /w/8, /w/9]}}";
    let pool = format!("peers: [{{address: '{}'}}]\nbudget: {{hour: 5}}\n", origin.address());
    let conf = conf(&format!("server: {{ready_timeout: 1s}}\n{}", kept("fresh: 1h")), &[warm]);
    let gw = gateway().with(conf).pool("service", pool).start().await;
    let refused = [("pool", "service"), ("origin", "prewarm")];
    wait_for_metric(&gw, "farmgate_upstream_budget_refusals_total", &refused, |n| n >= 4.0).await;
    assert_eq!(origin.calls_total(), 4, "a tenth is for clients");
    // A client gets its answer for the call that was kept, though the schedule was refused.
    get(&gw, "/w/9").await.expect_status(200);
    assert_eq!(origin.calls_total(), 5);
}
