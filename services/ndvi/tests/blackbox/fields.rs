//! Is the outline of a field kept as it was given?

use harness::Directory;
use serde_json::{Value, json};

use crate::bench::{Ndvi, field, program};
use crate::farm::geometry_of;

const NOBODY: &str = "http://127.0.0.1:9";

async fn put(ndvi: &Ndvi, name: &str, body: &Value) -> harness::Reply {
    ndvi.request("PUT", &geometry_of(name)).json(body).send().await
}

#[tokio::test]
async fn outline_is_kept_and_the_same_one_again_changes_nothing() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, NOBODY)).await;
    let outline = field("hole-01");
    let created = put(&ndvi, "17", &outline).await.expect_status(201);
    let kept = created.expect_json("/message", "Created").json()["data"].clone();
    assert_eq!(
        (&kept["farm_id"], &kept["geometry"]["type"]),
        (&"17".into(), &"MultiPolygon".into())
    );
    assert!(kept["area_ha"].as_f64().unwrap() > 1.0, "{kept}");
    let feature = json!({"type": "Feature", "properties": {"crop": "maize"}, "geometry": outline});
    for again in [&outline, &feature, &kept["geometry"]] {
        let reply = put(&ndvi, "17", again).await.expect_status(200);
        assert_eq!(reply.expect_json("/message", "Unchanged").json()["data"], kept);
    }
    let found = ndvi.get(&geometry_of("17")).await.expect_status(200).json();
    assert_eq!(found["data"], kept);
}

#[tokio::test]
async fn another_outline_is_another_revision_and_survives_a_kill() {
    let directory = Directory::new();
    let mut ndvi = Ndvi::start(program(&directory, NOBODY)).await;
    let first = put(&ndvi, "17", &field("ering-01")).await.expect_status(201).json();
    let second = put(&ndvi, "17", &field("ering-02")).await.expect_status(200);
    let second = second.expect_json("/message", "Replaced").json();
    assert_ne!(first["data"]["revision"], second["data"]["revision"]);
    ndvi.process.kill().await;
    let again = Ndvi::start(program(&directory, NOBODY)).await;
    let found = again.get(&geometry_of("17")).await.expect_status(200).json();
    assert_eq!(found["data"], second["data"]);
}

#[tokio::test]
async fn wrong_outlines_and_names_are_refused_with_a_reason() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, NOBODY).env("NDVI_AREA_HA_MAX", "100")).await;
    let open = json!({"type": "Polygon", "coordinates": [
        [[13.1, 48.2], [13.2, 48.2], [13.2, 48.3], [13.1, 48.3]]
    ]});
    let large = json!({"type": "Polygon", "coordinates": [
        [[13.1, 48.2], [13.2, 48.2], [13.2, 48.3], [13.1, 48.2]]
    ]});
    let collection = json!({"type": "FeatureCollection", "features": []});
    for (body, why) in [
        (open, "not closed"),
        (large, "more than 100 ha"),
        (collection, "Not a GeoJSON geometry"),
        (json!({"type": "Point", "coordinates": [13.1, 48.2]}), "got Point"),
    ] {
        let refused = put(&ndvi, "17", &body).await.expect_status(400).json();
        let text = refused["errors"]["geometry"][0].as_str().unwrap();
        assert!(text.contains(why), "{text}");
    }
    let name = put(&ndvi, "-17", &field("ering-01")).await.expect_status(400);
    assert!(name.text().contains("letters, digits"), "{}", name.text());
    ndvi.get(&geometry_of("17")).await.expect_status(404);
}

#[tokio::test]
async fn unknown_fields_and_jobs_are_not_found() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, NOBODY)).await;
    let text = r#"{"status":1,"message":"No Farm matches the given query.","errors":{"detail":"No Farm matches the given query."}}"#;
    for rest in
        ["geometry", "ndvi/latest/", "ndvi/timeseries/", "ndvi/timeseries.svg", "ndvi/raster.png"]
    {
        let target = format!("/api/v1/farms/17/{rest}");
        ndvi.get(&target).await.expect_status(404).expect_body(text);
    }
    for rest in ["ndvi/refresh/", "ndvi/raster/queue"] {
        let target = format!("/api/v1/farms/17/{rest}");
        ndvi.request("POST", &target).send().await.expect_status(404).expect_body(text);
    }
    for id in ["0123456789abcdef0123456789abcdef", "17"] {
        let reply = ndvi.get(&format!("/api/v1/ndvi/jobs/{id}/")).await.expect_status(404);
        reply.expect_json("/message", "Not found.");
    }
}

#[tokio::test]
async fn routes_are_found_with_their_own_slash_only() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, NOBODY)).await;
    put(&ndvi, "17", &field("ering-01")).await.expect_status(201);
    for wrong in
        ["geometry/", "ndvi/latest", "ndvi/timeseries", "ndvi/timeseries.svg/", "ndvi/raster.png/"]
    {
        let reply = ndvi.get(&format!("/api/v1/farms/17/{wrong}")).await.expect_status(404);
        reply.expect_no_header("location").expect_json("/errors/detail", "Not found.");
    }
    for wrong in ["ndvi/refresh", "ndvi/raster/queue/"] {
        let target = format!("/api/v1/farms/17/{wrong}");
        ndvi.request("POST", &target).send().await.expect_status(404);
    }
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, NOBODY)).await;
    put(&ndvi, "17", &field("ering-01")).await.expect_status(201);
    for rest in ["geometry", "ndvi/latest/", "ndvi/timeseries/", "ndvi/timeseries.svg"] {
        let target = format!("/api/v1/farms/17/{rest}");
        let got = ndvi.get(&target).await.expect_status(200);
        let head = ndvi.request("HEAD", &target).send().await.expect_status(200).expect_body("");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{target}");
    }
}
