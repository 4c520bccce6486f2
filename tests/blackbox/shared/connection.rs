//! How is Redis reached, and what does the gateway say when it is not?

use harness::{Authority, Gateway, Launcher, Origin, RedisServer, Sentinels};
use tokio::time::timeout;

use super::{AUTH, FREE, Once, SIGNED, UP, launcher, launcher_with, origin, over};
use crate::fixtures::wait_for_metric;

const EXIT_CONFIG: i32 = 78;

/// A gateway that does not wait long for a Redis that it will not find.
fn hasty(origin: &Origin, state: &str) -> Launcher {
    let sections = format!("{AUTH}\nserver: {{ready_timeout: 100ms}}\nstate: {state}");
    launcher_with(origin, &sections, &[SIGNED, FREE])
}

/// The log, with the secret nowhere in it.
fn log_without(gw: &Gateway, secret: &str) -> String {
    let log = gw.log_lines().join("\n");
    assert!(!log.contains(secret), "the log shows {secret:?}:\n{log}");
    log
}

#[tokio::test]
async fn redis_over_tls_is_trusted_for_its_authority_and_no_other() {
    let (authority, origin) = (Authority::new(), origin().await);
    let server = RedisServer::launcher().tls(&authority).password("se-cret").start().await;
    assert!(server.url().starts_with("rediss://"));
    let trusting = |pem: String| {
        let state = over(&server, &["ca_file: redis-ca.pem"]);
        hasty(&origin, &state).file("conf/redis-ca.pem", pem)
    };
    let (good, bad) = (trusting(authority.pem()), trusting(Authority::new().pem()));
    let unnamed = hasty(&origin, &over(&server, &[]));
    let (good, bad, unnamed) = tokio::join!(good.start(), bad.start(), unnamed.start());
    wait_for_metric(&good, UP, &[], |up| up == 1.0).await;
    Once::spent(&good).await.is_refused_by(&good).await;
    for gw in [&bad, &unnamed] {
        let gone = |line: &str| line.contains("Redis is gone") && line.contains("certificate");
        gw.wait_for_log(gone).await;
        Once::new().to(gw).send().await.expect_status(503);
        assert_eq!(gw.metric(UP, &[]).await, Some(0.0));
    }
    for gw in [&good, &bad, &unnamed] {
        log_without(gw, "se-cret");
    }
}

#[tokio::test]
async fn sentinels_lead_every_gateway_to_the_master_that_took_over() {
    let (mut sentinels, origin) = (Sentinels::start(1).await, origin().await);
    let state = format!("{{redis: {{url: '{}', timeout: 5s}}}}", sentinels.url());
    let [one, other] = super::two(&origin, &state).await;
    let once = Once::spent(&one).await;
    let replicated = async {
        while !sentinels.replica.ask("KEYS *nonce*").await.contains("nonce") {
            tokio::task::yield_now().await;
        }
    };
    timeout(harness::PATIENCE, replicated).await.expect("the nonce is on the replica");
    sentinels.master.kill().await;
    // The other gateway knows of the nonce through the master that took over, or not at all.
    let judged = async {
        loop {
            let reply = once.to(&other).send().await;
            if reply.status != 503 {
                return reply;
            }
        }
    };
    let judged = timeout(harness::PATIENCE, judged).await.expect("a master that took over");
    judged.expect_status(403).expect_json("/errors/reason", "replay");
    assert!(sentinels.replica.ask("ROLE").await.starts_with("master"));
    assert_eq!(origin.calls("/signed"), 1);
}

#[tokio::test]
async fn wrong_password_is_told_in_the_log_and_not_shown() {
    let origin = origin().await;
    let server = RedisServer::launcher().password("the-right-one").start().await;
    let url = server.url().replace("the-right-one", "wr0ng-p4ss");
    let state = format!("{{redis: {{url: '{url}'}}}}");
    let gw = hasty(&origin, &state).start().await;
    let told = gw.wait_for_log(|line| line.contains("Redis is gone")).await;
    assert!(told.contains("Redis refuses the login"), "{told}");
    assert!(told.contains("correct user and password in its address"), "{told}");
    assert!(told.contains("\"ERROR\"") && told.contains(&server.address().to_string()), "{told}");
    Once::new().to(&gw).send().await.expect_status(503);
    gw.get("/free").send().await.expect_status(200);
    let config = gw.admin_get("/config").send().await.expect_status(200).text();
    let metrics = gw.admin_get("/metrics").send().await.expect_status(200).text();
    let shown = [log_without(&gw, "wr0ng-p4ss"), config, metrics].concat();
    assert!(!shown.contains("wr0ng-p4ss") && !shown.contains("the-right-one"), "{shown}");
    // Its configuration is good: a password can only be tried.
    let checked = hasty(&origin, &state).finish("check").await.expect_code(0);
    assert!(!checked.stdout.concat().contains("wr0ng-p4ss"));
}

/// Fails unless the check finds one fault, at this place, that says this and not the password.
async fn expect_fault(launcher: Launcher, place: &str, words: &str) {
    let said = launcher.finish("check").await.expect_code(EXIT_CONFIG).stderr.join("\n");
    assert!(said.contains(&format!("conf/gateway.yaml:{place}: ")), "{said}");
    assert!(said.contains(words) && said.contains("1 fault(s)"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn address_that_is_none_is_a_fault_at_its_place_and_is_not_repeated() {
    let origin = origin().await;
    let url = "redis://:hunter2@127.0.0.1:port/0";
    // The state is on the fifth line, its address in these columns.
    let forms = [
        (format!("'{url}'"), "5:8: state.redis.url"),
        (format!("{{redis: '{url}'}}"), "5:16: state.redis.url"),
        (format!("{{redis: {{url: '{url}'}}}}"), "5:22: state.redis.url"),
        ("{redis: {url: 'env:REDIS_URL'}}".to_owned(), "5:22: state.redis.url"),
    ];
    for (state, place) in forms {
        let launcher = launcher(&origin, &state).env("REDIS_URL", url);
        expect_fault(launcher, place, "a port is not a number from 1 to 65535").await;
    }
    let wrong = [
        ("rediz://:hunter2@127.0.0.1", "does not begin with redis://"),
        ("redis-sentinel://:hunter2@127.0.0.1", "?service_name= is missing"),
        ("redis://:hunter2@127.0.0.1/first", "not the number of a database"),
        ("redis://127.0.0.1?password=hunter2", "write user and password before an @"),
        ("hunter2", "write one, such as redis://127.0.0.1:6379"),
    ];
    for (url, words) in wrong {
        let launcher = launcher(&origin, &format!("{{redis: {{url: '{url}'}}}}"));
        expect_fault(launcher, "5:22: state.redis.url", words).await;
    }
}

#[tokio::test]
async fn authorities_that_can_vouch_for_nobody_are_a_fault() {
    let origin = origin().await;
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let cases = [
        ("rediss", "lost.pem", "cannot read"),
        ("rediss", "broken.pem", "broken.pem is no PEM of certificates"),
        ("rediss", "empty.pem", "empty.pem holds no certificate"),
        // Nothing would be encrypted, whatever the file says.
        ("redis", "good.pem", "write rediss:// in its address"),
    ];
    for (scheme, file, words) in cases {
        let url = format!("url: '{scheme}://:hunter2@127.0.0.1'");
        let launcher = launcher(&origin, &format!("{{redis: {{ca_file: {file}, {url}}}}}"))
            .file("conf/broken.pem", broken)
            .file("conf/empty.pem", "no certificate is here\n")
            .file("conf/good.pem", Authority::new().pem());
        expect_fault(launcher, "5:26: state.redis.ca_file", words).await;
    }
}
