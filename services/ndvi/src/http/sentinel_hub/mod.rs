//! How are statistics told in the words of the Sentinel Hub Statistical API?
//!
//! One scene stands for each interval, chosen by `mosaickingOrder` among those that show a valid
//! pixel of the field. Pixels are counted inside the polygon, where Sentinel Hub counts those of
//! its box; `sampleCount - noDataCount` is the number of valid pixels in both.

mod request;

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::clock::Now;
use chassis::envelope::Failure;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use self::request::{Asked, Interval, Order};
use super::statistics::refused;
use super::{Ndvi, body, busy};
use crate::domain::observation::{CloseObservation, Numbers};
use crate::domain::scene::Scene;
use crate::scenes::survey::{SceneError, Survey};

/// Statistics of a polygon by interval.
#[utoipa::path(
    post, path = "/api/v1/statistics",
    request_body = inline(serde_json::Value),
    responses(
        (status = 200, description = "As the Sentinel Hub Statistical API answers.", body = serde_json::Value)
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
    let asked = ndvi.compute.run(move || {
        let object = body::object(&headers, &bytes)?;
        Ok::<_, body::Fault>(request::read(&object, rules.area_ha_max, rules.range_days_max)?)
    });
    let asked = asked.await.map_err(|error| {
        tracing::error!(%error, "a request could not be checked");
        Failure::internal()
    })??;
    let survey = ndvi.surveyor.survey_closely(&asked.search, now).await;
    let survey = survey.map_err(|error| refused(&error))?;
    Ok(answer(&asked, &survey))
}

#[derive(Serialize)]
struct Answer {
    data: Vec<IntervalView>,
    status: &'static str,
    #[serde(rename = "geometryPixelCount")]
    geometry_pixel_count: u64,
}

#[derive(Serialize)]
struct IntervalView {
    interval: Interval,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Value>,
    /// Which scene the numbers are of: an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

#[derive(Serialize)]
struct Source {
    scene_id: String,
    acquired_at: Timestamp,
}

fn answer(asked: &Asked, survey: &Survey<CloseObservation>) -> Response {
    let views: Vec<IntervalView> =
        asked.intervals.iter().filter_map(|interval| view(asked, interval, survey)).collect();
    let failed = views.iter().filter(|view| view.error.is_some()).count();
    let errors = survey.scenes.iter().filter_map(|scene| scene.outcome.as_ref().err());
    let late = errors.clone().any(|error| matches!(error, SceneError::Deadline(_)));
    let (code, status) = if failed > 0 && failed == views.len() {
        // The state in the body is the dialect's, the code what a gateway goes by.
        let code = if late { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        (code, "FAILED")
    } else if errors.count() > 0 || survey.unusable_scenes > 0 {
        (StatusCode::OK, "PARTIAL")
    } else {
        (StatusCode::OK, "OK")
    };
    let observed = survey.scenes.iter().filter_map(|scene| scene.outcome.as_ref().ok());
    let pixels = observed.map(|close| close.observation.pixel_count).max();
    let answer = Answer { data: views, status, geometry_pixel_count: pixels.unwrap_or_default() };
    (code, Json(answer)).into_response()
}

/// An interval as it is told; `None` when no scene lies in it.
fn view(
    asked: &Asked,
    interval: &Interval,
    survey: &Survey<CloseObservation>,
) -> Option<IntervalView> {
    let within = survey.scenes.iter().filter(|scene| interval.holds(scene.scene.acquired_at));
    let mut seen: Vec<(&Scene, &CloseObservation)> = within
        .clone()
        .filter_map(|scene| Some((&scene.scene, scene.outcome.as_ref().ok()?)))
        .collect();
    seen.sort_by(|(one, _), (other, _)| match asked.order {
        Order::MostRecent => other.acquired_at.cmp(&one.acquired_at),
        Order::LeastRecent => one.acquired_at.cmp(&other.acquired_at),
        Order::LeastCloud => {
            let cover = |scene: &Scene| scene.cloud_cover_percent.unwrap_or(100.0);
            cover(one).total_cmp(&cover(other))
        }
    });
    let valid = |(_, close): &&(&Scene, &CloseObservation)| close.observation.valid_count > 0;
    let empty = IntervalView { interval: *interval, outputs: None, source: None, error: None };
    if let Some((scene, close)) = seen.iter().find(valid).or_else(|| seen.first()) {
        let stats = stats(close, &asked.percentiles);
        let source = Source { scene_id: scene.id.clone(), acquired_at: scene.acquired_at };
        let outputs = json!({"ndvi": {"bands": {"B0": {"stats": stats}}}});
        return Some(IntervalView { outputs: Some(outputs), source: Some(source), ..empty });
    }
    let error = within.filter_map(|scene| scene.outcome.as_ref().err()).next()?;
    let kind = if matches!(error, SceneError::Deadline(_)) { "TIMEOUT" } else { "EXECUTION_ERROR" };
    let message = format!("The scene could not be read: {}.", error.code());
    Some(IntervalView { error: Some(json!({"type": kind, "message": message})), ..empty })
}

fn stats(close: &CloseObservation, percentiles: &[u8]) -> Value {
    let seen = &close.observation;
    // The dialect writes numbers that do not exist as text.
    let number = |value: Option<f64>| value.map_or_else(|| Value::from("NaN"), Value::from);
    let summary = match &seen.ndvi {
        Numbers::Some(summary) => Some(summary),
        Numbers::None(_) => None,
    };
    let mut stats = json!({
        "min": number(summary.map(|summary| summary.min)),
        "max": number(summary.map(|summary| summary.max)),
        "mean": number(summary.map(|summary| summary.mean)),
        "stDev": number(summary.map(|summary| summary.std)),
        "sampleCount": seen.pixel_count,
        "noDataCount": seen.pixel_count - seen.valid_count,
    });
    if !percentiles.is_empty() {
        let value = |percent: u8| number(close.percents.as_ref().and_then(|all| all.at(percent)));
        let named: BTreeMap<String, Value> =
            percentiles.iter().map(|percent| (format!("{percent}.0"), value(*percent))).collect();
        if let Some(members) = stats.as_object_mut() {
            members.insert("percentiles".to_owned(), json!(named));
        }
    }
    stats
}
