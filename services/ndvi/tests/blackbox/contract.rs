//! Do routes and refusals have the shapes that clients know?

use harness::Directory;
use serde_json::json;

use crate::bench::{Ndvi, STATISTICS, field, program};

const SAMPLES: &str = "/api/v1/ndvi";

async fn start(directory: &Directory) -> Ndvi {
    Ndvi::start(program(directory, "http://127.0.0.1:9")).await
}

#[tokio::test]
async fn index_routes_say_what_is_here() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    ndvi.get("/").await.expect_status(200).expect_json("/message", "NDVI Service");
    for target in ["/api/v1", "/api/v1/"] {
        let reply = ndvi.get(target).await.expect_status(200).expect_json("/status", 0);
        reply
            .expect_json("/data/endpoints/0", SAMPLES)
            .expect_json("/data/endpoints/1", STATISTICS);
    }
    let usage = ndvi.get(SAMPLES).await.expect_status(200).expect_json("/message", "ok");
    assert!(usage.json()["data"]["message"].as_str().unwrap().contains("farm_id"));
}

#[tokio::test]
async fn n11_radar_is_not_faked() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    let reply = ndvi.post("/api/v1/preprocess", &json!({"bbox": [0, 0, 1, 1]})).await;
    reply
        .expect_status(501)
        .expect_json("/status", 1)
        .expect_json("/errors/detail", "Radar (SAR) scenes are not processed by this service.");
}

#[tokio::test]
async fn slash_after_the_samples_is_not_found() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    ndvi.get("/api/v1/ndvi/").await.expect_status(404).expect_json("/errors/detail", "Not found.");
}

#[tokio::test]
async fn wrong_method_and_media_type_are_refused_in_the_envelope() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    let reply = ndvi.request("DELETE", SAMPLES).send().await.expect_status(405);
    reply.expect_json("/message", "Method \"DELETE\" not allowed.");
    for target in [SAMPLES, STATISTICS] {
        let xml =
            ndvi.request("POST", target).header("Content-Type", "application/xml").body("<a/>");
        xml.send()
            .await
            .expect_status(415)
            .expect_json("/message", "Unsupported media type \"application/xml\" in request.");
        let broken =
            ndvi.request("POST", target).header("Content-Type", "application/json").body("{");
        let broken = broken.send().await.expect_status(400);
        assert!(broken.text().contains("JSON parse error - "), "{}", broken.text());
    }
}

#[tokio::test]
async fn body_larger_than_any_outline_is_refused() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    let body = format!(r#"{{"geometry":"{}"}}"#, "x".repeat(300 * 1024));
    let reply =
        ndvi.request("POST", STATISTICS).header("Content-Type", "application/json").body(body);
    reply.send().await.expect_status(413).expect_json("/status", 1);
}

#[tokio::test]
async fn wrong_outlines_are_refused_with_a_reason_and_without_a_search() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    let swapped = json!({"type": "Polygon", "coordinates": [
        [[48.2, 113.1], [48.3, 113.1], [48.3, 113.2], [48.2, 113.1]]
    ]});
    let open = json!({"type": "Polygon", "coordinates": [
        [[13.1, 48.2], [13.2, 48.2], [13.2, 48.3], [13.1, 48.3]]
    ]});
    let crossing = json!({"type": "Polygon", "coordinates": [
        [[179.99, 1.0], [-179.99, 1.0], [-179.99, 1.01], [179.99, 1.0]]
    ]});
    let large = json!({"type": "Polygon", "coordinates": [
        [[13.0, 48.0], [13.2, 48.0], [13.2, 48.2], [13.0, 48.0]]
    ]});
    for (geometry, text) in [
        (swapped, "[longitude, latitude]"),
        (open, "not closed"),
        (crossing, "antimeridian"),
        (large, "more than 2500 ha"),
        (json!({"type": "Point", "coordinates": [13.1, 48.2]}), "got Point"),
    ] {
        let reply = ndvi.ask(&geometry, "2021-06-01", "2021-06-30").await.expect_status(400);
        let fault = reply.json()["errors"]["geometry"][0].as_str().unwrap().to_owned();
        assert!(fault.contains(text), "{fault}");
    }
    // A sound outline gets as far as the catalogue, which is not there.
    ndvi.ask(&field("ering-01"), "2021-06-01", "2021-06-30").await.expect_status(502);
}

#[tokio::test]
async fn area_limit_is_a_setting() {
    let directory = Directory::new();
    let program = program(&directory, "http://127.0.0.1:9").env("NDVI_AREA_HA_MAX", "4");
    let ndvi = Ndvi::start(program).await;
    let reply = ndvi.ask(&field("ering-01"), "2021-06-01", "2021-06-30").await.expect_status(400);
    assert!(reply.text().contains("more than 4 ha"), "{}", reply.text());
}
