//! Is the reflectance offset applied once: not ignored, not twice?

use harness::Directory;
use serde_json::{Value, json};

use crate::bench::{JUNE, Ndvi, SEPTEMBER, field, golden, near, program};
use crate::scenery::{Scenery, item_like_june, recorded_band};

const DAY: &str = "2023-06-17";
const SCENE: &str = "S2B_33UUP_20230617_0_L2A";

/// Properties of a scene with a baseline that has the offset.
fn properties(flag: Option<bool>) -> Value {
    json!({
        "datetime": "2023-06-17T10:05:59Z",
        "s2:processing_baseline": "05.09",
        "earthsearch:boa_offset_applied": flag,
    })
}

fn declared(mut item: Value, offset: f64) -> Value {
    for asset in ["red", "nir"] {
        item["assets"][asset]["raster:bands"][0]["offset"] = offset.into();
    }
    item
}

/// The June scene as it would be stored with `added` on every digital number.
async fn scenery(added: u16, item: Value, bits: u16) -> Scenery {
    let red = recorded_band(JUNE, "B04").await.map(|dn| dn + added);
    let nir = recorded_band(JUNE, "B08").await.map(|dn| dn + added);
    Scenery::new().bands(SCENE, &red.write(bits), &nir.write(bits)).list(item)
}

/// Fields and their true means, an exact copy of what the unshifted scene gives.
#[track_caller]
fn check(seen: &Value, name: &str, (dn, reason): (i32, &str)) {
    let golden = &golden()["scenes"][JUNE]["polygons"][name];
    assert_eq!(seen["pixel_count"], golden["pixel_count"], "{name}");
    near(&seen["mean"], &golden["mean"], name);
    near(&seen["p90"], &golden["p90"], name);
    assert_eq!(
        (&seen["offset_dn"], &seen["offset_reason"]),
        (&dn.into(), &reason.into()),
        "{name}"
    );
}

async fn check_fields(scenery: Scenery, decision: (i32, &str), suspect: bool) {
    let (directory, replay) = (Directory::new(), scenery.serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    for name in ["ering-01", "ering-07", "water-01", "village-01"] {
        let seen = ndvi.scene_of(&field(name), DAY).await;
        check(&seen, name, decision);
        let flagged = seen["flags"].as_array().unwrap().contains(&"offset_suspect".into());
        assert_eq!(flagged, suspect, "{seen}");
    }
}

#[tokio::test]
async fn n1_shifted_scene_gives_the_same_numbers() {
    let item = declared(item_like_june(SCENE, properties(Some(false))), -0.1);
    check_fields(scenery(1_000, item, 16).await, (-1_000, "pixels_agree"), false).await;
}

#[tokio::test]
async fn n1_collection_one_gives_the_same_numbers() {
    let mut item = declared(item_like_june(SCENE, properties(None)), -0.1);
    item["collection"] = "sentinel-2-c1-l2a".into();
    check_fields(scenery(1_000, item, 16).await, (-1_000, "declared"), false).await;
}

#[tokio::test]
async fn offset_that_was_taken_off_before_is_not_taken_off_again() {
    let item = declared(item_like_june(SCENE, properties(Some(true))), -0.1);
    check_fields(scenery(0, item, 16).await, (0, "already_applied"), false).await;
}

#[tokio::test]
async fn lying_flag_is_overruled_by_the_pixels_and_said_aloud() {
    let item = declared(item_like_june(SCENE, properties(Some(false))), -0.1);
    check_fields(scenery(0, item, 16).await, (0, "pixels_disagree"), true).await;
}

#[tokio::test]
async fn numbers_of_fifteen_bits_are_unpacked() {
    let item = declared(item_like_june(SCENE, properties(Some(false))), -0.1);
    check_fields(scenery(1_000, item, 15).await, (-1_000, "pixels_agree"), false).await;
}

/// The two ways to err, against the numbers that GDAL gives for them: what the service would say
/// if it read a shifted scene as it is, or took the offset off twice.
#[tokio::test]
async fn n1_table_of_offset_errors_is_understood() {
    let golden = golden();
    let red = recorded_band(JUNE, "B04").await;
    for (day, scene) in [("2021-06-17", JUNE), ("2021-09-25", SEPTEMBER)] {
        let polygons = golden["offset_errors"]["polygons"][day].as_object().unwrap();
        assert_eq!(polygons.len(), 17);
        let red_band = if scene == JUNE { red.clone() } else { recorded_band(scene, "B04").await };
        let nir_band = recorded_band(scene, "B08").await;
        // Ignored: 1000 more in both bands, and metadata that hide it.
        let shifted = [&red_band, &nir_band].map(|band| band.map(|dn| dn + 1_000).write(16));
        let old = item_like_june(
            SCENE,
            json!({
                "datetime": "2021-06-20T10:05:59Z", "s2:processing_baseline": "03.01",
            }),
        );
        let ignored = Scenery::new().bands(SCENE, &shifted[0], &shifted[1]).list(old);
        // Twice: bands without it, and a collection that declares it.
        let plain = [&red_band, &nir_band].map(|band| band.write(16));
        let mut wrong = declared(item_like_june(SCENE, properties(None)), -0.1);
        wrong["collection"] = "sentinel-2-c1-l2a".into();
        let twice = Scenery::new().bands(SCENE, &plain[0], &plain[1]).list(wrong);
        for (scenery, at, column) in
            [(ignored, "2021-06-20", "offset_ignored"), (twice, DAY, "offset_applied_twice")]
        {
            let (directory, replay) = (Directory::new(), scenery.serve());
            let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
            for (name, expected) in polygons {
                let seen = ndvi.scene_of(&field(name), at).await;
                near(&seen["mean"], &expected[column], &format!("{day} {name} {column}"));
            }
        }
    }
}

#[tokio::test]
async fn n9_uniform_field_is_no_error() {
    let flat = recorded_band(JUNE, "B04").await.map(|_| 800);
    let bright = flat.map(|_| 2_400);
    let properties = json!({"datetime": "2021-07-01T10:05:59Z"});
    let scenery = Scenery::new()
        .bands(SCENE, &flat.write(16), &bright.write(16))
        .list(item_like_june(SCENE, properties));
    let (directory, replay) = (Directory::new(), scenery.serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let seen = ndvi.scene_of(&field("ering-01"), "2021-07-01").await;
    for number in ["mean", "min", "max", "median", "p10", "p90"] {
        near(&seen[number], &0.5.into(), number);
    }
    near(&seen["std"], &0.0.into(), "std");
    assert_eq!(seen["valid_count"], 487);
}
