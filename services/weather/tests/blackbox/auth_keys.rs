//! What does an API key of the operator's tables cost, and whom?

use harness::{Directory, KeyTables, PATIENCE, Program, Reply, jwt, launch, unix_now};
use serde_json::json;

use crate::bench::{CURRENT, Weather, program, recorded};

const SIGNING: &str = "what the issuer and its services share";

/// More rounds than anybody uses: several seconds of one core.
const ROUNDS_MANY: u32 = 10_000_000;

const UNAVAILABLE: &str =
    r#"{"status":1,"message":"Service unavailable","data":null,"errors":null}"#;

/// A service that looks keys up in these tables, and takes users' tokens as well.
fn asking(directory: &Directory, provider: &str, tables: &KeyTables) -> Program {
    program(directory, provider)
        .env("JWT_SIGNING_KEY", SIGNING)
        .env("API_KEY_DATABASE_URL", tables.db.url())
        .env("API_KEY_PEPPER", KeyTables::PEPPER)
        .env("API_KEY_DATABASE_TIMEOUT_MS", "20000")
}

fn token() -> String {
    let now = unix_now();
    let claims = json!({
        "token_type": "access", "iss": "farm-intelligence-platform", "aud": "nextcloud",
        "user_id": "42", "exp": now + 300,
    });
    jwt(SIGNING, &claims)
}

async fn ask(weather: &Weather, key: &str) -> Reply {
    weather.request("GET", CURRENT).api_key(key).send().await
}

async fn hashes(weather: &Weather) -> f64 {
    weather.metric("api_key_hash_seconds_count", &[]).await
}

#[track_caller]
fn check(figure: f64, expected: f64) {
    assert!((figure - expected).abs() < 1e-9, "{figure} is not {expected}");
}

/// Returns once this is so.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited for {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_hashed_once_and_others_are_refused_without_a_word_why() {
    let (directory, replay, tables) = (Directory::new(), recorded(), KeyTables::start().await);
    let weather = Weather::start(asking(&directory, &replay.base_url(), &tables)).await;
    let good = tables.issue(1, 1).await;
    for _ in 0..2 {
        ask(&weather, &good).await.expect_status(200);
    }
    check(hashes(&weather).await, 1.0);
    let id = "\"client_id\":\"00000000-0000-0000-0000-000000000001\"";
    weather.process.wait_for_line(|line| line.contains(id)).await;

    let (revoked, expired) = (tables.issue(2, 1).await, tables.issue(3, 1).await);
    tables.update(2, "revoked_at = UTC_TIMESTAMP(6)").await;
    tables.update(3, "expires_at = '2001-02-03 04:05:06'").await;
    let orphan = tables.issue(4, 3).await;
    for (key, why, hashed) in [
        (revoked, "key revoked", 1.0),
        (expired, "key expired", 1.0),
        (KeyTables::key(9), "key unknown", 1.0),
        ("wk_test_0001".into(), "key malformed", 1.0),
        (format!("{good}="), "key malformed", 1.0),
        (orphan, "key owner inactive", 2.0),
        (KeyTables::similar(&good), "key unknown", 3.0),
        // A wrong key is remembered as well.
        (KeyTables::similar(&good), "key unknown", 3.0),
    ] {
        let refused = ask(&weather, &key).await.expect_status(401);
        refused
            .expect_header("www-authenticate", "Bearer realm=\"api\"")
            .expect_body(r#"{"status":1,"message":"Unauthorized","data":null,"errors":null}"#);
        let why = format!("\"refusal\":\"{why}\"");
        weather.process.wait_for_line(|line| line.contains(&why)).await;
        check(hashes(&weather).await, hashed);
    }
    let log = weather.process.lines().join("\n");
    assert!(!log.contains(&good) && !log.contains(KeyTables::PEPPER), "{log}");
    // A bad token is not rescued by a good key.
    let both = weather.request("GET", CURRENT).api_key(&good).bearer("a.b.c");
    both.send().await.expect_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_cold_keys_do_not_delay_a_token() {
    let (directory, replay, tables) = (Directory::new(), recorded(), KeyTables::start().await);
    let weather = Weather::start(asking(&directory, &replay.base_url(), &tables)).await;
    let mut keys = Vec::new();
    for number in 0..8 {
        keys.push(tables.issue_costly(number, ROUNDS_MANY).await);
    }
    let cold =
        launch(keys.len(), |number| weather.request("GET", CURRENT).api_key(&keys[number]).send());
    eventually("eight hashes that run or wait", async || {
        weather.metric("api_key_hashes_in_flight", &[]).await >= 8.0
    })
    .await;
    for _ in 0..3 {
        let reply = weather.request("GET", CURRENT).bearer(&token()).send().await;
        reply.expect_status(200);
    }
    let held = weather.metric("api_key_hashes_in_flight", &[]).await;
    check(held, 8.0);
    check(hashes(&weather).await, 0.0);
    assert!(!cold.is_finished());
    // Nobody needs the hashes to end.
    cold.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_with_one_cold_key_share_its_hash() {
    let (directory, replay, tables) = (Directory::new(), recorded(), KeyTables::start().await);
    let weather = Weather::start(asking(&directory, &replay.base_url(), &tables)).await;
    let key = tables.issue(1, 1).await;
    let lock = tables.db.lock("api_keys_apikey").await;
    let callers = launch(16, |_| weather.request("GET", CURRENT).api_key(&key).send());
    eventually("all of them", async || {
        // One more asks for the metrics.
        weather.metric("http_requests_in_flight", &[]).await >= 17.0
    })
    .await;
    assert_eq!(tables.questions().await, 1);
    drop(lock);
    for reply in callers.await.unwrap() {
        reply.expect_status(200);
    }
    check(hashes(&weather).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_cold_keys_than_may_wait_are_told_to_come_back() {
    let (directory, replay, tables) = (Directory::new(), recorded(), KeyTables::start().await);
    let program = asking(&directory, &replay.base_url(), &tables)
        .env("API_KEY_HASHES_MAX", "1")
        .env("API_KEY_HASH_QUEUE_MAX", "1");
    let weather = Weather::start(program).await;
    let mut keys = Vec::new();
    for number in 0..3 {
        keys.push(tables.issue(number, 1).await);
    }
    // A database that hangs keeps two on their way to a hash: one to run, and one that may wait.
    let lock = tables.db.lock("api_keys_apikey").await;
    let first = launch(2, |number| weather.request("GET", CURRENT).api_key(&keys[number]).send());
    eventually("two questions", async || tables.questions().await == 2).await;
    let full = ask(&weather, &keys[2]).await.expect_status(503);
    full.expect_header("retry-after", "1").expect_body(UNAVAILABLE);
    weather.request("GET", CURRENT).bearer(&token()).send().await.expect_status(200);
    drop(lock);
    for reply in first.await.unwrap() {
        reply.expect_status(200);
    }
    ask(&weather, &keys[2]).await.expect_status(200);
    let labels = [("scheme", "api_key"), ("outcome", "busy")];
    check(weather.metric("auth_requests_total", &labels).await, 1.0);
    check(weather.metric("api_key_hashes_in_flight", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_relied_on_for_as_long_as_it_says() {
    let (directory, replay, tables) = (Directory::new(), recorded(), KeyTables::start().await);
    let patient = Weather::start(asking(&directory, &replay.base_url(), &tables)).await;
    let other = Directory::new();
    let hasty = asking(&other, &replay.base_url(), &tables);
    let hasty = Weather::start(hasty.env("API_KEY_AUTH_CACHE_TTL_SECONDS", "0")).await;
    let key = tables.issue(1, 1).await;
    for _ in 0..3 {
        ask(&patient, &key).await.expect_status(200);
        ask(&hasty, &key).await.expect_status(200);
    }
    // Its row was read each time, and had the hash that was proved.
    check(hashes(&hasty).await, 1.0);
    tables.update(1, "revoked_at = UTC_TIMESTAMP(6)").await;
    ask(&hasty, &key).await.expect_status(401);
    ask(&patient, &key).await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn remembered_key_outlives_the_database_and_a_cold_one_waits_for_it() {
    let (directory, replay) = (Directory::new(), recorded());
    let mut tables = KeyTables::start().await;
    let program = asking(&directory, &replay.base_url(), &tables);
    let weather = Weather::start(program.env("API_KEY_DATABASE_TIMEOUT_MS", "500")).await;
    let (warm, cold) = (tables.issue(1, 1).await, tables.issue(2, 1).await);
    ask(&weather, &warm).await.expect_status(200);
    tables.db.kill().await;
    let refused = ask(&weather, &cold).await.expect_status(503);
    refused.expect_header("retry-after", "1").expect_body(UNAVAILABLE);
    ask(&weather, &warm).await.expect_status(200);
    let labels = [("scheme", "api_key"), ("outcome", "unavailable")];
    check(weather.metric("auth_requests_total", &labels).await, 1.0);
    tables.db.restart().await;
    eventually("the database", async || ask(&weather, &cold).await.status == 200).await;
    let log = weather.process.lines().join("\n");
    assert!(!log.contains("read-only-password"), "{log}");
}
