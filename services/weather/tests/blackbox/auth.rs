//! Who is let in, and what are the others told?

use harness::{Directory, Program, Request, jwt, unix_now};
use serde_json::{Value, json};

use crate::bench::{CURRENT, Weather, program, recorded};

/// What the gateway and the service share.
const INTERNAL: &str = "what the gateway and its services share";
/// What the issuer of users' tokens and the service share.
const SIGNING: &str = "what the issuer and its services share";

const UNAUTHORIZED: &str = r#"{"status":1,"message":"Unauthorized","data":null,"errors":null}"#;

/// A service that asks for either token.
fn asking(directory: &Directory, provider: &str) -> Program {
    program(directory, provider)
        .env("INTERNAL_TOKEN_SECRET", INTERNAL)
        .env("DJANGO_SECRET_KEY", SIGNING)
}

/// A token as the issuer makes it at a login: it has no `sub`.
fn login(more: Value) -> String {
    let now = unix_now();
    let mut claims = json!({
        "token_type": "access", "iss": "farm-intelligence-platform", "aud": "nextcloud",
        "user_id": "42", "jti": "0123456789abcdef", "iat": now, "exp": now + 300,
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwt(SIGNING, &claims)
}

/// A token as the gateway makes it.
fn internal(more: Value) -> String {
    let now = unix_now();
    let mut claims = json!({
        "token_type": "internal", "iss": "farmgate", "aud": "services", "sub": "42",
        "client_id": "nc-1", "scope": "read", "iat": now, "exp": now + 60,
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwt(INTERNAL, &claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_gateway_and_issuer_are_let_in() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(asking(&directory, &replay.base_url())).await;
    let tokens = [
        (internal(json!({})), "internal"),
        (internal(json!({"scope": ""})), "internal"),
        (login(json!({})), "jwt"),
        (login(json!({"sub": "42", "scope": "read,write", "client_id": "nc-2"})), "jwt"),
    ];
    for (token, _) in &tokens {
        weather.request("GET", CURRENT).bearer(token).send().await.expect_status(200);
    }
    for scheme in ["internal", "jwt"] {
        let labels = [("scheme", scheme), ("outcome", "accepted")];
        let counted = weather.metric("auth_requests_total", &labels).await;
        assert!((counted - 2.0).abs() < 1e-9, "{scheme}: {counted}");
    }
    for client in ["nc-1", "nc-2"] {
        let client = format!("\"client_id\":\"{client}\"");
        weather.process.wait_for_line(|line| line.contains(&client)).await;
    }
    let log = weather.process.lines().join("\n");
    for (token, _) in &tokens {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!log.contains(signature), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_does_not_hold_gets_one_answer() {
    let directory = Directory::new();
    let weather = Weather::start(asking(&directory, "http://127.0.0.1:9")).await;
    let now = unix_now();
    // {"alg":"none"}
    let claims = login(json!({})).split('.').nth(1).unwrap().to_owned();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
    let ask = || weather.request("GET", CURRENT);
    let refused: [(Request<_>, &str); 9] = [
        (ask(), "no credential"),
        (ask().bearer(&login(json!({"exp": now - 60}))), "token expired"),
        (ask().bearer(&login(json!({"aud": "services"}))), "token audience"),
        (ask().bearer(&login(json!({"token_type": "refresh"}))), "token type"),
        (ask().bearer(&internal(json!({"exp": now - 60}))), "token expired"),
        (ask().bearer(&unsigned), "token undecodable"),
        (ask().bearer("two words"), "credential malformed"),
        (ask().header("Authorization", "Basic dTpw"), "no credential"),
        (ask().api_key("wk_live_0001"), "nothing verifies this kind of credential"),
    ];
    for (number, (request, why)) in refused.into_iter().enumerate() {
        let id = format!("rid-{number}");
        request
            .header("x-request-id", &id)
            .send()
            .await
            .expect_status(401)
            .expect_header("www-authenticate", "Bearer realm=\"api\"")
            .expect_body(UNAUTHORIZED);
        let line = weather.process.wait_for_line(|line| line.contains(&id)).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["refusal"], &line["status"]), (&why.into(), &401.into()), "{line}");
    }
    for (scheme, count) in [("none", 2.0), ("jwt", 5.0), ("internal", 1.0), ("api_key", 1.0)] {
        let labels = [("scheme", scheme), ("outcome", "refused")];
        let counted = weather.metric("auth_requests_total", &labels).await;
        assert!((counted - count).abs() < 1e-9, "{scheme}: {counted}");
    }
    let labels = [("path", "/api/v1/weather/current/"), ("status", "401")];
    let counted = weather.metric("http_requests_total", &labels).await;
    assert!((counted - 9.0).abs() < 1e-9, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_scrapes_need_no_credential_and_all_else_does() {
    let directory = Directory::new();
    let weather = Weather::start(asking(&directory, "http://127.0.0.1:9")).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        weather.get(path).await.expect_status(200);
    }
    for path in ["/", "/nothing/here", "/healthz/", "/api/v1/weather/current/"] {
        weather.get(path).await.expect_status(401);
    }
    let bearer = login(json!({}));
    weather.request("GET", "/nothing/here").bearer(&bearer).send().await.expect_status(404);

    let directory = Directory::new();
    let other = asking(&directory, "http://127.0.0.1:9").env("AUTH_BYPASS_PATHS", "/nothing/here");
    let weather = Weather::start(other).await;
    weather.get("/nothing/here").await.expect_status(404);
    weather.get("/healthz").await.expect_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn scope_that_does_not_reach_is_forbidden() {
    let directory = Directory::new();
    let weather = Weather::start(asking(&directory, "http://127.0.0.1:9")).await;
    let profile = weather.request("GET", CURRENT).bearer(&login(json!({"scope": "profile"})));
    profile
        .send()
        .await
        .expect_status(403)
        .expect_header("www-authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\"")
        .expect_body(
            r#"{"status":1,"message":"Forbidden","data":null,"errors":{"detail":"This needs one of the scopes read, write, admin."}}"#,
        );
    let ask = |scope: &str| {
        let token = internal(json!({"scope": scope}));
        weather.request("POST", CURRENT).bearer(&token).send()
    };
    ask("read").await.expect_status(403);
    // There is nothing to post to, but that is only for those to know who may.
    ask("write").await.expect_status(405);
    let labels = [("scheme", "internal"), ("outcome", "forbidden")];
    assert!((weather.metric("auth_requests_total", &labels).await - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_it_serves_this_machine_alone() {
    let directory = Directory::new();
    let nothing = || program(&directory, "http://127.0.0.1:9");
    let refused = nothing().env("LISTEN", "0.0.0.0:0").run().await.expect_code(78);
    let log = refused.stderr.join("\n");
    for name in ["INTERNAL_TOKEN_SECRET", "JWT_SIGNING_KEY", "API_KEY_DATABASE_URL"] {
        assert!(log.contains(name), "{log}");
    }
    let weather = Weather::start(nothing()).await;
    weather.process.wait_for_line(|line| line.contains("no credentials are configured")).await;
    weather.get("/nothing/here").await.expect_status(404);

    let disabled = nothing().env("LISTEN", "0.0.0.0:0").env("AUTH_DISABLED", "true");
    let weather = Weather::start(disabled.env("JWT_SIGNING_KEY", SIGNING)).await;
    let line = weather.process.wait_for_line(|line| line.contains("AUTH_DISABLED is set")).await;
    assert!(line.contains("\"WARN\""), "{line}");
    weather.get("/nothing/here").await.expect_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_settings_of_authentication_stop_the_start_and_show_no_secret() {
    let directory = Directory::new();
    for (name, value, told) in [
        ("JWT_SIGNING_KEI", "hunter2", "did you mean JWT_SIGNING_KEY?"),
        ("JWT_SIGNING_KEY", "hunter2", "write at least 32 random ones"),
        ("MYSQL_DATABASE_URL", "mysql://u:hunter2@h/d", "API_KEY_PEPPER is not set"),
    ] {
        let program = program(&directory, "http://127.0.0.1:9").env(name, value);
        let log = program.run().await.expect_code(78).stderr.join("\n");
        assert!(log.contains(told) && !log.contains("hunter2"), "{log}");
    }
}
