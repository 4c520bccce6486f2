//! Does the service answer as its own document says?

use std::collections::BTreeSet;

use harness::{Directory, OpenApi};
use serde_json::{Value, json};

use crate::bench::{Ndvi, field, program, recorded};

const SAMPLES: &str = "/api/v1/ndvi";
const STATISTICS: &str = "/api/v1/ndvi/statistics";

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_fields_and_jobs_fit_the_document() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(ndvi.address).await;
    let farm = "/api/v1/farms/{id}/ndvi";
    let geometry = "/api/v1/farms/{id}/geometry";
    let path = "/api/v1/farms/7/geometry";
    let put = ndvi.request("PUT", path).json(&field("ering-01")).send().await;
    document.check(&format!("PUT {geometry}"), &put.expect_status(201));
    document.check(&format!("GET {geometry}"), &ndvi.get(path).await.expect_status(200));
    let known = ndvi.known_farm("7");
    let queued = known.refresh("2021-06-10", "2021-06-20").await.expect_status(202);
    document.check(&format!("POST {farm}/refresh/"), &queued);
    let id = queued.json()["data"]["job_id"].as_str().unwrap().to_owned();
    ndvi.attempt_ended(&id, "done").await;
    let job = ndvi.get(&format!("/api/v1/ndvi/jobs/{id}/")).await.expect_status(200);
    document.check("GET /api/v1/ndvi/jobs/{id}/", &job);
    let again = known.refresh("2021-06-11", "2021-06-20").await.expect_status(429);
    document.check(&format!("POST {farm}/refresh/"), &again);
    let query = "start=2021-06-10&end=2021-06-20&step_days=2";
    let series = known.get(&format!("timeseries/?{query}")).await.expect_status(200);
    document.check(&format!("GET {farm}/timeseries/"), &series);
    assert!(series.text().contains("offset_reason"), "no value in {}", series.text());
    let latest = known.get("latest/").await.expect_status(200);
    document.check(&format!("GET {farm}/latest/"), &latest);
    let lost = ndvi.get("/api/v1/farms/8/ndvi/latest/").await.expect_status(404);
    document.check(&format!("GET {farm}/latest/"), &lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_and_statistics_fit_the_document() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(ndvi.address).await;
    let sample = json!({
        "farm_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "timestamp": "2021-06-17T10:00:00Z",
        "mean": 0.5, "min": 0.1, "max": 0.9,
    });
    let post = ndvi.request("POST", SAMPLES).json(&sample).send().await.expect_status(201);
    document.check(&format!("POST {SAMPLES}"), &post);
    let wrong = ndvi.request("POST", SAMPLES).json(&json!({})).send().await.expect_status(400);
    document.check(&format!("POST {SAMPLES}"), &wrong);
    for query in ["", "?farm_id=6f9619ff-8b86-d011-b42d-00cf4fc964ff"] {
        let found = ndvi.get(&format!("{SAMPLES}{query}")).await.expect_status(200);
        document.check(&format!("GET {SAMPLES}"), &found);
    }
    let statistics = ndvi.ask(&field("ering-01"), "2021-06-01", "2021-06-30").await;
    let statistics = statistics.expect_status(200);
    document.check(&format!("POST {STATISTICS}"), &statistics);
    // The words of a scene are written down twice: none may be missing in the document.
    let reply = ndvi.get("/openapi.json").await.json();
    let documented = keys(&reply["components"]["schemas"]["SceneAnswer"]["properties"]);
    let sent = keys(&statistics.json()["data"]["scenes"][0]);
    assert!(!sent.is_empty() && sent.is_subset(&documented), "{sent:?} in {documented:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_is_listed_is_documented() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let document = OpenApi::of(ndvi.address).await;
    let documented: BTreeSet<String> = document
        .operations()
        .into_iter()
        .map(|operation| operation.split(' ').nth(1).unwrap().to_owned())
        .collect();
    let listed = ndvi.get("/api/v1/").await.json();
    for path in listed["data"]["endpoints"].as_array().unwrap() {
        assert!(documented.contains(path.as_str().unwrap()), "{path} in {documented:?}");
    }
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
}
