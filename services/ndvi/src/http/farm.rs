//! Which field does a path name, and what does the database know of it?

use axum::http::StatusCode;
use chassis::clock::Now;
use chassis::envelope::Failure;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::time::timeout;

use super::{Ndvi, store_failure};
use crate::domain::coverage::{Coverage, days_later, utc_day};
use crate::domain::field::{Field, FieldId};
use crate::domain::job::{JobId, Work};
use crate::domain::seen::Seen;
use crate::store::{Queued, Series};
use crate::time::instant;

/// Observations read for one answer: a scene a day of two tiles for more than a year.
const SEEN_MAX: u32 = 2_000;

/// Surveys read for one answer, newest first.
const SURVEYS_MAX: u32 = 1_000;

/// Longest time that an answer waits for a refresh to be queued; the next one may do it.
const QUEUE_WAIT_MAX: std::time::Duration = std::time::Duration::from_millis(500);

/// The field of a path.
pub(super) async fn field(ndvi: &Ndvi, name: &str) -> Result<Field, Failure> {
    let Some(id) = FieldId::parse(name) else { return Err(unknown()) };
    let found = ndvi.store.field(&id).await.map_err(|error| store_failure(&error))?;
    found.ok_or_else(unknown)
}

/// The answer about a field that was never heard of.
fn unknown() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "No Farm matches the given query.")
}

/// The clock as the answers about days need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Today {
    pub(super) at: Timestamp,
    pub(super) day: Date,
}

impl Today {
    pub(super) fn read() -> Self {
        let at = instant(Now::read());
        Self { at, day: utc_day(at) }
    }
}

/// What the database knows of some days of a field.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) seen: Vec<Seen>,
    pub(super) coverage: Coverage,
}

pub(super) async fn known(
    ndvi: &Ndvi,
    field: &Field,
    (start, end): (Date, Date),
    max_cloud_percent: Option<f64>,
) -> Result<Known, Failure> {
    let series = Series {
        field: field.id.clone(),
        revision: field.revision,
        engine_version: ndvi.engine_version.to_string(),
    };
    let seen = ndvi.store.seen(&series, start, end, SEEN_MAX).await;
    let seen = seen.map_err(|error| store_failure(&error))?;
    let surveys = ndvi.store.surveys(&series, start, end, SURVEYS_MAX).await;
    let surveys = surveys.map_err(|error| store_failure(&error))?;
    Ok(Known { seen, coverage: Coverage::of(&surveys, start, end, max_cloud_percent) })
}

/// Has the days that should be looked at looked at in the background. Returns whether there are
/// any, and the job that does it. The answer at hand stands in any case: a queue that is full, a
/// field that cools down or a database that is busy leave it to a later request.
pub(super) async fn look_again(
    ndvi: &Ndvi,
    field: &Field,
    coverage: &Coverage,
    today: Today,
) -> (bool, Option<JobId>) {
    let Some((first, end)) = coverage.to_look_at(today.at, ndvi.rules.look_ages) else {
        return (false, None);
    };
    let days_max = i32::try_from(ndvi.rules.range_days_max).unwrap_or(i32::MAX);
    let start = first.max(days_later(end, -days_max));
    // All scenes, whatever bound this reader has: the next one may have another.
    let work = Work::Refresh { start, end, max_cloud_percent: None };
    let queued = ndvi.desk.queue(&field.id, field.revision, work, today.at);
    let job = match timeout(QUEUE_WAIT_MAX, queued).await {
        Ok(Ok(Queued::New(job) | Queued::Already(job))) => Some(job.id),
        Ok(Ok(Queued::CoolingDown(_) | Queued::Full)) | Err(_) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a refresh could not be queued");
            None
        }
    };
    (true, job)
}
