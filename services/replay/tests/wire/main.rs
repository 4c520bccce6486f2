//! What does the `replay` program do on the wire?
//!
//! The tests speak HTTP/1.1 over a plain socket: a client library would hide what is tested here
//! (resets, bodies cut short, headers of HEAD).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failed unwrap is the test's failure; slowness is measured with the real clock"
)]

mod faults;
mod program;
mod ranges;
mod recording;

use std::io::ErrorKind;
use std::process::Command;

use serde_json::{Value, json};

use crate::program::{FORECAST, Program, SCENE, SCENE_BYTES, command, started};

#[test]
fn forecast_names_its_recording() {
    let answer = started().get(FORECAST);
    assert_eq!(answer.status, 200);
    let recording = "weather/open_meteo_forecast_berlin_20211124.json";
    assert_eq!(answer.header("x-replay-recording"), Some(recording));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.json()["current"]["temperature_2m"], json!(5.5));
}

#[test]
fn every_provider_path_is_served() {
    let replay = started();
    let archive = "/v1/archive?latitude=60&longitude=5&start_date=2025-01-15&end_date=2025-01-16\
                   &daily=temperature_2m_max";
    let power = "/api/temporal/daily/point?parameters=T2M&community=AG&latitude=50&longitude=8\
                 &start=20240101&end=20240107&format=JSON";
    for target in [archive, power, "/farms/ering_fields.geojson", SCENE, "/healthz"] {
        assert_eq!(replay.get(target).status, 200, "{target}");
    }
    assert_eq!(replay.get("/v2/forecast").status, 404);
    assert_eq!(replay.get("/s2/../weather/open_meteo_errors.json").status, 404);
    assert_eq!(replay.get("/search").status, 405);
}

#[test]
fn malformed_question_gets_the_providers_refusal() {
    let answer = started().get("/v1/forecast?latitude=95&longitude=13");
    let reason = "Latitude must be in range of -90 to 90°. Given: 95.0.";
    assert_eq!((answer.status, answer.json()), (400, json!({"error": true, "reason": reason})));
}

#[test]
fn search_links_lead_back_to_this_server() {
    let replay = started();
    let body =
        json!({"collections": ["sentinel-2-l2a"], "bbox": [13.0, 48.0, 13.2, 48.4], "limit": 1});
    let page = replay.send("POST", "/search", "", &body.to_string());
    assert_eq!(page.header("content-type"), Some("application/geo+json; charset=utf-8"));
    let page = page.json();
    let href = page["features"][0]["assets"]["red"]["href"].as_str().unwrap();
    let target = href.strip_prefix(&format!("http://{}", replay.address)).unwrap();
    assert_eq!(replay.send("HEAD", target, "", "").status, 200);
    let next = replay.send("POST", "/search", "", &page["links"][0]["body"].to_string()).json();
    assert_eq!(next["features"][0]["id"], "S2B_33UUP_20210617_0_L2A");
    assert_eq!(replay.send("POST", "/search", "", r#"{"sortby":[]}"#).status, 400);
}

#[test]
fn head_tells_the_length_without_the_body() {
    let answer = started().send("HEAD", SCENE, "Range: bytes=0-9\r\n", "");
    assert_eq!((answer.status, answer.length(), answer.body.len()), (200, SCENE_BYTES, 0));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
}

#[test]
fn range_answers_are_slices_of_the_whole() {
    let replay = started();
    let whole = replay.get(SCENE);
    let part = replay.send("GET", SCENE, "Range: bytes=100-199\r\n", "");
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 100-199/8268")));
    assert_eq!(part.body, whole.body[100..200]);
    let tail = replay.send("GET", SCENE, "Range: bytes=-8\r\n", "");
    assert_eq!(tail.body, whole.body[SCENE_BYTES - 8..]);
    let behind = replay.send("GET", SCENE, "Range: bytes=8268-\r\n", "");
    assert_eq!((behind.status, behind.header("content-range")), (416, Some("bytes */8268")));
}

#[test]
fn if_range_of_other_bytes_gets_the_whole() {
    let replay = started();
    let etag = replay.get(SCENE).header("etag").unwrap().to_owned();
    let asked = |tag: &str| {
        replay.send("GET", SCENE, &format!("Range: bytes=0-9\r\nIf-Range: {tag}\r\n"), "").status
    };
    assert_eq!((asked(&etag), asked("\"other\"")), (206, 200));
}

#[test]
fn status_fault_wears_off_after_its_times() {
    let replay = started();
    assert_eq!(replay.fault(&json!({"status": 429, "times": 2, "path_prefix": "/v1"})).status, 200);
    assert_eq!(replay.get(SCENE).status, 200);
    let refused = replay.get(FORECAST);
    assert_eq!(refused.status, 429);
    let reason = "Minutely API request limit exceeded. Please try again in one minute.";
    assert_eq!(refused.json()["reason"], reason);
    assert_eq!(replay.get(FORECAST).status, 429);
    assert_eq!(replay.get(FORECAST).status, 200);
}

#[test]
fn cleared_fault_lets_requests_through() {
    let replay = started();
    replay.fault(&json!({"status": 503, "reason": "Too many concurrent requests"}));
    assert_eq!(replay.get(FORECAST).json()["reason"], "Too many concurrent requests");
    assert_eq!(replay.send("DELETE", "/_replay/faults", "", "").status, 204);
    assert_eq!(replay.get(FORECAST).status, 200);
}

#[test]
fn reset_fault_ends_in_a_tcp_reset() {
    let replay = started();
    replay.fault(&json!({"reset": true, "times": 1}));
    let error = replay.raw("GET", FORECAST, "", "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(replay.get(FORECAST).status, 200);
}

#[test]
fn truncated_body_is_shorter_than_promised() {
    let replay = started();
    let whole = replay.get(FORECAST);
    replay.fault(&json!({"truncate": true}));
    let cut = replay.get(FORECAST);
    assert_eq!((cut.status, cut.length()), (200, whole.body.len()));
    assert_eq!(cut.body, whole.body[..whole.body.len() / 2]);
}

#[test]
fn short_body_is_well_framed_and_half() {
    let replay = started();
    replay.fault(&json!({"short_body": true}));
    let short = replay.send("GET", SCENE, "Range: bytes=0-99\r\n", "");
    assert_eq!((short.status, short.length(), short.body.len()), (206, 50, 50));
    assert_eq!(short.header("content-range"), Some("bytes 0-99/8268"));
}

#[test]
fn error_tail_breaks_a_successful_answer() {
    let replay = started();
    replay.fault(&json!({"error_tail": true}));
    let broken = replay.get(FORECAST);
    assert_eq!((broken.status, broken.length()), (200, broken.body.len()));
    assert!(broken.body.ends_with(b"Unexpected error while streaming data: ..."));
    assert!(serde_json::from_slice::<Value>(&broken.body).is_err());
}

#[test]
fn ignored_range_answers_with_the_whole() {
    let replay = started();
    replay.fault(&json!({"ignore_range": true}));
    let answer = replay.send("GET", SCENE, "Range: bytes=0-9\r\n", "");
    assert_eq!((answer.status, answer.body.len()), (200, SCENE_BYTES));
}

#[test]
fn delay_holds_requests_in_flight_together() {
    let replay = Program::start(&["--listen", "127.0.0.1:0", "--delay-ms", "1000"]);
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(replay.get(FORECAST).status, 200));
        }
    });
    let counts = replay.counts();
    assert_eq!(counts["requests"]["/v1/forecast"], 5);
    assert!(counts["in_flight_max"].as_u64().unwrap() >= 2, "{counts}");
}

#[test]
fn bad_fault_is_refused_with_its_field() {
    let replay = started();
    for (body, part) in [
        (r#"{"stats":503}"#, "stats"),
        (r#"{"status":200}"#, "400 to 599"),
        (r#"{"delay_ms":999999999}"#, "delay_ms"),
        ("{}", "does nothing"),
        ("nonsense", "expected"),
    ] {
        let answer = replay.send("PUT", "/_replay/faults", "", body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"].as_str().unwrap().contains(part), "{body}: {answer:?}");
    }
    let large = format!(r#"{{"reason":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(replay.send("PUT", "/_replay/faults", "", &large).status, 413);
    assert_eq!(replay.get("/_replay/faults").json(), Value::Null);
}

#[test]
fn counts_tell_requests_bytes_and_ranges() {
    let replay = started();
    replay.get(FORECAST);
    replay.send("GET", SCENE, "Range: bytes=0-99\r\n", "");
    replay.get("/healthz");
    let counts = replay.counts();
    assert_eq!(counts["requests"], json!({"/v1/forecast": 1, SCENE: 1}));
    assert_eq!(counts["bytes"][SCENE], 100);
    let query = "latitude=48.3&longitude=13.1&current=temperature_2m";
    let logged = json!({"method": "GET", "path": "/v1/forecast", "query": query, "range": null});
    assert_eq!(counts["log"][0], logged);
    assert_eq!(counts["log"][1]["range"], "bytes=0-99");
    assert_eq!(replay.send("DELETE", "/_replay/counts", "", "").status, 204);
    assert_eq!(replay.counts()["requests"], json!({}));
}

#[test]
fn shift_is_switched_at_run_time() {
    let replay = started();
    assert_eq!(replay.get(FORECAST).json()["current"]["time"], "2021-11-24T22:00");
    let answer = replay.send("PUT", "/_replay/shift", "", r#"{"enabled":true}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({"enabled": true})));
    assert_ne!(replay.get(FORECAST).json()["current"]["time"], "2021-11-24T22:00");
    assert_eq!(replay.send("PUT", "/_replay/shift", "", r#"{"on":true}"#).status, 400);
}

#[test]
fn taken_port_is_explained() {
    let replay = started();
    let second = command(&["--listen", &replay.address]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success());
    assert!(said.contains("is taken by another process"), "{said}");
}

#[test]
fn missing_data_is_explained() {
    let output = Command::new(env!("CARGO_BIN_EXE_replay"))
        .args(["--listen", "127.0.0.1:0", "--data", "no/such/directory"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("point --data at the directory"));
}

#[test]
fn terminated_program_ends_with_success() {
    let replay = started();
    // An idle connection must not hold the program up.
    let idle = replay.connect();
    assert!(replay.terminate().success());
    drop(idle);
}
