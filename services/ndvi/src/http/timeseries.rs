//! How did a field change, and where is nothing known of it?

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::file::{self, File};
use chassis::openapi::Envelope;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{Asked, Pairs, interval_fault};
use super::farm::{self, Known, Today};
use super::view::BucketView;
use super::{Ndvi, Rules, document};
use crate::domain::buckets::{Bucket, BucketQuery, buckets};
use crate::domain::coverage::days_later;
use crate::domain::engine::ENGINE;
use crate::pictures::{COPERNICUS, SeriesPoint, SeriesValue, Spread, Timeseries, timeseries_svg};

/// Days of a series unless asked otherwise.
const SERIES_DAYS_DEFAULT: u32 = 90;

/// Days from one bucket to the next unless asked otherwise.
const STEP_DAYS_DEFAULT: u32 = 7;

/// Most days from one bucket to the next.
const STEP_DAYS_MAX: u32 = 30;

/// A series.
#[derive(Debug, Serialize, ToSchema)]
struct SeriesView<'a> {
    /// One entry for each bucket, in order of time.
    observations: Vec<BucketView>,
    engine: &'static str,
    start: Date,
    end: Date,
    step_days: u32,
    max_cloud: Option<f64>,
    /// A bucket has no value, or some days should be looked at.
    is_partial: bool,
    missing_buckets_count: usize,
    representation: &'static str,
    engine_version: &'a str,
    /// Some of the days were not looked at, or too long ago.
    stale: bool,
    /// The job that looks at these days in the background.
    refresh_job_id: Option<String>,
}

/// The buckets of an interval, from the database alone.
#[utoipa::path(
    get, path = "/api/v1/farms/{id}/ndvi/timeseries/",
    params(document::FarmParams, document::SeriesParams),
    responses(
        (status = 200, description = "The series.", body = inline(Envelope<SeriesView<'_>>))
    )
)]
pub(super) async fn timeseries(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, Failure> {
    let today = Today::read();
    let query = query(&pairs, &ndvi.rules, today.day).map_err(Failure::fields)?;
    let field = farm::field(&ndvi, &name).await?;
    let Known { seen, coverage } =
        farm::known(&ndvi, &field, query.reach(), query.max_cloud_percent).await?;
    let buckets = buckets(&query, &seen, &coverage, today.day);
    let (stale, job) = farm::look_again(&ndvi, &field, &coverage, today).await;
    let missing_buckets_count = buckets.iter().filter(|bucket| bucket.seen.is_err()).count();
    Ok(envelope::ok(&SeriesView {
        observations: buckets.iter().map(BucketView::new).collect(),
        engine: ENGINE,
        start: query.start,
        end: query.end,
        step_days: query.step_days,
        max_cloud: query.max_cloud_percent,
        is_partial: missing_buckets_count > 0 || stale,
        missing_buckets_count,
        representation: "v1",
        engine_version: &ndvi.engine_version,
        stale,
        refresh_job_id: job.map(|id| id.as_str().to_owned()),
    }))
}

/// The same as a picture.
#[utoipa::path(
    get, path = "/api/v1/farms/{id}/ndvi/timeseries.svg",
    params(document::FarmParams, document::SeriesParams),
    responses(
        (status = 200, description = "The plot.", content_type = "image/svg+xml", body = String),
        (status = 304, description = "Unchanged.")
    )
)]
pub(super) async fn plot(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let today = Today::read();
    let query = query(&pairs, &ndvi.rules, today.day).map_err(Failure::fields)?;
    let field = farm::field(&ndvi, &name).await?;
    let Known { seen, coverage } =
        farm::known(&ndvi, &field, query.reach(), query.max_cloud_percent).await?;
    farm::look_again(&ndvi, &field, &coverage, today).await;
    let points: Vec<_> = buckets(&query, &seen, &coverage, today.day).iter().map(point).collect();
    let title = format!("NDVI of field {}", field.id);
    let drawn = ndvi.compute.run(move || {
        let spread = Spread::Percentiles;
        timeseries_svg(&Timeseries { title: &title, source: COPERNICUS, spread, points: &points })
    });
    let svg = drawn.await.map_err(|_panicked| Failure::internal())?.map_err(|error| {
        tracing::error!(%error, "a series could not be drawn");
        Failure::internal()
    })?;
    // A refresh may end at any time: ask each time, and be told when nothing has changed.
    let file = File::new(svg, "image/svg+xml", "private, no-cache");
    Ok(file::answer(file, &headers))
}

fn point(bucket: &Bucket<'_>) -> SeriesPoint {
    let seen = bucket.seen.ok();
    SeriesPoint {
        date: bucket.date,
        value: seen.and_then(|seen| seen.observation.ndvi.summary()).map(SeriesValue::from),
        reason: bucket.seen.err().map(|gap| gap.code().replace('_', " ")),
    }
}

fn query(pairs: &Pairs, rules: &Rules, today: Date) -> Result<BucketQuery, FieldErrors> {
    let mut asked = Asked::new(pairs);
    let end = asked.date("end").unwrap_or(today);
    let length = i32::try_from(SERIES_DAYS_DEFAULT.min(rules.range_days_max)).unwrap_or_default();
    let start = asked.date("start").unwrap_or_else(|| days_later(end, -length));
    let step_days = asked.whole("step_days", 1..=STEP_DAYS_MAX).unwrap_or(STEP_DAYS_DEFAULT);
    let max_cloud_percent = asked.percent("max_cloud");
    asked.word("representation", &[("v1", ())]);
    if let Some(fault) = interval_fault(start, end, rules.range_days_max) {
        asked.fault(FieldErrors::NON_FIELD, fault);
    }
    asked.finish(BucketQuery { start, end, step_days, max_cloud_percent })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;

    use super::super::tests::RULES;
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<BucketQuery, String> {
        let pairs: Pairs =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        query(&pairs, &RULES, date(2021, 9, 30))
            .map_err(|faults| serde_json::to_string(&faults).unwrap())
    }

    #[test]
    fn nothing_asked_is_the_last_ninety_days_by_weeks() {
        let query = read(&[]).unwrap();
        assert_eq!((query.start, query.end), (date(2021, 7, 2), date(2021, 9, 30)));
        assert_eq!((query.step_days, query.max_cloud_percent), (7, None));
    }

    #[test]
    fn step_has_bounds_and_other_representations_are_unknown() {
        let faults = read(&[("step_days", "31"), ("representation", "v2")]).unwrap_err();
        assert!(faults.contains("less than or equal to 30."), "{faults}");
        assert!(faults.contains(r#"\"v2\" is not a valid choice."#), "{faults}");
    }

    #[test]
    fn interval_longer_than_allowed_is_refused() {
        let faults = read(&[("start", "2020-01-01"), ("end", "2021-09-30")]).unwrap_err();
        assert!(faults.contains("longer than 366 days"), "{faults}");
    }
}
