//! Does each fault meet the requests it names, and do to them what it says?

use std::time::Instant;

use serde_json::{Value, json};

use crate::program::{Answer, FORECAST, Program, SCENE, SCENE_BYTES, started};

const PART: &str = "Range: bytes=100-199\r\n";

/// A part of the scene under this fault of its own.
fn part(replay: &Program, fault: &str) -> Answer {
    replay.send("GET", SCENE, &format!("{PART}X-Replay-Fault: {fault}\r\n"), "")
}

fn search(replay: &Program, body: &Value, fault: &str) -> Answer {
    let header = format!("X-Replay-Fault: {fault}\r\n");
    replay.send("POST", "/search", &header, &body.to_string())
}

/// A search of two pages.
fn two_pages() -> Value {
    json!({"collections": ["sentinel-2-l2a"], "limit": 2})
}

#[test]
fn request_carries_its_own_fault_in_a_header() {
    let replay = started();
    let begun = Instant::now();
    let header = "X-Replay-Fault: delay=200,status=503\r\n";
    assert_eq!(replay.send("GET", FORECAST, header, "").status, 503);
    assert!(begun.elapsed().as_millis() >= 200);
    assert_eq!(replay.get(FORECAST).status, 200, "the next request is not met");
}

#[test]
fn fault_in_the_query_is_not_part_of_the_question() {
    let replay = started();
    let asked = |more: &str| replay.get(&format!("{FORECAST}{more}"));
    assert_eq!(asked("&replay_fault=status%3D429").status, 429);
    assert_eq!(asked("&replay_fault=delay%3D1").json()["current"], asked("").json()["current"]);
    assert_eq!(replay.get(&format!("{SCENE}?replay_fault=delay%3D1")).status, 200);
}

#[test]
fn own_fault_goes_before_the_one_in_force_and_leaves_its_count() {
    let replay = started();
    replay.fault(&json!({"status": 500, "times": 1}));
    let own = replay.send("GET", FORECAST, "X-Replay-Fault: status=503\r\n", "");
    assert_eq!(own.status, 503);
    assert_eq!(replay.get(FORECAST).status, 500);
    assert_eq!(replay.get(FORECAST).status, 200);
}

#[test]
fn own_fault_that_cannot_be_read_is_refused_with_its_part() {
    let replay = started();
    for (text, named) in [
        ("dely=5", "dely=5"),
        ("delay=1,delay=2", "delay is given twice"),
        ("status=200", "400 to 599"),
        ("file=broken", "file=broken"),
        ("drip=0/10", "drip is 0 bytes"),
        ("", "is not a fault"),
    ] {
        let answer = replay.send("GET", FORECAST, &format!("X-Replay-Fault: {text}\r\n"), "");
        let said = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 400, "{text}");
        assert!(said.contains(named), "{text}: {said}");
    }
    let both = "X-Replay-Fault: reset\r\n";
    let answer = replay.send("GET", &format!("{FORECAST}&replay_fault=reset"), both, "");
    assert_eq!(answer.status, 400);
}

#[test]
fn fault_meets_the_nth_request_of_a_method_and_a_path() {
    let replay = started();
    let third =
        json!({"status": 503, "method": "GET", "path_prefix": SCENE, "skip": 2, "times": 1});
    assert_eq!(replay.fault(&third).status, 200);
    replay.get(FORECAST);
    replay.send("HEAD", SCENE, "", "");
    let seen: Vec<u16> = (0..4).map(|_| replay.get(SCENE).status).collect();
    assert_eq!(seen, [200, 200, 503, 200]);
}

#[test]
fn method_that_is_none_is_refused() {
    let answer = started().fault(&json!({"reset": true, "method": "G T"}));
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"].as_str().unwrap().contains("G T"));
}

#[test]
fn dripped_body_is_whole_and_slow() {
    let replay = started();
    let begun = Instant::now();
    let answer = part(&replay, "drip=25/100");
    assert!(begun.elapsed().as_millis() >= 400, "four pieces with a pause before each");
    assert_eq!((answer.status, answer.length(), answer.body.len()), (206, 100, 100));
    assert_eq!(answer.body, replay.send("GET", SCENE, PART, "").body);
}

#[test]
fn wrong_content_range_names_other_bytes() {
    let answer = part(&started(), "file=wrong_range");
    assert_eq!((answer.status, answer.body.len()), (206, 100));
    assert_eq!(answer.header("content-range"), Some("bytes 101-200/8268"));
}

#[test]
fn tag_differs_between_parts_although_preconditions_hold() {
    let replay = started();
    let etag = replay.get(SCENE).header("etag").unwrap().to_owned();
    let headers = format!("{PART}If-Match: {etag}\r\nX-Replay-Fault: file=wrong_etag\r\n");
    let tags: Vec<String> = (0..2)
        .map(|_| replay.send("GET", SCENE, &headers, ""))
        .inspect(|answer| assert_eq!(answer.status, 206))
        .map(|answer| answer.header("etag").unwrap().to_owned())
        .collect();
    assert_ne!(tags[0], etag);
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn replaced_file_fails_preconditions_of_the_old_one() {
    let replay = started();
    let etag = replay.get(SCENE).header("etag").unwrap().to_owned();
    replay.fault(&json!({"file": "replaced", "path_prefix": "/s2"}));
    let status =
        |condition: &str| replay.send("GET", SCENE, &format!("{PART}{condition}\r\n"), "").status;
    assert_eq!(status(&format!("If-Match: {etag}")), 412);
    assert_eq!(status(&format!("If-Range: {etag}")), 200);
    assert_eq!(status("If-Match: \"replaced\""), 206);
    let fresh = replay.send("GET", SCENE, PART, "");
    assert_eq!((fresh.status, fresh.header("etag")), (206, Some("\"replaced\"")));
}

#[test]
fn part_with_fewer_bytes_is_described_truly() {
    let answer = part(&started(), "file=fewer_bytes");
    assert_eq!((answer.status, answer.length(), answer.body.len()), (206, 50, 50));
    assert_eq!(answer.header("content-range"), Some("bytes 100-149/8268"));
}

#[test]
fn every_range_is_unsatisfiable_on_demand() {
    let replay = started();
    let answer = part(&replay, "file=unsatisfiable");
    assert_eq!((answer.status, answer.length(), answer.body.len()), (416, 0, 0));
    assert_eq!(answer.header("content-range"), Some("bytes */8268"));
    let whole = replay.send("GET", SCENE, "X-Replay-Fault: file=unsatisfiable\r\n", "");
    assert_eq!((whole.status, whole.body.len()), (200, SCENE_BYTES));
}

#[test]
fn server_need_not_say_that_it_serves_ranges() {
    let answer = part(&started(), "file=no_accept_ranges");
    assert_eq!((answer.status, answer.header("accept-ranges")), (206, None));
}

#[test]
fn head_is_refused_while_get_is_served() {
    let replay = started();
    let header = "X-Replay-Fault: file=refuse_head\r\n";
    let head = replay.send("HEAD", SCENE, header, "");
    assert_eq!((head.status, head.header("allow")), (405, Some("GET")));
    assert_eq!(replay.send("GET", SCENE, header, "").status, 200);
}

#[test]
fn redirect_leads_to_the_file_and_a_loop_to_itself() {
    let replay = started();
    let header = "X-Replay-Fault: file=redirect\r\n";
    let first = replay.send("GET", &format!("{SCENE}?a=1"), header, "");
    let target = first.header("location").unwrap().to_owned();
    assert_eq!(
        (first.status, target.as_str()),
        (307, &*format!("{SCENE}?a=1&replay_redirected=1"))
    );
    let second = replay.send("GET", &target, header, "");
    assert_eq!((second.status, second.body.len()), (200, SCENE_BYTES));
    let looped = replay.send("GET", SCENE, "X-Replay-Fault: file=redirect_loop\r\n", "");
    assert_eq!((looped.status, looped.header("location")), (307, Some(SCENE)));
}

#[test]
fn page_of_a_search_is_cut_inside_its_json() {
    let answer = search(&started(), &two_pages(), "short_body");
    assert_eq!((answer.status, answer.length()), (200, answer.body.len()));
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
}

#[test]
fn wrong_next_body_names_a_page_that_is_not_there() {
    let replay = started();
    let page = search(&replay, &two_pages(), "search=wrong_next").json();
    assert_eq!(page["features"].as_array().unwrap().len(), 2);
    let next = &page["links"][0]["body"];
    assert_eq!(replay.send("POST", "/search", "", &next.to_string()).status, 400);
}

#[test]
fn endless_next_leads_to_the_same_page_without_a_total() {
    let replay = started();
    let first = search(&replay, &two_pages(), "search=endless_next").json();
    assert_eq!((&first["numberMatched"], &first["context"]), (&Value::Null, &Value::Null));
    let again = search(&replay, &first["links"][0]["body"], "search=endless_next").json();
    assert_eq!(again["features"][0]["id"], first["features"][0]["id"]);
    assert_eq!(again["links"], first["links"]);
}

#[test]
fn program_starts_with_any_fault_in_its_text_form() {
    let replay = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--fault",
        "file=no_accept_ranges,drip=50/1",
        "--skip",
        "1",
        "--method",
        "GET",
    ]);
    let said: Vec<Option<String>> = (0..2)
        .map(|_| replay.send("GET", SCENE, PART, "").header("accept-ranges").map(str::to_owned))
        .collect();
    assert_eq!(said, [Some("bytes".to_owned()), None]);
}
