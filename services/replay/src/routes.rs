//! Which path leads to which provider, and what happens to a request on the way?

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;

use crate::answers::SEARCH_BODY_BYTES_MAX;
use crate::connection::Poison;
use crate::control;
use crate::damage::{Before, Met, Outcome, before, damaged, forget_redirect};
use crate::fault::take_own;
use crate::open_meteo::Host;
use crate::params::Params;
use crate::stage::Stage;

/// Longest `Host` header that is repeated in links.
const HOST_BYTES_MAX: usize = 255;

/// All routes. Provider routes are counted and can be faulted; the control API and `/healthz`
/// are neither.
pub(crate) fn router(stage: Arc<Stage>) -> Router {
    let providers = Router::new()
        .route("/v1/forecast", get(forecast))
        .route("/v1/archive", get(archive))
        .route("/api/temporal/daily/point", get(power))
        .route("/search", post(search).layer(DefaultBodyLimit::max(SEARCH_BODY_BYTES_MAX)))
        .route("/s2/{*path}", get(file))
        .route("/farms/{*path}", get(file))
        .fallback(unknown)
        .layer(from_fn_with_state(Arc::clone(&stage), on_stage));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(control::router())
        .merge(providers)
        .with_state(stage)
}

/// Counts a request and lets its own fault meet it, or the one in force.
async fn on_stage(
    State(stage): State<Arc<Stage>>,
    ConnectInfo(connection): ConnectInfo<Poison>,
    mut request: Request,
    next: Next,
) -> Response {
    let in_flight = stage.counter.enter(&request);
    let own = match take_own(&mut request) {
        Ok(own) => own,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let fault = own.or_else(|| stage.faults.take(request.method(), request.uri().path()));
    let fault = fault.unwrap_or_default();
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    if fault.reset {
        connection.pull();
        // Never sent: the connection fails on the first byte of it.
        return StatusCode::OK.into_response();
    }
    let (response, met) = match before(request, &fault).await {
        Before::Answered(response) => (response, Met::default()),
        Before::Goes(mut request, met) => {
            forget_redirect(&mut request);
            (next.run(request).await, met)
        }
    };
    let Outcome { response, body_bytes } = damaged(response, &fault, &met).await;
    in_flight.sent(body_bytes);
    response
}

type Pairs = Query<Vec<(String, String)>>;

async fn forecast(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.open_meteo.respond(Host::Forecast, &Params::new(pairs), stage.moment())
}

async fn archive(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.open_meteo.respond(Host::Archive, &Params::new(pairs), stage.moment())
}

async fn power(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.power.respond(&Params::new(pairs), stage.moment())
}

async fn search(State(stage): State<Arc<Stage>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(base) = base_url(&headers) else {
        return (StatusCode::BAD_REQUEST, "the Host header is missing or malformed\n")
            .into_response();
    };
    stage.catalogue.respond(&body, &base)
}

async fn file(
    State(stage): State<Arc<Stage>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    stage.files.answer(uri.path(), &method, &headers)
}

async fn unknown(uri: Uri) -> Response {
    (StatusCode::NOT_FOUND, format!("replay plays no provider at {}\n", uri.path())).into_response()
}

/// The address under which the client reached us, so that links lead back the same way, also
/// through a container's port mapping.
fn base_url(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let usable = !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(plain);
    usable.then(|| format!("http://{host}"))
}
