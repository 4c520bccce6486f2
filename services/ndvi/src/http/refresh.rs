//! How is work for a field asked for?

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::openapi::Envelope;
use jiff::civil::Date;
use picture::raster::Size;
use serde_json::{Map, Value};

use super::asked::{DATE_FORMAT, interval_fault};
use super::farm::{self, Today};
use super::job::JobView;
use super::query::day;
use super::{Ndvi, Rules, body, busy, days_default, document, raster, store_failure};
use crate::domain::cooldown::remaining_s;
use crate::domain::coverage::days_later;
use crate::domain::field::Field;
use crate::domain::job::{Job, Work};
use crate::store::Queued;

/// Queues a look at the scenes of an interval.
#[utoipa::path(
    post, path = "/api/v1/farms/{id}/ndvi/refresh/",
    params(document::FarmParams),
    request_body = inline(document::RefreshBody),
    responses(
        (status = 202, description = "A job was queued.", body = inline(Envelope<JobView>)),
        (status = 200, description = "The same job is waiting or running already.", body = inline(Envelope<JobView>))
    )
)]
pub(super) async fn refresh(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let today = Today::read();
    let object = optional_object(&headers, &bytes)?;
    let work = refresh_of(&object, &ndvi.rules, today.day).map_err(Failure::fields)?;
    let field = farm::field(&ndvi, &name).await?;
    queue(&ndvi, &field, work, today).await
}

/// Queues the picture of a day.
#[utoipa::path(
    post, path = "/api/v1/farms/{id}/ndvi/raster/queue",
    params(document::FarmParams),
    request_body = inline(document::PaintBody),
    responses(
        (status = 202, description = "A job was queued.", body = inline(Envelope<JobView>)),
        (status = 200, description = "The same job is waiting or running already.", body = inline(Envelope<JobView>))
    )
)]
pub(super) async fn queue_raster(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let today = Today::read();
    let object = optional_object(&headers, &bytes)?;
    let wanted = picture_of(&object, today.day).map_err(Failure::fields)?;
    let field = farm::field(&ndvi, &name).await?;
    let Wanted { date, size, max_cloud_percent } = wanted;
    let date = match date {
        Some(date) => date,
        None => raster::newest(&ndvi, &field, max_cloud_percent, today).await?,
    };
    queue(&ndvi, &field, Work::Raster { date, size, max_cloud_percent }, today).await
}

async fn queue(ndvi: &Ndvi, field: &Field, work: Work, today: Today) -> Result<Response, Failure> {
    let queued = ndvi.desk.queue(&field.id, field.revision, work, today.at).await;
    match queued.map_err(|error| store_failure(&error))? {
        Queued::New(job) => Ok(accepted(&job)),
        Queued::Already(job) => Ok(envelope::success(StatusCode::OK, "OK", &JobView::new(&job))),
        Queued::CoolingDown(job) => Err(cooling_down(ndvi, &job, today)),
        Queued::Full => Err(busy("Too many jobs are waiting.")),
    }
}

fn accepted(job: &Job) -> Response {
    envelope::success(StatusCode::ACCEPTED, "Accepted", &JobView::new(job))
}

fn cooling_down(ndvi: &Ndvi, job: &Job, today: Today) -> Failure {
    let wait_s = remaining_s(job.created_at, ndvi.desk.cooldown(), today.at);
    let text = format!(
        "Request was throttled. Expected available in {wait_s} seconds. The last one was job {}.",
        job.id.as_str()
    );
    Failure::new(StatusCode::TOO_MANY_REQUESTS, text)
        .with_header(RETRY_AFTER, HeaderValue::from(wait_s))
}

/// A body that need not be there.
fn optional_object(headers: &HeaderMap, bytes: &Bytes) -> Result<Map<String, Value>, body::Fault> {
    if bytes.is_empty() { Ok(Map::new()) } else { body::object(headers, bytes) }
}

fn refresh_of(
    object: &Map<String, Value>,
    rules: &Rules,
    today: Date,
) -> Result<Work, FieldErrors> {
    let mut faults = FieldErrors::new();
    let end = body::optional(object, "end", &mut faults, date);
    let start = body::optional(object, "start", &mut faults, date);
    let max_cloud_percent = body::optional(object, "max_cloud", &mut faults, percent);
    // What has not come yet cannot be looked at.
    let end = end.unwrap_or(today).min(today);
    let length = i32::try_from(days_default(rules)).unwrap_or_default();
    let start = start.unwrap_or_else(|| days_later(end, -length));
    if start > today {
        faults.push("start", "Must not be in the future.");
    } else if let Some(fault) = interval_fault(start, end, rules.range_days_max) {
        faults.push(FieldErrors::NON_FIELD, fault);
    }
    let work = Work::Refresh { start, end, max_cloud_percent };
    if faults.is_empty() { Ok(work) } else { Err(faults) }
}

struct Wanted {
    date: Option<Date>,
    size: u32,
    max_cloud_percent: Option<f64>,
}

fn picture_of(object: &Map<String, Value>, today: Date) -> Result<Wanted, FieldErrors> {
    let mut faults = FieldErrors::new();
    let date = body::optional(object, "date", &mut faults, date);
    let size = body::optional(object, "size", &mut faults, |value| {
        let (least, most) = (Size::MIN.pixels(), Size::MAX.pixels());
        body::number_within(value, least.into(), most.into())?;
        let size = value.as_u64().and_then(|size| u32::try_from(size).ok());
        size.ok_or_else(|| "A valid integer is required.".to_owned())
    });
    let max_cloud_percent = body::optional(object, "max_cloud", &mut faults, percent);
    if date.is_some_and(|date| date > today) {
        faults.push("date", "Must not be in the future.");
    }
    let size = size.unwrap_or_else(|| Size::default().pixels().into());
    if faults.is_empty() { Ok(Wanted { date, size, max_cloud_percent }) } else { Err(faults) }
}

fn date(value: &Value) -> Result<Date, String> {
    value.as_str().and_then(day).ok_or_else(|| DATE_FORMAT.to_owned())
}

fn percent(value: &Value) -> Result<f64, String> {
    body::number_within(value, 0.0, 100.0)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::needless_pass_by_value,
        reason = "a failed unwrap is a failed test"
    )]
    use serde_json::json;

    use super::super::tests::RULES;
    use super::*;

    fn read(body: Value) -> Result<Work, Value> {
        refresh_of(body.as_object().unwrap(), &RULES, jiff::civil::date(2021, 9, 30))
            .map_err(|faults| serde_json::to_value(faults).unwrap())
    }

    fn refresh(start: Date, end: Date) -> Work {
        Work::Refresh { start, end, max_cloud_percent: None }
    }

    #[test]
    fn nothing_asked_is_the_last_thirty_days() {
        use jiff::civil::date;
        assert_eq!(read(json!({})).unwrap(), refresh(date(2021, 8, 31), date(2021, 9, 30)));
        let early = read(json!({"start": "2021-09-01", "end": "2030-01-01"})).unwrap();
        assert_eq!(early, refresh(date(2021, 9, 1), date(2021, 9, 30)));
    }

    #[test]
    fn faults_are_named_together() {
        let faults = read(json!({"start": "x", "max_cloud": -1})).unwrap_err();
        assert_eq!(faults["start"][0], DATE_FORMAT);
        assert_eq!(faults["max_cloud"][0], "Ensure this value is greater than or equal to 0.0.");
        let faults = read(json!({"start": "2021-10-01"})).unwrap_err();
        assert_eq!(faults, json!({"start": ["Must not be in the future."]}));
        let faults = read(json!({"start": "2020-01-01"})).unwrap_err();
        assert_eq!(faults["non_field_errors"][0], "The interval is longer than 366 days.");
    }
}
