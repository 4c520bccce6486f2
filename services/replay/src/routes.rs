//! Which path leads to which provider, and what happens to a request on the way?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;

use crate::clock::Clock;
use crate::connection::Poison;
use crate::control;
use crate::counts::Counter;
use crate::damage::{Outcome, damaged, refusal};
use crate::fault::{Fault, FaultSwitch};
use crate::files::Files;
use crate::open_meteo::{Host, Moment, OpenMeteo};
use crate::params::Params;
use crate::power::{Pace, Power};
use crate::recorded::DataError;
use crate::stac::Catalogue;

/// Names the recording an answer was made from.
pub(crate) const RECORDING_HEADER: &str = "x-replay-recording";
/// Largest body of a search: a detailed polygon fits many times.
const SEARCH_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest `Host` header that is repeated in links.
const HOST_BYTES_MAX: usize = 255;

/// Everything the routes share.
pub(crate) struct Stage {
    open_meteo: OpenMeteo,
    power: Power,
    catalogue: Catalogue,
    files: Files,
    clock: Clock,
    shift: AtomicBool,
    pub(crate) faults: FaultSwitch,
    pub(crate) counter: Counter,
}

impl Stage {
    /// Reads all recordings below `data`.
    pub(crate) fn load(data: &Path, clock: Clock, shift: bool) -> Result<Self, DataError> {
        Ok(Self {
            open_meteo: OpenMeteo::load(data)?,
            power: Power::load(data)?,
            catalogue: Catalogue::load(data)?,
            files: Files::load(data, &["s2", "farms"])?,
            clock,
            shift: AtomicBool::new(shift),
            faults: FaultSwitch::default(),
            counter: Counter::default(),
        })
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), shift: self.shift.load(Ordering::Relaxed) }
    }

    pub(crate) fn set_shift(&self, enabled: bool) {
        self.shift.store(enabled, Ordering::Relaxed);
    }
}

/// All routes. Provider routes are counted and can be faulted; the control API and `/healthz`
/// are neither.
pub(crate) fn router(stage: Arc<Stage>) -> Router {
    let providers = Router::new()
        .route("/v1/forecast", get(forecast))
        .route("/v1/archive", get(archive))
        .route("/api/temporal/daily/point", get(power))
        .route("/api/temporal/hourly/point", get(power_hourly))
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

/// Counts a request and lets the fault in force meet it.
async fn on_stage(
    State(stage): State<Arc<Stage>>,
    ConnectInfo(connection): ConnectInfo<Poison>,
    mut request: Request,
    next: Next,
) -> Response {
    let in_flight = stage.counter.enter(&request);
    let fault = stage.faults.take(request.uri().path());
    if let Some(fault) = &fault {
        if fault.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        }
        if fault.reset {
            connection.pull();
            // Never sent: the connection fails on the first byte of it.
            return StatusCode::OK.into_response();
        }
        if fault.ignore_range {
            request.headers_mut().remove(header::RANGE);
        }
    }
    let response = match fault.as_ref().and_then(refusal_status) {
        Some(status) => {
            let reason = fault.as_ref().and_then(|fault| fault.reason.as_deref());
            refusal(request.uri().path(), status, reason)
        }
        None => next.run(request).await,
    };
    let Outcome { response, body_bytes } = damaged(response, fault.as_ref()).await;
    in_flight.sent(body_bytes);
    response
}

fn refusal_status(fault: &Fault) -> Option<StatusCode> {
    fault.status.and_then(|status| StatusCode::from_u16(status).ok())
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
