//! Which samples of a farm are there?

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chassis::envelope::{self, Failure};
use chassis::openapi::Envelope;
use serde::Serialize;

use super::{Hint, Ndvi, document, query, store_failure};
use crate::domain::sample::Sample;
use crate::store::SampleQuery;

/// The newest samples that match, or how to ask when nothing was asked.
#[utoipa::path(
    get, path = "/api/v1/ndvi",
    params(document::SampleParams),
    responses(
        (status = 200, description = "Samples.", body = inline(Envelope<document::SamplesAnswer>))
    )
)]
pub(super) async fn find(
    State(ndvi): State<Ndvi>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Samples {
        samples: Vec<Sample>,
        count: usize,
        /// More samples match than are shown.
        truncated: bool,
    }
    let asked = match query::query(&pairs) {
        None => return Ok(usage()),
        Some(asked) => asked.map_err(Failure::fields)?,
    };
    let shown = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let one_more = SampleQuery { limit: asked.limit + 1, ..asked };
    let found = ndvi.store.find(&one_more).await;
    let mut samples = found.map_err(|error| store_failure(&error))?;
    let truncated = samples.len() > shown;
    samples.truncate(shown);
    let count = samples.len();
    Ok(envelope::success(StatusCode::OK, "ok", &Samples { samples, count, truncated }))
}

fn usage() -> Response {
    let message = "POST a sample here, or GET with farm_id and optionally start, end and limit.";
    envelope::success(StatusCode::OK, "ok", &Hint { message })
}
