//! What does a catalogue item in the form of Earth Search say about a scene?

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::offset::{Baseline, Collection, OffsetFacts};
use crate::domain::scene::Scene;

/// Scale of reflectance where an item declares none.
const SCALE_DEFAULT: f64 = 1e-4;

/// Largest offset in digital numbers that is believed.
const DECLARED_DN_MAX: f64 = 10_000.0;

/// An item that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ItemError {
    /// The item, as far as it says.
    pub(super) id: String,
    /// What is missing or wrong.
    pub(super) why: String,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    collection: String,
    bbox: Option<Vec<f64>>,
    properties: Properties,
    assets: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Properties {
    datetime: Timestamp,
    #[serde(rename = "eo:cloud_cover")]
    cloud_cover: Option<f64>,
    #[serde(rename = "grid:code")]
    grid_code: Option<String>,
    #[serde(rename = "s2:processing_baseline")]
    baseline: Option<String>,
    #[serde(rename = "s2:product_uri")]
    product: Option<String>,
    #[serde(rename = "earthsearch:boa_offset_applied")]
    offset_applied: Option<bool>,
}

#[derive(Deserialize)]
struct Asset {
    href: String,
    #[serde(rename = "raster:bands", default)]
    bands: Vec<RasterBand>,
}

#[derive(Deserialize)]
struct RasterBand {
    scale: Option<f64>,
    offset: Option<f64>,
}

/// Reads an item.
pub(super) fn scene(feature: &Value) -> Result<Scene, ItemError> {
    let id = feature.get("id").and_then(Value::as_str).unwrap_or("(without id)");
    read(feature).map_err(|why| ItemError { id: id.to_owned(), why })
}

fn read(feature: &Value) -> Result<Scene, String> {
    let item = Item::deserialize(feature).map_err(|error| error.to_string())?;
    let collection = match item.collection.as_str() {
        "sentinel-2-l2a" => Collection::EarthSearchL2a,
        "sentinel-2-c1-l2a" => Collection::EarthSearchC1L2a,
        other => return Err(format!("collection {other} is not known")),
    };
    let red = asset(&item.assets, "red")?.ok_or("it has no asset red")?;
    let nir = asset(&item.assets, "nir")?.ok_or("it has no asset nir")?;
    let scl = asset(&item.assets, "scl")?;
    let properties = item.properties;
    let acquired_at = properties.datetime;
    Ok(Scene {
        offset_facts: OffsetFacts {
            collection,
            baseline: baseline(&properties),
            already_applied: properties.offset_applied,
            declared_dn: declared_dn(&red),
            acquired_at,
        },
        id: item.id,
        acquired_at,
        cloud_cover_percent: properties.cloud_cover,
        bounds: item.bbox.as_deref().and_then(bounds),
        grid_square: properties.grid_code,
        red: red.href,
        nir: nir.href,
        scl: scl.map(|scl| scl.href),
    })
}

fn asset(assets: &BTreeMap<String, Value>, name: &str) -> Result<Option<Asset>, String> {
    let Some(value) = assets.get(name) else { return Ok(None) };
    let asset = Asset::deserialize(value).map_err(|error| format!("asset {name}: {error}"))?;
    if asset.href.starts_with("https://") || asset.href.starts_with("http://") {
        Ok(Some(asset))
    } else {
        Err(format!("asset {name} has no http address"))
    }
}

fn baseline(properties: &Properties) -> Option<Baseline> {
    let declared = properties.baseline.as_deref().and_then(|text| text.parse().ok());
    declared.or_else(|| properties.product.as_deref().and_then(Baseline::of_product))
}

/// The declared offset in digital numbers: the declaration itself is in reflectance.
#[expect(clippy::cast_possible_truncation, reason = "the value was checked to be small")]
fn declared_dn(asset: &Asset) -> Option<i32> {
    let band = asset.bands.first()?;
    let dn = (band.offset? / band.scale.unwrap_or(SCALE_DEFAULT)).round();
    (dn.abs() <= DECLARED_DN_MAX).then_some(dn as i32)
}

/// West, south, east, north of a box with or without heights.
fn bounds(bbox: &[f64]) -> Option<[f64; 4]> {
    match *bbox {
        [west, south, east, north] | [west, south, _, east, north, _] => {
            Some([west, south, east, north])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use super::*;

    const RECORDED: &str = include_str!("../../../tests/data/earthsearch_v1_search_recorded.json");

    fn recorded(number: usize) -> Value {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        recorded["body"]["features"][number].clone()
    }

    #[test]
    fn recorded_item_is_understood() {
        let scene = scene(&recorded(0)).unwrap();
        assert_eq!(scene.id, "S2A_13TDE_20231008_0_L2A");
        assert_eq!(scene.grid_square.as_deref(), Some("MGRS-13TDE"));
        assert!(scene.red.ends_with("/B04.tif") && scene.nir.ends_with("/B08.tif"));
        assert!(scene.scl.unwrap().ends_with("/SCL.tif"));
        let facts = scene.offset_facts;
        assert_eq!(facts.baseline, "05.09".parse().ok());
        assert_eq!((facts.already_applied, facts.declared_dn), (Some(true), Some(-1_000)));
    }

    #[test]
    fn n8_cloud_cover_stays_in_percent() {
        let mut item = recorded(0);
        item["properties"]["eo:cloud_cover"] = 0.8.into();
        assert_eq!(scene(&item).unwrap().cloud_cover_percent, Some(0.8));
    }

    #[test]
    fn landsat_item_is_not_usable() {
        let error = scene(&recorded(1)).unwrap_err();
        assert_eq!(error.why, "collection landsat-c2-l2 is not known");
    }

    #[test]
    fn object_store_address_is_not_usable() {
        let mut item = recorded(0);
        item["assets"]["nir"]["href"] = "s3://eodata/x.jp2".into();
        assert_eq!(scene(&item).unwrap_err().why, "asset nir has no http address");
    }
}
