//! How green is a real field, by way of the gateway?

use std::path::Path;

use harness::Request;
use serde_json::{Value, json};

use super::Told;
use crate::error::{DemoError, SceneError};
use crate::measure::written;
use crate::stack::RECORDINGS;
use crate::stage::{Stage, json as body_of, text_at};

pub(super) const BEFORE: &str = "a synchronous view held a worker while it waited for the NDVI service: 93 ms where the service took 3 to 75.";

/// Outlines of fields, below the recordings.
const FIELDS: &str = "farms/ering_fields.geojson";

/// What rasterio computed for the same outlines and scenes.
const GOLDEN: &str = "services/ndvi/tests/data/ndvi_golden.json";

const FIELD: &str = "ering-07";

const SCENE: &str = "S2B_33UUP_20210617_0_L2A";

/// How far a mean may be from the golden one.
const TOLERANCE: f64 = 1e-6;

/// Statistics of one field over one Sentinel-2 scene, equal to the reference.
pub(super) async fn statistics(stage: &Stage) -> Result<Told, SceneError> {
    let fields = read(&Path::new(RECORDINGS).join(FIELDS))?;
    let golden = read(Path::new(GOLDEN))?;
    let geometry = geometry(&fields, FIELD)
        .ok_or_else(|| SceneError::Unexpected(format!("{FIELDS} has no field {FIELD}")))?;
    let wanted = golden.pointer(&format!("/scenes/{SCENE}/polygons/{FIELD}"));
    let wanted = wanted
        .and_then(|one| Some((one.get("mean")?.as_f64()?, one.get("valid_count")?.as_u64()?)));
    let wanted =
        wanted.ok_or_else(|| SceneError::Unexpected(format!("{GOLDEN} has no {FIELD}")))?;
    let question = json!({ "geometry": geometry, "start": "2021-06-01", "end": "2021-06-30" });
    let request = Request::to(stage.gateway(), "POST", "/api/v1/ndvi/statistics")
        .api_key(&stage.credentials.api_key)
        .json(&question);
    let reply = stage.send(request).await?;
    let body = body_of(&reply);
    let scene = body
        .pointer("/data/scenes")
        .and_then(Value::as_array)
        .and_then(|scenes| scenes.iter().find(|scene| text_at(scene, "/scene_id") == SCENE));
    let found =
        scene.and_then(|one| Some((one.get("mean")?.as_f64()?, one.get("valid_count")?.as_u64()?)));
    let (mean, pixels) = found.unwrap_or_default();
    let here = format!(
        "field {FIELD} on 17 June 2021, {pixels} pixels of Sentinel-2: mean NDVI {mean:.6}, equal to \
         the {:.6} that rasterio computes; {} by ranges of the scene's files over HTTP.",
        wanted.0,
        written(reply.elapsed)
    );
    Ok(Told::figure(format!("mean {mean:.3}"))
        .here(here)
        .check_statuses([&reply], 200)
        .check(found.is_some(), || format!("the answer was {}", reply.text()))
        .check((mean - wanted.0).abs() <= TOLERANCE && pixels == wanted.1, || {
            format!("expected a mean of {} over {} pixels", wanted.0, wanted.1)
        }))
}

fn geometry(fields: &Value, id: &str) -> Option<Value> {
    let features = fields.get("features")?.as_array()?;
    let field = features.iter().find(|field| text_at(field, "/properties/id") == id)?;
    field.get("geometry").cloned()
}

fn read(path: &Path) -> Result<Value, SceneError> {
    let file = |source| DemoError::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(file)?;
    serde_json::from_str(&text)
        .map_err(|error| SceneError::Unexpected(format!("{}: {error}", path.display())))
}
