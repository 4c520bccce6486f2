//! API keys beyond the configuration: those that `farmgate keys` makes and withdraws, and those of
//! the operator's tables with their slow hashes.

pub(crate) mod tables;

use std::os::unix::fs::PermissionsExt;

use harness::{Directory, Finished, Gateway, Origin, Program, Request, claims_of, unix_now};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fixtures::{api_key, farmgate, nextcloud, serve, wait_promptly_for_status};

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
