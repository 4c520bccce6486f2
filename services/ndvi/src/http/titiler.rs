//! How are statistics of one scene told in titiler's words?
//!
//! Asked like its `/stac/statistics`: a GeoJSON feature comes, and goes back with
//! `properties.statistics`. The scene is named by its day. Pixels are counted inside the polygon,
//! where titiler counts those of its box.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::clock::Now;
use chassis::envelope::{Failure, FieldErrors};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::query::day;
use super::statistics::{NoNumbers, refused};
use super::{Ndvi, body, busy, document};
use crate::domain::observation::{CloseObservation, Numbers};
use crate::domain::outline::Outline;
use crate::domain::scene::Scene;
use crate::scenes::stac::Search;

type Pairs = Query<Vec<(String, String)>>;

/// Statistics of a feature in the scene of a day.
#[utoipa::path(
    post, path = "/api/v1/stac/statistics",
    params(document::DayParams),
    request_body = inline(serde_json::Value),
    responses(
        (status = 200, description = "The feature with `properties.statistics`.", body = serde_json::Value)
    )
)]
pub(super) async fn statistics(
    State(ndvi): State<Ndvi>,
    Query(pairs): Pairs,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let now = Now::read();
    let Some(_place) = ndvi.room.try_enter() else {
        return Err(busy("Too many polygons are being computed."));
    };
    let area_ha_max = ndvi.rules.area_ha_max;
    let asked = ndvi.compute.run(move || {
        let day = asked_day(&pairs)?;
        let object = body::object(&headers, &bytes)?;
        let outline = outline(&object, area_ha_max)?;
        Ok::<_, body::Fault>((object, day, outline))
    });
    let (feature, day, outline) = asked.await.map_err(|error| {
        tracing::error!(%error, "a request could not be checked");
        Failure::internal()
    })??;
    let search = Search { outline, start: day, end: day, max_cloud_percent: None };
    let survey = ndvi.surveyor.survey_closely(&search, now).await;
    let survey = survey.map_err(|error| refused(&error))?;
    let seen =
        survey.scenes.iter().filter_map(|scene| Some((&scene.scene, scene.outcome.as_ref().ok()?)));
    // Two scenes of a day lie side by side: the one that sees more of the field tells more.
    match seen.max_by_key(|(_, close)| close.observation.valid_count) {
        Some((scene, close)) => Ok(answer(feature, scene, close)),
        None if survey.scenes.is_empty() => {
            let text = format!("No scene of {day} covers this feature.");
            Err(Failure::new(StatusCode::NOT_FOUND, text))
        }
        None => Err(NoNumbers::of(&survey).failure()),
    }
}

fn asked_day(pairs: &[(String, String)]) -> Result<Date, FieldErrors> {
    let mut faults = FieldErrors::new();
    for (name, _) in pairs.iter().filter(|(name, _)| name != "datetime") {
        let shown = name.get(..name.floor_char_boundary(64)).unwrap_or_default();
        let text = format!("{shown} is not supported here: leave it out.");
        faults.push(FieldErrors::NON_FIELD, text);
    }
    let asked = pairs.iter().find(|(name, _)| name == "datetime");
    let day = asked.and_then(|(_, text)| day(text));
    if day.is_none() {
        faults.push("datetime", "The day of the scene is needed, as in 2021-06-17.");
    }
    day.filter(|_| faults.is_empty()).ok_or(faults)
}

fn outline(feature: &Map<String, Value>, area_ha_max: f64) -> Result<Outline, FieldErrors> {
    let wrong = |text: String| FieldErrors::one("geometry", text);
    if feature.get("type").and_then(Value::as_str) != Some("Feature") {
        return Err(FieldErrors::one("type", "A GeoJSON Feature is needed."));
    }
    let geometry = feature.get("geometry").cloned().unwrap_or_default();
    let geometry = serde_json::from_value(geometry)
        .map_err(|error| wrong(format!("Not a GeoJSON geometry: {error}.")))?;
    Outline::new(geometry, area_ha_max).map_err(|error| wrong(error.to_string()))
}

fn answer(mut feature: Map<String, Value>, scene: &Scene, close: &CloseObservation) -> Response {
    let mut properties = match feature.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    properties.insert("statistics".to_owned(), json!({"ndvi": words(close)}));
    properties.insert("scene_id".to_owned(), json!(scene.id));
    properties.insert("acquired_at".to_owned(), json!(scene.acquired_at));
    feature.insert("properties".to_owned(), Value::Object(properties));
    Json(feature).into_response()
}

#[expect(clippy::cast_precision_loss, reason = "counts of pixels are far below 2^52")]
fn words(close: &CloseObservation) -> Value {
    let seen = &close.observation;
    let summary = match &seen.ndvi {
        Numbers::Some(summary) => Some(summary),
        Numbers::None(_) => None,
    };
    let percentile = |percent| close.percents.as_ref().and_then(|all| all.at(percent));
    let percent = seen.valid_pixel_fraction.map(|share| (share * 10_000.0).round() / 100.0);
    json!({
        "min": summary.map(|summary| summary.min),
        "max": summary.map(|summary| summary.max),
        "mean": summary.map(|summary| summary.mean),
        "count": seen.valid_count,
        "sum": summary.map(|summary| summary.mean * seen.valid_count as f64),
        "std": summary.map(|summary| summary.std),
        "median": summary.map(|summary| summary.median),
        "valid_percent": percent,
        "masked_pixels": seen.pixel_count - seen.valid_count,
        "valid_pixels": seen.valid_count,
        "percentile_2": percentile(2),
        "percentile_98": percentile(98),
    })
}
