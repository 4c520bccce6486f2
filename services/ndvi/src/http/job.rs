//! How far is a job?

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chassis::envelope::{self, Failure};
use chassis::openapi::Envelope;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ndvi, document, store_failure};
use crate::domain::field::FieldId;
use crate::domain::job::{Job, JobId, JobState, Work};

/// A job as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobView {
    job_id: String,
    #[schema(value_type = String)]
    status: JobState,
    #[schema(value_type = String)]
    farm_id: FieldId,
    /// What is done: its kind and what was asked for.
    #[schema(value_type = Object)]
    work: Work,
    /// How often it was begun.
    attempts: u32,
    /// Why it failed, or why the last attempt did.
    error: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl JobView {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            job_id: job.id.as_str().to_owned(),
            status: job.state,
            farm_id: job.field.clone(),
            work: job.work.clone(),
            attempts: job.attempts,
            error: job.error.clone(),
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

/// The state of a job.
#[utoipa::path(
    get, path = "/api/v1/ndvi/jobs/{id}/",
    params(document::JobParams),
    responses(
        (status = 200, description = "The job.", body = inline(Envelope<JobView>))
    )
)]
pub(super) async fn job(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "Not found.");
    let id = JobId::parse(&name).ok_or_else(unknown)?;
    let found = ndvi.store.job(&id).await.map_err(|error| store_failure(&error))?;
    Ok(envelope::ok(&JobView::new(&found.ok_or_else(unknown)?)))
}
