//! Are samples accepted, kept once and found again?

use harness::Directory;
use serde_json::{Value, json};

use crate::bench::{Ndvi, program};

const SAMPLES: &str = "/api/v1/ndvi";
const FARM: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";

fn sample(timestamp: &str, mean: f64) -> Value {
    json!({
        "farm_id": FARM, "timestamp": timestamp, "mean": mean, "min": -0.5, "max": 0.9,
        "source": "drone", "geometry": {"type": "Point", "coordinates": [36.8, -1.3]},
    })
}

async fn start(directory: &Directory) -> Ndvi {
    Ndvi::start(program(directory, "http://127.0.0.1:9")).await
}

async fn found(ndvi: &Ndvi, query: &str) -> Value {
    let target = format!("{SAMPLES}?farm_id={FARM}{query}");
    ndvi.get(&target).await.expect_status(200).json()["data"].clone()
}

#[tokio::test]
async fn sample_is_created_and_found_again() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    let reply = ndvi.post(SAMPLES, &sample("2021-06-17T13:00:00+03:00", 0.3)).await;
    reply.expect_status(201).expect_header("content-type", "application/json").expect_body(
        r#"{"status":0,"message":"Created","data":{"status":"created"},"errors":null}"#,
    );
    assert_eq!(
        found(&ndvi, "").await,
        json!({"samples": [{
            "farm_id": FARM, "timestamp": "2021-06-17T10:00:00Z",
            "mean": 0.3, "min": -0.5, "max": 0.9, "source": "drone",
            "geometry": {"type": "Point", "coordinates": [36.8, -1.3]},
        }], "count": 1, "truncated": false})
    );
}

#[tokio::test]
async fn sample_sent_twice_is_created_twice_but_kept_once() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    for _attempt in 0..2 {
        ndvi.post(SAMPLES, &sample("2021-06-17T10:00:00Z", 0.3)).await.expect_status(201);
    }
    let body = sample("2021-06-17T10:00:00Z", 0.3);
    for reply in harness::burst(16, |_| ndvi.request("POST", SAMPLES).json(&body).send()).await {
        reply.expect_status(201);
    }
    assert_eq!(found(&ndvi, "").await["count"], 1);
}

#[tokio::test]
async fn interval_and_limit_choose_the_newest() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    for day in 10..15 {
        ndvi.post(SAMPLES, &sample(&format!("2021-06-{day}T10:00:00Z"), 0.3))
            .await
            .expect_status(201);
    }
    let data = found(&ndvi, "&start=2021-06-11&end=2021-06-14&limit=2").await;
    assert_eq!((&data["count"], &data["truncated"]), (&2.into(), &true.into()));
    assert_eq!(data["samples"][0]["timestamp"], "2021-06-14T10:00:00Z");
    assert_eq!(found(&ndvi, "&end=2021-06-09").await["count"], 0);
}

#[tokio::test]
async fn acknowledged_sample_survives_a_kill() {
    let directory = Directory::new();
    let mut ndvi = start(&directory).await;
    ndvi.post(SAMPLES, &sample("2021-06-17T10:00:00Z", 0.3)).await.expect_status(201);
    ndvi.process.kill().await;
    let again = start(&directory).await;
    assert_eq!(found(&again, "").await["count"], 1);
}

#[tokio::test]
async fn n10_negative_ndvi_is_created() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    let mut water = sample("2021-06-17T10:00:00Z", -0.37);
    water["max"] = (-0.1).into();
    ndvi.post(SAMPLES, &water).await.expect_status(201);
    assert_eq!(found(&ndvi, "").await["samples"][0]["mean"], -0.37);
}

#[tokio::test]
async fn faulty_samples_get_the_known_bodies() {
    let directory = Directory::new();
    let ndvi = start(&directory).await;
    ndvi.post(SAMPLES, &json!({})).await.expect_status(400).expect_body(
        r#"{"status":1,"message":"Request failed","errors":{"farm_id":["This field is required."],"timestamp":["This field is required."],"mean":["This field is required."],"min":["This field is required."],"max":["This field is required."]}}"#,
    );
    let mut disordered = sample("2021-06-17T10:00:00Z", 0.3);
    disordered["min"] = 0.4.into();
    ndvi.post(SAMPLES, &disordered).await.expect_status(400).expect_body(
        r#"{"status":1,"message":"Request failed","errors":{"non_field_errors":["NDVI values must satisfy min <= mean <= max <= 1.0."]}}"#,
    );
    assert_eq!(found(&ndvi, "").await["count"], 0);
}
