//! Are the statistics equal to what GDAL, rasterstats and exactextract computed?
//!
//! Every value goes the whole way: real scenes over HTTP ranges, through the real binary. Of the
//! September scene the golden file has means only.

use geo::Coord;
use harness::Directory;
use ndvi::domain::outline::Outline;
use ndvi::domain::utm::Utm;
use serde_json::{Map, Value};

use crate::bench::{DESERT, JUNE, Ndvi, field, golden, near, number, program, recorded};

const NUMBERS: [&str; 9] = ["mean", "min", "max", "std", "median", "p10", "p25", "p75", "p90"];

/// These need their own expectations: no scene shows the first, no pixel centre lies in the other.
const OUTSIDE: &str = "outside-01";
const TINY: &str = "tiny-01";

fn polygons(scene: &str) -> Map<String, Value> {
    golden()["scenes"][scene]["polygons"].as_object().unwrap().clone()
}

#[track_caller]
fn check(name: &str, seen: &Value, expected: &Value) {
    assert_eq!(seen["pixel_count"], expected["pixel_count"], "{name}");
    assert_eq!(seen["valid_count"], expected["valid_count"], "{name}");
    assert_eq!(seen["pixel_rule"], "centre", "{name}");
    for number in NUMBERS {
        match expected.get(number) {
            Some(expected) => near(&seen[number], expected, &format!("{name} {number}")),
            None => assert_eq!(seen.get(number), Some(&Value::Null), "{name} {number}"),
        }
    }
}

#[tokio::test]
async fn june_fields_equal_the_golden_values() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let mut checked = 0;
    for (name, expected) in polygons(JUNE) {
        if name != OUTSIDE && name != TINY {
            let seen = ndvi.scene_of(&field(&name), "2021-06-17").await;
            check(&name, &seen, &expected);
            assert_eq!((&seen["scene_id"], &seen["offset_dn"]), (&JUNE.into(), &0.into()));
            checked += 1;
        }
    }
    assert_eq!(checked, 17);
}

#[tokio::test]
async fn september_means_equal_the_golden_values() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let golden = golden();
    let expected = golden["offset_errors"]["polygons"]["2021-09-25"].as_object().unwrap();
    assert_eq!(expected.len(), 17);
    for (name, expected) in expected {
        let seen = ndvi.scene_of(&field(name), "2021-09-25").await;
        near(&seen["mean"], &expected["true"], name);
        assert_eq!(seen["pixel_count"], polygons(JUNE)[name]["pixel_count"], "{name}");
    }
}

#[tokio::test]
async fn n2_desert_under_its_own_cloud_mask_equals_the_golden_values() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let expected = polygons(DESERT);
    assert_eq!(expected.len(), 3);
    for (name, expected) in expected {
        let seen = ndvi.scene_of(&field(&name), "2020-02-19").await;
        check(&name, &seen, &expected);
        near(&seen["valid_pixel_fraction"], &expected["valid_fraction"], &name);
        let cloudy: f64 = ["8", "9", "10"]
            .iter()
            .filter_map(|class| expected["scl_histogram"][class].as_f64())
            .sum();
        near(&seen["cloud_fraction"], &(cloudy / number(&expected["pixel_count"])).into(), &name);
    }
}

#[tokio::test]
async fn desert_without_a_mask_equals_the_golden_values() {
    let (directory, replay) = (Directory::new(), recorded());
    // No pixel of the areas has class 0, so masking it alone masks nothing.
    let program = program(&directory, &replay.base_url()).env("NDVI_SCL_MASKED", "0");
    let ndvi = Ndvi::start(program).await;
    for (name, expected) in polygons(DESERT) {
        let seen = ndvi.scene_of(&field(&name), "2020-02-19").await;
        check(&name, &seen, &expected["unmasked"]);
    }
}

#[tokio::test]
async fn field_smaller_than_a_pixel_takes_the_touched_one_and_says_so() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let expected = &polygons(JUNE)[TINY];
    assert_eq!(expected["pixel_count"], 0);
    let seen = ndvi.scene_of(&field(TINY), "2021-06-17").await;
    assert_eq!(seen["pixel_count"], expected["all_touched"]["count"]);
    near(&seen["mean"], &expected["all_touched"]["mean"], TINY);
    assert_eq!(seen["pixel_rule"], "all_touched");
    assert!(seen["flags"].as_array().unwrap().contains(&"subpixel_field".into()), "{seen}");
}

#[tokio::test]
async fn field_beside_every_scene_has_no_scene() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let reply = ndvi.ask(&field(OUTSIDE), "2021-06-01", "2021-09-30").await.expect_status(200);
    assert_eq!(reply.json()["data"]["scenes"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn n5_polygon_is_not_its_box() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let whole = ndvi.scene_of(&field("ering-01"), "2021-06-17").await;
    let holed = ndvi.scene_of(&field("hole-01"), "2021-06-17").await;
    assert_eq!((&whole["pixel_count"], &holed["pixel_count"]), (&487.into(), &449.into()));
    // The box of this field has 24 by 33 pixels, roads and neighbours among them.
    assert!(number(&whole["pixel_count"]) < 24.0 * 33.0);
    let crossing = ndvi.scene_of(&field("edge-01"), "2021-06-17").await;
    assert!(crossing["flags"].as_array().unwrap().contains(&"clipped_by_scene".into()));
}

/// A picture of fixed size has as many samples for every field, and none of them is a pixel.
#[tokio::test]
async fn n6_counts_are_pixels_of_the_scene_and_follow_the_area() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    for (name, expected) in polygons(JUNE).iter().filter(|(name, _)| name.starts_with("ering-")) {
        let seen = ndvi.scene_of(&field(name), "2021-06-17").await;
        // A pixel of 10 m has a hundredth of a hectare; the rim is a share of a small field.
        let (pixels, area_ha) =
            (number(&seen["pixel_count"]), number(&expected["area_ha"]["geodesic"]));
        let off = (pixels / 100.0 / area_ha - 1.0).abs();
        assert!(off < 0.15, "{name}: {pixels} pixels are not {area_ha} ha");
    }
}

#[test]
fn projected_points_equal_proj_to_a_millimetre() {
    let points = golden()["utm_points"].as_array().unwrap().clone();
    assert_eq!(points.len(), 6);
    for point in points {
        let epsg = u32::try_from(point["epsg"].as_u64().unwrap()).unwrap();
        let degrees = Coord { x: number(&point["lon"]), y: number(&point["lat"]) };
        let metres = Utm::new(epsg).unwrap().project(degrees).unwrap();
        let off =
            (metres.x - number(&point["easting"])).hypot(metres.y - number(&point["northing"]));
        assert!(off <= 0.001, "{point}: {off} m off");
    }
}

#[test]
fn areas_equal_the_geodesic_ones() {
    for scene in [JUNE, DESERT] {
        for (name, expected) in polygons(scene) {
            let geometry = serde_json::from_value(field(&name)).unwrap();
            let outline = Outline::new(geometry, 2_500.0).unwrap();
            let expected = number(&expected["area_ha"]["geodesic"]);
            assert!(
                (outline.area_ha() - expected).abs() <= 1e-3 + expected * 1e-6,
                "{name}: {} is not {expected}",
                outline.area_ha()
            );
        }
    }
}
