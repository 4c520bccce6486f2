//! Are statistics told in the words of the Statistical API and of titiler, with the same numbers?

use harness::{Directory, Reply};
use replay::Fault;
use serde_json::{Value, json};

use crate::bench::{DESERT, JUNE, Ndvi, SEPTEMBER, field, golden, near, number, program, recorded};

const STATISTICAL: &str = "/api/v1/statistics";
const TITILER: &str = "/api/v1/stac/statistics";

/// A request as clients of the Statistical API send it, but without a script.
fn statistical(name: &str, of: &str) -> Value {
    json!({
        "input": {
            "bounds": {
                "geometry": field(name),
                "properties": {"crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
            },
            "data": [{"type": "sentinel-2-l2a", "dataFilter": {"maxCloudCoverage": 80}}],
        },
        "aggregation": {
            "timeRange": {"from": "2021-06-01T00:00:00Z", "to": "2021-10-01T00:00:00Z"},
            "aggregationInterval": {"of": of},
        },
        "calculations": {
            "default": {"statistics": {"default": {"percentiles": {"k": [10, 50.0, 90]}}}},
        },
    })
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut request = statistical("ering-01", "P1D");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    request.pointer_mut(parent).unwrap()[key] = value;
    request
}

async fn with_replay(directory: &Directory) -> (Ndvi, replay::Running) {
    let replay = recorded();
    (Ndvi::start(program(directory, &replay.base_url())).await, replay)
}

fn data(reply: &Reply) -> Vec<Value> {
    reply.json()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_day_with_a_scene_is_an_interval_with_the_golden_numbers() {
    let directory = Directory::new();
    let (ndvi, _replay) = with_replay(&directory).await;
    for name in ["ering-01", "ering-07", "hole-01", "water-01"] {
        let expected = &golden()["scenes"][JUNE]["polygons"][name];
        let reply = ndvi.post(STATISTICAL, &statistical(name, "P1D")).await.expect_status(200);
        let reply = reply.expect_json("/status", "OK");
        assert_eq!(reply.json()["geometryPixelCount"], expected["pixel_count"], "{name}");
        let intervals = data(&reply);
        assert_eq!(intervals.len(), 2, "days without a scene are left out: {intervals:?}");
        assert_eq!(
            intervals[0]["interval"],
            json!({"from": "2021-06-17T00:00:00Z", "to": "2021-06-18T00:00:00Z"})
        );
        assert_eq!(intervals[0]["source"]["scene_id"], JUNE);
        let stats = &intervals[0]["outputs"]["ndvi"]["bands"]["B0"]["stats"];
        for (word, known) in [("min", "min"), ("max", "max"), ("mean", "mean"), ("stDev", "std")] {
            near(&stats[word], &expected[known], &format!("{name} {word}"));
        }
        for (word, known) in [("10.0", "p10"), ("50.0", "median"), ("90.0", "p90")] {
            near(&stats["percentiles"][word], &expected[known], &format!("{name} {word}"));
        }
        let counted = number(&stats["sampleCount"]) - number(&stats["noDataCount"]);
        near(&counted.into(), &expected["valid_count"], name);
    }
}

#[tokio::test]
async fn longer_intervals_take_the_scene_that_was_asked_for() {
    let directory = Directory::new();
    let (ndvi, _replay) = with_replay(&directory).await;
    for (order, scene) in [("mostRecent", SEPTEMBER), ("leastRecent", JUNE)] {
        let mut request = statistical("ering-01", "P122D");
        request["input"]["data"][0]["dataFilter"]["mosaickingOrder"] = order.into();
        let intervals = data(&ndvi.post(STATISTICAL, &request).await.expect_status(200));
        assert_eq!(intervals.len(), 1);
        assert_eq!(intervals[0]["source"]["scene_id"], scene, "{order}");
    }
    // 122 days are one interval of 100 and a rest, which is left out unless it is asked for.
    let mut request = statistical("ering-01", "P100D");
    assert_eq!(data(&ndvi.post(STATISTICAL, &request).await).len(), 1);
    request["aggregation"]["aggregationInterval"]["lastIntervalBehavior"] = "SHORTEN".into();
    let intervals = data(&ndvi.post(STATISTICAL, &request).await);
    assert_eq!(intervals[1]["interval"]["to"], "2021-10-01T00:00:00Z");
    assert_eq!(intervals[1]["source"]["scene_id"], SEPTEMBER);
}

#[tokio::test]
async fn filters_of_the_data_narrow_the_scenes() {
    let directory = Directory::new();
    let (ndvi, _replay) = with_replay(&directory).await;
    let range = json!({"from": "2021-06-01T00:00:00Z", "to": "2021-07-01T00:00:00Z"});
    let narrow = changed("/input/data/0/dataFilter/timeRange", range);
    let intervals = data(&ndvi.post(STATISTICAL, &narrow).await.expect_status(200));
    assert_eq!(intervals.len(), 1);
    assert_eq!(intervals[0]["source"]["scene_id"], JUNE);
    // 4.05 % of the desert scene are cloud.
    let mut desert = statistical("rkh-clear", "P1D");
    desert["aggregation"]["timeRange"] =
        json!({"from": "2020-02-19T00:00:00Z", "to": "2020-02-20T00:00:00Z"});
    for (most, found) in [(4, 0), (5, 1)] {
        desert["input"]["data"][0]["dataFilter"]["maxCloudCoverage"] = most.into();
        let reply = ndvi.post(STATISTICAL, &desert).await.expect_status(200);
        assert_eq!(data(&reply).len(), found, "{most} %: {}", reply.text());
    }
}

#[tokio::test]
async fn clouded_field_has_numbers_that_do_not_exist() {
    let directory = Directory::new();
    let (ndvi, _replay) = with_replay(&directory).await;
    let mut request = statistical("rkh-cloud", "P1D");
    let expected = &golden()["scenes"][DESERT]["polygons"]["rkh-cloud"];
    assert_eq!(expected["valid_count"], 0);
    request["aggregation"]["timeRange"] =
        json!({"from": "2020-02-19T00:00:00Z", "to": "2020-02-20T00:00:00Z"});
    let intervals = data(&ndvi.post(STATISTICAL, &request).await.expect_status(200));
    let stats = &intervals[0]["outputs"]["ndvi"]["bands"]["B0"]["stats"];
    assert_eq!((&stats["mean"], &stats["percentiles"]["50.0"]), (&"NaN".into(), &"NaN".into()));
    assert_eq!(stats["sampleCount"], expected["pixel_count"]);
    assert_eq!(stats["noDataCount"], expected["pixel_count"]);
}

#[tokio::test]
async fn failed_scenes_make_the_answer_partial_or_failed() {
    let directory = Directory::new();
    let (ndvi, replay) = with_replay(&directory).await;
    let fault =
        |prefix: String| Fault { status: Some(503), path_prefix: Some(prefix), ..Fault::default() };
    replay.set_fault(fault(format!("/s2/{SEPTEMBER}"))).unwrap();
    let request = statistical("ering-01", "P1D");
    let reply = ndvi.post(STATISTICAL, &request).await.expect_status(200);
    let intervals = data(&reply.expect_json("/status", "PARTIAL"));
    assert!(intervals[0].get("error").is_none() && intervals[0].get("outputs").is_some());
    assert_eq!(intervals[1]["error"]["type"], "EXECUTION_ERROR");
    assert!(intervals[1].get("outputs").is_none());
    replay.set_fault(fault("/s2".to_owned())).unwrap();
    let reply = ndvi.post(STATISTICAL, &changed("/input/data/0/id", json!("a"))).await;
    // The headers and tiles of June were read above, but tiles are not kept.
    reply.expect_status(502).expect_json("/status", "FAILED");
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, "http://127.0.0.1:9")).await;
    for (pointer, value, field, named) in [
        ("/aggregation/evalscript", json!("//VERSION=3"), "aggregation", "evalscript"),
        ("/aggregation/resx", json!(10), "aggregation", "resx"),
        ("/input/bounds/bbox", json!([1, 2, 3, 4]), "input.bounds", "bbox"),
        ("/input/data/0/processing", json!({}), "input.data", "processing"),
        ("/input/data/0/type", json!("landsat-ot-l2"), "input.data.type", "sentinel-2-l2a"),
        (
            "/input/data/0/dataFilter/previewMode",
            json!("X"),
            "input.data.dataFilter",
            "previewMode",
        ),
        ("/input/data/0/dataFilter", json!("clear"), "input.data.dataFilter", "an object"),
        (
            "/input/bounds/properties/crs",
            json!("http://www.opengis.net/def/crs/EPSG/0/32633"),
            "input.bounds.properties.crs",
            "CRS84",
        ),
        (
            "/aggregation/aggregationInterval/of",
            json!("PT1H"),
            "aggregation.aggregationInterval.of",
            "P1D",
        ),
        ("/calculations/evi", json!({}), "calculations", "evi"),
        (
            "/calculations/default/statistics/default/histograms",
            json!({}),
            "calculations",
            "histograms",
        ),
        (
            "/calculations/default/statistics/default/percentiles/k",
            json!([99.5]),
            "calculations",
            "whole numbers",
        ),
        ("/output", json!({}), "non_field_errors", "output"),
    ] {
        let mut request = json!({"": statistical("ering-01", "P1D")});
        let pointer = format!("/{pointer}");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[key] = value;
        let reply = ndvi.post(STATISTICAL, &request[""]).await.expect_status(400);
        let fault = reply.json()["errors"][field][0].as_str().unwrap_or_default().to_owned();
        assert!(fault.contains(named), "{pointer}: {}", reply.text());
    }
    let empty = ndvi.post(STATISTICAL, &json!({})).await.expect_status(400);
    for field in ["input", "aggregation"] {
        assert_eq!(empty.json()["errors"][field][0], "This field is required.");
    }
}

#[tokio::test]
async fn time_of_the_statistical_api_has_the_same_bounds() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, "http://127.0.0.1:9")).await;
    let range =
        |from: &str, to: &str| changed("/aggregation/timeRange", json!({"from": from, "to": to}));
    for (request, text) in [
        (range("2021-06-01T00:00:00Z", "2022-06-03T00:00:00Z"), "longer than 366 days"),
        (range("2021-06-02T00:00:00Z", "2021-06-01T00:00:00Z"), "from must be before to"),
        (range("2021-06-01", "yesterday"), "from and to are needed"),
    ] {
        let reply = ndvi.post(STATISTICAL, &request).await.expect_status(400);
        assert!(reply.text().contains(text), "{}", reply.text());
    }
}

fn feature(name: &str) -> Value {
    json!({"type": "Feature", "id": 7, "properties": {"crop": "maize"}, "geometry": field(name)})
}

#[tokio::test]
async fn feature_comes_back_with_titilers_words() {
    let directory = Directory::new();
    let (ndvi, _replay) = with_replay(&directory).await;
    let target = format!("{TITILER}?datetime=2021-06-17");
    for name in ["ering-01", "ering-07", "multi-01"] {
        let expected = &golden()["scenes"][JUNE]["polygons"][name];
        let answer = ndvi.post(&target, &feature(name)).await.expect_status(200).json();
        assert_eq!((&answer["id"], &answer["geometry"]), (&7.into(), &field(name)));
        let properties = &answer["properties"];
        assert_eq!((&properties["crop"], &properties["scene_id"]), (&"maize".into(), &JUNE.into()));
        let words = &properties["statistics"]["ndvi"];
        let keys: Vec<&String> = words.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 12, "{keys:?}");
        for word in ["min", "max", "mean", "std", "median"] {
            near(&words[word], &expected[word], &format!("{name} {word}"));
        }
        let (count, mean) = (number(&expected["valid_count"]), number(&expected["mean"]));
        near(&words["sum"], &(words["mean"].as_f64().unwrap() * count).into(), "sum");
        assert!((number(&words["sum"]) - mean * count).abs() < 1e-3, "{words}");
        assert_eq!(
            (&words["count"], &words["valid_pixels"]),
            (&expected["valid_count"], &expected["valid_count"])
        );
        assert_eq!((&words["masked_pixels"], &words["valid_percent"]), (&0.into(), &100.0.into()));
        assert!(words["percentile_2"].as_f64() <= expected["p10"].as_f64());
        assert!(words["percentile_98"].as_f64() >= expected["p90"].as_f64());
    }
}

#[tokio::test]
async fn partly_clouded_area_tells_its_masked_pixels() {
    let directory = Directory::new();
    let (ndvi, _replay) = with_replay(&directory).await;
    let names = golden()["scenes"][DESERT]["polygons"].as_object().unwrap().clone();
    for (name, expected) in names {
        let target = format!("{TITILER}?datetime=2020-02-19");
        let answer = ndvi.post(&target, &feature(&name)).await.expect_status(200).json();
        let words = &answer["properties"]["statistics"]["ndvi"];
        let (all, valid) = (number(&expected["pixel_count"]), number(&expected["valid_count"]));
        near(&words["masked_pixels"], &(all - valid).into(), &name);
        assert!((number(&words["valid_percent"]) - valid / all * 100.0).abs() <= 0.005, "{words}");
        assert_eq!(words["mean"].is_null(), valid == 0.0);
    }
}

#[tokio::test]
async fn titilers_request_is_checked() {
    let directory = Directory::new();
    let (ndvi, replay) = with_replay(&directory).await;
    let ask = |query: &str, body: Value| {
        let target = format!("{TITILER}{query}");
        let ndvi = &ndvi;
        async move { ndvi.post(&target, &body).await }
    };
    let reply = ask("", feature("ering-01")).await.expect_status(400);
    assert!(reply.text().contains("\"datetime\""), "{}", reply.text());
    let reply = ask("?datetime=2021-06-17&expression=b1", feature("ering-01")).await;
    assert!(reply.expect_status(400).text().contains("expression is not supported"));
    let reply = ask("?datetime=2021-06-17", field("ering-01")).await.expect_status(400);
    assert!(reply.text().contains("A GeoJSON Feature is needed."), "{}", reply.text());
    ask("?datetime=2021-06-18", feature("ering-01")).await.expect_status(404);
    let fault = Fault { status: Some(503), path_prefix: Some("/s2".into()), ..Fault::default() };
    replay.set_fault(fault).unwrap();
    ask("?datetime=2021-06-17", feature("ering-01")).await.expect_status(502);
}
