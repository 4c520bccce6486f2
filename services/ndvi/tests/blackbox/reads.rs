//! What does a statistic cost the server of the scenes, and what if that server fails?

use std::collections::BTreeSet;
use std::ops::Range;

use geo::{BoundingRect as _, Contains as _, Coord};
use harness::Directory;
use ndvi::domain::outline::Outline;
use ndvi::domain::utm::Utm;
use replay::{Counts, Fault};
use serde_json::{Value, json};

use crate::bench::{DESERT, JUNE, Ndvi, SEPTEMBER, STATISTICS, field, golden, program, recorded};
use crate::geotiff::{Image, Layout};
use crate::scenery::{Scenery, item_like_june, recorded_band, recorded_file, recorded_item};

const HEADER_BYTES: u64 = 16 * 1024;
const BEYOND_TILES_BYTES_MAX: u64 = 64 * 1024;

fn path(scene: &str, band: &str) -> String {
    format!("/s2/{scene}/{band}.tif")
}

/// Columns and rows of the tiles of `file` that hold a pixel of the field, by looking at the
/// centre of every pixel of the 10 m band, whose layout is `pixels`.
fn needed_tiles(geometry: &Value, pixels: &Layout, file: &Layout) -> BTreeSet<(usize, usize)> {
    let outline = Outline::new(serde_json::from_value(geometry.clone()).unwrap(), 2_500.0).unwrap();
    let shape = Utm::new(pixels.epsg.into()).unwrap().project_shape(outline.shape()).unwrap();
    let bounds = shape.bounding_rect().unwrap();
    let place = |number: f64| if number > 0.0 { number as usize } else { 0 };
    let columns = place((bounds.min().x - pixels.west) / pixels.pixel)
        ..pixels.columns.min(place((bounds.max().x - pixels.west) / pixels.pixel + 1.0));
    let rows = place((pixels.north - bounds.max().y) / pixels.pixel)
        ..pixels.rows.min(place((pixels.north - bounds.min().y) / pixels.pixel + 1.0));
    let cells = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
    cells
        .map(|(column, row)| {
            let x = pixels.west + (column as f64 + 0.5) * pixels.pixel;
            (x, pixels.north - (row as f64 + 0.5) * pixels.pixel)
        })
        .filter(|(x, y)| shape.contains(&Coord { x: *x, y: *y }))
        .map(|(x, y)| {
            let column = place((x - file.west) / file.pixel).min(file.columns - 1);
            let row = place((file.north - y) / file.pixel).min(file.rows - 1);
            (column / file.tile_columns, row / file.tile_rows)
        })
        .collect()
}

/// The tiles that the golden file names, which GDAL and exactextract needed.
fn golden_tiles(golden: &Value) -> BTreeSet<(usize, usize)> {
    let index = |tile: &Value, at: usize| usize::try_from(tile[at].as_u64().unwrap()).unwrap();
    let tiles = golden["read"]["tiles"].as_array().unwrap();
    tiles.iter().map(|tile| (index(tile, 0), index(tile, 1))).collect()
}

/// The ranges that were asked of a file, with a half-open end.
fn ranges(counts: &Counts, path: &str) -> Vec<Range<u64>> {
    let of_file = counts.log.iter().filter(|request| request.path == path);
    of_file
        .map(|request| {
            let range = request.range.as_deref().expect("every read has a range");
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
        })
        .collect()
}

/// Bytes of `read` that lie in none of `needed`.
fn beyond(read: &[Range<u64>], needed: &[Range<u64>], length: u64) -> u64 {
    let within = |range: &Range<u64>| -> u64 {
        let parts = needed
            .iter()
            .map(|tile| tile.end.min(range.end).saturating_sub(tile.start.max(range.start)));
        parts.sum()
    };
    read.iter().map(|range| range.end.min(length) - range.start - within(range)).sum()
}

/// Checks all four promises for one field in one scene, and returns the most that was read of a
/// band beside its tiles.
async fn check_reads(scene: &str, day: &str, name: &str, expected: Option<&Value>) -> u64 {
    let bands: &[&str] = if scene == DESERT { &["B04", "B08", "SCL"] } else { &["B04", "B08"] };
    let (directory, replay) = (Directory::new(), recorded());
    // A service of its own for each: no header may be known already.
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    ndvi.scene_of(&field(name), day).await;
    let first = replay.counts();
    replay.reset_counts();
    ndvi.scene_of(&field(name), day).await;
    let second = replay.counts();
    let pixels = Layout::of(recorded_file(scene, "B04")).await;
    let (header, mut most) = (0..HEADER_BYTES, 0);
    for band in bands {
        let what = format!("{scene} {name} {band}");
        let (path, file) = (path(scene, band), recorded_file(scene, band));
        let length = file.len() as u64;
        let layout = Layout::of(file).await;
        let tiles = match (expected, *band) {
            // No pixel centre lies inside: the golden file knows which pixel was touched.
            (Some(expected), _) if expected["pixel_count"] == 0 => golden_tiles(expected),
            (expected, band) => {
                let needed = needed_tiles(&field(name), &pixels, &layout);
                if let Some(expected) = expected.filter(|_| band != "SCL") {
                    // The golden file takes the box of the whole field: of two parts that lie
                    // apart it names tiles between them as well.
                    let golden = golden_tiles(expected);
                    let apart = field(name)["type"] == "MultiPolygon";
                    assert!(needed == golden || apart && needed.is_subset(&golden), "{what}");
                }
                needed
            }
        };
        let tiles: Vec<Range<u64>> = tiles.into_iter().map(|tile| layout.tile(tile)).collect();
        let (read, again) = (ranges(&first, &path), ranges(&second, &path));
        assert_eq!(read.iter().filter(|range| **range == header).count(), 1, "{what}: {read:?}");
        assert!(read.len() <= 3, "{what}: {read:?}");
        let tile_reads = read.iter().filter(|range| **range != header);
        for tile in &tiles {
            let mut covering = tile_reads.clone();
            assert!(
                covering.any(|r| r.start <= tile.start && tile.end <= r.end),
                "{what}: {tile:?}"
            );
        }
        most = most.max(beyond(&read, &tiles, length));
        assert!(most <= BEYOND_TILES_BYTES_MAX, "{what}: {most} bytes beyond {tiles:?}");
        assert!(!again.is_empty() && !again.contains(&header), "{what}: {again:?}");
        assert!(again.len() <= 3, "{what}: {again:?}");
        assert!(beyond(&again, &tiles, length) <= BEYOND_TILES_BYTES_MAX, "{what}: {again:?}");
    }
    most
}

#[tokio::test]
async fn n4_every_golden_field_of_june_keeps_all_bounds_of_reading() {
    let golden = golden();
    let polygons = golden["scenes"][JUNE]["polygons"].as_object().unwrap();
    assert_eq!(polygons.len(), 19);
    for (name, expected) in polygons.iter().filter(|(name, _)| *name != "outside-01") {
        let most = check_reads(JUNE, "2021-06-17", name, Some(expected)).await;
        assert!(most >= 1_000, "the header is always read along: {most}");
    }
}

#[tokio::test]
async fn n4_every_golden_field_of_september_keeps_all_bounds_of_reading() {
    let golden = golden();
    let polygons = golden["offset_errors"]["polygons"]["2021-09-25"].as_object().unwrap();
    assert_eq!(polygons.len(), 17);
    for name in polygons.keys() {
        check_reads(SEPTEMBER, "2021-09-25", name, None).await;
    }
}

#[tokio::test]
async fn n4_every_golden_area_of_the_desert_keeps_all_bounds_of_reading() {
    let golden = golden();
    let polygons = golden["scenes"][DESERT]["polygons"].as_object().unwrap();
    assert_eq!(polygons.len(), 3);
    for (name, expected) in polygons {
        check_reads(DESERT, "2020-02-19", name, Some(expected)).await;
    }
}

/// A strip of 100 m by 20 km that crosses eight rows of tiles of 256 pixels.
#[tokio::test]
async fn long_field_on_small_tiles_costs_requests_and_not_bytes() {
    const SCENE: &str = "S2B_33UUP_20210701_0_L2A";
    let june = recorded_band(JUNE, "B04").await;
    let (columns, rows) = (1_400, 2_048);
    // Values that do not compress: the gap between two rows of tiles is as wide as in life.
    let values: Vec<u16> = (0..columns * rows)
        .map(|at: usize| 500 + (at.wrapping_mul(2_654_435_761) >> 7 & 0xfff) as u16)
        .collect();
    let image = Image { columns, rows, values, ..june };
    let file = image.write(16);
    let (x, top) = (image.west + 5_000.0, image.north - 200.0);
    let corners = [(x, top), (x + 100.0, top), (x + 100.0, top - 20_000.0), (x, top - 20_000.0)];
    let geometry = degrees(&corners, image.epsg.into());
    let mut item = item_like_june(SCENE, json!({"datetime": "2021-07-01T10:05:59Z"}));
    item["bbox"] = json!([13.0, 48.0, 13.4, 48.4]);
    let replay = Scenery::new().bands(SCENE, &file, &file).list(item).serve();
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let seen = ndvi.scene_of(&geometry, "2021-07-01").await;
    assert!(crate::bench::number(&seen["pixel_count"]) > 19_000.0, "{seen}");
    let layout = Layout::of(file.clone()).await;
    let tiles: Vec<Range<u64>> = needed_tiles(&geometry, &layout, &layout)
        .into_iter()
        .map(|tile| layout.tile(tile))
        .collect();
    let read = ranges(&replay.counts(), &path(SCENE, "B04"));
    assert!(tiles.len() >= 8, "{tiles:?}");
    assert_eq!(read.len(), 1 + 8, "the header and one for each row of tiles: {read:?}");
    assert!(beyond(&read, &tiles, file.len() as u64) <= BEYOND_TILES_BYTES_MAX);
}

/// A polygon of these corners in metres, by undoing the service's own projection step by step.
fn degrees(corners: &[(f64, f64)], epsg: u32) -> Value {
    let utm = Utm::new(epsg).unwrap();
    let undone = |wanted: (f64, f64)| {
        let mut at = Coord { x: 13.1, y: 48.3 };
        for _ in 0..40 {
            let seen = utm.project(at).unwrap();
            at.x += (wanted.0 - seen.x) / (111_320.0 * at.y.to_radians().cos());
            at.y += (wanted.1 - seen.y) / 111_320.0;
        }
        json!([at.x, at.y])
    };
    let mut ring: Vec<Value> = corners.iter().map(|corner| undone(*corner)).collect();
    ring.push(ring[0].clone());
    json!({"type": "Polygon", "coordinates": [ring]})
}

#[tokio::test]
async fn field_without_pixels_in_the_scene_costs_only_headers() {
    let mut item = recorded_item(JUNE);
    item["bbox"] = json!([13.0, 48.2, 13.3, 48.4]);
    let replay = Scenery::new().list(item).serve();
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let seen = ndvi.scene_of(&field("outside-01"), "2021-06-17").await;
    assert_eq!((&seen["pixel_count"], &seen["valid_count"]), (&0.into(), &0.into()));
    assert_eq!(seen["flags"], json!(["outside_scene", "cloud_mask_unavailable"]));
    assert_eq!(seen.get("mean"), Some(&Value::Null));
    let counts = replay.counts();
    for band in ["B04", "B08"] {
        assert_eq!(counts.requests_of(&path(JUNE, band)), 1);
        assert_eq!(counts.bytes_of(&path(JUNE, band)), HEADER_BYTES);
    }
}

#[tokio::test]
async fn server_without_ranges_is_refused_instead_of_read_whole() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    replay
        .set_fault(Fault {
            ignore_range: true,
            path_prefix: Some("/s2".into()),
            ..Fault::default()
        })
        .unwrap();
    let reply = ndvi.ask(&field("ering-01"), "2021-06-17", "2021-06-17").await;
    reply.expect_status(502).expect_body(
        r#"{"status":1,"message":"NDVI upstream error","errors":{"detail":"NDVI upstream error"}}"#,
    );
    assert!(ndvi.metric("ndvi_range_requests_total", &[("outcome", "whole_file")]).await >= 1.0);
}

#[tokio::test]
async fn passing_faults_are_read_again_once() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let faults = [
        Fault { short_body: true, ..Fault::default() },
        Fault { truncate: true, ..Fault::default() },
        Fault { reset: true, ..Fault::default() },
        Fault { status: Some(503), ..Fault::default() },
    ];
    for fault in faults {
        let once = Fault { times: Some(1), path_prefix: Some("/s2".into()), ..fault };
        replay.set_fault(once.clone()).unwrap();
        let seen = ndvi.scene_of(&field("ering-01"), "2021-06-17").await;
        assert_eq!(
            (&seen["status"], &seen["valid_count"]),
            (&"ok".into(), &487.into()),
            "{once:?}"
        );
    }
}

#[tokio::test]
async fn failing_scene_leaves_the_others_and_is_named() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let fault = Fault {
        status: Some(503),
        path_prefix: Some(format!("/s2/{SEPTEMBER}")),
        ..Fault::default()
    };
    replay.set_fault(fault).unwrap();
    let data =
        ndvi.ask(&field("ering-01"), "2021-06-01", "2021-09-30").await.expect_status(200).json();
    let data = &data["data"];
    assert_eq!(data["status"], "partial");
    assert_eq!(
        (&data["scenes"][0]["scene_id"], &data["scenes"][0]["status"]),
        (&JUNE.into(), &"ok".into())
    );
    let failed = &data["scenes"][1];
    assert_eq!(
        (&failed["scene_id"], &failed["status"], &failed["error"]),
        (&SEPTEMBER.into(), &"failed".into(), &"read".into())
    );
    assert!(failed.get("mean").is_none(), "{failed}");
}

#[tokio::test]
async fn one_deadline_holds_for_search_and_reads() {
    let (directory, replay) = (Directory::new(), recorded());
    let slow = program(&directory, &replay.base_url()).env("NDVI_DEADLINE_MS", "200");
    let ndvi = Ndvi::start(slow).await;
    for prefix in ["/search", "/s2"] {
        let fault =
            Fault { delay_ms: 60_000, path_prefix: Some(prefix.into()), ..Fault::default() };
        replay.set_fault(fault).unwrap();
        let reply = ndvi.ask(&field("ering-01"), "2021-06-17", "2021-06-17").await;
        reply.expect_status(504).expect_json("/message", "NDVI upstream timeout");
    }
}

#[tokio::test]
async fn more_surveys_than_allowed_are_refused_at_once() {
    let (directory, replay) = (Directory::new(), recorded());
    let narrow = program(&directory, &replay.base_url()).env("NDVI_SURVEYS_MAX", "1");
    let ndvi = Ndvi::start(narrow).await;
    let fault = Fault { delay_ms: 60_000, path_prefix: Some("/search".into()), ..Fault::default() };
    replay.set_fault(fault).unwrap();
    let body = json!({"geometry": field("ering-01"), "start": "2021-06-17", "end": "2021-06-17"});
    let stuck = tokio::spawn(ndvi.request("POST", STATISTICS).json(&body).try_send());
    while replay.counts().requests_of("/search") == 0 {
        tokio::task::yield_now().await;
    }
    let reply = ndvi.post(STATISTICS, &body).await.expect_status(503);
    reply.expect_header("retry-after", "1").expect_json("/message", "Service busy");
    ndvi.get("/healthz").await.expect_status(200);
    stuck.abort();
}

#[tokio::test]
async fn replaced_file_is_read_afresh() {
    let scene = "S2B_33UUP_20210701_0_L2A";
    let properties = json!({"datetime": "2021-07-01T10:05:59Z"});
    let red = recorded_band(JUNE, "B04").await;
    let nir = recorded_band(JUNE, "B08").await;
    let scenery = Scenery::new()
        .bands(scene, &red.write(16), &nir.write(16))
        .list(item_like_june(scene, properties));
    let first = scenery.serve();
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, &first.base_url())).await;
    ndvi.scene_of(&field("ering-01"), "2021-07-01").await;
    // The same address serves other bytes from now on.
    let address = first.address();
    first.stop();
    let scenery = scenery.bands(scene, &red.map(|_| 800).write(16), &nir.map(|_| 2_400).write(16));
    let _second = scenery.serve_at(address);
    let seen = ndvi.scene_of(&field("ering-01"), "2021-07-01").await;
    crate::bench::near(&seen["mean"], &0.5.into(), "mean of the new file");
}

#[tokio::test]
async fn hostile_file_fails_its_scene_and_nothing_else() {
    let scene = "S2B_33UUP_20210701_0_L2A";
    // One tag of a kind that does not exist: the TIFF library panics on it.
    let header = b"II*\0\x08\0\0\0\x01\0\x00\x01\x63\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    let properties = json!({"datetime": "2021-07-01T10:05:59Z"});
    let replay = Scenery::new()
        .bands(scene, header, header)
        .list(item_like_june(scene, properties))
        .list(recorded_item(JUNE))
        .serve();
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let reply = ndvi.ask(&field("ering-01"), "2021-06-01", "2021-07-31").await.expect_status(200);
    let reply = reply.expect_json("/data/scenes/0/valid_count", 487);
    reply.expect_json("/data/scenes/1/error", "computation").expect_json("/data/status", "partial");
    ndvi.get("/healthz").await.expect_status(200);
}
