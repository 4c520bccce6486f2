//! Do revocations and proved keys of one gateway count on the others?

use std::net::SocketAddr;

use harness::{Gateway, PATIENCE, RedisServer, Request, jwt};
use serde_json::json;
use tokio::time::timeout;

use super::{UP, launcher_with, origin, over};
use crate::fixtures::{
    JWT_SECRET, claims, farmgate, wait_for_metric, wait_for_status, wait_promptly_for_status,
};
use crate::keys::{self, tables};

fn token(id: &str) -> String {
    jwt(JWT_SECRET, &claims(json!({ "jti": id })))
}

fn ask(gw: &Gateway, id: &str) -> Request<SocketAddr> {
    gw.get("/").bearer(&token(id))
}

async fn status(gw: &Gateway, id: &str) -> u16 {
    ask(gw, id).send().await.status
}

#[tokio::test]
async fn revocation_by_command_reaches_every_gateway_and_outlives_redis() {
    let (mut server, origin) = (RedisServer::start().await, origin().await);
    let with = |state: &str| {
        let sections = format!("auth: {{jwt: [{{keys: ['env:JWT_SECRET']}}]}}\nstate: {state}");
        let route = "{name: one, path_prefix: /, pool: service, auth: {any: [jwt]}}";
        launcher_with(&origin, &sections, &[route])
    };
    let state = over(&server, &[]);
    let (kept, bare) = (with(&state.replacen('{', "{dir: '{dir}/var', ", 1)), with(&state));
    let (here, mut there) = tokio::join!(kept.start(), bare.start());
    for gw in [&here, &there] {
        // Seen and remembered by both.
        assert_eq!((status(gw, "a").await, status(gw, "b").await), (200, 200));
    }
    farmgate(&here, &["tokens", "revoke", "--jti", "a"]).await.expect_code(0);
    let (from_there, from_here) = (ask(&there, "a"), ask(&here, "a"));
    tokio::join!(
        wait_promptly_for_status(&from_there, 401),
        wait_promptly_for_status(&from_here, 401),
    );
    for gw in [&here, &there] {
        assert_eq!((status(gw, "a").await, status(gw, "b").await), (401, 200));
        assert_eq!(gw.metric("farmgate_revocations", &[]).await, Some(1.0));
    }
    // A gateway that starts knows it before it takes its first request.
    there.stop().await;
    let there = there.restart().await;
    assert_eq!((status(&there, "a").await, status(&there, "b").await), (401, 200));
    // Redis comes back empty: who knows of a revocation keeps it, and tells Redis.
    server.kill().await;
    server.restart().await;
    for gw in [&here, &there] {
        wait_for_metric(gw, UP, &[], |up| up == 1.0).await;
        assert_eq!((status(gw, "a").await, status(gw, "b").await), (401, 200));
    }
    let told = async {
        while server.ask("ZCARD farmgate:revocations").await != ":1" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, told).await.expect("Redis is told");
    for mut gw in [here, there] {
        gw.kill().await;
        let gw = gw.restart().await;
        assert_eq!((status(&gw, "a").await, status(&gw, "b").await), (401, 200));
    }
}

#[tokio::test]
async fn key_that_one_gateway_has_hashed_costs_the_others_no_hash() {
    let (server, db) = tokio::join!(RedisServer::start(), tables::tables());
    let key = tables::issue(&db, 1, 1, tables::FEW).await;
    let state = format!("state: {}\n", over(&server, &[]));
    let launcher = tables::launcher(&db, "timeout: 10s, recheck: 1s", &state);
    let launcher = launcher.pool("service", "peers: [{address: 127.0.0.1:9}]\n");
    let (here, there) = tokio::join!(launcher.start(), launcher.start());
    for (gw, hashes) in [(&here, 1.0), (&there, 0.0)] {
        for _ in 0..2 {
            keys::ping(gw, &key).send().await.expect_status(200);
        }
        assert_eq!(tables::hashes(gw).await, hashes);
    }
    // What was learned from another gateway is asked about again like everything else.
    db.run("UPDATE api_keys_apikey SET revoked_at = UTC_TIMESTAMP(6)").await;
    for gw in [&here, &there] {
        wait_for_status(&keys::ping(gw, &key), 401).await;
    }
    assert_eq!(tables::hashes(&there).await, 0.0);
}
