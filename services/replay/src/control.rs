//! How are faults, the shift and the counts switched while replay runs?

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, put};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fault::Fault;
use crate::stage::Stage;

/// Largest body of a control request.
const CONTROL_BODY_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shift {
    enabled: bool,
}

/// The routes below `/_replay`.
pub(crate) fn router() -> Router<Arc<Stage>> {
    Router::new()
        .route("/_replay/faults", put(set_fault).get(fault_in_force).delete(clear_faults))
        .route("/_replay/counts", get(counts).delete(reset_counts))
        .route("/_replay/shift", put(set_shift).get(shift))
        .layer(DefaultBodyLimit::max(CONTROL_BODY_BYTES_MAX))
}

async fn set_fault(State(stage): State<Arc<Stage>>, body: Bytes) -> Response {
    let fault: Fault = match serde_json::from_slice(&body) {
        Ok(fault) => fault,
        Err(error) => return bad_request(&error.to_string()),
    };
    match stage.faults.set(fault) {
        Ok(()) => Json(stage.faults.in_force()).into_response(),
        Err(error) => bad_request(&error.to_string()),
    }
}

async fn fault_in_force(State(stage): State<Arc<Stage>>) -> Response {
    Json(stage.faults.in_force()).into_response()
}

async fn clear_faults(State(stage): State<Arc<Stage>>) -> StatusCode {
    stage.faults.clear();
    StatusCode::NO_CONTENT
}

async fn counts(State(stage): State<Arc<Stage>>) -> Response {
    Json(stage.counter.snapshot()).into_response()
}

async fn reset_counts(State(stage): State<Arc<Stage>>) -> StatusCode {
    stage.counter.reset();
    StatusCode::NO_CONTENT
}

async fn set_shift(State(stage): State<Arc<Stage>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Shift>(&body) {
        Ok(shift) => {
            stage.set_shift(shift.enabled);
            Json(shift).into_response()
        }
        Err(error) => bad_request(&format!("{error}; send {{\"enabled\": true}} or false")),
    }
}

async fn shift(State(stage): State<Arc<Stage>>) -> Response {
    Json(Shift { enabled: stage.moment().shift }).into_response()
}

fn bad_request(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}
