//! Who may call, with which credential, and what becomes of the credential.

use harness::{Answer, Directory, Gateway, HmacClient, Message, Origin, Reply, Request};
use harness::{jwt, nonce, unix_now};
use serde_json::{Value, json};

use crate::fixtures::{
    JWT_SECRET, api_key, claims, conf, gateway, nextcloud, serve, token, wait_for_metric,
};

const JWT: &str = "jwt: [{keys: ['env:JWT_SECRET'], issuer: farm, audience: nextcloud, \
                   token_type: access}]";
const HMAC: &str = "hmac: {skew: 60s, clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET'], \
                    scopes: [read, write]}]}";

/// A route for everybody who signs.
const SIGNED: &str = "{name: signed, path_prefix: /, pool: service, auth: {any: [hmac]}}";

/// Longest signed body on a route that streams.
const STREAMED_BODY_BYTES_MAX: usize = 64 * 1024;

/// Three keys: one that reads, one that is revoked, one that has expired.
fn auth() -> String {
    let keys = [
        api_key("script", "good-key", "scopes: [read]"),
        api_key("withdrawn", "revoked-key", "revoked: true"),
        api_key("old", "expired-key", "expires_at: 1700000000"),
    ];
    format!("auth: {{{JWT}, api_keys: {{keys: [{}]}}, {HMAC}}}", keys.join(", "))
}

/// A gateway with one route for each way to ask for credentials.
async fn guarded() -> (Origin, Gateway) {
    let routes = [
        "{name: any, path_prefix: /any, pool: service, auth: {any: [jwt, api_key, hmac]}}",
        "{name: all, path_prefix: /all, pool: service, auth: {all: [api_key, hmac]}}",
        "{name: jwt, path_prefix: /jwt, pool: service, auth: {any: [jwt]}}",
        "{name: key, path_prefix: /key, pool: service, auth: {any: [api_key]}}",
        "{name: signed, path_prefix: /signed, pool: service, methods: [GET, POST], \
         auth: {any: [hmac]}}",
        "{name: maybe, path_prefix: /maybe, pool: service, \
         auth: {any: [jwt, api_key], anonymous: true}}",
        "{name: scoped, path_prefix: /scoped, pool: service, \
         auth: {any: [jwt, api_key, hmac], scopes: [write]}}",
        "{name: wrapped, path_prefix: /wrapped, pool: service, envelope: true, \
         auth: {any: [jwt, api_key, hmac]}}",
        "{name: stripped, path_prefix: /stripped, pool: service, credentials: strip, \
         auth: {any: [jwt, api_key, hmac]}}",
    ];
    serve(&auth(), &routes).await
}

/// The gateway's code for a refusal, or the status of any other answer.
fn outcome(reply: &Reply) -> String {
    let code = reply.json().pointer("/errors/code").and_then(Value::as_str).map(str::to_owned);
    code.unwrap_or_else(|| reply.status.to_string())
}

#[tokio::test]
async fn any_one_of_three_credentials_opens_a_route() {
    let (origin, gw) = guarded().await;
    gw.get("/any").bearer(&token("7")).send().await.expect_status(200);
    gw.get("/any").api_key("good-key").send().await.expect_status(200);
    gw.get("/any").signed_by(&nextcloud()).send().await.expect_status(200);
    let nobody = gw.get("/any").send().await.expect_status(401);
    nobody.expect_json("/errors/code", "credential_missing");
    assert_eq!(origin.calls("/any"), 3);
}

#[tokio::test]
async fn credentials_that_are_all_required_must_all_hold() {
    let (origin, gw) = guarded().await;
    let both = gw.get("/all").api_key("good-key").signed_by(&nextcloud());
    both.send().await.expect_status(200);
    let key_only = gw.get("/all").api_key("good-key").send().await.expect_status(403);
    key_only.expect_json("/errors/reason", "missing_headers");
    let signature_only = gw.get("/all").signed_by(&nextcloud()).send().await.expect_status(401);
    signature_only.expect_header("WWW-Authenticate", "X-API-Key");
    let bad_key = gw.get("/all").api_key("no-key").signed_by(&nextcloud());
    bad_key.send().await.expect_status(401).expect_json("/errors/code", "key_not_valid");
    let stranger = HmacClient::new("nextcloud", "another secret");
    let bad_signature = gw.get("/all").api_key("good-key").signed_by(&stranger);
    bad_signature.send().await.expect_status(403).expect_json("/errors/reason", "sig_mismatch");
    assert_eq!(origin.calls("/all"), 1);
}

#[tokio::test]
async fn challenge_names_the_credential_that_would_help() {
    let (_origin, gw) = guarded().await;
    let ask = async |path: &str| gw.get(path).send().await;
    let bearer = "Bearer realm=\"api\"";
    ask("/any").await.expect_status(401).expect_header("WWW-Authenticate", bearer);
    ask("/jwt").await.expect_status(401).expect_header("WWW-Authenticate", bearer);
    ask("/key").await.expect_status(401).expect_header("WWW-Authenticate", "X-API-Key");
    let unsigned = ask("/signed").await.expect_status(403).expect_no_header("WWW-Authenticate");
    unsigned.expect_json("/errors/reason", "missing_headers");
}

#[tokio::test]
async fn bad_bearer_is_not_rescued_by_a_good_key_or_signature() {
    let (origin, gw) = guarded().await;
    let with_key = gw.get("/any").bearer("no.good.token").api_key("good-key");
    with_key.send().await.expect_status(401).expect_json("/errors/code", "token_not_valid");
    let with_signature = gw.get("/any").bearer("no.good.token").signed_by(&nextcloud());
    with_signature.send().await.expect_status(401).expect_json("/errors/code", "token_not_valid");
    let bad_key = gw.get("/any").api_key("no-key").signed_by(&nextcloud());
    bad_key.send().await.expect_status(401).expect_json("/errors/code", "key_not_valid");
    assert_eq!(origin.calls("/any"), 0);
}

#[tokio::test]
async fn anonymous_caller_passes_but_a_bad_credential_does_not() {
    let (origin, gw) = guarded().await;
    gw.get("/maybe").send().await.expect_status(200);
    gw.get("/maybe").bearer(&token("7")).send().await.expect_status(200);
    gw.get("/maybe").bearer("no.good.token").send().await.expect_status(401);
    gw.get("/maybe").api_key("no-key").send().await.expect_status(401);
    assert_eq!(origin.calls("/maybe"), 2);
}

#[tokio::test]
async fn scope_of_a_route_is_asked_of_every_scheme() {
    let (origin, gw) = guarded().await;
    let key = gw.get("/scoped").api_key("good-key").send().await.expect_status(403);
    key.expect_json("/errors/code", "scope_missing").expect_no_header("WWW-Authenticate");
    gw.get("/scoped").signed_by(&nextcloud()).send().await.expect_status(200);
    let scoped = |scope: &str| jwt(JWT_SECRET, &claims(json!({ "scope": scope })));
    gw.get("/scoped").bearer(&scoped("read write")).send().await.expect_status(200);
    gw.get("/scoped").bearer(&scoped("read,write")).send().await.expect_status(200);
    gw.get("/scoped").bearer(&scoped("read")).send().await.expect_status(403);
    assert_eq!(origin.calls("/scoped"), 3);
}

#[tokio::test]
async fn refused_token_says_which_rule_it_breaks() {
    let (origin, gw) = guarded().await;
    let past = unix_now() - 1;
    let tokens = [
        (json!({ "exp": past }), "Token is expired"),
        (json!({ "exp": null }), "Token has no 'exp' claim"),
        (json!({ "token_type": "refresh" }), "Token has wrong type"),
        (json!({ "token_type": null }), "Token has no type"),
        (json!({ "aud": "others" }), "Token is invalid"),
        (json!({ "aud": null }), "Token is invalid"),
        (json!({ "iss": "others" }), "Token is invalid"),
        (json!({ "nbf": unix_now() + 100 }), "Token is invalid"),
    ];
    for (more, sentence) in tokens {
        let bad = jwt(JWT_SECRET, &claims(more.clone()));
        let reply = gw.get("/jwt").bearer(&bad).send().await.expect_status(401);
        assert_eq!(reply.json()["errors"]["detail"], sentence, "{more}");
    }
    let forged = jwt("a secret that is not the issuer's, at all", &claims(json!({})));
    gw.get("/jwt").bearer(&forged).send().await.expect_status(401);
    let nobody = jwt(JWT_SECRET, &claims(json!({ "user_id": null })));
    let reply = gw.get("/jwt").bearer(&nobody).send().await.expect_status(401);
    reply.expect_json("/message", "Token contained no recognizable user identification");
    assert_eq!(origin.calls("/jwt"), 0);
}

#[tokio::test]
async fn bearer_is_read_as_strictly_as_before() {
    let (_origin, gw) = guarded().await;
    let ask = async |value: &str| gw.get("/jwt").header("Authorization", value).send().await;
    assert_eq!(outcome(&ask("Bearer").await), "credential_malformed");
    assert_eq!(outcome(&ask("Bearer a b").await), "credential_malformed");
    // Another scheme, or the word in another case, is no bearer token at all.
    assert_eq!(outcome(&ask(&format!("bearer {}", token("7"))).await), "credential_missing");
    assert_eq!(outcome(&ask("Basic Zm9vOmJhcg==").await), "credential_missing");
    let good = format!("Bearer {}", token("7"));
    let twice = gw.get("/jwt").header("Authorization", &good).header("Authorization", &good);
    assert_eq!(outcome(&twice.send().await), "credential_malformed");
}

#[tokio::test]
async fn token_rules_of_the_configuration_are_asked() {
    let rules = "auth: {jwt: [{keys: ['env:JWT_SECRET'], leeway: 60s, jti_required: true}]}";
    let route = "{name: jwt, path_prefix: /, pool: service, auth: {any: [jwt]}}";
    let (_origin, gw) = serve(rules, &[route]).await;
    let ask = async |more: Value| {
        let reply = gw.get("/").bearer(&jwt(JWT_SECRET, &claims(more))).send().await;
        reply.json()["errors"]["detail"].as_str().map(str::to_owned)
    };
    // Within the leeway an expired token holds; without rules any issuer, audience and type do.
    assert_eq!(ask(json!({ "exp": unix_now() - 20 })).await, None);
    assert_eq!(ask(json!({ "exp": unix_now() - 90 })).await.unwrap(), "Token is expired");
    assert_eq!(ask(json!({ "iss": "x", "aud": "y", "token_type": "z" })).await, None);
    assert_eq!(ask(json!({ "jti": null })).await.unwrap(), "Token has no id");
}

#[tokio::test]
async fn unknown_revoked_and_expired_keys_look_the_same() {
    let (origin, gw) = guarded().await;
    for key in ["no-key", "revoked-key", "expired-key"] {
        let request = gw.get("/key").api_key(key).header("X-Request-ID", "rid-1");
        request.send().await.expect_status(401).expect_body(
            r#"{"status":"error","message":"Invalid or expired API key.","data":null,"errors":{"detail":"Invalid or expired API key.","code":"key_not_valid"},"request_id":"rid-1"}"#,
        );
    }
    assert_eq!(origin.calls("/key"), 0);
    gw.wait_for_log(|line| line.contains("is revoked")).await;
    gw.wait_for_log(|line| line.contains("has expired")).await;
}

#[tokio::test]
async fn signature_is_read_in_both_encodings_and_both_families() {
    let (origin, gw) = guarded().await;
    let target = "/signed?b=two%20words&a=2&a=1";
    let sign = || {
        nextcloud().sign(&Message {
            method: "GET",
            path: "/signed",
            query: "b=two%20words&a=2&a=1",
            timestamp: unix_now(),
            nonce: &nonce(),
            body: b"",
        })
    };
    gw.get(target).headers(sign().headers()).send().await.expect_status(200);
    gw.get(target).headers(sign().alias_headers()).send().await.expect_status(200);
    let upper = sign();
    let [client, time, once, _] = upper.headers();
    let mixed = gw.get(target).headers([client, time, once]);
    let mixed = mixed.header("X-Signature", &upper.hex().to_uppercase());
    mixed.send().await.expect_status(200);
    assert_eq!(origin.calls("/signed"), 3);
}

#[tokio::test]
async fn signature_for_another_request_says_what_differs() {
    let (origin, gw) = guarded().await;
    let signed = |method: &str, path: &str, body: &[u8]| {
        let (nonce, timestamp) = (nonce(), unix_now());
        let message = Message { method, path, query: "", timestamp, nonce: &nonce, body };
        nextcloud().sign(&message).headers()
    };
    let cases = [
        (signed("POST", "/signed", b""), "method_mismatch"),
        (signed("GET", "/signed/", b""), "path_mismatch"),
        (signed("GET", "/other", b""), "sig_mismatch"),
    ];
    for (headers, reason) in cases {
        let reply = gw.get("/signed").headers(headers).send().await.expect_status(403);
        assert_eq!(reply.json()["errors"]["reason"], reason);
    }
    let post = gw.post("/signed").headers(signed("POST", "/signed", b"")).body("a body");
    post.send().await.expect_status(403).expect_json("/errors/reason", "body_hash_mismatch");
    let unknown = gw.get("/signed").signed_by(&HmacClient::new("nobody", "a secret"));
    unknown.send().await.expect_status(403).expect_json("/errors/reason", "unknown_client");
    assert_eq!(origin.calls("/signed"), 0);
}

#[tokio::test]
async fn signature_holds_within_the_configured_skew_only() {
    let (_origin, gw) = guarded().await;
    let ask = async |offset: i64| {
        let request = gw.get("/signed").signed_at(&nextcloud(), unix_now() + offset, &nonce());
        request.send().await
    };
    ask(-50).await.expect_status(200);
    ask(50).await.expect_status(200);
    ask(-70).await.expect_status(403).expect_json("/errors/reason", "skew");
    ask(70).await.expect_status(403).expect_json("/errors/reason", "skew");
}

#[tokio::test]
async fn signed_request_is_accepted_once() {
    let (origin, gw) = guarded().await;
    let signed = gw.get("/signed").signed_by(&nextcloud());
    signed.clone().send().await.expect_status(200);
    let replayed = signed.send().await.expect_status(403);
    replayed.expect_json("/errors/reason", "replay").expect_no_header("WWW-Authenticate");
    assert_eq!(origin.calls("/signed"), 1);
    assert_eq!(gw.metric("farmgate_nonces", &[]).await, Some(1.0));
}

#[tokio::test]
async fn replay_at_many_connections_at_once_is_accepted_once() {
    let (origin, gw) = guarded().await;
    let signed = gw.get("/signed").signed_by(&nextcloud());
    let replies = harness::burst(20, |_| signed.clone().send()).await;
    let accepted = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((accepted, origin.calls("/signed")), (1, 1));
}

#[tokio::test]
async fn refused_signature_does_not_burn_its_nonce() {
    let (_origin, gw) = guarded().await;
    let (now, nonce) = (unix_now(), nonce());
    let stranger = HmacClient::new("nextcloud", "another secret");
    gw.get("/signed").signed_at(&stranger, now, &nonce).send().await.expect_status(403);
    gw.get("/signed").signed_at(&nextcloud(), now, &nonce).send().await.expect_status(200);
}

/// The refresh of an expired answer is the gateway's own errand. It carries the
/// client's credentials to the service, and it is not a second use of the client's nonce.
#[tokio::test]
async fn signed_request_replayed_is_refused_while_its_background_refresh_is_not() {
    let sections = format!(
        "auth: {{{HMAC}}}\n\
         cache: {{policies: {{short: {{fresh: 1ms, stale_while_revalidate: 1h, \
         share: everyone}}}}}}"
    );
    let route = "{name: kept, path_prefix: /, pool: service, cache: short, auth: {any: [hmac]}}";
    let (origin, gw) = serve(&sections, &[route]).await;
    origin.script("/x", [Answer::json("1"), Answer::json("2")]);
    gw.get("/x").signed_by(&nextcloud()).send().await.expect_status(200).expect_body("1");
    // The answer is stale now: this request gets it, and causes the refresh.
    let signed = gw.get("/x").signed_by(&nextcloud()).header("X-Marker", "second");
    signed.clone().send().await.expect_status(200).expect_body("1");
    origin.wait_for_calls("/x", 2).await;
    let refresh = origin.requests("/x").pop().unwrap();
    assert_eq!(refresh.header("x-marker"), Some("second"));
    for name in ["x-nc-client-id", "x-nc-timestamp", "x-nc-nonce", "x-nc-signature"] {
        assert!(refresh.header(name).is_some_and(|value| !value.is_empty()), "{name} is missing");
    }
    let replayed = signed.send().await.expect_status(403);
    replayed.expect_json("/errors/reason", "replay");
    // Two requests were let in, two nonces are remembered: the refresh spent none.
    assert_eq!(gw.metric("farmgate_nonces", &[]).await, Some(2.0));
}

#[tokio::test]
async fn full_nonce_memory_refuses_rather_than_forgets() {
    let hmac = "auth: {hmac: {skew: 1s, nonce_ttl: 1000s, nonces_max: 2, \
                clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}}";
    let route = "{name: signed, path_prefix: /, pool: service, auth: {any: [hmac]}}";
    let (origin, gw) = serve(hmac, &[route]).await;
    gw.get("/").signed_by(&nextcloud()).send().await.expect_status(200);
    gw.get("/").signed_by(&nextcloud()).send().await.expect_status(200);
    let full = gw.get("/").signed_by(&nextcloud()).send().await.expect_status(503);
    // The oldest nonce is kept for as long as the configuration says.
    let wait: u64 = full.header("Retry-After").unwrap().parse().unwrap();
    assert!((900..=1000).contains(&wait), "Retry-After: {wait}");
    full.expect_json("/errors/code", "overloaded");
    assert_eq!(origin.calls("/"), 2);
}

#[tokio::test]
async fn credentials_reach_the_service_as_they_came() {
    let (origin, gw) = guarded().await;
    for path in ["/any", "/wrapped"] {
        let bearer = format!("Bearer {}", token("7"));
        gw.get(path).header("Authorization", &bearer).send().await.expect_status(200);
        gw.get(path).api_key("good-key").send().await.expect_status(200);
        let message = nonce();
        let signature = nextcloud().sign(&Message {
            method: "GET",
            path,
            query: "",
            timestamp: unix_now(),
            nonce: &message,
            body: b"",
        });
        gw.get(path).headers(signature.headers()).send().await.expect_status(200);
        let seen = origin.requests(path);
        assert_eq!(seen[0].header("authorization"), Some(&*bearer));
        assert_eq!(seen[1].header("x-api-key"), Some("good-key"));
        for (name, value) in signature.headers() {
            assert_eq!(seen[2].header(&name), Some(&*value), "{name} on {path}");
        }
    }
}

#[tokio::test]
async fn stripped_credentials_stop_at_the_gateway() {
    let (origin, gw) = guarded().await;
    gw.get("/stripped").bearer(&token("7")).header("X-Kept", "1").send().await.expect_status(200);
    gw.get("/stripped").api_key("good-key").send().await.expect_status(200);
    gw.get("/stripped").signed_by(&nextcloud()).send().await.expect_status(200);
    let requests = origin.requests("/stripped");
    assert_eq!(requests[0].header("x-kept"), Some("1"));
    for request in requests {
        let secret = ["authorization", "x-api-key", "x-nc-signature", "x-nc-nonce"];
        let left: Vec<_> = secret.iter().filter(|name| request.headers.contains(name)).collect();
        assert!(left.is_empty(), "reached the service: {left:?}");
    }
}

#[tokio::test]
async fn large_signed_body_passes_whole_where_answers_are_collected() {
    let (origin, gw) = guarded().await;
    let body = "x".repeat(300 * 1024);
    let request = gw.post("/wrapped").body(body.clone()).signed_by(&nextcloud());
    request.send().await.expect_status(200);
    assert_eq!(origin.requests("/wrapped")[0].body, body);
}

#[tokio::test]
async fn signed_body_on_a_streaming_route_is_bounded() {
    let (origin, gw) = guarded().await;
    let largest = "x".repeat(STREAMED_BODY_BYTES_MAX);
    let request = gw.post("/signed").body(largest.clone()).signed_by(&nextcloud());
    request.send().await.expect_status(200);
    assert_eq!(origin.requests("/signed")[0].body, largest);
    let larger = "x".repeat(STREAMED_BODY_BYTES_MAX + 1);
    let request = gw.post("/signed").body(larger).signed_by(&nextcloud());
    request.send().await.expect_status(413).expect_json("/errors/code", "body_too_large");
    assert_eq!(origin.calls("/signed"), 1);
}

#[tokio::test]
async fn tampered_body_never_reaches_the_service() {
    let (origin, gw) = guarded().await;
    let signed = Request::post("/signed").body("pay 1").signed_by(&nextcloud());
    let mut connection = gw.connect().await;
    let tampered = signed.body("pay 9");
    connection.send(tampered).await.expect_status(403);
    assert_eq!(origin.calls("/signed"), 0);
}

#[tokio::test]
async fn both_secrets_of_a_rotation_are_accepted_and_come_from_file_and_environment() {
    let old = HmacClient::new("nextcloud", "the secret before the rotation");
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let secrets = Directory::new();
    let jwt_file = secrets.write("jwt.secret", format!("{JWT_SECRET}\n"));
    let sections = format!(
        "auth: {{jwt: [{{keys: ['file:{}']}}], hmac: {{clients: [{{id: nextcloud, \
         secrets: ['env:HMAC_SECRET', 'file:old.secret']}}]}}}}",
        jwt_file.display()
    );
    let route = "{name: any, path_prefix: /, pool: service, auth: {any: [jwt, hmac]}}";
    let gw = gateway()
        .with(conf(&sections, &[route]))
        .pool("service", origin.address())
        .file("conf/old.secret", old.secret_base64())
        .start()
        .await;
    gw.get("/").signed_by(&nextcloud()).send().await.expect_status(200);
    gw.get("/").signed_by(&old).send().await.expect_status(200);
    gw.get("/").bearer(&token("7")).send().await.expect_status(200);
    let stranger = HmacClient::new("nextcloud", "never configured");
    gw.get("/").signed_by(&stranger).send().await.expect_status(403);
}

/// The operator's map as it is: one entry that cannot be read leaves the others alone.
#[tokio::test]
async fn clients_of_a_json_map_sign_whatever_else_stands_in_it() {
    let map = json!({
        "nextcloud": nextcloud().secret_base64(), "broken": "not base64!", "a b": "YQ==",
        "rotating": ["YQ==", nextcloud().secret_base64()], "number": 5,
    });
    let sections = "auth: {hmac: {clients_json: 'file:clients.json', \
                    clients: [{id: listed, secrets: ['env:HMAC_SECRET']}]}}";
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let gw = gateway()
        .file("conf/clients.json", map.to_string())
        .with(conf(sections, &[SIGNED]))
        .pool("service", origin.address())
        .start()
        .await;
    let signed = async |id: &str| {
        let client = HmacClient::new(id, "what the tests and Nextcloud share");
        gw.get("/hmac").signed_by(&client).send().await
    };
    for id in ["nextcloud", "rotating", "listed"] {
        signed(id).await.expect_status(200);
    }
    for (id, reason) in
        [("broken", "bad_base64"), ("number", "bad_base64"), ("nobody", "unknown_client")]
    {
        signed(id).await.expect_status(403).expect_json("/errors/reason", reason);
    }
    let shown = gw.admin_get("/config").send().await.json();
    let warnings = shown["warnings"].to_string();
    assert_eq!(shown["warnings"].as_array().unwrap().len(), 3, "{warnings}");
    for id in ["broken", "a b", "number"] {
        assert!(warnings.contains(id), "{id}: {warnings}");
    }
    assert!(!warnings.contains("not base64!"), "{warnings}");
    // What is changed beside the running gateway counts from the next reload on.
    gw.rewrite_file(
        "conf/clients.json",
        &json!({ "broken": nextcloud().secret_base64() }).to_string(),
    );
    gw.reload().await;
    wait_for_metric(&gw, "farmgate_config_generation", &[], |number| number >= 2.0).await;
    signed("broken").await.expect_status(200);
    signed("listed").await.expect_status(200);
    signed("nextcloud").await.expect_status(403).expect_json("/errors/reason", "unknown_client");
}

#[tokio::test]
async fn secret_of_a_client_counts_from_and_until_its_times() {
    let at = |offset: i64| jiff::Timestamp::from_second(unix_now() + offset).unwrap().to_string();
    let (past, future) = (at(-3600), at(3600));
    let old = |more: &str| format!("{{secret: 'env:OLD', {more}}}");
    let new = |more: &str| format!("{{secret: 'env:HMAC_SECRET', {more}}}");
    let secrets = [
        ("overlap", old(&format!("until: {future}")), new(&format!("from: {past}"))),
        ("before", old(&format!("until: {future}")), new(&format!("from: {future}"))),
        ("after", old(&format!("until: {past}")), new(&format!("from: {past}"))),
    ];
    let clients: Vec<String> = secrets
        .iter()
        .map(|(id, old, new)| format!("{{id: {id}, secrets: [{old}, {new}]}}"))
        .collect();
    let sections = format!("auth: {{hmac: {{clients: [{}]}}}}", clients.join(", "));
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let before = HmacClient::new("", "what was shared before");
    let gw = gateway()
        .env("OLD", &before.secret_base64())
        .with(conf(&sections, &[SIGNED]))
        .pool("service", origin.address())
        .start()
        .await;
    for (id, old, new) in [("overlap", 200, 200), ("before", 200, 403), ("after", 403, 200)] {
        for (secret, status) in
            [("what was shared before", old), ("what the tests and Nextcloud share", new)]
        {
            let client = HmacClient::new(id, secret);
            let reply = gw.get("/hmac").signed_by(&client).send().await;
            assert_eq!(reply.status, status, "{id} with {secret:?}: {}", reply.text());
        }
    }
}
