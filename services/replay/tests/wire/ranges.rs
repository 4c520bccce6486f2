//! Are files served as RFC 9110 wants it?

use crate::program::{Program, SCENE, SCENE_BYTES, started};

fn etag(replay: &Program) -> String {
    replay.send("HEAD", SCENE, "", "").header("etag").unwrap().to_owned()
}

#[test]
fn several_ranges_get_the_whole_file() {
    let replay = started();
    for ranges in ["Range: bytes=0-9,100-109\r\n", "Range: bytes=0-9\r\nRange: bytes=100-109\r\n"] {
        let answer = replay.send("GET", SCENE, ranges, "");
        assert_eq!((answer.status, answer.body.len()), (200, SCENE_BYTES), "{ranges}");
        assert_eq!(answer.header("content-range"), None);
    }
}

#[test]
fn part_carries_the_validators_of_the_whole() {
    let replay = started();
    let whole = replay.get(SCENE);
    let part = replay.send("GET", SCENE, "Range: bytes=0-9\r\n", "");
    assert_eq!(part.length(), 10);
    for name in ["etag", "content-type", "accept-ranges"] {
        assert_eq!(part.header(name), whole.header(name), "{name}");
        assert!(part.header(name).is_some(), "{name}");
    }
    assert!(part.header("date").is_some());
}

#[test]
fn other_state_of_the_file_fails_the_precondition() {
    let replay = started();
    let etag = etag(&replay);
    let status = |headers: &str| {
        replay.send("GET", SCENE, &format!("Range: bytes=0-9\r\n{headers}\r\n"), "").status
    };
    assert_eq!(status(&format!("If-Match: {etag}")), 206);
    assert_eq!(status("If-Match: *"), 206);
    assert_eq!(status("If-Match: \"other\""), 412);
    assert_eq!(status(&format!("If-Match: W/{etag}")), 412);
    assert_eq!(status(&format!("If-None-Match: {etag}")), 304);
}

#[test]
fn not_modified_has_a_tag_and_no_body() {
    let replay = started();
    let etag = etag(&replay);
    for method in ["GET", "HEAD"] {
        let answer = replay.send(method, SCENE, &format!("If-None-Match: \"x\", {etag}\r\n"), "");
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
    }
}

#[test]
fn condition_with_a_weak_tag_or_a_date_gets_the_whole() {
    let replay = started();
    let etag = etag(&replay);
    for condition in [format!("W/{etag}"), "Wed, 25 Nov 2026 17:00:00 GMT".to_owned()] {
        let headers = format!("Range: bytes=0-9\r\nIf-Range: {condition}\r\n");
        assert_eq!(replay.send("GET", SCENE, &headers, "").status, 200, "{condition}");
    }
}

#[test]
fn unsatisfiable_range_of_another_state_gets_the_whole() {
    let headers = "Range: bytes=99999-\r\nIf-Range: \"other\"\r\n";
    assert_eq!(started().send("GET", SCENE, headers, "").status, 200);
}
