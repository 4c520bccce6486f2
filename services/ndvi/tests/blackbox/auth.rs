//! May a caller that may only read ask for statistics, and is a sample kept from it?

use harness::{Directory, Reply, jwt, unix_now};
use serde_json::{Value, json};

use crate::bench::{Ndvi, STATISTICS, program};

const SIGNING: &str = "what the issuer and its services share";

async fn post(ndvi: &Ndvi, target: &str, scope: &str, body: &Value) -> Reply {
    let now = unix_now();
    let token = json!({
        "token_type": "access", "iss": "farm-intelligence-platform", "aud": "nextcloud",
        "sub": "42", "scope": scope, "exp": now + 300,
    });
    ndvi.request("POST", target).bearer(&jwt(SIGNING, &token)).json(body).send().await
}

#[tokio::test]
async fn scope_to_read_reaches_statistics_and_no_sample() {
    let directory = Directory::new();
    let program = program(&directory, "http://127.0.0.1:9").env("JWT_SIGNING_KEY", SIGNING);
    let ndvi = Ndvi::start(program).await;
    ndvi.get("/api/v1/ndvi").await.expect_status(401);
    post(&ndvi, STATISTICS, "read", &json!({})).await.expect_status(400);
    post(&ndvi, "/api/v1/preprocess", "read", &json!({})).await.expect_status(501);
    let sample = json!({
        "farm_id": "7f9c24e8-3b12-4fef-91e0-0c1f2d3a4b5c", "timestamp": "2026-06-01T10:00:00Z",
        "mean": 0.5, "min": 0.1, "max": 0.9,
    });
    let refused = post(&ndvi, "/api/v1/ndvi", "read", &sample).await.expect_status(403);
    refused.expect_json("/errors/detail", "This needs one of the scopes write, admin.");
    post(&ndvi, "/api/v1/ndvi", "write", &sample).await.expect_status(201);
}

#[tokio::test]
async fn without_credentials_it_serves_this_machine_alone() {
    let directory = Directory::new();
    let open = program(&directory, "http://127.0.0.1:9").env("LISTEN", "[::]:0");
    let log = open.run().await.expect_code(78).stderr.join("\n");
    assert!(log.contains("INTERNAL_TOKEN_SECRET"), "{log}");
    let misspelt = program(&directory, "http://127.0.0.1:9").env("AUTH_DISABLE", "true");
    let log = misspelt.run().await.expect_code(78).stderr.join("\n");
    assert!(log.contains("did you mean AUTH_DISABLED?"), "{log}");
}
