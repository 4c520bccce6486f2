//! Do the guards around every service hold, seen from a socket?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed test panics; one handler panics on purpose"
)]

use std::net::SocketAddr;

use axum::Extension;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{get, post};
use chassis::auth::{self, Auth, AuthSettings, Principal};
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::metrics::Metrics;
use chassis::openapi::Envelope;
use chassis::serve::ServeSettings;
use chassis::service::{Readiness, Service, router};
use chassis::settings::Settings;
use harness::{Connection, OpenApi, Request, jwt, unix_now};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who calls, as a handler sees it.
async fn whoami(caller: Option<Extension<Principal>>) -> axum::response::Response {
    let caller = caller.map(|Extension(caller)| caller);
    let client = caller.as_ref().and_then(|caller| caller.client_id.as_deref());
    envelope::ok(&(caller.as_ref().map(|caller| &*caller.subject), client))
}

async fn number(value: &'static str) -> axum::response::Response {
    envelope::ok(&value)
}

#[derive(Serialize, ToSchema)]
struct Thing {
    weight_kg: f64,
}

/// A thing that is described.
#[utoipa::path(
    get, path = "/documented",
    responses((status = 200, description = "The thing.", body = inline(Envelope<Thing>)))
)]
async fn documented() -> axum::response::Response {
    envelope::ok(&Thing { weight_kg: 1.5 })
}

fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(documented))
        .route("/things/{id}", get(|| number("thing")))
        .route("/whoami", get(whoami))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("the cause")
                }
            }),
        )
        .route("/slow", get(std::future::pending::<()>))
        .route("/fields", get(|| async { Failure::fields(FieldErrors::one("a", "b")) }))
        .route("/text", get(|| async { (StatusCode::CONFLICT, "plain words") }))
}

async fn start(readiness: Readiness) -> SocketAddr {
    start_with(readiness, &[]).await
}

async fn start_with(readiness: Readiness, auth: &[(&str, &str)]) -> SocketAddr {
    let own = [("PORT", "0"), ("REQUEST_TIMEOUT_MS", "200"), ("BODY_BYTES_MAX", "10")];
    let mut settings = Settings::from_pairs([&own[..], auth].concat());
    let serve = ServeSettings::read(&mut settings, 1);
    let auth = AuthSettings::read(&mut settings);
    settings.finish(&auth::PREFIXES).unwrap();
    let metrics = Metrics::new().unwrap();
    let auth = Auth::open(&auth, serve.listen, &metrics).unwrap();
    let service = Service { name: "test", routes: routes(), metrics, readiness, auth };
    let listener = tokio::net::TcpListener::bind(serve.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(service, &serve);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn refusals_keep_the_connection_and_the_envelope() {
    let address = start(Readiness::always()).await;
    let mut connection = Connection::open(address).await;
    for (request, status, message) in [
        (Request::get("/nowhere"), 404, "Not found."),
        (Request::post("/things/7"), 405, "Method \"POST\" not allowed."),
        (Request::get("/text"), 409, "plain words"),
        (Request::get("/panic"), 500, "Internal server error"),
        (Request::get("/slow"), 504, "Request timed out"),
    ] {
        connection
            .send(request)
            .await
            .expect_status(status)
            .expect_header("content-type", "application/json")
            .expect_json("/status", 1)
            .expect_json("/message", message);
    }
    let reply = connection.send(Request::get("/panic")).await;
    reply.expect_body(r#"{"status":1,"message":"Internal server error","errors":null}"#);
}

#[tokio::test]
async fn body_over_the_limit_is_refused() {
    let address = start(Readiness::always()).await;
    let echo = |body: &'static str| Request::to(address, "POST", "/echo").body(body).send();
    echo("ten bytes.").await.expect_status(200).expect_body("ten bytes.");
    echo("eleven bytes").await.expect_status(413).expect_json("/status", 1);
}

#[tokio::test]
async fn body_without_a_length_is_cut_at_the_limit() {
    let address = start(Readiness::always()).await;
    let mut connection = Connection::open(address).await;
    let chunked = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                   c\r\neleven bytes\r\n0\r\n\r\n";
    connection.write_raw(chunked).await;
    connection.read_reply().await.expect_status(413).expect_json("/status", 1);
}

#[tokio::test]
async fn own_failures_are_left_as_they_are() {
    let address = start(Readiness::always()).await;
    Request::to(address, "GET", "/fields")
        .send()
        .await
        .expect_status(400)
        .expect_body(r#"{"status":1,"message":"Request failed","errors":{"a":["b"]}}"#);
}

#[tokio::test]
async fn request_id_is_echoed_or_replaced() {
    let address = start(Readiness::always()).await;
    let ask = |id: &str| Request::to(address, "GET", "/healthz").header("x-request-id", id).send();
    ask("rid-1").await.expect_header("x-request-id", "rid-1");
    let reply = ask("bad id").await;
    assert_eq!(reply.header("x-request-id").unwrap().len(), 32);
}

#[tokio::test]
async fn metrics_use_route_templates() {
    let address = start(Readiness::always()).await;
    for path in ["/things/1", "/things/2", "/nowhere/1", "/nowhere/2"] {
        Request::to(address, "GET", path).send().await;
    }
    let text = Request::to(address, "GET", "/metrics").send().await.expect_status(200).text();
    for (path, status) in [("/things/{id}", "200"), ("unmatched", "404")] {
        let labels = [("method", "GET"), ("path", path), ("status", status)];
        assert_eq!(harness::metric(&text, "http_requests_total", &labels), Some(2.0), "{path}");
        let labels = [("method", "GET"), ("path", path)];
        let counted = harness::metric(&text, "http_request_duration_seconds_count", &labels);
        assert_eq!(counted, Some(2.0), "{path}");
    }
}

#[tokio::test]
async fn readiness_says_why_not() {
    let why = "the database is away";
    let address = start(Readiness::check(move || async move { Err(why.to_owned()) })).await;
    Request::to(address, "GET", "/healthz").send().await.expect_status(200);
    Request::to(address, "GET", "/readyz").send().await.expect_status(503).expect_body(
        r#"{"status":1,"message":"Not ready","data":null,"errors":{"detail":"the database is away"}}"#,
    );
}

#[tokio::test]
async fn service_that_does_without_something_is_ready_and_says_so() {
    let degraded = || async { Ok(Some("the database is away".to_owned())) };
    let address = start(Readiness::degradable(degraded)).await;
    Request::to(address, "GET", "/readyz").send().await.expect_status(200).expect_body(
        r#"{"status":0,"message":"ok","data":{"status":"ready","degraded":"the database is away"},"errors":null}"#,
    );
}

#[tokio::test]
async fn document_describes_routes_and_fits_what_they_answer() {
    let address = start(Readiness::always()).await;
    let document = OpenApi::of(address).await;
    assert!(document.operations().contains("GET /documented"));
    let reply = Request::to(address, "GET", "/documented").send().await.expect_status(200);
    document.check("GET /documented", &reply);
    let beneath = Request::to(address, "GET", "/api/v1/test/openapi.json").send().await;
    assert_eq!(beneath.json()["openapi"], "3.1.0");
}

#[tokio::test]
#[should_panic(expected = "weight_kg")]
async fn answer_that_does_not_fit_its_document_is_found() {
    let address = start(Readiness::always()).await;
    let document = OpenApi::of(address).await;
    let mut reply = Request::to(address, "GET", "/documented").send().await;
    reply.body = reply.text().replace("1.5", r#""heavy""#).into();
    document.check("GET /documented", &reply);
}

#[tokio::test]
async fn failures_fit_what_is_documented_for_every_other_status() {
    let address = start(Readiness::always()).await;
    let document = OpenApi::of(address).await;
    let reply = Request::to(address, "POST", "/documented").send().await.expect_status(405);
    document.check("GET /documented", &reply);
}

#[tokio::test]
async fn handlers_are_told_who_calls_once_a_credential_holds() {
    let secret = "what the issuer and its services share";
    let address = start_with(Readiness::always(), &[("JWT_SIGNING_KEY", secret)]).await;
    let ask = |method, target| Request::to(address, method, target);
    ask("GET", "/whoami").send().await.expect_status(401);
    // Nothing is told of limits either.
    ask("POST", "/echo").body("eleven bytes").send().await.expect_status(401);
    let claims = serde_json::json!({
        "token_type": "access", "iss": "farm-intelligence-platform", "aud": "nextcloud",
        "user_id": "42", "client_id": "nc-1", "exp": unix_now() + 300,
    });
    let token = jwt(secret, &claims);
    let told = ask("GET", "/whoami").bearer(&token).send().await.expect_status(200);
    assert_eq!(told.json()["data"], serde_json::json!(["42", "nc-1"]));
    ask("GET", "/slow").bearer(&token).send().await.expect_status(504);

    let open = start(Readiness::always()).await;
    let told = Request::to(open, "GET", "/whoami").bearer(&token).send().await.expect_status(200);
    assert_eq!(told.json()["data"], serde_json::json!([null, null]));
}
