//! What outline does a field have, and what if it gets another?

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chassis::clock::Now;
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::openapi::Envelope;
use geojson::Geometry;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Ndvi, body, document, farm, store_failure};
use crate::domain::field::{Field, FieldDraft, FieldId, Revision};
use crate::domain::outline::Outline;
use crate::store::Put;
use crate::time::instant;

/// A field as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FieldView {
    #[schema(value_type = String)]
    farm_id: FieldId,
    #[schema(inline, value_type = document::Outline)]
    geometry: Geometry,
    area_ha: f64,
    revision: Revision,
    updated_at: Timestamp,
}

impl From<Field> for FieldView {
    fn from(field: Field) -> Self {
        let Field { id, geometry, area_ha, revision, updated_at } = field;
        Self { farm_id: id, geometry, area_ha, revision, updated_at }
    }
}

/// Gives a field its outline. The same outline again changes nothing; another one begins a series
/// of its own, since what was computed for the old one says nothing of it.
#[utoipa::path(
    put, path = "/api/v1/farms/{id}/geometry",
    params(document::FarmParams),
    request_body = inline(document::Outline),
    responses(
        (status = 201, description = "The field is new.", body = inline(Envelope<FieldView>)),
        (status = 200, description = "The field was there.", body = inline(Envelope<FieldView>))
    )
)]
pub(super) async fn put(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let at = instant(Now::read());
    let id = FieldId::parse(&name).ok_or_else(|| Failure::fields(wrong_name()))?;
    let area_ha_max = ndvi.rules.area_ha_max;
    let outline = ndvi.compute.run(move || {
        let object = body::object(&headers, &bytes)?;
        outline(object, area_ha_max)
            .map_err(|text| body::Fault::Fields(FieldErrors::one("geometry", text)))
    });
    let outline = outline.await.map_err(|error| {
        tracing::error!(%error, "an outline could not be checked");
        Failure::internal()
    })??;
    let stored = ndvi.store.put_field(&FieldDraft { id, outline, at }).await;
    let (field, put) = stored.map_err(|error| store_failure(&error))?;
    let (status, message) = match put {
        Put::Created => (StatusCode::CREATED, "Created"),
        Put::Replaced => (StatusCode::OK, "Replaced"),
        Put::Unchanged => (StatusCode::OK, "Unchanged"),
    };
    Ok(envelope::success(status, message, &FieldView::from(field)))
}

/// The outline of a field.
#[utoipa::path(
    get, path = "/api/v1/farms/{id}/geometry",
    params(document::FarmParams),
    responses(
        (status = 200, description = "The field.", body = inline(Envelope<FieldView>))
    )
)]
pub(super) async fn get(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    Ok(envelope::ok(&FieldView::from(farm::field(&ndvi, &name).await?)))
}

fn wrong_name() -> FieldErrors {
    let text = "Use 1 to 64 letters, digits, dots, dashes and underscores, beginning with a \
                letter or a digit.";
    FieldErrors::one("farm_id", text)
}

/// Reads a geometry, or the one of a feature.
fn outline(mut object: Map<String, Value>, area_ha_max: f64) -> Result<Outline, String> {
    let value = if object.get("type").and_then(Value::as_str) == Some("Feature") {
        object.remove("geometry").unwrap_or_default()
    } else {
        Value::Object(object)
    };
    let geometry: Geometry = serde_json::from_value(value)
        .map_err(|error| format!("Not a GeoJSON geometry: {error}."))?;
    Outline::new(geometry, area_ha_max).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Outline, String> {
        outline(value.as_object().unwrap().clone(), 2_500.0)
    }

    #[test]
    fn geometry_is_read_alone_and_in_a_feature() {
        let geometry = json!({"type": "Polygon", "coordinates": [
            [[13.1, 48.2], [13.11, 48.2], [13.11, 48.21], [13.1, 48.2]]
        ]});
        let feature = json!({"type": "Feature", "properties": null, "geometry": geometry});
        assert_eq!(read(&geometry).unwrap(), read(&feature).unwrap());
    }

    #[test]
    fn other_objects_are_refused_with_a_reason() {
        for (object, why) in [
            (json!({}), "Not a GeoJSON geometry"),
            (json!({"type": "Feature"}), "Not a GeoJSON geometry"),
            (json!({"type": "FeatureCollection", "features": []}), "Not a GeoJSON geometry"),
            (json!({"type": "Point", "coordinates": [13.1, 48.2]}), "got Point"),
        ] {
            let text = read(&object).unwrap_err();
            assert!(text.contains(why), "{object}: {text}");
        }
    }
}
