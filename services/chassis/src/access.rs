//! What happened to each request: its id, one log line and its metrics.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::clock::Now;
use crate::metrics::{Metrics, PATH_UNMATCHED};
use crate::request_id::{self, RequestId};

/// What is found out about a caller on the way in, for the log line on the way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    client_id: OnceLock<Arc<str>>,
    refusal: OnceLock<String>,
}

impl Caller {
    /// Says through which client it calls, where that is known.
    pub(crate) fn tell_client(&self, client_id: Option<Arc<str>>) {
        if let Some(client_id) = client_id {
            self.0.client_id.get_or_init(|| client_id);
        }
    }

    /// Says why it is not let in.
    pub(crate) fn tell_refusal(&self, why: String) {
        self.0.refusal.get_or_init(|| why);
    }
}

/// Gives the request its id, then logs and counts the answer.
pub(crate) async fn observe(
    State(metrics): State<Metrics>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Now::read();
    let _in_flight = metrics.enter();
    let given = request.headers().get(request_id::HEADER).and_then(|value| value.to_str().ok());
    let id = RequestId::accept(given.map(str::trim));
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| PATH_UNMATCHED.to_owned(), |path| path.as_str().to_owned());
    let method = method_label(request.method());
    let caller = Caller::default();
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(caller.clone());

    let mut response = next.run(request).await;

    let took = Now::read().instant.saturating_duration_since(started.instant);
    let status = response.status().as_u16();
    metrics.observe(method, &route, status, took);
    // The query string stays out of the log: coordinates tell where somebody farms.
    tracing::info!(
        target: "access",
        request_id = id.as_str(),
        method,
        route,
        status,
        client_id = caller.0.client_id.get().map(|id| &**id),
        refusal = caller.0.refusal.get().map(String::as_str),
        duration_ms = took.as_secs_f64() * 1000.0,
        "request answered"
    );
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static(request_id::HEADER), value);
    }
    response
}

/// The method as a label from a closed set: an invented method must not make a new series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
