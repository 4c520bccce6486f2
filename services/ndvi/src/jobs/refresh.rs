//! How are the scenes of an interval looked at?
//!
//! The interval is surveyed month by month, and each month is stored before the next one begins:
//! an attempt that is cut short leaves what it has seen, and the next one goes on from there.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Now;
use jiff::Timestamp;
use jiff::civil::Date;

use super::Setback;
use crate::domain::coverage::days_later;
use crate::domain::field::Field;
use crate::domain::job::Job;
use crate::domain::outline::Outline;
use crate::domain::seen::{Seen, Survey};
use crate::scenes::compute::Compute;
use crate::scenes::stac::{Search, SearchError};
use crate::scenes::survey::{self, SurveyError, Surveyor};
use crate::store::{Series, Store};
use crate::time::instant;

/// Days that are surveyed and stored together.
const WINDOW_DAYS: i32 = 31;

/// Surveys looked through for one that covers a window already.
const SURVEYS_MAX: u32 = 100;

/// What a refresh needs.
#[derive(Clone, Debug)]
pub struct Refresher {
    /// Where fields and observations are.
    pub store: Arc<dyn Store>,
    /// Who surveys.
    pub surveyor: Arc<Surveyor>,
    /// Where outlines are checked.
    pub compute: Compute,
    /// Which rules compute.
    pub engine_version: String,
    /// Longest time for one window.
    pub deadline: Duration,
}

/// The days of a refresh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) start: Date,
    pub(super) end: Date,
    pub(super) max_cloud_percent: Option<f64>,
}

impl Refresher {
    /// Looks at every scene of the interval and stores what it shows.
    pub(super) async fn refresh(&self, job: &Job, interval: Interval) -> Result<(), Setback> {
        let outline = self.outline(job).await?;
        let series = Series {
            field: job.field.clone(),
            revision: job.revision,
            engine_version: self.engine_version.clone(),
        };
        let mut unread = 0;
        for window in windows(interval) {
            if self.is_done(&series, window, job.created_at).await? {
                continue;
            }
            unread += self.window(&series, &outline, window).await?;
        }
        if unread == 0 {
            return Ok(());
        }
        Err(Setback::Again(format!("{unread} of the scenes could not be read.")))
    }

    /// The outline that the job is about.
    async fn outline(&self, job: &Job) -> Result<Outline, Setback> {
        let found = self.store.field(&job.field).await.map_err(|error| Setback::store(&error))?;
        let field = found.filter(|field| field.revision == job.revision);
        let field = field.ok_or_else(Setback::other_outline)?;
        self.outline_of(field).await
    }

    async fn outline_of(&self, field: Field) -> Result<Outline, Setback> {
        // Its size was checked when it came, by the bound of that time.
        let outline = self.compute.run(move || Outline::new(field.geometry, f64::INFINITY)).await;
        outline
            .map_err(|_panicked| Setback::compute())?
            .map_err(|why| Setback::Never(format!("The field's outline cannot be used. {why}")))
    }

    /// Whether an earlier attempt at this job has surveyed the window.
    async fn is_done(
        &self,
        series: &Series,
        window: Interval,
        since: Timestamp,
    ) -> Result<bool, Setback> {
        let surveys = self.store.surveys(series, window.start, window.end, SURVEYS_MAX).await;
        let surveys = surveys.map_err(|error| Setback::store(&error))?;
        Ok(surveys.iter().any(|survey| {
            let whole = survey.start <= window.start && survey.end >= window.end;
            let same = survey.max_cloud_percent == window.max_cloud_percent;
            whole && same && survey.at >= since && survey.unread_count == 0
        }))
    }

    /// Surveys and stores one window. Returns how many scenes another attempt might read.
    async fn window(
        &self,
        series: &Series,
        outline: &Outline,
        window: Interval,
    ) -> Result<usize, Setback> {
        let now = Now::read();
        let Interval { start, end, max_cloud_percent } = window;
        let search = Search { outline: outline.clone(), start, end, max_cloud_percent };
        let found = self.surveyor.survey_within(&search, now, self.deadline).await;
        let found = found.map_err(|error| setback(&error))?;
        let failures = found.scenes.iter().filter_map(|scene| scene.outcome.as_ref().err());
        let passing = failures.clone().filter(|error| error.is_passing()).count();
        let unread = failures.count() + found.unusable_scenes;
        let survey = Survey {
            start,
            end,
            max_cloud_percent,
            at: instant(now),
            unread_count: u32::try_from(unread).unwrap_or(u32::MAX),
        };
        let seen: Vec<Seen> = found.scenes.into_iter().filter_map(seen).collect();
        let stored = self.store.put_seen(series, &survey, &seen).await;
        stored.map_err(|error| Setback::store(&error))?;
        Ok(passing)
    }
}

fn seen(surveyed: survey::Surveyed) -> Option<Seen> {
    let survey::Surveyed { scene, outcome } = surveyed;
    Some(Seen {
        observation: outcome.ok()?,
        scene_id: scene.id,
        acquired_at: scene.acquired_at,
        scene_cloud_cover_percent: scene.cloud_cover_percent,
    })
}

/// The interval in parts, oldest first.
fn windows(interval: Interval) -> impl Iterator<Item = Interval> {
    let first = Some(interval.start).filter(|start| *start <= interval.end);
    let next = move |start: &Date| {
        let next = days_later(*start, WINDOW_DAYS);
        (next > *start && next <= interval.end).then_some(next)
    };
    std::iter::successors(first, next).map(move |start| {
        let end = days_later(start, WINDOW_DAYS - 1).min(interval.end);
        Interval { start, end, ..interval }
    })
}

/// What a survey that failed means for the job.
fn setback(error: &SurveyError) -> Setback {
    tracing::warn!(%error, "a survey in the background failed");
    let never = |text: &str| Setback::Never(text.to_owned());
    match error {
        SurveyError::Search(SearchError::TooManyScenes { .. } | SearchError::TooManyPages) => {
            never("The catalogue lists more scenes of this field than are read.")
        }
        SurveyError::Search(SearchError::Status { status, .. }) if is_refusal(status.as_u16()) => {
            never("The catalogue refused the search.")
        }
        SurveyError::Search(_) | SurveyError::Deadline(_) => {
            Setback::Again("The catalogue of scenes does not answer properly.".to_owned())
        }
    }
}

/// Statuses that the same search would meet again.
fn is_refusal(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 413 | 414 | 415 | 422 | 501)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn days(start: Date, end: Date) -> Vec<(Date, Date)> {
        let interval = Interval { start, end, max_cloud_percent: Some(40.0) };
        windows(interval).map(|window| (window.start, window.end)).collect()
    }

    #[test]
    fn windows_cover_the_interval_without_overlap() {
        let start = date(2021, 6, 1);
        assert_eq!(days(start, start), [(start, start)]);
        assert_eq!(days(start, date(2021, 7, 1)), [(start, date(2021, 7, 1))]);
        let three = [
            (start, date(2021, 7, 1)),
            (date(2021, 7, 2), date(2021, 8, 1)),
            (date(2021, 8, 2), date(2021, 8, 2)),
        ];
        assert_eq!(days(start, date(2021, 8, 2)), three);
    }

    #[test]
    fn reversed_interval_has_no_windows() {
        assert_eq!(days(date(2021, 6, 2), date(2021, 6, 1)), []);
    }
}
