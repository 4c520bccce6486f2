//! Keys of the operator's tables: who is let in, and what does a slow hash cost whom?

use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{Gateway, Launcher, MariaDb, Origin, RedisServer, Reply, claims_of, launch};
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use serde_json::json;

use super::{ROUTES, WIDE, mint, ping, sections};
use crate::fixtures::{
    conf, gateway, time_passes, wait_for_metric, wait_for_status, wait_promptly_for_status,
};

/// What stands before each key when it is hashed.
const PEPPER: &str = "the pepper of the tests";
/// Rounds of a hash that cost nothing, for where only their number counts.
pub(crate) const FEW: u32 = 10;
/// Rounds of the operator's hashes.
const MILLION: u32 = 1_000_000;

/// What a million rounds make of the first keys of [`issue`], so that no test has to compute it:
/// `hashlib.pbkdf2_hmac("sha256", (pepper + ":" + key).encode(), salt.encode(), 1_000_000)`.
const SLOW: [&str; 4] = [
    "7NJ1zbJHd+yKPw2aOIf3mUseAMfTX7iGSoceayEZdtY=",
    "dAVt/TsGNWyb95ZqIe0OzMewPg+34oCOEip3j0xPDQM=",
    "wr+RADjlDN++/iq8zbLOEnelJdklMlzkP0qOi381q/8=",
    "NlzPs/0UBYBguEhDMzBcni8qASe6+XRKxKG+sbNszyg=",
];

/// The columns that are read, as Django's migrations make them.
const SCHEMA: &str = "
CREATE TABLE auth_user (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) NOT NULL UNIQUE,
    is_active TINYINT(1) NOT NULL);
CREATE TABLE api_keys_apikey (
    id CHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, key_hash VARCHAR(128) NOT NULL,
    prefix VARCHAR(12) NOT NULL, last4 VARCHAR(4) NOT NULL, scope VARCHAR(16) NOT NULL,
    created_at DATETIME(6) NOT NULL, last_used_at DATETIME(6) NULL, expires_at DATETIME(6) NULL,
    revoked_at DATETIME(6) NULL, user_id INT NOT NULL, KEY (prefix, last4));
INSERT INTO auth_user VALUES (1, 'one', 1), (2, 'two', 1), (3, 'gone', 0);
";

/// The operator's tables, on a server of the test's own.
pub(crate) async fn tables() -> MariaDb {
    let db = MariaDb::start().await;
    db.run(SCHEMA).await;
    db
}

/// A key of this number, with its row; both ends of it are its own.
pub(crate) async fn issue(db: &MariaDb, number: u32, user: u32, rounds: u32) -> String {
    let key = format!("wk_live_{number:0>4}{}{number:0>4}", "k".repeat(35));
    let row = format!(
        "INSERT INTO api_keys_apikey VALUES ('{number:0>32}', 'script', '{}', '{}', '{}', 'write', \
         UTC_TIMESTAMP(6), NULL, NULL, NULL, {user});",
        hash(&key, number, rounds),
        &key[..12],
        &key[47..],
    );
    db.run(&row).await;
    key
}

fn hash(key: &str, number: u32, rounds: u32) -> String {
    let (salt, mut digest) = ("Zx81pQmN4vT7bLkR2cWs9H", [0; 32]);
    if rounds == MILLION {
        return format!("pbkdf2_sha256${rounds}${salt}${}", SLOW[number as usize]);
    }
    let peppered = format!("{PEPPER}:{key}");
    let count = NonZeroU32::new(rounds).unwrap();
    derive(PBKDF2_HMAC_SHA256, count, salt.as_bytes(), peppered.as_bytes(), &mut digest);
    format!("pbkdf2_sha256${rounds}${salt}${}", STANDARD.encode(digest))
}

/// Another key with the same ends.
fn similar(key: &str, number: usize) -> String {
    format!("{}{number:x>35}{}", &key[..12], &key[47..])
}

/// A gateway for the keys of these tables; `mysql` are further keys of that section, `more` further
/// sections.
async fn with_tables(db: &MariaDb, mysql: &str, more: &str) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    origin.otherwise(harness::Answer::json("1"));
    let gw = launcher(db, mysql, more).pool("service", origin.address()).start().await;
    (origin, gw)
}

pub(crate) fn launcher(db: &MariaDb, mysql: &str, more: &str) -> Launcher {
    let keys = format!("mysql: {{url: 'env:DATABASE_URL', pepper: 'env:PEPPER', {mysql}}}");
    let yaml = conf(&format!("{}{more}", sections(&keys)), &ROUTES);
    gateway().env("DATABASE_URL", &db.url()).env("PEPPER", PEPPER).with(yaml)
}

pub(crate) async fn hashes(gw: &Gateway) -> f64 {
    gw.metric("farmgate_key_hashes_total", &[]).await.unwrap_or_default()
}

/// Returns once this is so.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            time_passes(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(harness::PATIENCE, wait).await;
    assert!(waited.is_ok(), "waited for {what}");
}

/// Fails unless the key is refused or let in so.
async fn expect(gw: &Gateway, key: &str, status: u16) -> Reply {
    ping(gw, key).send().await.expect_status(status)
}

/// What took the operator's token endpoint 6 to 8 seconds.
#[tokio::test]
async fn cold_key_is_hashed_once_for_all_who_want_a_token_and_nobody_else_waits() {
    let db = tables().await;
    let (_origin, gw) = with_tables(&db, "hash_threads: 1", "").await;
    let mut keys = Vec::new();
    for number in 0..4 {
        keys.push(issue(&db, number, 1, MILLION).await);
    }
    let mints = launch(64, |number| mint(&gw, &keys[number % keys.len()]).send());
    wait_for_metric(&gw, "farmgate_key_hashes_in_flight", &[], |count| count >= 1.0).await;
    let mut beside = 0;
    while !mints.is_finished() {
        gw.get("/open").send().await.expect_status(200);
        beside += usize::from(hashes(&gw).await < 4.0);
        time_passes(Duration::from_millis(20)).await;
    }
    assert!(beside > 0, "the other route was answered while keys were hashed");
    for reply in mints.await.unwrap() {
        let reply = reply.expect_status(200);
        let claims = claims_of(reply.json()["data"]["access"].as_str().unwrap());
        assert_eq!((&claims["sub"], &claims["scope"]), (&json!("1"), &json!("write")));
    }
    assert_eq!(hashes(&gw).await, 4.0);
    for reply in launch(64, |number| mint(&gw, &keys[number % 4]).send()).await.unwrap() {
        reply.expect_status(200);
    }
    assert_eq!(hashes(&gw).await, 4.0, "a warm key costs none");
    assert_eq!(gw.metric("farmgate_keys_remembered", &[]).await, Some(4.0));
}

#[tokio::test]
async fn key_of_the_tables_needs_the_pepper_and_an_active_owner() {
    let db = tables().await;
    let (_origin, gw) = with_tables(&db, "timeout: 10s", "").await;
    let (good, orphan) = (issue(&db, 1, 2, FEW).await, issue(&db, 2, 3, FEW).await);
    let pong = expect(&gw, &good, 200).await;
    pong.expect_json("/data/user_id", "2")
        .expect_json("/data/key_id", "00000000-0000-0000-0000-000000000001")
        .expect_json("/data/scope", "write");
    let refused = expect(&gw, &orphan, 401).await;
    refused.expect_json("/message", "User inactive or deleted.");
    expect(&gw, &similar(&good, 1), 401).await.expect_json("/errors/code", "key_not_valid");
    let peppered = launcher(&db, "timeout: 10s", "").env("PEPPER", "another pepper");
    let origin = Origin::start().await;
    let peppered = peppered.pool("service", origin.address()).start().await;
    expect(&peppered, &good, 401).await.expect_json("/errors/code", "key_not_valid");
}

#[tokio::test]
async fn key_that_the_tables_withdraw_is_refused_without_a_reload() {
    let db = tables().await;
    let (_origin, often) = with_tables(&db, "recheck: 100ms", WIDE).await;
    let (_other, seldom) = with_tables(&db, "recheck: 1h", WIDE).await;
    let (revoked, orphaned) = (issue(&db, 1, 1, FEW).await, issue(&db, 2, 2, FEW).await);
    for key in [&revoked, &orphaned] {
        expect(&often, key, 200).await;
        expect(&seldom, key, 200).await;
    }
    db.run("UPDATE api_keys_apikey SET revoked_at = UTC_TIMESTAMP(6) WHERE user_id = 1").await;
    wait_promptly_for_status(&ping(&often, &revoked), 401).await;
    expect(&often, &orphaned, 200).await;
    db.run("UPDATE auth_user SET is_active = 0 WHERE id = 2").await;
    wait_promptly_for_status(&ping(&often, &orphaned), 401).await;
    expect(&often, &orphaned, 401).await.expect_json("/message", "User inactive or deleted.");
    for key in [&revoked, &orphaned] {
        expect(&seldom, key, 200).await;
    }
}

#[tokio::test]
async fn proved_key_is_remembered_for_as_long_as_it_says() {
    let (db, redis) = (tables().await, RedisServer::start().await);
    let state = format!("state: {{redis: {{url: '{}', timeout: 10s}}}}\n", redis.url());
    let (_origin, gw) = with_tables(&db, "remember: 20m", &state).await;
    expect(&gw, &issue(&db, 1, 1, FEW).await, 200).await;
    // What one gateway remembers the others find in Redis, with the time that is left of it.
    let name = redis.ask("KEYS farmgate:memory:keys:*").await;
    let left = redis.ask(&format!("TTL {name}")).await;
    let seconds: u32 = left.trim_start_matches(':').parse().unwrap();
    assert!((1140..=1200).contains(&seconds), "{name} is kept for {left}");
}

#[tokio::test]
async fn more_cold_keys_than_may_wait_are_told_to_come_back() {
    let db = tables().await;
    let (_origin, gw) =
        with_tables(&db, "hash_threads: 2, hash_queue_max: 1, timeout: 20s", "").await;
    let tasks = format!("/proc/{}/task", gw.process().id().unwrap());
    let threads = || {
        let names = std::fs::read_dir(&tasks).unwrap().map(|task| {
            std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
        });
        names.filter(|name| name.starts_with("key-hash-")).count()
    };
    // A thread gives itself its name.
    eventually("two threads that hash", async || threads() == 2).await;
    let mut keys = Vec::new();
    for number in 0..4 {
        keys.push(issue(&db, number, 1, FEW).await);
    }
    let last = keys.pop().unwrap();
    // A database that hangs keeps all of them on their way to a hash: two for the threads, and one
    // that may wait.
    let lock = db.lock("api_keys_apikey").await;
    let first = launch(3, |number| ping(&gw, &keys[number]).send());
    let sql = "SELECT COUNT(*) FROM information_schema.processlist \
               WHERE user = 'gateway' AND info LIKE 'SELECT%'";
    eventually("three keys on their way", async || db.run(sql).await == ["3"]).await;
    let full = expect(&gw, &last, 503).await;
    full.expect_json("/errors/code", "overloaded").expect_header("Retry-After", "1");
    drop(lock);
    for reply in first.await.unwrap() {
        reply.expect_status(200);
    }
    expect(&gw, &last, 200).await;
    assert_eq!(hashes(&gw).await, 4.0);
    assert_eq!(gw.metric("farmgate_key_hashes_refused_total", &[]).await, Some(1.0));
    assert_eq!(gw.metric("farmgate_key_hashes_in_flight", &[]).await, Some(0.0));
}

#[tokio::test]
async fn database_that_does_not_answer_is_given_up_and_asked_by_few() {
    let db = tables().await;
    let (_origin, hasty) = with_tables(&db, "timeout: 150ms", "").await;
    let (_other, patient) = with_tables(&db, "timeout: 20s, connections_max: 2", "").await;
    let mut keys = Vec::new();
    for number in 0..6 {
        keys.push(issue(&db, number, 1, FEW).await);
    }
    let lock = db.lock("api_keys_apikey").await;
    let refused = expect(&hasty, &keys[0], 503).await;
    refused.expect_json("/errors/code", "state_unavailable").expect_header("Retry-After", "1");
    hasty.wait_for_log(|line| line.contains("did not answer within 150ms")).await;
    let asking = launch(keys.len(), |number| ping(&patient, &keys[number]).send());
    let connections = async || {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'gateway'";
        db.run(sql).await[0].parse::<usize>().unwrap()
    };
    wait_for_metric(&patient, "farmgate_requests_in_flight", &[], |count| count >= 6.0).await;
    eventually("two that ask", async || connections().await >= 2).await;
    drop(lock);
    for reply in asking.await.unwrap() {
        reply.expect_status(200);
    }
    // The hasty one has closed its own; these are kept for the next key.
    eventually("two connections", async || connections().await == 2).await;
}

#[tokio::test]
async fn flood_of_wrong_keys_is_stopped_before_it_buys_hashes() {
    let db = tables().await;
    let (_origin, gw) = with_tables(&db, "hash_threads: 1", "limits: {failures: 5/min}\n").await;
    let good = issue(&db, 1, 1, 10_000).await;
    expect(&gw, &good, 200).await;
    let flood = launch(40, |number| ping(&gw, &similar(&good, number)).send()).await.unwrap();
    let of = |status: u16| flood.iter().filter(|reply| reply.status == status).count();
    assert_eq!((of(401), of(429)), (5, 35));
    assert_eq!(hashes(&gw).await, 6.0, "one of the good key, and one for each failure allowed");
    for reply in flood.into_iter().filter(|reply| reply.status == 429) {
        reply.expect_json("/errors/code", "failures_limited");
    }
    // The same address still gets in with what holds.
    expect(&gw, &good, 200).await;
    mint(&gw, &good).send().await.expect_status(200);
    assert_eq!(hashes(&gw).await, 6.0);
}

#[tokio::test]
async fn remembered_key_outlives_the_database_and_a_cold_one_waits_for_it() {
    let mut db = tables().await;
    let (_origin, gw) = with_tables(&db, "timeout: 500ms, recheck: 100ms", WIDE).await;
    let (warm, cold) = (issue(&db, 1, 1, FEW).await, issue(&db, 2, 1, FEW).await);
    expect(&gw, &warm, 200).await;
    db.kill().await;
    let refused = expect(&gw, &cold, 503).await;
    refused.expect_json("/errors/code", "state_unavailable").expect_header("Retry-After", "1");
    gw.wait_for_log(|line| line.contains("remembered keys stay valid")).await;
    assert_eq!(gw.metric("farmgate_key_tables_up", &[]).await, Some(0.0));
    expect(&gw, &warm, 200).await;
    db.restart().await;
    wait_for_status(&ping(&gw, &cold), 200).await;
    expect(&gw, &warm, 200).await;
    assert_eq!(hashes(&gw).await, 2.0);
    gw.wait_for_log(|line| line.contains("key database answers again")).await;
    assert_eq!(gw.metric("farmgate_key_tables_up", &[]).await, Some(1.0));
}

/// A flood from one address, as far as its failures allow, may buy hashes; what it buys must not
/// delay a key that comes from elsewhere, nor take its place.
#[tokio::test]
async fn flood_from_one_address_does_not_delay_the_cold_key_of_another() {
    let db = tables().await;
    let sections = format!("{WIDE}\ndownstream: {{trusted_proxies: [127.0.0.1]}}\n");
    let (_origin, gw) = with_tables(&db, "hash_threads: 1, hash_queue_max: 20", &sections).await;
    let good = issue(&db, 1, 1, MILLION).await;
    let attacked = issue(&db, 2, 1, MILLION).await;
    let from = |key: &str, address: &str| ping(&gw, key).header("X-Forwarded-For", address);
    let flood = launch(40, |number| from(&similar(&attacked, number), "203.0.113.1").send());
    wait_for_metric(&gw, "farmgate_key_hashes_in_flight", &[], |count| count >= 15.0).await;
    let before = hashes(&gw).await;
    from(&good, "203.0.113.2").send().await.expect_status(200);
    // One may have been under way, one may have been next.
    let bought = hashes(&gw).await - before - 1.0;
    assert!(bought <= 3.0, "{bought} hashes of the flood came first");
    let flood = flood.await.unwrap();
    let of = |status: u16| flood.iter().filter(|reply| reply.status == status).count();
    assert!(of(503) > 0 && of(401) + of(503) == flood.len(), "{} and {}", of(401), of(503));
    for reply in flood.into_iter().filter(|reply| reply.status == 503) {
        reply.expect_json("/errors/code", "overloaded").expect_header("Retry-After", "1");
    }
}
