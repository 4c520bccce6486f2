//! What does a statistic cost the server of the scenes, and what if that server fails?

use harness::Directory;
use replay::Fault;
use serde_json::{Value, json};

use crate::bench::{DESERT, JUNE, Ndvi, SEPTEMBER, STATISTICS, field, golden, program, recorded};
use crate::geotiff::tile_bytes;
use crate::scenery::{Scenery, item_like_june, recorded_band, recorded_file, recorded_item};

const HEADER_BYTES: u64 = 16 * 1024;
const BEYOND_TILES_BYTES_MAX: u64 = 64 * 1024;

fn path(scene: &str, band: &str) -> String {
    format!("/s2/{scene}/{band}.tif")
}

/// Columns and rows of the tiles that a field needs, and bytes of these in all bands.
async fn needed_bytes(scene: &str, bands: &[&str], golden: &Value) -> u64 {
    let pair = |tile: &Value| {
        let index = |at: usize| usize::try_from(tile[at].as_u64().unwrap()).unwrap();
        (index(0), index(1))
    };
    let tiles: Vec<_> = golden["read"]["tiles"].as_array().unwrap().iter().map(pair).collect();
    let mut bytes = 0;
    for band in bands {
        let file = recorded_file(scene, band);
        // The golden file lists tiles of the 10 m bands; the whole classification is small.
        bytes += match *band {
            "SCL" => file.len() as u64,
            _ => tile_bytes(file, &tiles).await,
        };
    }
    bytes
}

#[tokio::test]
async fn n4_only_the_needed_tiles_are_read() {
    let (directory, replay) = (Directory::new(), recorded());
    let golden = golden();
    for (scene, day, bands) in [
        (JUNE, "2021-06-17", &["B04", "B08"][..]),
        (DESERT, "2020-02-19", &["B04", "B08", "SCL"][..]),
    ] {
        for (name, expected) in golden["scenes"][scene]["polygons"].as_object().unwrap() {
            if name == "outside-01" {
                continue;
            }
            // A service of its own for each: no header may be known already.
            let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
            replay.reset_counts();
            ndvi.scene_of(&field(name), day).await;
            let counts = replay.counts();
            let mut bytes = 0;
            for band in bands {
                let requests = counts.requests_of(&path(scene, band));
                assert!((2..=3).contains(&requests), "{name} {band}: {requests} requests");
                bytes += counts.bytes_of(&path(scene, band));
            }
            let needed = needed_bytes(scene, bands, expected).await;
            assert!(bytes <= needed + BEYOND_TILES_BYTES_MAX, "{name}: {bytes} for {needed}");
            let scenes = counts.log.iter().filter(|request| request.path != "/search");
            assert!(scenes.clone().all(|request| request.range.is_some()));
        }
    }
}

#[tokio::test]
async fn second_read_of_a_scene_asks_for_no_header() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    ndvi.scene_of(&field("ering-01"), "2021-06-17").await;
    let first = replay.counts();
    assert_eq!(first.requests_of(&path(JUNE, "B04")), 2);
    replay.reset_counts();
    ndvi.scene_of(&field("ering-07"), "2021-06-17").await;
    let second = replay.counts();
    assert_eq!(second.requests_of(&path(JUNE, "B04")), 1);
    let ranges: Vec<_> = second.log.iter().filter_map(|request| request.range.as_deref()).collect();
    let header = format!("bytes=0-{}", HEADER_BYTES - 1);
    assert!(!ranges.is_empty() && !ranges.contains(&header.as_str()), "{ranges:?}");
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
