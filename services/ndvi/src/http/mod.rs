//! What can a client ask, and what does it get to see?
//!
//! | Route | Answers |
//! | --- | --- |
//! | `GET /`, `GET /api/v1`, `GET /api/v1/` | what is here |
//! | `GET /api/v1/ndvi` | samples of a farm, or how to ask |
//! | `POST /api/v1/ndvi` | stores a sample |
//! | `POST /api/v1/ndvi/statistics` | statistics of a polygon over scenes |
//! | `POST /api/v1/statistics` | the same by interval, as the Sentinel Hub Statistical API asks and tells it |
//! | `POST /api/v1/stac/statistics` | the same of one day, as titiler asks and tells it |
//! | `POST /api/v1/preprocess` | 501: radar is not processed here |

mod body;
mod ingest;
mod query;
mod samples;
mod sentinel_hub;
mod statistics;
mod statistics_request;
mod titiler;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chassis::envelope::{self, Failure};
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::scenes::compute::Compute;
use crate::scenes::survey::Surveyor;
use crate::store::{SampleStore, StoreError};

/// Largest body with a geometry in it: far more than the most positions need.
const GEOMETRY_BODY_BYTES_MAX: usize = 256 * 1024;

/// Routes whose POST changes nothing: its question has a polygon in it.
pub const POSTS_THAT_READ: [&str; 4] = [
    "/api/v1/ndvi/statistics",
    "/api/v1/statistics",
    "/api/v1/stac/statistics",
    "/api/v1/preprocess",
];

/// What a request for statistics may ask.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Largest outline in hectares.
    pub area_ha_max: f64,
    /// Longest interval in days.
    pub range_days_max: u32,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ndvi {
    /// Where samples are kept.
    pub samples: Arc<dyn SampleStore>,
    /// Who computes statistics.
    pub surveyor: Arc<Surveyor>,
    /// Where outlines are checked.
    pub compute: Compute,
    /// What may be asked.
    pub rules: Rules,
    /// One permit for each survey that may run; without one a request is refused at once.
    pub surveys: Arc<Semaphore>,
}

/// The routes of the service.
pub fn routes(ndvi: Ndvi) -> OpenApiRouter {
    let with_geometry = || DefaultBodyLimit::max(GEOMETRY_BODY_BYTES_MAX);
    OpenApiRouter::new()
        .route("/", get(root))
        .route("/api/v1", get(endpoints))
        .route("/api/v1/", get(endpoints))
        .route("/api/v1/ndvi", get(samples::find).post(ingest::ingest).layer(with_geometry()))
        .route("/api/v1/ndvi/statistics", post(statistics::statistics).layer(with_geometry()))
        .route("/api/v1/statistics", post(sentinel_hub::statistics).layer(with_geometry()))
        .route("/api/v1/stac/statistics", post(titiler::statistics).layer(with_geometry()))
        .route("/api/v1/preprocess", post(preprocess))
        .with_state(ndvi)
}

#[derive(Serialize)]
struct Hint {
    message: &'static str,
}

async fn root() -> Response {
    let message = "NDVI of field outlines and samples; GET /api/v1/ lists the endpoints.";
    envelope::success(StatusCode::OK, "NDVI Service", &Hint { message })
}

async fn endpoints() -> Response {
    #[derive(Serialize)]
    struct Endpoints {
        endpoints: [&'static str; 4],
    }
    let endpoints = [
        "/api/v1/ndvi",
        "/api/v1/ndvi/statistics",
        "/api/v1/statistics",
        "/api/v1/stac/statistics",
    ];
    envelope::success(StatusCode::OK, "ok", &Endpoints { endpoints })
}

async fn preprocess() -> Response {
    Failure::new(StatusCode::NOT_IMPLEMENTED, "Not implemented")
        .with_detail("Radar (SAR) scenes are not processed by this service.")
        .into_response()
}

/// The answer to a database that did not do its work.
fn store_failure(error: &StoreError) -> Failure {
    tracing::error!(%error, "the database failed");
    match error {
        StoreError::Busy => busy("The database is busy."),
        _ => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Database error").with_null_data(),
    }
}

/// A refusal that asks the caller to come back in a second.
fn busy(detail: &str) -> Failure {
    use axum::http::header::{HeaderValue, RETRY_AFTER};
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Service busy")
        .with_detail(detail)
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}
