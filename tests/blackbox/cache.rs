//! What is kept, for whom, and in which forms it is given out again?

use std::time::Duration;

use harness::{Answer, Gateway, HmacClient, Origin, Reply, Request, burst};

use crate::fixtures::{
    KEPT, api_key, conf, gateway, kept, nextcloud, serve, time_passes, wait_for_metric,
};

/// Three routes with API keys: two that keep answers, each for one principal and for everyone.
const BY_PRINCIPAL: &str = "{name: own, path_prefix: /own, pool: service, \
                            auth: {any: [api_key]}, cache: own}";
const BY_ALL: &str = "{name: all, path_prefix: /all, pool: service, auth: {any: [api_key]}, \
                      cache: all}";

/// A body that is easy to cut: ten digits.
const DIGITS: &str = "0123456789";

/// A gateway that keeps everything for an hour, failures for one second.
async fn keeping() -> (Origin, Gateway) {
    serve(&kept("fresh: 1h, error_for: 1s"), &[KEPT]).await
}

/// A gateway with two principals and a route of each way to share; the origin names who asked.
async fn two_principals() -> (Origin, Gateway) {
    let keys = [api_key("one", "key-of-one", ""), api_key("two", "key-of-two", "")].join(", ");
    let sections = format!(
        "auth: {{api_keys: {{keys: [{keys}]}}}}\n\
         cache: {{policies: {{own: {{fresh: 1h}}, all: {{fresh: 1h, share: everyone}}}}}}"
    );
    let (origin, gw) = serve(&sections, &[BY_PRINCIPAL, BY_ALL]).await;
    for path in ["/own", "/all"] {
        origin.rule(path, |request, _| {
            Answer::json(format!("{:?}", request.header("x-api-key").expect("a key")))
        });
    }
    (origin, gw)
}

fn cache_status(reply: &Reply) -> &str {
    reply.header("cache-status").expect("a Cache-Status")
}

#[track_caller]
fn assert_hit(reply: &Reply) {
    assert!(cache_status(reply).starts_with("farmgate; hit; ttl="), "{}", cache_status(reply));
}

/// Asks twice and says how often that reached the origin.
async fn calls_of_two(answer: Answer) -> usize {
    let (origin, gw) = keeping().await;
    origin.on("/x", answer);
    let first = gw.get("/x").send().await;
    let second = gw.get("/x").send().await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    origin.calls("/x")
}

#[tokio::test]
async fn hosts_share_no_answer() {
    let (origin, gw) = keeping().await;
    origin.rule("/x", |request, _| {
        Answer::json(format!("{:?}", request.header("host").expect("a host")))
    });
    for _ in 0..2 {
        for host in ["a.example", "b.example"] {
            gw.get("/x").host(host).send().await.expect_body(format!("\"{host}\""));
        }
    }
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn spellings_of_one_host_share_an_answer() {
    let (origin, gw) = keeping().await;
    for host in ["a.example", "A.Example", "a.example:80"] {
        gw.get("/x").host(host).send().await.expect_status(200);
    }
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn principals_share_no_answer_unless_the_policy_says_so() {
    let (origin, gw) = two_principals().await;
    for _ in 0..2 {
        for key in ["key-of-one", "key-of-two"] {
            gw.get("/own").api_key(key).send().await.expect_body(format!("\"{key}\""));
            gw.get("/all").api_key(key).send().await.expect_body("\"key-of-one\"");
        }
    }
    assert_eq!((origin.calls("/own"), origin.calls("/all")), (2, 1));
}

#[tokio::test]
async fn shared_answer_is_refused_to_who_may_not_ask() {
    let (origin, gw) = two_principals().await;
    gw.get("/all").api_key("key-of-one").send().await.expect_status(200);
    gw.get("/all").send().await.expect_status(401);
    gw.get("/all").api_key("key-of-nobody").send().await.expect_status(401);
    assert_eq!(origin.calls("/all"), 1);
}

#[tokio::test]
async fn principals_wait_for_fetches_of_their_own() {
    let (origin, gw) = two_principals().await;
    let keys = ["key-of-one", "key-of-two"];
    for (n, reply) in
        burst(20, |n| gw.get("/own").api_key(keys[n % 2]).send()).await.iter().enumerate()
    {
        assert_eq!(reply.text(), format!("\"{}\"", keys[n % 2]));
    }
    assert_eq!(origin.calls("/own"), 2);
}

#[tokio::test]
async fn answers_are_kept_apart_by_the_fields_that_they_vary_on() {
    let (origin, gw) = keeping().await;
    origin.rule("/x", |request, _| {
        let language = request.header("accept-language").unwrap_or("none");
        Answer::json(format!("{language:?}")).header("Vary", "Accept-Language")
    });
    // All at once on a cold key, when nothing is known of `Vary` yet, and again when it is known.
    let languages = ["de", "fr", "none"];
    for _ in 0..2 {
        let replies = burst(30, |n| {
            let request = gw.get("/x");
            match languages[n % 3] {
                "none" => request.send(),
                language => request.header("Accept-Language", language).send(),
            }
        });
        for (n, reply) in replies.await.into_iter().enumerate() {
            reply.expect_status(200).expect_body(format!("\"{}\"", languages[n % 3]));
        }
    }
    assert_eq!(origin.calls("/x"), 3);
}

#[tokio::test]
async fn answer_that_varies_on_everything_is_shared_with_nobody() {
    let (origin, gw) = keeping().await;
    origin.rule("/x", |_, call| Answer::json(call.to_string()).header("Vary", "Accept, *"));
    let mut bodies: Vec<String> =
        burst(10, |_| gw.get("/x").send()).await.iter().map(Reply::text).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!((bodies.len(), origin.calls("/x")), (10, 10));
}

#[tokio::test]
async fn queries_are_different_answers() {
    let (origin, gw) = keeping().await;
    origin.rule("/x", |request, _| Answer::json(format!("{:?}", request.query())));
    for query in ["a=1", "a=2", ""] {
        for _ in 0..2 {
            gw.get(&format!("/x?{query}")).send().await.expect_body(format!("\"{query}\""));
        }
    }
    assert_eq!(origin.calls("/x"), 3);
}

#[tokio::test]
async fn answers_with_cookies_are_not_kept() {
    let answer = Answer::json("1").header("Set-Cookie", "session=1");
    assert_eq!(calls_of_two(answer).await, 2);
}

#[tokio::test]
async fn private_answers_are_not_kept() {
    assert_eq!(calls_of_two(Answer::json("1").header("Cache-Control", "private")).await, 2);
}

#[tokio::test]
async fn answers_that_forbid_it_are_not_kept() {
    assert_eq!(calls_of_two(Answer::json("1").header("Cache-Control", "no-store")).await, 2);
}

#[tokio::test]
async fn errors_of_the_request_are_not_kept() {
    for status in [400, 401, 403, 409, 422, 429] {
        let answer = Answer::status(status).header("Content-Type", "application/json").body("{}");
        assert_eq!(calls_of_two(answer).await, 2, "{status}");
    }
}

#[tokio::test]
async fn redirects_are_not_kept() {
    assert_eq!(calls_of_two(Answer::status(302).header("Location", "/y")).await, 2);
}

#[tokio::test]
async fn plain_answers_are_kept_without_a_word_of_the_upstream() {
    assert_eq!(calls_of_two(Answer::json("1")).await, 1);
    assert_eq!(calls_of_two(Answer::status(200).body("text")).await, 1);
    assert_eq!(calls_of_two(Answer::json("1").chunked()).await, 1);
    assert_eq!(calls_of_two(Answer::json("1").until_close()).await, 1);
    assert_eq!(calls_of_two(Answer::status(200)).await, 1);
}

#[tokio::test]
async fn what_is_missing_is_kept_only_for_a_moment() {
    let (origin, gw) = keeping().await;
    let missing = Answer::status(404).header("Content-Type", "text/plain").body("nothing here");
    origin.script("/x", [missing, Answer::json("1")]);
    for _ in 0..2 {
        gw.get("/x").send().await.expect_status(404).expect_body("nothing here");
    }
    assert_eq!(origin.calls("/x"), 1);
    time_passes(Duration::from_millis(1_100)).await;
    gw.get("/x").send().await.expect_status(200).expect_body("1");
}

#[tokio::test]
async fn what_was_missing_is_not_confirmed_as_an_answer() {
    let (origin, gw) = serve(&kept("fresh: 1h, error_for: 100ms"), &[KEPT]).await;
    // The service builds its tag from something that did not change when the thing appeared.
    origin.rule("/x", |request, call| match (call, request.header("if-none-match")) {
        (1, _) => Answer::status(404).header("ETag", "\"v1\"").body("nothing here"),
        (_, Some(_)) => Answer::status(304).header("ETag", "\"v1\""),
        (_, None) => Answer::json("1").header("ETag", "\"v1\""),
    });
    gw.get("/x").send().await.expect_status(404);
    time_passes(Duration::from_millis(150)).await;
    gw.get("/x").send().await.expect_status(200).expect_body("1");
}

#[tokio::test]
async fn posts_are_never_kept() {
    let (origin, gw) = keeping().await;
    origin.rule("/x", |request, call| {
        Answer::json(format!("[{call},{:?}]", String::from_utf8_lossy(&request.body)))
    });
    for call in 1..4 {
        let reply = gw.post("/x").body("seed").send().await;
        reply.expect_status(200).expect_body(format!("[{call},\"seed\"]"));
    }
    // Nor does a GET get what a POST was answered.
    gw.get("/x").send().await.expect_body("[4,\"\"]");
}

#[tokio::test]
async fn objects_over_the_bound_are_served_and_not_kept() {
    let sections = "cache: {object_bytes_max: 1KiB, policies: {kept: {fresh: 1h, \
                    error_for: 100ms}}}";
    let (origin, gw) = serve(sections, &[KEPT]).await;
    let (longest, longer) = ("x".repeat(1_024), "y".repeat(1_025));
    origin.on("/longest", Answer::status(200).body(longest.clone()));
    origin.on("/longer", Answer::status(200).body(longer.clone()));
    origin.on("/chunked", Answer::status(200).body(longer.clone()).chunked());
    for _ in 0..3 {
        gw.get("/longest").send().await.expect_status(200).expect_body(&longest);
        gw.get("/longer").send().await.expect_status(200).expect_body(&longer);
        gw.get("/chunked").send().await.expect_status(200).expect_body(&longer);
    }
    assert_eq!(origin.calls("/longest"), 1);
    assert!(origin.calls("/longer") >= 3, "{}", origin.calls("/longer"));
    assert_eq!(gw.metric("farmgate_cache_objects", &[]).await, Some(1.0));
}

#[tokio::test]
async fn memory_budget_holds_however_much_is_asked_for() {
    let sections = "cache: {memory: 256KiB, object_bytes_max: 8KiB, policies: {kept: {fresh: 1h}}}";
    let (origin, gw) = serve(sections, &[KEPT]).await;
    origin.otherwise(Answer::status(200).body("x".repeat(4_096)));
    let mut connection = gw.connect().await;
    for n in 0..300 {
        connection.send(Request::get(&format!("/{n}"))).await.expect_status(200);
    }
    let bytes = gw.metric("farmgate_cache_bytes", &[]).await.expect("a figure");
    assert_eq!(gw.metric("farmgate_cache_bytes_max", &[]).await, Some(262_144.0));
    assert!(bytes <= 262_144.0, "{bytes}");
    assert!(bytes > 100_000.0, "{bytes}: the budget is there to be used");
    let objects = gw.metric("farmgate_cache_objects", &[]).await.expect("a figure");
    let evicted = gw.metric("farmgate_cache_evictions_total", &[]).await.expect("a figure");
    assert_eq!(objects + evicted, 300.0);
}

#[tokio::test]
async fn hit_says_its_age_and_miss_has_none() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::json("1").header("Age", "77"));
    let stored = "farmgate; fwd=uri-miss; fwd-status=200; stored";
    let miss = gw.get("/x").send().await.expect_header("cache-status", stored);
    miss.expect_no_header("age");
    let hit = gw.get("/x").send().await.expect_header("age", "0");
    assert_hit(&hit);
    time_passes(Duration::from_millis(1_100)).await;
    let later = gw.get("/x").send().await;
    let age: u64 = later.header("age").and_then(|age| age.parse().ok()).expect("an Age");
    assert!((1..5).contains(&age), "{age}");
    let ttl: u64 = cache_status(&later)
        .strip_prefix("farmgate; hit; ttl=")
        .and_then(|ttl| ttl.parse().ok())
        .expect("a hit with its time to live");
    assert!((3_590..3_600).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn look_ups_are_counted_by_their_result() {
    let (_origin, gw) = keeping().await;
    for _ in 0..3 {
        gw.get("/x").send().await.expect_status(200);
    }
    let name = "farmgate_cache_lookups_total";
    wait_for_metric(&gw, name, &[("route", "kept"), ("result", "hit")], |hits| hits == 2.0).await;
    assert_eq!(gw.metric(name, &[("route", "kept"), ("result", "miss")]).await, Some(1.0));
}

#[tokio::test]
async fn known_tag_is_answered_without_a_body() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::json(DIGITS));
    let whole = gw.get("/x").send().await.expect_status(200);
    let tag = whole.header("etag").expect("a tag of the gateway's own").to_owned();
    assert!(tag.starts_with('"'), "{tag} is not strong");
    for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let reply = gw.get("/x").header("If-None-Match", &known).send().await.expect_status(304);
        let reply = reply.expect_body("").expect_header("etag", &tag);
        assert_hit(&reply);
    }
    let reply = gw.get("/x").header("If-None-Match", "\"other\"").send().await;
    reply.expect_status(200).expect_body(DIGITS);
    let head = gw.request("HEAD", "/x").header("If-None-Match", &tag).send().await;
    head.expect_status(304);
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn tag_follows_the_body() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::json("1"));
    origin.on("/y", Answer::json("1"));
    origin.on("/z", Answer::json("2"));
    let tag =
        async |path: &str| gw.get(path).send().await.header("etag").expect("a tag").to_owned();
    assert_eq!(tag("/x").await, tag("/y").await);
    assert_ne!(tag("/x").await, tag("/z").await);
}

#[tokio::test]
async fn condition_of_a_client_does_not_reach_the_upstream() {
    let (origin, gw) = keeping().await;
    let miss = gw.get("/x").header("If-None-Match", "\"a\"").header("Range", "bytes=0-0");
    miss.header("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT").send().await;
    let asked = origin.requests("/x").remove(0);
    for name in ["if-none-match", "if-modified-since", "range", "accept-encoding"] {
        assert_eq!(asked.header(name), None, "{name}");
    }
    gw.get("/x").send().await.expect_status(200).expect_body(r#"{"a":1}"#);
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn error_is_no_answer_to_a_condition() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::status(500).body("no"));
    let reply = gw.get("/x").header("If-None-Match", "*").send().await;
    reply.expect_status(500).expect_body("no");
    let reply = gw.get("/x").header("Range", "bytes=0-0").send().await;
    reply.expect_status(500).expect_body("no");
}

#[tokio::test]
async fn head_is_answered_from_what_a_get_left_and_leaves_it_itself() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::json(DIGITS));
    let mut connection = gw.connect().await;
    let miss = connection.send(Request::new("HEAD", "/x").host("farm")).await.expect_status(200);
    let get = connection.send(Request::get("/x").host("farm")).await.expect_body(DIGITS);
    let hit = connection.send(Request::new("HEAD", "/x").host("farm")).await.expect_status(200);
    assert_hit(&get);
    assert_hit(&hit);
    for reply in [miss, get, hit] {
        reply
            .expect_header("content-length", "10")
            .expect_header("content-type", "application/json");
    }
    assert_eq!((origin.calls("/x"), &*origin.requests("/x")[0].method), (1, "GET"));
}

#[tokio::test]
async fn ranges_are_cut_from_the_stored_body() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::status(200).header("Content-Type", "text/plain").body(DIGITS));
    for (range, part, says) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=5-99", "56789", "bytes 5-9/10"),
        ("bytes=9-9", "9", "bytes 9-9/10"),
    ] {
        let reply = gw.get("/x").header("Range", range).send().await;
        reply.expect_status(206).expect_body(part).expect_header("content-range", says);
    }
    let unsatisfiable = gw.get("/x").header("Range", "bytes=10-").send().await;
    unsatisfiable.expect_status(416).expect_header("content-range", "bytes */10");
    let nonsense = gw.get("/x").header("Range", "pages=1-2").send().await;
    nonsense.expect_status(200).expect_body(DIGITS);
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn several_ranges_come_as_parts() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::status(200).header("Content-Type", "text/plain").body(DIGITS));
    for _ in 0..2 {
        let reply = gw.get("/x").header("Range", "bytes=0-1,7-8").send().await.expect_status(206);
        let kind = reply.header("content-type").expect("a type").to_owned();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
        let wanted = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n\
             01\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-8/10\r\n\r\n\
             78\r\n--{boundary}--\r\n"
        );
        reply.expect_body(wanted);
    }
}

#[tokio::test]
async fn range_is_cut_only_from_the_body_that_the_client_knows() {
    let (origin, gw) = keeping().await;
    origin.on("/x", Answer::status(200).body(DIGITS));
    let tag = gw.get("/x").send().await.header("etag").expect("a tag").to_owned();
    let range = || gw.get("/x").header("Range", "bytes=0-1");
    range().header("If-Range", &tag).send().await.expect_status(206).expect_body("01");
    range().header("If-Range", "\"other\"").send().await.expect_status(200).expect_body(DIGITS);
}

#[tokio::test]
async fn unchanged_answer_is_confirmed_without_its_body() {
    let (origin, gw) = serve(&kept("fresh: 500ms, stale_while_revalidate: 1h"), &[KEPT]).await;
    origin.rule("/x", |request, _| match request.header("if-none-match") {
        Some("\"v1\"") => Answer::status(304).header("ETag", "\"v1\""),
        _ => Answer::json(DIGITS).header("ETag", "\"v1\""),
    });
    gw.get("/x").send().await.expect_body(DIGITS);
    time_passes(Duration::from_millis(600)).await;
    gw.get("/x").send().await.expect_body(DIGITS);
    wait_for_metric(&gw, "farmgate_fills_total", &[("origin", "revalidation")], |n| n == 1.0).await;
    let hit = gw.get("/x").send().await.expect_status(200).expect_body(DIGITS);
    assert!(!cache_status(&hit).contains("detail"), "{}", cache_status(&hit));
    let asked = origin.requests("/x");
    assert_eq!(asked[0].header("if-none-match"), None);
    assert_eq!(asked[1].header("if-none-match"), Some("\"v1\""));
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn answer_beyond_its_windows_is_confirmed_for_the_client_that_waits() {
    let (origin, gw) = serve(&kept("fresh: 100ms"), &[KEPT]).await;
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    origin.rule("/x", move |request, _| match request.header("if-modified-since") {
        Some(since) if since == date => Answer::status(304),
        _ => Answer::json(DIGITS).header("Last-Modified", date),
    });
    gw.get("/x").send().await.expect_body(DIGITS);
    time_passes(Duration::from_millis(150)).await;
    gw.get("/x").send().await.expect_status(200).expect_body(DIGITS);
    assert_eq!(origin.requests("/x")[1].header("if-modified-since"), Some(date));
}

#[tokio::test]
async fn what_an_answer_is_made_of_is_told_to_the_cache_alone() {
    let (origin, gw) = keeping().await;
    let answer = || Answer::json("1").header("etag", "\"v1\"");
    origin.on("/x", answer().header("surrogate-key", "a b").header("cache-tag", "c, d"));
    for _ in 0..2 {
        let reply = gw.get("/x").send().await;
        assert_eq!((reply.header("surrogate-key"), reply.header("cache-tag")), (None, None));
    }
    assert_eq!(origin.calls("/x"), 1);
    let many: Vec<String> = (0..129).map(|tag| tag.to_string()).collect();
    assert_eq!(calls_of_two(answer().header("surrogate-key", &many.join(" "))).await, 2);
}

#[tokio::test]
async fn tag_of_the_upstream_is_not_passed_off_as_that_of_the_envelope() {
    let route = "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept, \
                 envelope: true}";
    let (origin, gw) = serve(&kept("fresh: 500ms, stale_while_revalidate: 1h"), &[route]).await;
    let plain = |answer: Answer| answer.header("ETag", "\"v1\"");
    origin.rule("/x", move |request, _| match request.header("if-none-match") {
        Some("\"v1\"") => plain(Answer::status(304)),
        _ => plain(Answer::json("[1]")),
    });
    let miss = gw.get("/x").send().await.expect_status(200);
    let tag = miss.header("etag").expect("a tag of the envelope").to_owned();
    assert_ne!(tag, "\"v1\"");
    gw.get("/x").header("If-None-Match", "\"v1\"").send().await.expect_status(200);
    gw.get("/x").header("If-None-Match", &tag).send().await.expect_status(304);
    time_passes(Duration::from_millis(600)).await;
    gw.get("/x").send().await.expect_header("etag", &tag);
    wait_for_metric(&gw, "farmgate_fills_total", &[("origin", "revalidation")], |n| n == 1.0).await;
    assert_eq!(origin.requests("/x")[1].header("if-none-match"), Some("\"v1\""));
    let hit = gw.get("/x").send().await.expect_header("etag", &tag).expect_body(&miss.body);
    hit.expect_json("/data/0", 1);
}

#[tokio::test]
async fn digest_of_the_upstreams_body_is_not_sent_with_the_envelope() {
    let routes = [
        "{name: kept, path_prefix: /kept, pool: service, auth: {anonymous: true}, cache: kept, \
         envelope: true}",
        "{name: wrapped, path_prefix: /wrapped, pool: service, auth: {anonymous: true}, \
         envelope: true}",
    ];
    let (origin, gw) = serve(&kept("fresh: 1h"), &routes).await;
    let answer = Answer::json("1").header("Content-MD5", "xMpCOKC5I4INzFCab3WEmw==");
    let answer = answer.header("Content-Digest", "sha-256=:AAAA:").header("Digest", "sha-256=AAAA");
    origin.otherwise(answer.header("Repr-Digest", "sha-256=:AAAA:"));
    for path in ["/kept", "/kept", "/wrapped"] {
        let reply = gw.get(path).send().await.expect_status(200).expect_json("/data", 1);
        for name in ["content-digest", "repr-digest", "digest", "content-md5"] {
            assert_eq!(reply.header(name), None, "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn fields_of_one_hop_are_not_kept() {
    let (origin, gw) = keeping().await;
    let answer = Answer::json("1").header("Connection", "X-Hop").header("X-Hop", "1");
    origin.on("/x", answer.header("Keep-Alive", "timeout=5").header("X-Request-Id", "theirs"));
    for _ in 0..2 {
        let reply = gw.get("/x").header("X-Request-Id", "mine").send().await.expect_status(200);
        let reply = reply.expect_no_header("x-hop").expect_no_header("keep-alive");
        assert_eq!(reply.headers.all("x-request-id"), ["mine"]);
    }
}

#[tokio::test]
async fn clients_behind_one_key_have_answers_of_their_own_where_both_are_needed() {
    let other = HmacClient::new("other", "what the tests and another share");
    let sections = format!(
        "auth: {{api_keys: {{keys: [{}]}}, hmac: {{clients: [\
         {{id: nextcloud, secrets: ['env:HMAC_SECRET']}}, {{id: other, secrets: ['env:OTHER']}}]}}}}\n{}",
        api_key("app", "app-key", ""),
        kept("fresh: 1h"),
    );
    let route = "{name: both, path_prefix: /, pool: service, cache: kept, \
                 auth: {all: [api_key, hmac]}}";
    let origin = Origin::start().await;
    origin.rule("/x", |request, _| {
        Answer::json(format!("{:?}", request.header("x-nc-client-id").expect("a client")))
    });
    let gw = gateway().env("OTHER", &other.secret_base64()).with(conf(&sections, &[route]));
    let gw = gw.pool("service", origin.address()).start().await;
    for _ in 0..2 {
        for (client, body) in [(nextcloud(), "\"nextcloud\""), (other.clone(), "\"other\"")] {
            let request = gw.get("/x").api_key("app-key").signed_by(&client);
            request.send().await.expect_status(200).expect_body(body);
        }
    }
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn what_the_key_does_not_know_does_not_shape_a_kept_answer() {
    let (origin, gw) = keeping().await;
    let request =
        gw.get("/x").header("Cookie", "who=me").api_key("not looked at").bearer("nor.this.one");
    request.header("X-Original-URL", "/admin").send().await.expect_status(200);
    let asked = origin.requests("/x").remove(0);
    for name in ["cookie", "x-api-key", "authorization", "x-original-url"] {
        assert_eq!(asked.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn range_of_nothing_gets_the_whole_answer() {
    let (origin, gw) = keeping().await;
    origin.on("/empty", Answer::status(200));
    origin.on("/ten", Answer::status(200).body("0123456789"));
    for (path, range, body) in [("/empty", "bytes=-1", ""), ("/ten", "bytes=-0", "0123456789")] {
        for _ in 0..2 {
            let reply = gw.get(path).header("Range", range).send().await;
            reply.expect_status(200).expect_body(body);
        }
    }
}

#[tokio::test]
async fn queries_that_ask_for_the_same_share_one_answer() {
    let policy = kept(
        "fresh: 1h, query: {sort: true, drop: [_], round: {lat: 0.1, lon: 0.25}, defaults: {days: 7}}",
    );
    let (origin, gw) = serve(&policy, &[KEPT]).await;
    origin.rule("/x", |asked, _| Answer::json(format!("{:?}", asked.query())));
    let asked = "\"days=7&lat=52.5&lon=13.50\"";
    for query in [
        "lat=52.5244&lon=13.4105",
        "lon=13.5&lat=52.46&_=1",
        "days=7&lat=52.5&lon=13.50",
        "l%61t=52.5&lon=13.5",
    ] {
        gw.get(&format!("/x?{query}")).send().await.expect_status(200).expect_body(asked);
    }
    assert_eq!(origin.calls("/x"), 1);
    let other = gw.get("/x?lat=52.5&lon=13.5&days=3").send().await;
    other.expect_body("\"days=3&lat=52.5&lon=13.50\"");
    gw.get("/x?lat=52.56&lon=13.5").send().await.expect_body("\"days=7&lat=52.6&lon=13.50\"");
    gw.get("/x?lat=here&lon=13.5").send().await.expect_body("\"days=7&lat=here&lon=13.50\"");
    assert_eq!(origin.calls("/x"), 4);
}

#[tokio::test]
async fn only_parameters_that_are_kept_make_another_answer() {
    let (origin, gw) = serve(&kept("fresh: 1h, query: {keep: [a, b]}"), &[KEPT]).await;
    origin.rule("/x", |asked, _| Answer::json(format!("{:?}", asked.query())));
    for (query, asked) in
        [("b=2&c=3&a=1", "b=2&a=1"), ("b=2&a=1&d", "b=2&a=1"), ("a=1&b=2", "a=1&b=2"), ("c=3", "")]
    {
        let reply = gw.get(&format!("/x?{query}")).send().await.expect_status(200);
        reply.expect_body(format!("{asked:?}"));
    }
    assert_eq!(origin.calls("/x"), 3);
    // What is not kept is asked as it came.
    gw.post("/x?c=3&a=1").send().await.expect_body("\"c=3&a=1\"");
}
