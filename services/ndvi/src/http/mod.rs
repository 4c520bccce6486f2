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
//! | `PUT`, `GET /api/v1/farms/{id}/geometry` | the outline of a field |
//! | `GET /api/v1/farms/{id}/ndvi/latest/` | its newest observation |
//! | `GET /api/v1/farms/{id}/ndvi/timeseries/` | its series; as a plot below `timeseries.svg` |
//! | `GET /api/v1/farms/{id}/ndvi/raster.png` | the field from above |
//! | `POST /api/v1/farms/{id}/ndvi/refresh/` | looks at scenes in the background |
//! | `POST /api/v1/farms/{id}/ndvi/raster/queue` | paints in the background |
//! | `GET /api/v1/ndvi/jobs/{id}/` | how far that is |
//! | `POST /api/v1/preprocess` | 501: radar is not processed here |
//!
//! A route is found with the slash at its end that stands here, and not without it: a redirect
//! would break the signature of a signed call.

mod asked;
mod body;
mod document;
mod farm;
mod geometry;
mod ingest;
mod job;
mod latest;
mod query;
mod raster;
mod refresh;
mod samples;
mod sentinel_hub;
mod statistics;
mod statistics_request;
mod timeseries;
mod titiler;
mod view;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chassis::envelope::{self, Failure};
use serde::Serialize;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::coverage::LookAges;
use crate::gallery::Gallery;
use crate::jobs::desk::Desk;
use crate::jobs::room::Room;
use crate::scenes::compute::Compute;
use crate::scenes::survey::Surveyor;
use crate::store::{Store, StoreError};

/// Largest body with a geometry in it: far more than the most positions need.
const GEOMETRY_BODY_BYTES_MAX: usize = 256 * 1024;

/// Routes whose POST changes nothing: its question has a polygon in it.
pub const POSTS_THAT_READ: [&str; 4] = [
    "/api/v1/ndvi/statistics",
    "/api/v1/statistics",
    "/api/v1/stac/statistics",
    "/api/v1/preprocess",
];

/// Days looked back unless asked otherwise.
const LOOKBACK_DAYS_DEFAULT: u32 = 30;

/// What a request may ask.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Largest outline in hectares.
    pub area_ha_max: f64,
    /// Longest interval in days.
    pub range_days_max: u32,
    /// When days of a series are looked at again.
    pub look_ages: LookAges,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ndvi {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Who computes statistics.
    pub surveyor: Arc<Surveyor>,
    /// Where outlines are checked.
    pub compute: Compute,
    /// What may be asked.
    pub rules: Rules,
    /// Where a survey finds its place; without one a request is refused at once.
    pub room: Room,
    /// Where work is handed in.
    pub desk: Desk,
    /// Where pictures are.
    pub gallery: Gallery,
    /// Which rules compute observations.
    pub engine_version: Arc<str>,
}

/// The routes of the service.
pub fn routes(ndvi: Ndvi) -> OpenApiRouter {
    let geometric = OpenApiRouter::new()
        .routes(routes!(samples::find, ingest::ingest))
        .routes(routes!(statistics::statistics))
        .routes(routes!(sentinel_hub::statistics))
        .routes(routes!(titiler::statistics))
        .routes(routes!(geometry::get, geometry::put))
        .layer(DefaultBodyLimit::max(GEOMETRY_BODY_BYTES_MAX));
    OpenApiRouter::with_openapi(document::Document::openapi())
        .route("/", get(root))
        .route("/api/v1", get(endpoints))
        .route("/api/v1/", get(endpoints))
        .routes(routes!(preprocess))
        .merge(geometric)
        .merge(farms())
        .with_state(ndvi)
}

fn farms() -> OpenApiRouter<Ndvi> {
    OpenApiRouter::new()
        .routes(routes!(latest::latest))
        .routes(routes!(timeseries::timeseries))
        .routes(routes!(timeseries::plot))
        .routes(routes!(raster::raster))
        .routes(routes!(refresh::refresh))
        .routes(routes!(refresh::queue_raster))
        .routes(routes!(job::job))
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
        endpoints: [&'static str; 12],
    }
    let endpoints = [
        "/api/v1/ndvi",
        "/api/v1/ndvi/statistics",
        "/api/v1/statistics",
        "/api/v1/stac/statistics",
        "/api/v1/farms/{id}/geometry",
        "/api/v1/farms/{id}/ndvi/latest/",
        "/api/v1/farms/{id}/ndvi/timeseries/",
        "/api/v1/farms/{id}/ndvi/timeseries.svg",
        "/api/v1/farms/{id}/ndvi/raster.png",
        "/api/v1/farms/{id}/ndvi/refresh/",
        "/api/v1/farms/{id}/ndvi/raster/queue",
        "/api/v1/ndvi/jobs/{id}/",
    ];
    envelope::success(StatusCode::OK, "ok", &Endpoints { endpoints })
}

#[utoipa::path(
    post, path = "/api/v1/preprocess",
    responses((status = 501, description = "Radar is not processed here."))
)]
async fn preprocess() -> Response {
    Failure::new(StatusCode::NOT_IMPLEMENTED, "Not implemented")
        .with_detail("Radar (SAR) scenes are not processed by this service.")
        .into_response()
}

/// The answer to a database that did not do its work.
fn store_failure(error: &StoreError) -> Failure {
    tracing::error!(%error, "the database failed");
    match error {
        passing if passing.is_passing() => busy("The database is busy."),
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

/// Days looked back unless asked otherwise, within what may be asked.
fn days_default(rules: &Rules) -> u32 {
    LOOKBACK_DAYS_DEFAULT.min(rules.range_days_max)
}

/// The answer when catalogue or scenes do not answer properly.
fn upstream_error() -> Failure {
    Failure::new(StatusCode::BAD_GATEWAY, "NDVI upstream error")
}

/// The answer when they took too long.
fn timeout() -> Failure {
    Failure::new(StatusCode::GATEWAY_TIMEOUT, "NDVI upstream timeout")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The rules of an empty environment.
    pub(super) const RULES: Rules = Rules {
        area_ha_max: 2_500.0,
        range_days_max: 366,
        look_ages: LookAges {
            recent_max: Duration::from_secs(21_600),
            settled_max: Duration::from_secs(30 * 86_400),
        },
    };
}
