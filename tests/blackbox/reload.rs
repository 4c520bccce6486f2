//! What a reload changes, and what it must not.

use harness::{Answer, Gateway, Origin, Request, launch};
use serde_json::{Value, json};

use crate::fixtures::{OPEN, api_key, conf, gateway, nextcloud, serve};

const SIGNED: &str = "{name: signed, path_prefix: /signed, pool: service, auth: {any: [hmac]}}";
const HMAC: &str = "auth: {hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}}";

/// Sends SIGHUP and returns what `/config` says when that reload has ended.
async fn reload(gw: &Gateway) -> Value {
    let ended = |line: &str| {
        line.contains("\"configuration reloaded\"") || line.contains("\"reload refused; ")
    };
    let before = gw.log_lines().iter().filter(|line| ended(line)).count();
    gw.reload().await;
    gw.wait_for_logs(before + 1, ended).await;
    gw.admin_get("/config").send().await.expect_status(200).json()
}

#[tokio::test]
async fn three_faults_in_three_files_are_reported_at_once_and_the_old_routes_answer() {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let routes = [
        "{name: a, path_prefix: /a, pool: one, auth: {anonymous: true}}",
        "{name: b, path_prefix: /b, pool: two, auth: {anonymous: true}}",
    ];
    let gw = gateway()
        .with(conf("", &routes))
        .pool("one", origin.address())
        .pool("two", origin.address());
    let gw = gw.start().await;
    gw.rewrite_conf(&conf("limits: {principals_mx: 5}", &routes));
    gw.rewrite_pool("one", "peers:\n  - address: 10.0.0.300:80\n");
    let two = format!("peers:\n  - address: {}\nin_flight_max: many\n", origin.address());
    gw.rewrite_pool("two", two.as_str());
    let last = reload(&gw).await;
    let expected = [
        ("conf/gateway.yaml:3:10: ", "did you mean"),
        ("upstreams/one.yaml:2:14: ", "write an address such as"),
        ("upstreams/two.yaml:3:16: ", "in_flight_max"),
    ];
    let faults: Vec<&str> =
        last["faults"].as_array().unwrap().iter().map(|fault| fault.as_str().unwrap()).collect();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    for (position, words) in expected {
        let fault = faults.iter().find(|fault| fault.contains(position));
        let fault = fault.unwrap_or_else(|| panic!("no fault at {position}: {faults:#?}"));
        assert!(fault.contains(words), "{fault} does not say {words}");
        gw.wait_for_log(|line| line.contains(position) && line.contains("ERROR")).await;
    }
    assert_eq!((&last["success"], &last["generation"]), (&json!(false), &json!(1)));
    assert_eq!(gw.metric("farmgate_config_last_reload_success", &[]).await, Some(0.0));
    assert_eq!(gw.metric("farmgate_config_generation", &[]).await, Some(1.0));
    let refused = [("result", "refused")];
    assert_eq!(gw.metric("farmgate_config_reloads_total", &refused).await, Some(1.0));
    gw.get("/a").send().await.expect_status(200);
    gw.get("/b").send().await.expect_status(200);
    gw.admin_get("/readyz").send().await.expect_status(200);

    gw.rewrite_conf(&conf("", &routes));
    gw.rewrite_pool("one", origin.address());
    gw.rewrite_pool("two", origin.address());
    let last = reload(&gw).await;
    assert_eq!((&last["success"], &last["generation"]), (&json!(true), &json!(2)));
    assert_eq!(last["faults"], json!([]));
    assert_eq!(gw.metric("farmgate_config_last_reload_success", &[]).await, Some(1.0));
}

#[tokio::test]
async fn good_reload_changes_the_next_request_and_drops_none_in_flight() {
    let (old, new) = (Origin::start().await, Origin::start().await);
    old.on("/slow", Answer::json("\"old\"").hold());
    new.otherwise(Answer::json("\"new\""));
    let gw = gateway().with(conf("", &[OPEN])).pool("service", old.address()).start().await;
    let address = gw.address();
    // The connections of requests in flight are kept for what comes after them.
    let in_flight = launch(20, move |_| async move {
        let mut connection = harness::Connection::open(address).await;
        let before = connection.send(Request::get("/slow")).await;
        let after = connection.send(Request::get("/slow")).await;
        (before, after)
    });
    old.wait_for_calls("/slow", 20).await;
    gw.rewrite_pool("service", new.address());
    let last = reload(&gw).await;
    assert_eq!(last["generation"], json!(2));
    gw.get("/slow").send().await.expect_status(200).expect_body("\"new\"");
    old.release("/slow");
    for (before, after) in in_flight.await.unwrap() {
        before.expect_status(200).expect_body("\"old\"");
        after.expect_status(200).expect_body("\"new\"");
    }
    assert_eq!(old.calls("/slow"), 20);
    let of_the_new =
        |line: &str| line.contains("\"target\":\"access\"") && line.contains("\"generation\":2");
    let line = gw.wait_for_log(of_the_new).await;
    assert!(line.contains("\"status\":200"));
}

#[tokio::test]
async fn routes_keys_and_limits_come_and_go_with_a_reload() {
    let key =
        |id: &str, key: &str| format!("auth: {{api_keys: {{keys: [{}]}}}}", api_key(id, key, ""));
    let guarded = "{name: key, path_prefix: /key, pool: service, auth: {any: [api_key]}}";
    let (_origin, gw) = serve(&key("a", "old-key"), &[guarded]).await;
    gw.get("/key").api_key("old-key").send().await.expect_status(200);
    gw.get("/open").send().await.expect_status(404);
    let more = "\nenvelope: {status: integer}\ndownstream: {header_count_max: 5}\n\
                limits: {shield: {requests_per_second_max: 50}}";
    gw.rewrite_conf(&conf(&(key("a", "new-key") + more), &[guarded, OPEN]));
    reload(&gw).await;
    let refused = gw.get("/key").api_key("old-key").send().await.expect_status(401);
    refused.expect_json("/status", 1);
    gw.get("/key").api_key("new-key").send().await.expect_status(200);
    gw.get("/open").send().await.expect_status(200);
    let many = (0..5).map(|number| (format!("X-{number}"), "1"));
    gw.get("/open").headers(many).send().await.expect_status(431);
    let replies = harness::burst(100, |_| gw.get("/open").send()).await;
    assert!(replies.iter().any(|reply| reply.status == 429), "the new shield does not hold");
}

#[tokio::test]
async fn quotas_answers_and_nonces_survive_a_reload() {
    let sections = |requests: &str| {
        format!(
            "{HMAC}\nlimits: {{quotas: {{few: {requests}}}}}\n\
             cache: {{policies: {{kept: {{fresh: 1h, share: everyone}}}}}}"
        )
    };
    let routes = [
        SIGNED,
        "{name: few, path_prefix: /few, pool: service, quotas: [few], auth: {anonymous: true}}",
        "{name: kept, path_prefix: /kept, pool: service, cache: kept, auth: {anonymous: true}}",
    ];
    let (origin, gw) = serve(&sections("2/hour"), &routes).await;
    let signed = gw.get("/signed").signed_by(&nextcloud());
    signed.clone().send().await.expect_status(200);
    gw.get("/few").send().await.expect_status(200);
    gw.get("/few").send().await.expect_status(200);
    gw.get("/kept").send().await.expect_status(200);
    gw.rewrite_conf(&conf(&sections("2/hour"), &routes));
    reload(&gw).await;
    signed.send().await.expect_status(403).expect_json("/errors/reason", "replay");
    gw.get("/few").send().await.expect_status(429);
    gw.get("/kept").send().await.expect_status(200);
    assert_eq!(origin.calls("/kept"), 1);
    // A larger quota counts what was used of the smaller one.
    gw.rewrite_conf(&conf(&sections("3/hour"), &routes));
    reload(&gw).await;
    gw.get("/few").send().await.expect_status(200);
    gw.get("/few").send().await.expect_status(429);
}

#[tokio::test]
async fn what_only_a_restart_can_change_is_named() {
    let (_origin, gw) = serve(HMAC, &[OPEN, SIGNED]).await;
    let last = reload(&gw).await;
    assert_eq!(last["needs_restart"], json!([]));
    let changed = HMAC.replace("{hmac: {", "{hmac: {nonces_max: 9, ");
    let sections = format!(
        "{changed}\nserver: {{worker_threads: 3}}\ndownstream: {{head_timeout: 1s}}\n\
         cache: {{memory: 1MiB}}\nlimits: {{principals_max: 9}}"
    );
    let yaml = conf(&sections, &[OPEN, SIGNED]);
    gw.rewrite_conf(&yaml.replace("listeners: [", "listeners: [{address: '{tls_listen}'}, "));
    let last = reload(&gw).await;
    assert_eq!(last["success"], json!(true));
    let named = [
        "listeners",
        "server",
        "downstream.head_timeout",
        "cache.memory",
        "limits.principals_max",
        "auth.hmac.nonces_max",
    ];
    assert_eq!(last["needs_restart"], json!(named));
    gw.wait_for_log(|line| named.iter().all(|name| line.contains(name))).await;
    gw.get("/").send().await.expect_status(200);
    harness::Connection::try_open(gw.tls_address()).await.err().expect("nothing listens there yet");
}

#[tokio::test]
async fn reload_on_another_address_of_admin_needs_a_restart() {
    let (_origin, gw) = serve("", &[OPEN]).await;
    gw.rewrite_conf(&conf("", &[OPEN]).replace("'{admin}'", "'{tls_listen}'"));
    assert_eq!(reload(&gw).await["needs_restart"], json!(["admin"]));
}

#[tokio::test]
async fn many_reloads_under_load_lose_no_request() {
    let (_origin, gw) = serve("", &[OPEN]).await;
    let address = gw.address();
    let clients = launch(4, move |_| async move {
        let mut connection = harness::Connection::open(address).await;
        let mut statuses = Vec::new();
        for _ in 0..150 {
            statuses.push(connection.send(Request::get("/")).await.status);
        }
        statuses
    });
    for _ in 0..10 {
        reload(&gw).await;
    }
    let statuses: Vec<u16> = clients.await.unwrap().into_iter().flatten().collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(gw.metric("farmgate_config_generation", &[]).await, Some(11.0));
}

#[tokio::test]
async fn another_form_of_the_envelope_holds_for_answers_that_were_kept() {
    let route = "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept, \
                 envelope: true}";
    let policy = "cache: {policies: {kept: {fresh: 1h}}}";
    let (_origin, gw) = serve(policy, &[route]).await;
    gw.get("/x").send().await.expect_json("/status", "success");
    gw.rewrite_conf(&conf(&format!("{policy}\nenvelope: {{status: integer}}"), &[route]));
    reload(&gw).await;
    gw.get("/x").send().await.expect_json("/status", 0);
}

#[tokio::test]
async fn what_needs_a_restart_is_not_forgotten_by_the_next_reload() {
    let (_origin, gw) = serve("", &[OPEN]).await;
    gw.rewrite_conf(&conf("cache: {memory: 1MiB}", &[OPEN]));
    for _ in 0..2 {
        assert_eq!(reload(&gw).await["needs_restart"], json!(["cache.memory"]));
    }
    gw.rewrite_conf(&conf("", &[OPEN]));
    assert_eq!(reload(&gw).await["needs_restart"], json!([]));
}
