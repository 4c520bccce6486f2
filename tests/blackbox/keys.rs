//! API keys beyond the configuration: those that `farmgate keys` makes and withdraws, and those of
//! the operator's tables with their slow hashes.

use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{
    Directory, Finished, Gateway, Launcher, MariaDb, Origin, Program, RedisServer, Reply, Request,
    claims_of, launch, unix_now,
};
use jiff::Timestamp;
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use serde_json::{Value, json};

use crate::fixtures::{
    api_key, conf, farmgate, gateway, nextcloud, serve, time_passes, wait_for_metric,
    wait_for_status, wait_promptly_for_status,
};

type Ask = Request<std::net::SocketAddr>;

/// What clients do with keys.
const ROUTES: [&str; 4] = [
    "{name: ping, paths: [/ping/], endpoint: key_ping}",
    "{name: token, paths: [/token/], endpoint: token}",
    "{name: whoami, paths: [/whoami/], endpoint: whoami}",
    "{name: open, path_prefix: /open, pool: service, auth: {anonymous: true}}",
];

/// Address limits that do not get in the way of tests that ask until a key holds no more.
const WIDE: &str = "limits: {failures: 10000/min}";

/// The sections for those routes with these members of `auth.api_keys`.
fn sections(keys: &str) -> String {
    format!(
        "auth:\n  \
           jwt: [{{keys: ['env:JWT_SECRET'], issuer: farm}}]\n  \
           token: {{issuer: farm, lifetime: 2m}}\n  \
           hmac: {{clients: [{{id: nextcloud, secrets: ['env:HMAC_SECRET']}}]}}\n  \
           api_keys: {{{keys}}}\n"
    )
}

async fn with_store(more: &str) -> (Origin, Gateway) {
    serve(&format!("{}{more}", sections("store: true")), &ROUTES).await
}

pub(crate) fn ping(gw: &Gateway, key: &str) -> Ask {
    gw.get("/ping/").api_key(key)
}

/// Asks for a token, with a signature and a nonce of its own.
fn mint(gw: &Gateway, key: &str) -> Ask {
    gw.post("/token/").api_key(key).signed_by(&nextcloud())
}

async fn keys(gw: &Gateway, words: &str) -> Finished {
    farmgate(gw, &[&["keys"], &words.split(' ').collect::<Vec<_>>()[..]].concat()).await
}

/// Makes a key; its id and itself.
async fn create(gw: &Gateway, words: &str) -> (String, String) {
    made(&keys(gw, &format!("create --json {words}")).await)
}

fn made(finished: &Finished) -> (String, String) {
    let made = object(finished);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// What a command that went well printed with `--json`.
fn object(finished: &Finished) -> Value {
    let finished = finished.clone().expect_code(0);
    serde_json::from_str(&finished.stdout.join("\n")).unwrap()
}

#[tokio::test]
async fn created_key_is_let_in_promptly_with_all_it_was_given() {
    let (_origin, gw) = with_store(WIDE).await;
    let words = "create --name k6 --user 7 --scope write,read --expires 90d";
    let told = keys(&gw, words).await.expect_code(0);
    let [key] = &told.stdout[..] else { panic!("{:?}", told.stdout) };
    let id = told.stderr.iter().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert!(key.starts_with("wk_live_") && key.len() == 51, "{key}");
    wait_promptly_for_status(&ping(&gw, key), 200).await;
    let pong = ping(&gw, key).send().await.expect_status(200);
    pong.expect_json("/data/user_id", "7")
        .expect_json("/data/key_id", id)
        .expect_json("/data/scope", "read write");
    let minted = mint(&gw, key).send().await.expect_status(200);
    let minted = minted.expect_json("/data/expires_in", 120).json();
    let access = minted["data"]["access"].as_str().unwrap();
    let claims = claims_of(access);
    assert_eq!((&claims["sub"], &claims["user_id"]), (&json!("7"), &json!("7")));
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|iat| iat + 120));
    let whoami = gw.get("/whoami/").bearer(access).send().await.expect_status(200);
    whoami.expect_json("/data/sub", "7").expect_json("/data/scope", "read write");
    assert_eq!(gw.metric("farmgate_config_generation", &[]).await, Some(1.0), "no reload");
    // It is shown this once, and kept nowhere.
    let listed = keys(&gw, "list").await.expect_code(0).stdout.join("\n");
    let as_json = keys(&gw, "list --json").await.expect_code(0).stdout.join("\n");
    let file = std::fs::read(gw.directory().join("var/farmgate.sqlite")).unwrap();
    let log = gw.log_lines().join("\n");
    for text in [&told.stderr.join("\n"), &listed, &as_json, &log, &*String::from_utf8_lossy(&file)]
    {
        assert!(!text.contains(&key[12..47]), "the key is shown again");
    }
    for text in [&listed, &as_json] {
        assert!(text.contains(id) && text.contains("k6") && text.contains(&key[..12]), "{text}");
    }
}

#[tokio::test]
async fn rotated_key_and_its_predecessor_both_hold_for_the_overlap() {
    let (_origin, gw) = with_store(WIDE).await;
    let (id, first) = create(&gw, "--name nextcloud").await;
    let told = keys(&gw, &format!("rotate {id} --overlap 1h")).await.expect_code(0);
    let second = told.stdout[0].clone();
    wait_promptly_for_status(&ping(&gw, &second), 200).await;
    for key in [&first, &second] {
        let pong = ping(&gw, key).send().await.expect_status(200);
        pong.expect_json("/data/key_id", &*id);
    }
    let (same, third) = made(&keys(&gw, &format!("rotate {id} --overlap 1s --json")).await);
    assert_eq!(same, id);
    for key in [&first, &second] {
        wait_promptly_for_status(&ping(&gw, key), 401).await;
    }
    ping(&gw, &third).send().await.expect_status(200);
    let (_, fourth) = made(&keys(&gw, &format!("rotate {id} --overlap 0s --json")).await);
    wait_promptly_for_status(&ping(&gw, &third), 401).await;
    ping(&gw, &fourth).send().await.expect_status(200);
}

#[tokio::test]
async fn revoked_key_is_refused_promptly_and_no_other() {
    let (_origin, gw) = with_store(WIDE).await;
    let (id, key) = create(&gw, "--name stolen").await;
    let (_, kept) = create(&gw, "--name kept").await;
    wait_promptly_for_status(&ping(&gw, &kept), 200).await;
    ping(&gw, &key).send().await.expect_status(200);
    let told = keys(&gw, &format!("revoke {id}")).await.expect_code(0);
    assert_eq!(told.stderr, [format!("{id}: revoked")]);
    wait_promptly_for_status(&ping(&gw, &key), 401).await;
    mint(&gw, &key).send().await.expect_status(401).expect_json("/errors/code", "key_not_valid");
    gw.wait_for_log(|line| line.contains("api_key.auth.failure") && line.contains("is revoked"))
        .await;
    ping(&gw, &kept).send().await.expect_status(200);
    let again = keys(&gw, &format!("revoke {id}")).await.expect_code(0);
    assert_eq!(again.stderr, [format!("{id}: was revoked before")]);
    keys(&gw, &format!("rotate {id}")).await.expect_code(1);
}

#[tokio::test]
async fn key_ends_when_it_was_said_to() {
    let (_origin, gw) = with_store(WIDE).await;
    let (_, key) = create(&gw, "--name brief --expires 1s").await;
    wait_promptly_for_status(&ping(&gw, &key), 401).await;
    // The first refusals may be of a key that was not known yet.
    let expired = async {
        let says_so = |line: &String| line.contains("api_key.auth.failure");
        while !gw.log_lines().iter().any(|line| says_so(line) && line.contains("has expired")) {
            ping(&gw, &key).send().await;
        }
    };
    tokio::time::timeout(harness::PATIENCE, expired).await.unwrap();
}

#[tokio::test]
async fn commands_end_with_a_code_and_say_what_to_do() {
    let (_origin, gw) = with_store("").await;
    let (id, _) = create(&gw, "--name nextcloud").await;
    let cases = [
        (format!("revoke {}", &id[..8]), 1, format!("did you mean {id} (nextcloud)?")),
        ("rotate nextcloud".to_owned(), 1, format!("did you mean {id} (nextcloud)?")),
        ("revoke nobody".to_owned(), 1, "see `farmgate keys list`".to_owned()),
        ("create".to_owned(), 2, "--name".to_owned()),
        ("create --name a --scope raed".to_owned(), 2, "read".to_owned()),
        ("create --name a --expires 1999-01-01T00:00:00Z".to_owned(), 2, "the past".to_owned()),
        ("rotate".to_owned(), 2, "<ID>".to_owned()),
    ];
    for (words, code, sentence) in cases {
        let ended = keys(&gw, &words).await.expect_code(code);
        let said = ended.stderr.join("\n");
        assert!(said.contains(&sentence), "{words}: {said}");
        assert!(ended.stdout.is_empty(), "{words}: {:?}", ended.stdout);
    }
    let (_origin, homeless) = serve("state: {}", &[ROUTES[3]]).await;
    let nowhere = keys(&homeless, "list").await.expect_code(78).stderr.join("\n");
    assert!(nowhere.contains("add `state: {dir: ../var}`"), "{nowhere}");
    let (_origin, deaf) = serve("", &[ROUTES[3]]).await;
    let unread = keys(&deaf, "create --name a").await.expect_code(0).stderr.join("\n");
    assert!(unread.contains("warning: ") && unread.contains("store: true"), "{unread}");
    homeless.rewrite_conf("state: [\n");
    let broken = keys(&homeless, "list").await.expect_code(78).stderr.join("\n");
    assert!(broken.contains("conf/gateway.yaml:2:"), "{broken}");
}

#[tokio::test]
async fn store_is_there_before_the_gateway_and_after_its_restart() {
    let folder = Directory::new();
    let state = format!("state: {{dir: '{}/var'}}\n", folder.path().display());
    // A file that serves nothing yet is enough to make keys with.
    let file = folder.write("conf/gateway.yaml", &state);
    let command = |words: &[&str]| {
        let program = Program::at(env!("CARGO_BIN_EXE_farmgate")).clean_env();
        program.arg("keys").args(words.iter().copied()).arg("--config").arg(&file)
    };
    let early = ["create", "--name", "early", "--json"];
    let (id, key) = made(&command(&early).run().await);
    let last_used = async || {
        let listed = object(&command(&["list", "--json"]).run().await);
        listed[0]["last_used_at"].as_str().map(|time| time.parse::<Timestamp>().unwrap())
    };
    assert_eq!(last_used().await, None);
    let (_origin, mut gw) = with_store(&state).await;
    ping(&gw, &key).send().await.expect_status(200).expect_json("/data/key_id", &*id);
    for (name, mode) in [("", 0o700), ("farmgate.sqlite", 0o600), ("farmgate.sqlite-wal", 0o600)] {
        let path = folder.path().join("var").join(name);
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{}", path.display());
    }
    assert!(gw.stop().await.success());
    let used = last_used().await.expect("what a gateway knows it writes down when it stops");
    assert!((0..60).contains(&(unix_now() - used.as_second())), "{used}");
    let (_origin, gw) = with_store(&state).await;
    ping(&gw, &key).send().await.expect_status(200).expect_json("/data/key_id", &*id);
}

#[tokio::test]
async fn key_of_the_file_acts_for_its_user_until_its_time() {
    let at = |offset: i64| Timestamp::from_second(unix_now() + offset).unwrap().to_string();
    let listed = [
        api_key("good", "good-key", &format!("user: '42', expires_at: {}", at(3600))),
        api_key("over", "over-key", &format!("expires_at: {}", at(-1))),
        api_key("selfless", "selfless-key", "scopes: [admin]"),
    ];
    let sections = sections(&format!("keys: [{}]", listed.join(", ")));
    let (_origin, gw) = serve(&sections, &ROUTES).await;
    let good = ping(&gw, "good-key").send().await.expect_status(200);
    good.expect_json("/data/user_id", "42").expect_json("/data/key_id", "good");
    let selfless = ping(&gw, "selfless-key").send().await.expect_status(200);
    selfless.expect_json("/data/user_id", "selfless").expect_json("/data/scope", "admin");
    ping(&gw, "over-key").send().await.expect_status(401);
    gw.wait_for_log(|line| line.contains("\\\"over\\\" has expired")).await;
}

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

/// Done when 3: the operator's last open problem.
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
