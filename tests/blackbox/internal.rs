//! What a service is told of who calls, and what a client cannot make it believe.

use std::time::Duration;

use harness::{Gateway, Origin, claims_of, jwt};
use serde_json::{Value, json};

use crate::fixtures::{JWT_SECRET, api_key, claims, nextcloud, serve, token, wait_for_metric};

const SECTIONS: &str = "auth:\n  \
      jwt: [{keys: ['env:JWT_SECRET'], token_type: access}]\n  \
      hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET'], scopes: [write]}]}\n  \
      internal: {secret: 'env:JWT_SECRET', issuer: farmgate, audience: services, lifetime: 30s}\n";

async fn told(more: &str) -> (Origin, Gateway) {
    let key = api_key("key-1", "key", "user: '42', scopes: [read]");
    let sections = format!("{SECTIONS}  api_keys: {{keys: [{key}]}}\n{more}");
    let any = "auth: {any: [jwt, api_key, hmac], anonymous: true}, credentials: internal";
    let routes = [
        format!("{{name: told, path_prefix: /told, pool: service, {any}}}"),
        format!("{{name: wrapped, path_prefix: /wrapped, pool: service, envelope: true, {any}}}"),
        format!("{{name: own, path_prefix: /own, pool: service, cache: own, {any}}}"),
        format!("{{name: shared, path_prefix: /shared, pool: service, cache: shared, {any}}}"),
        "{name: both, path_prefix: /both, pool: service, auth: {all: [api_key, hmac]}, \
         credentials: internal}"
            .to_owned(),
        "{name: open, path_prefix: /open, pool: service, auth: {anonymous: true}}".to_owned(),
    ];
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    serve(&sections, &routes).await
}

const POLICIES: &str = "cache: {policies: {own: {fresh: 1s, stale_while_revalidate: 1h}, \
                        shared: {fresh: 1h, share: everyone}}}";

/// The claims of the token that the service was sent in its last request to this path.
fn last_told(origin: &Origin, path: &str) -> Value {
    let request = origin.requests(path).pop().expect("the service was asked");
    let authorization = request.header("authorization").expect("a token").to_owned();
    assert_eq!(request.header("x-api-key"), None);
    assert_eq!(request.header("x-nc-signature"), None);
    claims_of(authorization.strip_prefix("Bearer ").expect("a bearer token"))
}

#[tokio::test]
async fn service_is_told_who_calls_by_a_token_it_can_verify() {
    let (origin, gw) = told(POLICIES).await;
    for path in ["/told", "/wrapped", "/own"] {
        gw.get(path).api_key("key").send().await.expect_status(200);
        let key = last_told(&origin, path);
        assert_eq!((&key["sub"], &key["scope"]), (&json!("42"), &json!("read")), "{path}");
        assert_eq!((&key["iss"], &key["aud"]), (&json!("farmgate"), &json!("services")));
        assert_eq!(key["client_id"], "key-1");
        let life = key["exp"].as_i64().zip(key["iat"].as_i64()).map(|(exp, iat)| exp - iat);
        assert_eq!(life, Some(30));
        gw.get(path).bearer(&token("7")).send().await.expect_status(200);
        assert_eq!(last_told(&origin, path)["sub"], "7", "a user's token gets a subject");
    }
    gw.get("/both").api_key("key").signed_by(&nextcloud()).send().await.expect_status(200);
    let both = last_told(&origin, "/both");
    assert_eq!((&both["sub"], &both["client_id"]), (&json!("42"), &json!("nextcloud")));
    assert_eq!(both["scope"], "read write");
}

#[tokio::test]
async fn answer_that_all_share_is_asked_for_in_nobody_s_name() {
    let (origin, gw) = told(POLICIES).await;
    gw.get("/shared").api_key("key").send().await.expect_status(200);
    let told = last_told(&origin, "/shared");
    assert_eq!((&told["sub"], told.get("client_id")), (&json!("farmgate"), None));
    gw.get("/told").send().await.expect_status(200);
    assert_eq!(last_told(&origin, "/told")["sub"], "farmgate");
}

#[tokio::test]
async fn refresh_is_asked_for_in_the_name_of_whom_it_is_for() {
    let (origin, gw) = told(POLICIES).await;
    gw.get("/own").bearer(&token("7")).send().await.expect_status(200);
    crate::fixtures::time_passes(Duration::from_millis(1_100)).await;
    gw.get("/own").bearer(&token("7")).send().await.expect_status(200);
    wait_for_metric(&gw, "farmgate_fills_total", &[("origin", "revalidation")], |fills| {
        fills >= 1.0
    })
    .await;
    assert_eq!(origin.calls("/own"), 2);
    assert_eq!(last_told(&origin, "/own")["sub"], "7");
}

#[tokio::test]
async fn internal_token_opens_nothing_at_the_edge() {
    let (origin, gw) = told(POLICIES).await;
    gw.get("/told").api_key("key").send().await.expect_status(200);
    let request = origin.requests("/told").pop().expect("the service was asked");
    let stolen = request.header("authorization").expect("a token").replace("Bearer ", "");
    let refused = gw.get("/told").bearer(&stolen).send().await.expect_status(401);
    refused.expect_json("/errors/detail", "Token has wrong type");
}

#[tokio::test]
async fn identity_that_a_client_claims_never_reaches_a_service() {
    let (origin, gw) = told(POLICIES).await;
    let claimed = [
        "Remote-User",
        "X-Remote-User",
        "X-Forwarded-User",
        "X-User-Id",
        "X-User",
        "X-Principal",
        "X-Roles",
        "X-Scopes",
        "X-Auth-Request-Email",
        "X-Authenticated-Userid",
        "X-Consumer-Username",
        "X-Client-Cert-Dn",
        "X-SSL-Client-Verify",
        "X_User_Id",
    ];
    for path in ["/told", "/wrapped", "/open"] {
        let mut request = gw.get(path).header("X-Kept", "yes");
        for name in claimed {
            request = request.header(name, "admin");
        }
        request.send().await.expect_status(200);
        let seen = origin.requests(path).pop().expect("the service was asked");
        assert_eq!(seen.header("x-kept"), Some("yes"));
        for name in claimed {
            assert_eq!(seen.header(name), None, "{name} on {path}");
        }
    }
}

#[tokio::test]
async fn credentials_pass_through_intact_unless_the_route_replaces_them() {
    let (origin, gw) = told(POLICIES).await;
    let bearer = jwt(JWT_SECRET, &claims(json!({ "user_id": "9" })));
    let signed = gw.get("/open").bearer(&bearer).api_key("any").signed_by(&nextcloud());
    signed.send().await.expect_status(200);
    let seen = origin.requests("/open").pop().expect("the service was asked");
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {bearer}").as_str()));
    assert_eq!(seen.header("x-api-key"), Some("any"));
    assert!(seen.header("x-nc-signature").is_some());
}
