//! How does a field look now?

use axum::extract::{Path, Query, State};
use axum::response::Response;
use chassis::envelope::{self, Failure};
use chassis::openapi::Envelope;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{Asked, Pairs};
use super::farm::{self, Today};
use super::view::BucketView;
use super::{Ndvi, days_default, document};
use crate::domain::buckets::{self, Gap};
use crate::domain::coverage::days_later;
use crate::domain::engine::ENGINE;

/// The newest observation.
#[derive(Debug, Serialize, ToSchema)]
struct LatestView<'a> {
    /// Null when nothing was seen; `reason` says why.
    observation: Option<BucketView>,
    engine: &'static str,
    lookback_days: u32,
    max_cloud: Option<f64>,
    /// Some of these days were not looked at, or too long ago.
    stale: bool,
    engine_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<Gap>,
    /// The job that looks at these days in the background.
    refresh_job_id: Option<String>,
}

/// The newest observation with a value within some days, from the database alone.
#[utoipa::path(
    get, path = "/api/v1/farms/{id}/ndvi/latest/",
    params(document::FarmParams, document::LatestParams),
    responses(
        (status = 200, description = "The newest observation.", body = inline(Envelope<LatestView<'_>>))
    )
)]
pub(super) async fn latest(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, Failure> {
    let today = Today::read();
    let mut asked = Asked::new(&pairs);
    let lookback = asked.whole("lookback_days", 1..=ndvi.rules.range_days_max.max(1));
    let max_cloud = asked.percent("max_cloud");
    asked.finish(()).map_err(Failure::fields)?;
    let lookback_days = lookback.unwrap_or_else(|| days_default(&ndvi.rules));
    let field = farm::field(&ndvi, &name).await?;
    let back = i32::try_from(lookback_days).unwrap_or(i32::MAX);
    let days = (days_later(today.day, -back), today.day);
    let known = farm::known(&ndvi, &field, days, max_cloud).await?;
    let latest = buckets::latest(&known.seen, &known.coverage, days, max_cloud, today.day);
    let (stale, job) = farm::look_again(&ndvi, &field, &known.coverage, today).await;
    Ok(envelope::ok(&LatestView {
        observation: latest.ok().map(|seen| BucketView::seen(seen.day(), seen)),
        engine: ENGINE,
        lookback_days,
        max_cloud,
        stale,
        engine_version: &ndvi.engine_version,
        reason: latest.err(),
        refresh_job_id: job.map(|id| id.as_str().to_owned()),
    }))
}
