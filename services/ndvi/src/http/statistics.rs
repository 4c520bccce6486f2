//! What does the answer to a request for statistics look like?

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chassis::clock::Now;
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::openapi::Envelope;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::{Ndvi, body, busy, document, statistics_request, timeout, upstream_error};
use crate::domain::observation::Observation;
use crate::scenes::stac::{Search, SearchError};
use crate::scenes::survey::{SceneError, Survey, SurveyError, Surveyed};

/// Computes the statistics of a polygon in every scene of an interval.
#[utoipa::path(
    post, path = "/api/v1/ndvi/statistics",
    request_body = inline(document::StatisticsBody),
    responses(
        (status = 200, description = "Statistics of each scene.", body = inline(Envelope<document::StatisticsAnswer>))
    )
)]
pub(super) async fn statistics(
    State(ndvi): State<Ndvi>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let now = Now::read();
    let Some(_place) = ndvi.room.try_enter() else {
        return Err(busy("Too many polygons are being computed."));
    };
    let rules = ndvi.rules;
    let search = ndvi.compute.run(move || {
        let object = body::object(&headers, &bytes)?;
        Ok::<_, body::Fault>(statistics_request::read(&object, &rules)?)
    });
    let search = search.await.map_err(|error| {
        tracing::error!(%error, "a request could not be checked");
        Failure::internal()
    })??;
    let survey = ndvi.surveyor.survey(&search, now).await.map_err(|error| refused(&error))?;
    Ok(answer(&search, &survey))
}

#[derive(Serialize)]
struct Statistics<'a> {
    status: &'static str,
    engine_version: &'static str,
    area_ha: f64,
    start: Date,
    end: Date,
    max_cloud: Option<f64>,
    scenes: Vec<SceneView<'a>>,
    unusable_scene_count: usize,
}

#[derive(Serialize)]
struct SceneView<'a> {
    scene_id: &'a str,
    acquired_at: Timestamp,
    scene_cloud_cover_percent: Option<f64>,
    status: &'static str,
    #[serde(flatten)]
    observation: Option<&'a Observation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> SceneView<'a> {
    fn new(surveyed: &'a Surveyed) -> Self {
        let outcome = surveyed.outcome.as_ref();
        Self {
            scene_id: &surveyed.scene.id,
            acquired_at: surveyed.scene.acquired_at,
            scene_cloud_cover_percent: surveyed.scene.cloud_cover_percent,
            status: if outcome.is_ok() { "ok" } else { "failed" },
            observation: outcome.ok(),
            error: outcome.err().map(SceneError::code),
        }
    }
}

/// Why a survey without any numbers has none.
pub(super) enum NoNumbers {
    /// A scene took too long.
    Late,
    /// No scene could be read.
    Unread,
}

impl NoNumbers {
    /// Of a survey whose scenes all failed.
    pub(super) fn of<T>(survey: &Survey<T>) -> Self {
        let mut failures = survey.scenes.iter().filter_map(|scene| scene.outcome.as_ref().err());
        let late = failures.any(|error| matches!(error, SceneError::Deadline(_)));
        if late { Self::Late } else { Self::Unread }
    }

    /// As it is told to clients.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Late => timeout(),
            Self::Unread => upstream_error(),
        }
    }
}

/// Gaps stay visible: a scene that failed is listed with a reason, and the whole is "partial".
/// Nothing but failures is a failure.
fn answer(search: &Search, survey: &Survey) -> Response {
    let failed = survey.scenes.iter().filter(|scene| scene.outcome.is_err()).count();
    if failed > 0 && failed == survey.scenes.len() {
        return NoNumbers::of(survey).failure().into_response();
    }
    let partial = failed > 0 || survey.unusable_scenes > 0;
    envelope::ok(&Statistics {
        status: if partial { "partial" } else { "ok" },
        engine_version: env!("CARGO_PKG_VERSION"),
        area_ha: search.outline.area_ha(),
        start: search.start,
        end: search.end,
        max_cloud: search.max_cloud_percent,
        scenes: survey.scenes.iter().map(SceneView::new).collect(),
        unusable_scene_count: survey.unusable_scenes,
    })
}

pub(super) fn refused(error: &SurveyError) -> Failure {
    tracing::warn!(%error, "a survey failed");
    match error {
        SurveyError::Search(SearchError::TooManyScenes { .. } | SearchError::TooManyPages) => {
            let text = "The interval holds too many scenes: ask for a shorter one.";
            Failure::fields(FieldErrors::one(FieldErrors::NON_FIELD, text))
        }
        SurveyError::Search(_) => upstream_error(),
        SurveyError::Deadline(_) => timeout(),
    }
}
