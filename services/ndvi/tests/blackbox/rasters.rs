//! Does a picture show the field and nothing else, and is it painted once?

use std::io::Cursor;

use harness::{Directory, Reply};
use replay::{Fault, Running};

use crate::bench::{JUNE, Ndvi, field, program, recorded};
use crate::farm::job_id;

const TARGET: &str = "raster.png?date=2021-06-17";

async fn start(directory: &Directory, replay: &Running) -> Ndvi {
    Ndvi::start(program(directory, &replay.base_url())).await
}

/// Width, height and RGBA bytes.
fn decoded(reply: &Reply) -> (u32, u32, Vec<u8>) {
    let mut decoder = png::Decoder::new(Cursor::new(&reply.body));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).expect("a whole PNG");
    pixels.truncate(frame.buffer_size());
    assert_eq!(frame.color_type, png::ColorType::Rgba);
    (frame.width, frame.height, pixels)
}

fn painted_share(pixels: &[u8]) -> f64 {
    let (pixels, _) = pixels.as_chunks::<4>();
    let painted = pixels.iter().filter(|pixel| pixel[3] == 255).count();
    assert!(pixels.iter().all(|pixel| matches!(pixel[3], 0 | 255)));
    f64::from(u32::try_from(painted).unwrap()) / f64::from(u32::try_from(pixels.len()).unwrap())
}

#[tokio::test]
async fn n5_picture_is_clipped_to_the_polygon() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let picture = farm.get(TARGET).await.expect_status(200);
    let picture = picture.expect_header("content-type", "image/png");
    let (width, height, pixels) = decoded(&picture.clone());
    assert_eq!(width.max(height), 512);
    // 487 pixels of a window of 24 by 33.
    let share = painted_share(&pixels);
    assert!((share - 487.0 / (24.0 * 33.0)).abs() < 0.02, "{share} of the box is painted");
    assert_eq!(&pixels[..4], [0; 4], "the corner of the box is not of the field");
    picture
        .expect_header("cache-control", "private, max-age=86400")
        .expect_header("x-ndvi-scene", JUNE)
        .expect_header("x-ndvi-acquired-at", "2021-06-17T10:05:59Z");
}

#[tokio::test]
async fn size_stretch_and_legend_change_the_picture() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let plain = farm.get(&format!("{TARGET}&size=256")).await.expect_status(200);
    let (width, height, pixels) = decoded(&plain);
    assert_eq!(width.max(height), 256);
    let stretched = farm.get(&format!("{TARGET}&size=256&stretch=histogram")).await;
    let (same_width, same_height, others) = decoded(&stretched.expect_status(200));
    assert_eq!((width, height), (same_width, same_height));
    assert_ne!(pixels, others);
    let explained = farm.get(&format!("{TARGET}&size=256&legend=true")).await.expect_status(200);
    assert!(decoded(&explained).0 > width);
    // Three pictures, one reading of the scene.
    assert_eq!(replay.counts().requests_of(&format!("/s2/{JUNE}/B04.tif")), 2);
}

#[tokio::test]
async fn picture_that_a_client_has_is_not_sent_again() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let first = farm.get(TARGET).await.expect_status(200);
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() == 66, "{tag}");
    replay.reset_counts();
    for method in ["GET", "HEAD"] {
        let again = farm.request(method, TARGET).header("If-None-Match", &tag).send().await;
        again.expect_status(304).expect_body("").expect_header("etag", &tag);
    }
    let head = farm.request("HEAD", TARGET).send().await.expect_status(200).expect_body("");
    head.expect_header("etag", &tag).expect_header("content-type", "image/png");
    assert_eq!(farm.get(TARGET).await.body, first.body);
    assert!(replay.counts().requests.is_empty(), "{:?}", replay.counts().requests);
    assert!(ndvi.metric("ndvi_pictures_total", &[("outcome", "ready")]).await >= 4.0);
}

#[tokio::test]
async fn same_scene_makes_the_same_tag_after_a_restart() {
    let (directory, replay) = (Directory::new(), recorded());
    let mut ndvi = start(&directory, &replay).await;
    let first = ndvi.farm("17", "ering-01").await.get(TARGET).await.expect_status(200);
    ndvi.process.kill().await;
    let again = start(&directory, &replay).await;
    let second = again.known_farm("17").get(TARGET).await.expect_status(200);
    assert_eq!(first.header("etag"), second.header("etag"));
}

#[tokio::test]
async fn day_without_a_picture_says_why() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    for (date, reason) in [("2021-06-18", "no_scene"), ("2999-01-01", "future")] {
        let reply = farm.get(&format!("raster.png?date={date}")).await.expect_status(404);
        reply.expect_header("x-ndvi-reason", reason);
    }
    let reply = farm.get("raster.png").await.expect_status(404);
    let reply = reply.expect_header("x-ndvi-reason", "not_surveyed");
    reply.expect_json("/message", "These days were not looked at yet; a refresh does it.");
    let clouded = ndvi.farm("18", "rkh-cloud").await;
    let reply = clouded.get("raster.png?date=2020-02-19").await.expect_status(404);
    reply.expect_header("x-ndvi-reason", "cloud");
}

#[tokio::test]
async fn day_on_which_somebody_looked_is_not_asked_for_again() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-01", "2021-06-30").await;
    replay.reset_counts();
    let reply = farm.get("raster.png?date=2021-06-18").await.expect_status(404);
    reply.expect_header("x-ndvi-reason", "no_scene");
    assert!(replay.counts().requests.is_empty(), "{:?}", replay.counts().requests);
}

#[tokio::test]
async fn picture_is_painted_once_for_all_who_ask() {
    let (directory, replay) = (Directory::new(), recorded());
    let one = program(&directory, &replay.base_url()).env("NDVI_PICTURES_MAX", "1");
    let ndvi = Ndvi::start(one).await;
    let farm = ndvi.farm("17", "ering-01").await;
    replay.set_fault(Fault { delay_ms: 300, ..Fault::default() }).unwrap();
    let replies = harness::burst(16, |_| farm.request("GET", TARGET).send()).await;
    let tags: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.expect_status(200).header("etag").unwrap().to_owned())
        .collect();
    assert!(tags.iter().all(|tag| *tag == tags[0]));
    assert_eq!(replay.counts().requests_of("/search"), 1);
    assert_eq!(replay.counts().requests_of(&format!("/s2/{JUNE}/B04.tif")), 2);
}

#[tokio::test]
async fn more_pictures_at_once_than_allowed_are_refused() {
    let (directory, replay) = (Directory::new(), recorded());
    let one = program(&directory, &replay.base_url()).env("NDVI_PICTURES_MAX", "1");
    let ndvi = Ndvi::start(one).await;
    let farm = ndvi.farm("17", "ering-01").await;
    replay.set_fault(Fault { delay_ms: 60_000, ..Fault::default() }).unwrap();
    let stuck = tokio::spawn(farm.request("GET", TARGET).try_send());
    while replay.counts().requests_of("/search") == 0 {
        tokio::task::yield_now().await;
    }
    let reply = farm.get(&format!("{TARGET}&size=128")).await.expect_status(503);
    reply.expect_header("retry-after", "1").expect_json("/message", "Service busy");
    stuck.abort();
}

#[tokio::test]
async fn pictures_are_remembered_within_their_bytes() {
    let (directory, replay) = (Directory::new(), recorded());
    let none = program(&directory, &replay.base_url()).env("NDVI_PICTURES_BYTES_MAX", "0");
    let ndvi = Ndvi::start(none).await;
    let farm = ndvi.farm("17", "ering-01").await;
    for searches in 1..=2 {
        farm.get(TARGET).await.expect_status(200);
        assert_eq!(replay.counts().requests_of("/search"), searches);
    }
}

#[tokio::test]
async fn failing_catalogue_is_an_upstream_error_and_not_remembered() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let path_prefix = Some("/search".to_owned());
    replay.set_fault(Fault { status: Some(503), path_prefix, ..Fault::default() }).unwrap();
    farm.get(TARGET).await.expect_status(502).expect_json("/message", "NDVI upstream error");
    replay.clear_faults();
    farm.get(TARGET).await.expect_status(200);
}

#[tokio::test]
async fn queued_picture_is_ready_before_it_is_asked_for() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let body = serde_json::json!({"date": "2021-06-17", "size": 256});
    let queued = farm.request("POST", "raster/queue").json(&body).send().await.expect_status(202);
    ndvi.attempt_ended(&job_id(&queued), "done").await;
    replay.reset_counts();
    farm.get(&format!("{TARGET}&size=256")).await.expect_status(200);
    // What is behind the picture is known too: another size costs no reading.
    farm.get(TARGET).await.expect_status(200);
    assert!(replay.counts().requests.is_empty(), "{:?}", replay.counts().requests);
}

#[tokio::test]
async fn other_outline_has_other_pictures() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let first = farm.get(TARGET).await.expect_status(200);
    ndvi.request("PUT", "/api/v1/farms/17/geometry").json(&field("ering-07")).send().await;
    let second = farm.get(TARGET).await.expect_status(200);
    assert_ne!(first.body, second.body);
}
