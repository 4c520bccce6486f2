//! Which path leads to which provider, and what happens to a request on the way?

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;

use crate::answers::{SEARCH_BODY_BYTES_MAX, base_url};
use crate::connection::Poison;
use crate::control;
use crate::damage::{Before, Met, Outcome, before, damaged, forget_redirect};
use crate::fault::take_own;
use crate::open_meteo::Host;
use crate::params::Params;
use crate::power::Pace;
use crate::stage::Stage;
use crate::tape::Question;

/// All routes. Provider routes are counted and can be faulted; the control API and `/healthz`
/// are neither.
pub(crate) fn router(stage: Arc<Stage>) -> Router {
    let providers = Router::new()
        .route("/v1/forecast", get(forecast))
        .route("/v1/archive", get(archive))
        .route("/historical/v1/forecast", get(archive))
        .route("/api/temporal/daily/point", get(power))
        .route("/api/temporal/hourly/point", get(power_hourly))
        .route("/search", post(search).layer(DefaultBodyLimit::max(SEARCH_BODY_BYTES_MAX)))
        .route("/s2/{*path}", get(file))
        .route("/farms/{*path}", get(file))
        .fallback(unknown)
        .layer(from_fn_with_state(Arc::clone(&stage), on_tape))
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

/// Asks the real host while recording; else plays what was recorded, and where nothing was, what
/// answers without a recording.
async fn on_tape(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    let Some(tape) = &stage.tape else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let Some(base) = base_url(&parts.headers) else { return bad_host() };
    let Ok(body) = to_bytes(body, SEARCH_BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let question = Question::new(&parts.method, &parts.uri, &parts.headers, &body);
    let answer = match &stage.recorder {
        Some(recorder) => {
            let asked = (question, &parts.uri);
            recorder.answer(asked, &parts.headers, body.clone(), (tape, &base)).await
        }
        None => tape.play(&question, &parts.headers, &base).await,
    };
    match answer {
        Some(answer) => answer,
        None => next.run(Request::from_parts(parts, Body::from(body))).await,
    }
}

fn bad_host() -> Response {
    (StatusCode::BAD_REQUEST, "the Host header is missing or malformed\n").into_response()
}

type Pairs = Query<Vec<(String, String)>>;

async fn forecast(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.open_meteo.respond(Host::Forecast, &Params::new(pairs), stage.moment())
}

async fn archive(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.open_meteo.respond(Host::Archive, &Params::new(pairs), stage.moment())
}

async fn power(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.power.respond(Pace::Daily, &Params::new(pairs), stage.moment())
}

async fn power_hourly(State(stage): State<Arc<Stage>>, Query(pairs): Pairs) -> Response {
    stage.power.respond(Pace::Hourly, &Params::new(pairs), stage.moment())
}

async fn search(State(stage): State<Arc<Stage>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(base) = base_url(&headers) else { return bad_host() };
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
