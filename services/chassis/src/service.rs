//! Which routes and guards does every service have around its own?

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use crate::auth::{self, Auth};
use crate::envelope::{self, Failure};
use crate::guard::{self, Limits};
use crate::metrics::Metrics;
use crate::{access, openapi, serve::ServeSettings};

/// Longest time a readiness check may take before it counts as "not ready".
const READINESS_TIMEOUT: Duration = Duration::from_secs(1);

/// A service: its name, its routes, its metrics and whether it is ready.
#[derive(Debug)]
pub struct Service {
    /// Name in logs.
    pub name: &'static str,
    /// The service's own routes with what is documented of them, state already given.
    pub routes: OpenApiRouter,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// What `/readyz` asks.
    pub readiness: Readiness,
    /// How it is told who is calling.
    pub auth: Auth,
}

/// A check that says whether the service can do its work now.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> ReadinessFuture + Send + Sync>);

type ReadinessFuture = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send>>;

impl Readiness {
    /// Ready as soon as it runs.
    #[must_use]
    pub fn always() -> Self {
        Self::check(|| async { Ok(()) })
    }

    /// Ready when `check` says so; the error is one sentence for the operator.
    pub fn check<F, Fut>(check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self::degradable(move || {
            let checked = check();
            async move { checked.await.map(|()| None) }
        })
    }

    /// Ready when `check` says so, and perhaps with one sentence for the operator about what the
    /// service does without for now.
    pub fn degradable<F, Fut>(check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }

    async fn ask(&self) -> Result<Option<String>, String> {
        tokio::time::timeout(READINESS_TIMEOUT, (self.0)()).await.unwrap_or_else(|_elapsed| {
            Err(format!("the readiness check took more than {} s", READINESS_TIMEOUT.as_secs()))
        })
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Readiness")
    }
}

/// The service's routes with `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and all guards
/// around them.
///
/// This is what [`crate::serve::serve`] listens with; tests may call it without a socket.
pub fn router(service: Service, settings: &ServeSettings) -> Router {
    let limits = Limits {
        request_timeout: settings.request_timeout,
        body_bytes_max: settings.body_bytes_max,
    };
    let (routes, document) = service.routes.split_for_parts();
    let document = openapi::written(document);
    let probes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz).with_state(service.readiness))
        .route("/metrics", get(metrics).with_state(service.metrics.clone()))
        .route(openapi::PATH, get(described).with_state(document.clone()))
        .route(&openapi::path_of(service.name), get(described).with_state(document));
    // The last layer is the outermost: an answer of any guard is logged and counted.
    routes
        .merge(probes)
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(limits.body_bytes_max))
        .layer(from_fn_with_state(limits, guard::limit_body))
        .layer(from_fn_with_state(service.auth, auth::layer::admit))
        .layer(from_fn_with_state(limits, guard::limit_time))
        .layer(from_fn(guard::envelope_refusals))
        .layer(from_fn(guard::catch_panic))
        .layer(from_fn_with_state(service.metrics, access::observe))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
}

impl Health {
    fn new(status: &'static str) -> Self {
        Self { status, degraded: None }
    }
}

async fn healthz() -> Response {
    uncached(envelope::success(StatusCode::OK, "ok", &Health::new("ok")))
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let response = match readiness.ask().await {
        Ok(degraded) => {
            let health = Health { degraded, ..Health::new("ready") };
            envelope::success(StatusCode::OK, "ok", &health)
        }
        Err(why) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready")
            .with_detail(why)
            .with_null_data()
            .into_response(),
    };
    uncached(response)
}

async fn metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be encoded");
            Failure::internal().into_response()
        }
    }
}

async fn described(State(document): State<Option<Bytes>>) -> Response {
    document.map_or_else(
        || Failure::internal().into_response(),
        |text| ([(CONTENT_TYPE, "application/json")], text).into_response(),
    )
}

fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
