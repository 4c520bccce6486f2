//! Are scenes of other kinds read as GDAL, PROJ and numpy read them?
//!
//! The scenes are made afresh by `scripts/ndvi_reference.py`: other zones, tile sizes,
//! compressions, byte orders, offsets and outlines than the recorded ones have. Without rasterio
//! the test says that it was skipped.

use std::process::Command;

use futures::StreamExt as _;
use harness::Directory;
use serde_json::Value;

use crate::bench::{Ndvi, program};
use crate::scenery::Scenery;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/ndvi_reference.py");
/// The service decodes on every processor.
const ASKED_AT_ONCE: usize = 4;
const NUMBERS: [&str; 9] = ["mean", "min", "max", "std", "median", "p10", "p25", "p75", "p90"];

/// A Python that has rasterio: the system's, where a package brings it, or the one on the path.
fn python() -> Option<&'static str> {
    ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let imported = Command::new(python).args(["-c", "import rasterio, numpy"]).output();
        imported.is_ok_and(|output| output.status.success())
    })
}

fn check(what: &str, seen: &Value, expected: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for count in ["pixel_count", "valid_count"] {
        if seen[count] != expected[count] {
            faults.push(format!("{what}: {count} {} is not {}", seen[count], expected[count]));
        }
    }
    for number in NUMBERS {
        let (seen, expected) = (seen[number].as_f64(), expected[number].as_f64());
        let equal = match (seen, expected) {
            (Some(seen), Some(expected)) => (seen - expected).abs() <= 1e-6,
            (seen, expected) => seen == expected,
        };
        if !equal {
            faults.push(format!("{what}: {number} {seen:?} is not {expected:?}"));
        }
    }
    faults
}

async fn faults_of(ndvi: &Ndvi, case: &Value, polygon: &Value) -> Vec<String> {
    let (scene, day) = (case["scene"].as_str().unwrap(), case["day"].as_str().unwrap());
    let what = format!("{scene} {}", polygon["name"]);
    let data = ndvi.ask(&polygon["geometry"], day, day).await.json();
    let scenes = data["data"]["scenes"].as_array();
    match scenes.into_iter().flatten().find(|seen| seen["scene_id"] == scene) {
        Some(seen) => check(&what, seen, &polygon["expected"]),
        None => vec![format!("{what}: {data}")],
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that did nothing has to say so")]
async fn scenes_of_every_kind_equal_gdal() {
    let Some(python) = python() else {
        eprintln!("SKIPPED: no Python with rasterio and numpy; apt-get install python3-rasterio");
        return;
    };
    let mut scenery = Scenery::new();
    let made = Command::new(python).arg(SCRIPT).arg(scenery.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let cases = std::fs::read_to_string(scenery.path().join("cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    assert_eq!(cases.len(), 31);
    for case in &cases {
        scenery = scenery.list(case["item"].clone());
    }
    let (directory, replay) = (Directory::new(), scenery.serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let asked = cases.iter().flat_map(|case| {
        let polygons = case["polygons"].as_array().unwrap();
        polygons.iter().map(move |polygon| (case, polygon))
    });
    let faults: Vec<String> = futures::stream::iter(asked)
        .map(|(case, polygon)| faults_of(&ndvi, case, polygon))
        .buffered(ASKED_AT_ONCE)
        .flat_map(futures::stream::iter)
        .collect()
        .await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
