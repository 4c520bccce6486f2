//! What the environment and an env file put into a configuration, and what a reload makes of it.

use harness::{Gateway, Launcher, Origin, jwt};
use serde_json::json;

use crate::fixtures::{JWT_SECRET, OPEN, claims, conf, gateway};

const EXIT_CONFIG: i32 = 78;

/// A gateway with an env file, whose pool `service` leads nowhere.
fn with_env_file(lines: &str, yaml: impl Into<String>) -> Launcher {
    gateway()
        .with(yaml)
        .pool("service", "peers: [{address: 127.0.0.1:9}]\n")
        .file(".env", lines)
        .arg("--env-file")
        .arg("{dir}/.env")
}

/// Reloads, and returns whether the new configuration took and what was wrong with it.
async fn reload(gw: &Gateway) -> (bool, String) {
    let ended = |line: &str| {
        line.contains("\"configuration reloaded\"") || line.contains("\"reload refused; ")
    };
    let before = gw.log_lines().iter().filter(|line| ended(line)).count();
    gw.reload().await;
    gw.wait_for_logs(before + 1, ended).await;
    let last = gw.admin_get("/config").send().await.expect_status(200).json();
    (last["success"] == json!(true), last["faults"].to_string())
}

#[tokio::test]
async fn operators_env_file_gives_secrets_addresses_and_limits() {
    let origin = Origin::start().await;
    origin.otherwise(harness::Answer::json("1"));
    // The secret has what a shell would trip over; the last line is longer than it looks.
    let env = format!(
        "# the operator's own file\n\
         export DJANGO_SECRET_KEY=$(&;x)*#[^-_=+%{JWT_SECRET}  # HS256\n\
         INTEGRATION_HMAC_CLIENTS_JSON='{{\"nc\": \"c2VjcmV0\"}}'\n\
         API_KEY_THROTTLE_RATE=2/hour\nSERVICE={}\n",
        origin.address()
    );
    let route = "{name: all, path_prefix: /, pool: service, quotas: [few], auth: {any: [jwt]}}";
    let sections = "auth: {jwt: [{keys: ['env:DJANGO_SECRET_KEY']}]}\n\
                    limits:\n  quotas:\n    few: ${API_KEY_THROTTLE_RATE:-500/min}\n\
                    server:\n  worker_threads: ${THREADS:-1}\n  drain_timeout: ${UNSET:-}";
    let launcher = with_env_file(&env, conf(sections, &[route]));
    let gw = launcher.pool("service", "peers:\n  - address: ${SERVICE}\n").start().await;
    let token = jwt(format!("$(&;x)*#[^-_=+%{JWT_SECRET}"), &claims(json!({})));
    gw.get("/a").bearer(&token).send().await.expect_status(200);
    gw.get("/a").bearer(&token).send().await.expect_status(200);
    gw.get("/a").bearer(&token).send().await.expect_status(429);
    gw.get("/a").send().await.expect_status(401);
}

#[tokio::test]
async fn reload_reads_the_env_file_again() {
    let (old, new) = (Origin::start().await, Origin::start().await);
    old.otherwise(harness::Answer::json("\"old\""));
    new.otherwise(harness::Answer::json("\"new\""));
    let env = |origin: &Origin| format!("SERVICE={}\n", origin.address());
    let launcher = with_env_file(&env(&old), conf("", &[OPEN]));
    let gw = launcher.pool("service", "peers:\n  - address: ${SERVICE}\n").start().await;
    gw.get("/").send().await.expect_body("\"old\"");
    gw.rewrite_file(".env", &env(&new));
    assert_eq!(reload(&gw).await, (true, "[]".into()));
    gw.get("/").send().await.expect_body("\"new\"");
    gw.rewrite_file(".env", "SERVICE='hunter2\nOTHER\n");
    let (taken, faults) = reload(&gw).await;
    assert!(!taken && faults.contains(".env:1:1: the quote"), "{faults}");
    assert!(faults.contains(".env:2:1: this line has no =") && !faults.contains("hunter2"));
    gw.rewrite_file(".env", "");
    let (taken, faults) = reload(&gw).await;
    assert!(!taken && faults.contains("peers[0].address: the environment variable SERVICE is not"));
    gw.get("/").send().await.expect_body("\"new\"");
}

#[tokio::test]
async fn process_variables_win_over_the_env_file() {
    let yaml = conf("server:\n  worker_threads: ${THREADS}", &[OPEN]);
    let many = with_env_file("THREADS=2\n", yaml.clone()).env("THREADS", "0").finish("check").await;
    let many = many.expect_code(EXIT_CONFIG);
    assert!(many.stderr[0].contains("write a number from 1 to 256"), "{:?}", many.stderr);
    with_env_file("THREADS=2\n", yaml).finish("check").await.expect_code(0);
}

#[tokio::test]
async fn variables_that_are_not_set_are_faults_with_their_place() {
    let sections = "server:\n  worker_threads: ${THREADS}\ncache:\n  memory: ${A-1MiB}";
    let launcher = with_env_file("", conf(sections, &[OPEN]));
    let finished = launcher.pool("service", "peers:\n  - address: ${HOST}:80\n");
    let finished = finished.finish("check").await.expect_code(EXIT_CONFIG);
    let expected = [
        "conf/gateway.yaml:4:19: server.worker_threads: the environment variable THREADS is not set",
        "conf/gateway.yaml:6:11: cache.memory: write ${NAME} or ${NAME:-default}",
        "upstreams/service.yaml:2:14: peers[0].address: the environment variable HOST is not set",
    ];
    assert_eq!(finished.stderr.len(), expected.len() + 1, "{:?}", finished.stderr);
    for (line, words) in finished.stderr.iter().zip(expected) {
        assert!(line.contains(words), "{line}");
    }
}

#[tokio::test]
async fn env_file_that_cannot_be_read_is_named() {
    let launcher = gateway().with(conf("", &[OPEN])).arg("--env-file").arg("{dir}/none.env");
    for command in ["check", "run"] {
        let finished = launcher.finish(command).await.expect_code(EXIT_CONFIG);
        let said = finished.stderr.join("\n");
        assert!(said.contains("none.env: cannot be read"), "{said}");
    }
}
