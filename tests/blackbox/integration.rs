//! The integration API that the gateway answers itself, byte for byte as the operator's clients
//! know it.

use harness::{Gateway, Origin, Reply, Request, jwt};
use serde_json::{Value, json};

use crate::fixtures::{JWT_SECRET, api_key, claims, nextcloud, serve, token};

const ID: &str = "rid-1";

const SECTIONS: &str = "envelope: {status: integer}\n\
    auth:\n  \
      jwt: [{keys: ['env:JWT_SECRET'], issuer: farm, audience: nextcloud, token_type: access}]\n  \
      token: {issuer: farm, lifetime: 300s}\n  \
      hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}\n";

const KEY: &str = "wk_live_0123456789012345678901234567890123456789012";
const KEY_ID: &str = "6f1c1e7e-0b0c-4b4e-9f6e-2f0a3c1d5b7a";

const ROUTES: [&str; 9] = [
    "{name: integration-token, paths: [/api/v1/integrations/token/, /api/v1/integration/token/], \
     endpoint: token, quotas: [api_key, nextcloud_hmac]}",
    "{name: nextcloud-hmac, paths: [/api/v1/integrations/nextcloud/ping/, \
     /api/v1/integration/nextcloud/ping/], endpoint: signed_ping}",
    "{name: nextcloud-status, paths: [/api/v1/integrations/nextcloud/status/], endpoint: status}",
    "{name: integration-ping, paths: [/api/v1/integrations/ping/], endpoint: key_ping}",
    "{name: integration-whoami, paths: [/api/v1/integrations/whoami/], endpoint: whoami}",
    "{name: integration-health, paths: [/api/v1/integrations/health/], endpoint: health}",
    "{name: weather-current, path_prefix: /api/v1/weather/current, methods: [GET, OPTIONS], \
     pool: service, auth: {any: [jwt, api_key]}, envelope: true, json_only: true, \
     quotas: [few]}",
    "{name: farm-weather, path_prefix: /api/v1/farms, methods: [GET], pool: service, \
     auth: {any: [jwt], integration: true}}",
    "{name: dead, path_prefix: /dead, pool: service, auth: {anonymous: true}, timeout: 1s, \
     envelope: true}",
];

async fn integration(quotas: &str) -> (Origin, Gateway) {
    let key = api_key(KEY_ID, KEY, "user: '1', scopes: [read]");
    let sections = format!(
        "{SECTIONS}  api_keys: {{keys: [{key}]}}\n\
         limits: {{failures: 1000/min, quotas: {{{quotas}}}}}"
    );
    serve(&sections, &ROUTES).await
}

const WIDE: &str = "api_key: {rate: 500/min, of: api_key}, \
                    nextcloud_hmac: {rate: 500/min, of: hmac}, few: 1000/min";

/// Sends a request with the id that every recorded body has.
async fn ask(request: Request<std::net::SocketAddr>) -> Reply {
    request.header("X-Request-ID", ID).send().await
}

/// The body with the time of the answer and the token in it replaced by words.
fn recorded(reply: &Reply) -> String {
    let text = reply.text();
    let body: Value = serde_json::from_str(&text).expect("an envelope");
    let mut text = text.clone();
    for (pointer, word) in [("/data/server_time", "<time>"), ("/data/access", "<token>")] {
        if let Some(value) = body.pointer(pointer).and_then(Value::as_str) {
            text = text.replace(value, word);
        }
    }
    text
}

#[track_caller]
fn expect(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, recorded(reply).as_str()), (status, body));
}

fn integration_token(more: Value) -> String {
    let mut all = json!({ "user_id": "1", "sub": "1", "scope": "read", "client_id": "nextcloud" });
    for (name, value) in more.as_object().expect("claims") {
        all[name] = value.clone();
    }
    jwt(JWT_SECRET, &claims(all))
}

#[tokio::test]
async fn recorded_refusals_of_credentials_are_repeated_byte_for_byte() {
    let (_origin, gw) = integration(WIDE).await;
    let weather = "/api/v1/weather/current/";
    let a1 = ask(gw.get(weather)).await;
    expect(
        &a1,
        401,
        r#"{"status":1,"message":"Authentication credentials were not provided.","errors":{"detail":"Authentication credentials were not provided."},"request_id":"rid-1"}"#,
    );
    a1.expect_header("WWW-Authenticate", "Bearer realm=\"api\"")
        .expect_header("Content-Type", "application/json");
    let a2 = ask(gw.get(weather).bearer("not.a.token")).await;
    expect(
        &a2,
        401,
        r#"{"status":1,"message":"Given token not valid for any token type","errors":{"detail":"Given token not valid for any token type","code":"token_not_valid","messages":[{"token_class":"AccessToken","token_type":"access","message":"Token is invalid"}]},"request_id":"rid-1"}"#,
    );
    let a3 = ask(gw.get(weather).api_key("wk_live_wrong")).await;
    expect(
        &a3,
        401,
        r#"{"status":1,"message":"Invalid or expired API key.","errors":{"detail":"Invalid or expired API key."},"request_id":"rid-1"}"#,
    );
    let ping = gw.get("/api/v1/integrations/nextcloud/ping/").signed_by(&nextcloud());
    ask(ping.clone()).await.expect_status(200);
    let a4 = ask(ping).await;
    expect(
        &a4,
        403,
        r#"{"status":1,"message":"Invalid Nextcloud signature","errors":{"detail":"Invalid Nextcloud signature","code":"replay"},"request_id":"rid-1"}"#,
    );
    a4.expect_no_header("WWW-Authenticate");
    let halves = ask(gw.get(weather).header("Authorization", "Bearer")).await;
    expect(
        &halves,
        401,
        r#"{"status":1,"message":"Authorization header must contain two space-delimited values","errors":{"detail":"Authorization header must contain two space-delimited values","code":"bad_authorization_header"},"request_id":"rid-1"}"#,
    );
}

#[tokio::test]
async fn recorded_answers_of_the_integration_api_are_repeated_byte_for_byte() {
    let (origin, gw) = integration(WIDE).await;
    let ask_as = async |path: &str, token: &str| {
        ask(gw.get(&format!("/api/v1/integrations/{path}")).bearer(token)).await
    };
    let a5 = gw.get("/api/v1/integrations/nextcloud/ping/").signed_by(&nextcloud());
    expect(
        &ask(a5).await,
        200,
        r#"{"status":0,"message":"OK","data":{"ok":true,"client_id":"nextcloud"},"errors":null,"request_id":"rid-1"}"#,
    );
    let token = integration_token(json!({}));
    expect(
        &ask_as("whoami/", &token).await,
        200,
        r#"{"status":0,"message":"Integration identity","data":{"sub":"1","scope":"read","server_time":"<time>"},"errors":null,"request_id":"rid-1"}"#,
    );
    expect(
        &ask_as("nextcloud/status/", &token).await,
        200,
        r#"{"status":0,"message":"Integration status","data":{"ok":true,"server_time":"<time>","version":"1.0.0","capabilities":{"png_preview":true}},"errors":null,"request_id":"rid-1"}"#,
    );
    let a8 = ask(gw.get("/api/v1/integrations/ping/").api_key(KEY)).await;
    expect(
        &a8,
        200,
        r#"{"status":0,"message":"pong","data":{"ok":true,"auth":"api_key","user_id":"1","key_id":"6f1c1e7e-0b0c-4b4e-9f6e-2f0a3c1d5b7a","scope":"read","server_time":"<time>"},"errors":null,"request_id":"rid-1"}"#,
    );
    let time = a8.json()["data"]["server_time"].as_str().expect("a time").to_owned();
    assert!(time.ends_with("+00:00") && time.len() == 32, "{time}");
    let a9 = ask(gw.get("/api/v1/integrations/health/")).await;
    expect(
        &a9,
        200,
        r#"{"status":0,"message":"Integration health OK","data":{"ok":true,"server_time":"<time>"},"errors":null,"request_id":"rid-1"}"#,
    );
    assert!(origin.calls_total() == 0, "no upstream was asked");
}

#[tokio::test]
async fn recorded_refusals_by_limit_method_and_type_are_repeated_byte_for_byte() {
    let quotas = WIDE.replace("few: 1000/min", "few: 1/min");
    let (origin, gw) = integration(&quotas).await;
    let weather = || gw.get("/api/v1/weather/current/").bearer(&token("7"));
    let a17 = ask(gw.post("/api/v1/weather/current/").bearer(&token("7"))).await;
    expect(
        &a17,
        405,
        r#"{"status":1,"message":"Method \"POST\" not allowed.","errors":{"detail":"Method \"POST\" not allowed."},"request_id":"rid-1"}"#,
    );
    a17.expect_header("Allow", "GET, HEAD, OPTIONS");
    let a18 = ask(gw.get("/api/v1/weather/current/").header("Accept", "application/xml")).await;
    expect(
        &a18,
        406,
        r#"{"status":1,"message":"Could not satisfy the request Accept header.","errors":{"detail":"Could not satisfy the request Accept header."},"request_id":"rid-1"}"#,
    );
    ask(weather()).await.expect_status(200);
    let a10 = ask(weather()).await;
    let wait = a10.json()["errors"]["wait"].as_u64().expect("a wait");
    assert!((58..=60).contains(&wait), "{wait}");
    expect(
        &a10,
        429,
        &r#"{"status":1,"message":"Too Many Requests","data":null,"errors":{"detail":"Request was throttled. Expected available in 60 seconds.","wait":60},"request_id":"rid-1"}"#
            .replace("60", &wait.to_string()),
    );
    a10.expect_header("Retry-After", &wait.to_string());
    drop(origin);
    let a19 = ask(gw.get("/dead")).await;
    expect(
        &a19,
        503,
        r#"{"status":1,"message":"Upstream service unavailable","data":null,"errors":null,"request_id":"rid-1"}"#,
    );
}

#[tokio::test]
async fn issued_token_opens_what_it_was_issued_for() {
    let (origin, gw) = integration(WIDE).await;
    for path in ["/api/v1/integrations/token/", "/api/v1/integration/token/"] {
        let bare = gw.post(path).api_key(KEY).header("Content-Type", "application/json");
        let reply = ask(bare.signed_by(&nextcloud())).await;
        expect(
            &reply,
            200,
            r#"{"status":0,"message":"Integration token issued","data":{"access":"<token>","token_type":"Bearer","expires_in":300},"errors":null,"request_id":"rid-1"}"#,
        );
        let access = reply.json()["data"]["access"].as_str().expect("a token").to_owned();
        let claims = harness::claims_of(&access);
        let names = ["token_type", "exp", "iat", "jti", "user_id", "sub", "scope", "client_id"];
        assert!(names.iter().all(|name| claims.get(name).is_some()), "{claims}");
        assert_eq!(
            claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(e, i)| e - i),
            Some(300)
        );
        assert_eq!(claims["jti"].as_str().map(str::len), Some(32));
        assert_eq!((&claims["sub"], &claims["user_id"]), (&json!("1"), &json!("1")));
        assert_eq!((&claims["scope"], &claims["client_id"]), (&json!("read"), &json!("nextcloud")));
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("farm"), &json!("nextcloud")));
        gw.get("/api/v1/integrations/whoami/").bearer(&access).send().await.expect_status(200);
        gw.get("/api/v1/weather/current/").bearer(&access).send().await.expect_status(200);
        gw.get("/api/v1/farms/1/").bearer(&access).send().await.expect_status(200);
    }
    assert_eq!(origin.calls_total(), 4);
}

#[tokio::test]
async fn integration_routes_want_tokens_that_say_what_they_may_do() {
    let (_origin, gw) = integration(WIDE).await;
    let user = ask(gw.get("/api/v1/farms/1/").bearer(&token("7"))).await;
    expect(
        &user,
        401,
        r#"{"status":1,"message":"Token missing required scope claim","errors":{"detail":"Token missing required scope claim","code":"token_not_valid"},"request_id":"rid-1"}"#,
    );
    let nobody = integration_token(json!({ "sub": null, "user_id": null }));
    let nobody = ask(gw.get("/api/v1/integrations/whoami/").bearer(&nobody)).await;
    expect(
        &nobody,
        401,
        r#"{"status":1,"message":"Token missing required subject claim","errors":{"detail":"Token missing required subject claim","code":"token_not_valid"},"request_id":"rid-1"}"#,
    );
}

#[tokio::test]
async fn order_of_checks_is_the_contract_s() {
    let quotas = WIDE.replace("few: 1000/min", "few: 1/min");
    let (_origin, gw) = integration(&quotas).await;
    let path = "/api/v1/weather/current/";
    let status = async |request: Request<std::net::SocketAddr>| ask(request).await.status;
    // Host, then route, then content negotiation, then credentials.
    assert_eq!(status(gw.get("/nowhere").host("a b")).await, 400);
    assert_eq!(status(gw.get("/nowhere").header("Accept", "application/xml")).await, 404);
    assert_eq!(status(gw.get(path).header("Accept", "application/xml")).await, 406);
    assert_eq!(status(gw.post(path)).await, 401);
    // Credentials, then quota, then method: a refusal is never charged.
    assert_eq!(status(gw.post(path).bearer(&token("7"))).await, 405);
    assert_eq!(status(gw.get(path).bearer(&token("7"))).await, 200);
    assert_eq!(status(gw.post(path).bearer(&token("7"))).await, 429);
    assert_eq!(status(gw.post(path).bearer("bad")).await, 401);
    // A key that holds and a signature that does not is 403, a bad key is 401 whatever is signed.
    let mint = || gw.post("/api/v1/integrations/token/");
    assert_eq!(status(mint().signed_by(&nextcloud())).await, 401);
    assert_eq!(status(mint().api_key("wrong").signed_by(&nextcloud())).await, 401);
    assert_eq!(status(mint().api_key(KEY)).await, 403);
    // A missing slash is no redirect, and no route.
    let bare = ask(gw.post("/api/v1/integrations/token")).await;
    assert_eq!((bare.status, bare.header("Location")), (404, None));
}

#[tokio::test]
async fn endpoints_answer_head_and_options_and_no_other_method() {
    let (_origin, gw) = integration(WIDE).await;
    let health = "/api/v1/integrations/health/";
    let head = ask(gw.request("HEAD", health)).await.expect_status(200);
    assert_eq!(head.text(), "");
    let options = ask(gw.request("OPTIONS", health)).await.expect_status(200);
    options
        .expect_header("Allow", "GET, HEAD, OPTIONS")
        .expect_json("/renders/0", "application/json");
    ask(gw.post(health)).await.expect_status(405).expect_header("Allow", "GET, HEAD, OPTIONS");
    let put = gw.request("PUT", "/api/v1/integrations/token/").api_key(KEY);
    let put = ask(put.signed_by(&nextcloud())).await.expect_status(405);
    put.expect_header("Allow", "OPTIONS, POST");
    // A bad credential is refused even where everybody may come in.
    ask(gw.get(health).bearer("bad")).await.expect_status(401);
    let xml = ask(gw.get(health).header("Accept", "text/xml")).await;
    xml.expect_status(406);
    let status = gw.get("/api/v1/integrations/nextcloud/status/").header("Accept", "image/png");
    ask(status.bearer(&integration_token(json!({})))).await.expect_status(200);
}
