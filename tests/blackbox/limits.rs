//! How often one may call, and how many at once.

use harness::{Gateway, Origin, Reply, Request};
use serde_json::json;

use crate::fixtures::{JWT_SECRET, OPEN, api_key, claims, conf, serve, token};

/// Everybody may come in, `requests` times a minute.
async fn limited(requests: u32, more: &str) -> (Origin, Gateway) {
    let sections = format!("limits: {{quotas: {{few: {requests}/min}}}}\n{more}");
    let route =
        "{name: open, path_prefix: /, pool: service, quotas: [few], auth: {anonymous: true}}";
    serve(&sections, &[route]).await
}

fn accepted(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.status == 200).count()
}

#[tokio::test]
async fn quota_is_exact_over_64_connections() {
    let (origin, gw) = limited(100, "").await;
    let address = gw.address();
    let clients = harness::burst(64, |_| async move {
        let mut connection = harness::Connection::open(address).await;
        let mut replies = Vec::new();
        for _ in 0..4 {
            replies.push(connection.send(Request::get("/")).await);
        }
        replies
    });
    let replies: Vec<Reply> = clients.await.into_iter().flatten().collect();
    let refused = replies.iter().filter(|reply| reply.status == 429).count();
    assert_eq!((accepted(&replies), refused), (100, 156));
    assert_eq!(origin.calls("/"), 100);
}

#[tokio::test]
async fn answer_tells_what_is_left_of_the_quota() {
    let (_origin, gw) = limited(2, "").await;
    let first = gw.get("/").send().await.expect_status(200);
    let first = first.expect_header("RateLimit-Policy", "\"few\";q=2;w=60");
    assert!(first.header("RateLimit").unwrap().starts_with("\"few\";r=1;t="));
    let second = gw.get("/").send().await.expect_status(200);
    assert!(second.header("RateLimit").unwrap().starts_with("\"few\";r=0;t="));
    let third = gw.get("/").send().await.expect_status(429);
    let third = third.expect_header("RateLimit-Policy", "\"few\";q=2;w=60");
    let wait: u64 = third.header("Retry-After").unwrap().parse().unwrap();
    assert!((55..=60).contains(&wait), "Retry-After: {wait}");
    let third = third.expect_header("RateLimit", &format!("\"few\";r=0;t={wait}"));
    let detail = format!("Request was throttled. Expected available in {wait} seconds.");
    third.expect_json("/errors/wait", wait).expect_json("/errors/detail", detail);
}

#[tokio::test]
async fn refused_requests_do_not_prolong_the_wait() {
    let sections = "limits: {quotas: {few: 2/s}}";
    let route =
        "{name: open, path_prefix: /, pool: service, quotas: [few], auth: {anonymous: true}}";
    let (_origin, gw) = serve(sections, &[route]).await;
    let mut connection = gw.connect().await;
    let started = std::time::Instant::now();
    let mut accepted = 0;
    let mut refused = 0;
    // A client that never lets off gets its quota all the same: were refusals charged, it would
    // be shut out after the first two.
    while accepted < 6 {
        match connection.send(Request::get("/")).await.status {
            200 => accepted += 1,
            _ => refused += 1,
        }
        assert!(started.elapsed() < harness::PATIENCE, "{accepted} accepted, {refused} refused");
    }
    assert!(refused > 0 && started.elapsed().as_millis() >= 2_000, "{refused} refused");
}

#[tokio::test]
async fn requests_refused_for_other_reasons_are_not_charged() {
    let keys = [api_key("a", "key-a", "scopes: [read]"), api_key("b", "key-b", "")];
    let sections = format!(
        "auth: {{api_keys: {{keys: [{}]}}}}\nlimits: {{quotas: {{few: 2/min}}}}",
        keys.join(", ")
    );
    let route = "{name: one, path_prefix: /, methods: [GET], pool: service, quotas: [few], \
                 auth: {any: [api_key], scopes: [read]}}";
    let (_origin, gw) = serve(&sections, &[route]).await;
    for _ in 0..5 {
        gw.post("/").api_key("key-a").send().await.expect_status(405);
        gw.get("/").api_key("key-b").send().await.expect_status(403);
        gw.get("/").api_key("wrong").send().await.expect_status(401);
        gw.get("/../").api_key("key-a").send().await.expect_status(400);
    }
    gw.get("/").api_key("key-a").send().await.expect_status(200);
    gw.get("/").api_key("key-a").send().await.expect_status(200);
    gw.get("/").api_key("key-a").send().await.expect_status(429);
}

#[tokio::test]
async fn each_principal_has_a_budget_of_its_own() {
    let keys = [api_key("a", "key-a", ""), api_key("b", "key-b", "")].join(", ");
    let sections = format!(
        "auth: {{jwt: [{{keys: ['env:JWT_SECRET']}}], api_keys: {{keys: [{keys}]}}}}\n\
         limits: {{quotas: {{few: 1/min}}}}"
    );
    let route = "{name: one, path_prefix: /, pool: service, quotas: [few], \
                 auth: {any: [jwt, api_key], anonymous: true}}";
    let (origin, gw) = serve(&sections, &[route]).await;
    // A second token of the same user is the same principal.
    let later = harness::jwt(JWT_SECRET, &claims(json!({ "user_id": "7", "jti": "2" })));
    gw.get("/").api_key("key-a").send().await.expect_status(200);
    gw.get("/").api_key("key-b").send().await.expect_status(200);
    gw.get("/").bearer(&token("7")).send().await.expect_status(200);
    gw.get("/").bearer(&token("8")).send().await.expect_status(200);
    gw.get("/").send().await.expect_status(200);
    gw.get("/").api_key("key-a").send().await.expect_status(429);
    gw.get("/").api_key("key-b").send().await.expect_status(429);
    gw.get("/").bearer(&later).send().await.expect_status(429);
    gw.get("/").send().await.expect_status(429);
    assert_eq!(origin.calls("/"), 5);
}

#[tokio::test]
async fn routes_that_name_one_quota_share_it() {
    let sections = "limits: {quotas: {few: 2/min}}";
    let routes = [
        "{name: a, path_prefix: /a, pool: service, quotas: [few], auth: {anonymous: true}}",
        "{name: b, path_prefix: /b, pool: service, quotas: [few], auth: {anonymous: true}}",
        "{name: c, path_prefix: /c, pool: service, auth: {anonymous: true}}",
    ];
    let (_origin, gw) = serve(sections, &routes).await;
    gw.get("/a").send().await.expect_status(200);
    gw.get("/b").send().await.expect_status(200);
    gw.get("/a").send().await.expect_status(429);
    let free = gw.get("/c").send().await.expect_status(200);
    free.expect_no_header("RateLimit").expect_no_header("RateLimit-Policy");
}

#[tokio::test]
async fn forwarded_address_of_a_stranger_is_not_believed() {
    let (_origin, gw) = limited(1, "").await;
    gw.get("/").header("X-Forwarded-For", "203.0.113.1").send().await.expect_status(200);
    gw.get("/").header("X-Forwarded-For", "203.0.113.2").send().await.expect_status(429);
}

#[tokio::test]
async fn forwarded_address_of_a_trusted_proxy_is_the_last_one_it_did_not_write() {
    let trust = "downstream: {trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]}";
    let (origin, gw) = limited(1, trust).await;
    let ask = async |forwarded: &str| {
        gw.get("/").header("X-Forwarded-For", forwarded).send().await.status
    };
    assert_eq!(ask("203.0.113.1").await, 200);
    assert_eq!(ask("203.0.113.2").await, 200);
    // What the client put in front of the list changes nothing.
    assert_eq!(ask("198.51.100.9, 203.0.113.1").await, 429);
    assert_eq!(ask("198.51.100.9, 203.0.113.2, 10.1.2.3").await, 429);
    assert_eq!(ask("198.51.100.9").await, 200);
    let told: Vec<_> = origin.requests("/").iter().map(|r| r.headers.clone()).collect();
    let told: Vec<_> = told.iter().map(|headers| headers.all("x-forwarded-for")).collect();
    assert_eq!(told, [["203.0.113.1"], ["203.0.113.2"], ["198.51.100.9"]]);
}

#[tokio::test]
async fn number_of_counted_principals_is_bounded() {
    let sections = "limits: {principals_max: 1, quotas: {few: 1/hour}}\n\
                    downstream: {trusted_proxies: [127.0.0.1]}";
    let route =
        "{name: open, path_prefix: /, pool: service, quotas: [few], auth: {anonymous: true}}";
    let (_origin, gw) = serve(sections, &[route]).await;
    let mut connection = gw.connect().await;
    let mut ask = async |last: u8| {
        let from = format!("203.0.113.{last}");
        connection.send(Request::get("/").header("X-Forwarded-For", &from)).await.status
    };
    assert_eq!(ask(1).await, 200);
    assert_eq!(ask(1).await, 429);
    for other in 2..=250 {
        assert_eq!(ask(other).await, 200);
    }
    let windows = gw.metric("farmgate_quota_windows", &[]).await.expect("a gauge");
    let gone = gw.metric("farmgate_quota_window_evictions_total", &[]).await;
    assert!((1.0..=16.0).contains(&windows), "{windows}");
    assert_eq!(gone, Some(250.0 - windows));
    // The first one was seen least recently and had to go: it starts afresh.
    assert_eq!(ask(1).await, 200);
}

#[tokio::test]
async fn shield_turns_a_flood_from_one_address_away() {
    let sections = "limits: {shield: {requests_per_second_max: 3}}\n\
                    downstream: {trusted_proxies: [127.0.0.1]}";
    let (origin, gw) = serve(sections, &[OPEN]).await;
    let ask = |from: &'static str| gw.get("/").header("X-Forwarded-For", from).send();
    let replies = harness::burst(40, |_| ask("203.0.113.1")).await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(accepted(&replies) >= 3 && refused.len() >= 20, "{} refused", refused.len());
    assert_eq!(origin.calls("/"), accepted(&replies));
    for reply in refused {
        assert_eq!(reply.header("Retry-After"), Some("1"));
        assert_eq!(reply.json()["errors"]["code"], "address_limited");
    }
    ask("203.0.113.2").await.expect_status(200);
}

#[tokio::test]
async fn shield_bounds_what_one_address_has_in_flight() {
    let sections = "limits: {shield: {in_flight_max: 2}}\n\
                    downstream: {trusted_proxies: [127.0.0.1]}";
    let (origin, gw) = serve(sections, &[OPEN]).await;
    origin.on("/slow", harness::Answer::json("1").hold());
    let from = |address: &str, path: &str| gw.get(path).header("X-Forwarded-For", address);
    let held = [from("203.0.113.1", "/slow"), from("203.0.113.1", "/slow")];
    let held = harness::launch(2, |index| held[index].clone().send());
    origin.wait_for_calls("/slow", 2).await;
    let third = from("203.0.113.1", "/").send().await.expect_status(429);
    third.expect_json("/errors/code", "address_limited").expect_header("Retry-After", "1");
    from("203.0.113.2", "/").send().await.expect_status(200);
    origin.release("/slow");
    assert_eq!(accepted(&held.await.unwrap()), 2);
    gw.wait_for_logs(2, |line| line.contains("\"path\":\"/slow\"")).await;
    from("203.0.113.1", "/").send().await.expect_status(200);
}

#[tokio::test]
async fn pool_takes_no_more_in_flight_than_it_says() {
    for route in [OPEN.to_owned(), OPEN.replace("name:", "envelope: true, name:")] {
        let origin = Origin::start().await;
        origin.on("/slow", harness::Answer::json("1").hold());
        let pool = format!("in_flight_max: 2\npeers: [{{address: '{}'}}]", origin.address());
        let gw = crate::fixtures::gateway().with(conf("", &[&route])).pool("service", pool);
        let gw = gw.start().await;
        let slow = gw.get("/slow");
        let held = harness::launch(2, |_| slow.clone().send());
        origin.wait_for_calls("/slow", 2).await;
        let labels = [("pool", "service")];
        assert_eq!(gw.metric("farmgate_upstream_in_flight", &labels).await, Some(2.0));
        let third = gw.get("/slow").send().await.expect_status(503);
        third.expect_json("/errors/code", "overloaded").expect_header("Retry-After", "1");
        origin.release("/slow");
        assert_eq!(accepted(&held.await.unwrap()), 2);
        origin.json("/slow", "2");
        gw.get("/slow").send().await.expect_status(200);
        assert_eq!(origin.calls("/slow"), 3);
    }
}
