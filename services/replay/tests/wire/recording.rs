//! Are answers of the real hosts kept and played, and is nothing kept that should not be?
//!
//! A second replay stands for the real hosts.

use std::fs;
use std::path::{Path, PathBuf};

use harness::Directory;
use serde_json::{Value, json};

use crate::program::{Answer, FORECAST, Program, SCENE, SCENE_BYTES, command, started};

const ARCHIVE: &str = "/v1/archive?latitude=52.5&longitude=13.4&start_date=2024-01-01\
                       &end_date=2024-01-02&daily=temperature_2m_max";
const POWER: &str = "/api/temporal/daily/point?latitude=50&longitude=8&start=20240101&end=20240103\
                     &parameters=T2M&community=AG&format=JSON";

/// A program that asks `real` and keeps what it answers in `directory`.
fn recorder(real: &Program, directory: &Path, more: &[&str]) -> Program {
    let real = format!("http://{}", real.address);
    let mut arguments = vec!["--listen", "127.0.0.1:0", "--record", directory.to_str().unwrap()];
    for host in [
        "--forecast-host",
        "--archive-host",
        "--historical-host",
        "--power-host",
        "--stac-host",
        "--assets-host",
    ] {
        arguments.extend([host, &real]);
    }
    arguments.extend(more);
    Program::start(&arguments)
}

fn player(directory: &Path) -> Program {
    Program::start(&["--listen", "127.0.0.1:0", "--recordings", directory.to_str().unwrap()])
}

fn exchanges(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|suffix| suffix == "exchange")).collect()
}

#[track_caller]
fn check_played(played: &Answer, recorded: &Answer) {
    assert_eq!((played.status, &played.body), (recorded.status, &recorded.body));
    assert_eq!(played.header("content-type"), recorded.header("content-type"));
    assert!(played.header("x-replay-recording").unwrap().ends_with(".exchange"), "{played:?}");
}

fn two_pages() -> String {
    json!({"collections": ["sentinel-2-l2a"], "limit": 2}).to_string()
}

/// The address of the first red band of a page, as path at the server that sent it.
fn red_band(page: &Value, from: &Program) -> String {
    let href = page["features"][0]["assets"]["red"]["href"].as_str().unwrap();
    href.strip_prefix(&format!("http://{}", from.address)).unwrap().to_owned()
}

#[test]
fn answers_of_every_weather_route_are_played_without_their_host() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let historical = format!("/historical{FORECAST}");
    let refused = "/v1/forecast?latitude=999&longitude=1";
    let targets = [FORECAST, ARCHIVE, &historical, POWER, refused];
    let recorded: Vec<Answer> = targets.iter().map(|target| recording.get(target)).collect();
    for (target, answer) in targets.iter().zip(&recorded) {
        assert_eq!(answer.header("x-replay-recorded"), Some("yes"), "{target}: {answer:?}");
    }
    assert_eq!(recorded[4].status, 400, "a refusal of the question is an answer");
    drop((recording, real));
    let playing = player(directory.path());
    for (target, answer) in targets.iter().zip(&recorded) {
        check_played(&playing.get(target), answer);
    }
    // The same question in another order.
    let turned = "/v1/forecast?current=temperature_2m&longitude=13.1&latitude=48.3";
    check_played(&playing.get(turned), &recorded[0]);
}

#[test]
fn pages_and_files_lead_back_to_the_server_that_plays_them() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let first = recording.send("POST", "/search", "", &two_pages());
    let next = first.json()["links"][0].clone();
    assert_eq!(next["href"], format!("http://{}/search", recording.address));
    recording.send("POST", "/search", "", &next["body"].to_string());
    let band = red_band(&first.json(), &recording);
    assert!(band.starts_with(&format!("/assets/{}/s2/", real.address)), "{band}");
    let part = recording.send("GET", &band, "Range: bytes=0-999\r\n", "");
    assert_eq!((part.status, part.header("x-replay-recorded")), (206, Some("yes")));
    drop((recording, real));

    let playing = player(directory.path());
    let page = playing.send("POST", "/search", "", &two_pages());
    assert_eq!(page.status, 200);
    let text = String::from_utf8(page.body.clone()).unwrap();
    let (page, own) = (page.json(), format!("http://{}", playing.address));
    assert_eq!(page["links"][0]["href"], format!("{own}/search"));
    assert!(!text.contains("{{BASE}}"));
    let second = playing.send("POST", "/search", "", &page["links"][0]["body"].to_string());
    assert_eq!(second.json()["features"][0]["id"], "S2A_29RKH_20200219_0_L2A");
    let band = red_band(&page, &playing);
    check_played(&playing.send("GET", &band, "Range: bytes=0-999\r\n", ""), &part);
}

#[test]
fn recorded_part_answers_every_range_within_it() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let band = format!("/assets/{}{SCENE}", real.address);
    let whole = recording.send("GET", &band, "Range: bytes=1000-4999\r\n", "");
    let etag = whole.header("etag").unwrap().to_owned();
    drop((recording, real));
    let playing = player(directory.path());
    let asked = |headers: &str| playing.send("GET", &band, headers, "");
    let inner = asked("Range: bytes=1100-1199\r\n");
    assert_eq!((inner.status, &inner.body[..]), (206, &whole.body[100..200]));
    assert_eq!(inner.header("content-range"), Some("bytes 1100-1199/8268"));
    let missing = asked("Range: bytes=4900-5100\r\n");
    assert_eq!(missing.status, 404);
    assert!(String::from_utf8(missing.body).unwrap().contains("there are 1000-4999"));
    assert_eq!(asked("").status, 404, "the whole was not recorded");
    let conditional =
        |tag: &str| asked(&format!("Range: bytes=1000-1009\r\nIf-Match: {tag}\r\n")).status;
    assert_eq!((conditional(&etag), conditional("\"other\"")), (206, 412));
    assert_eq!(asked("Range: bytes=8268-\r\n").status, 416);
    let head = playing.send("HEAD", &band, "", "");
    assert_eq!((head.status, head.length(), head.header("etag")), (200, SCENE_BYTES, Some(&*etag)));
}

#[test]
fn parts_of_a_replaced_file_are_not_mixed() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let band = format!("/assets/{}{SCENE}", real.address);
    recording.send("GET", &band, "Range: bytes=0-99\r\n", "");
    real.fault(&json!({"file": "replaced"}));
    recording.send("GET", &band, "Range: bytes=100-199\r\n", "");
    assert_eq!(exchanges(directory.path()).len(), 1);
    let playing = player(directory.path());
    assert_eq!(playing.send("GET", &band, "Range: bytes=0-99\r\n", "").status, 404);
    assert_eq!(playing.send("GET", &band, "Range: bytes=100-199\r\n", "").status, 206);
}

#[test]
fn answers_that_tell_of_a_moment_are_passed_on_and_not_kept() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    for status in [429, 500, 503] {
        real.fault(&json!({"status": status}));
        for target in [FORECAST, POWER] {
            let answer = recording.get(target);
            let kept = format!("no: status {status}");
            assert_eq!((answer.status, answer.header("x-replay-recorded")), (status, Some(&*kept)));
        }
    }
    real.fault(&json!({"error_tail": true}));
    let broken = recording.get(FORECAST);
    assert_eq!(
        (broken.status, broken.header("x-replay-recorded")),
        (200, Some("no: its JSON is broken"))
    );
    real.fault(&json!({"truncate": true}));
    assert_eq!(recording.get(FORECAST).status, 502);
    let band = format!("/assets/{}{SCENE}", real.address);
    real.fault(&json!({"short_body": true}));
    let part = recording.send("GET", &band, "Range: bytes=0-99\r\n", "");
    assert_eq!((part.status, part.header("x-replay-recorded")), (206, Some("no: status 206")));
    drop(real);
    let down = recording.get(FORECAST);
    assert_eq!(down.status, 502);
    assert!(String::from_utf8(down.body).unwrap().contains("did not answer"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn failed_call_leaves_the_earlier_recording() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let good = recording.get(FORECAST);
    real.fault(&json!({"status": 503}));
    assert_eq!(recording.get(FORECAST).status, 503);
    check_played(&player(directory.path()).get(FORECAST), &good);
}

#[test]
fn keys_reach_neither_the_disk_nor_the_wrong_host() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let keyed = format!("{FORECAST}&apikey=s3cr3t");
    let answer = recording.send("GET", &keyed, "Authorization: Bearer s3cr3t\r\n", "");
    assert_eq!(answer.status, 200);
    let files = exchanges(directory.path());
    assert_eq!(files.len(), 1);
    let kept = fs::read(&files[0]).unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("s3cr3t"));
    // The customer's host needs the key of its query.
    let log = real.counts()["log"].clone();
    assert!(log[0]["query"].as_str().unwrap().contains("apikey=s3cr3t"), "{log}");
    check_played(&player(directory.path()).get(FORECAST), &answer);
    drop(real);
    let down = recording.get(&keyed);
    assert!(!String::from_utf8(down.body).unwrap().contains("s3cr3t"));
}

#[test]
fn recording_survives_a_kill() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let answer = recording.get(FORECAST);
    // Dropping the program kills it with SIGKILL.
    drop(recording);
    directory.write("0123.42-0.partial", "{\"question\":");
    check_played(&player(directory.path()).get(FORECAST), &answer);
    let again = recorder(&real, directory.path(), &[]);
    assert!(!directory.path().join("0123.42-0.partial").exists());
    again.get(POWER);
    assert_eq!(exchanges(directory.path()).len(), 2);
}

#[test]
fn damaged_recording_is_named_at_the_start() {
    let (directory, real) = (Directory::new(), started());
    recorder(&real, directory.path(), &[]).get(FORECAST);
    let path = exchanges(directory.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--recordings", directory.path().to_str().unwrap()];
    let output = command(&arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("shorter or longer than its head says"), "{said}");
    assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
}

#[test]
fn what_was_not_recorded_is_answered_as_without_recordings() {
    let (directory, plain) = (Directory::new(), started());
    let playing = player(directory.path());
    for target in [FORECAST, POWER, SCENE] {
        let (with, without) = (playing.get(target), plain.get(target));
        assert_eq!(
            (with.status, with.body.len()),
            (without.status, without.body.len()),
            "{target}"
        );
    }
    assert_eq!(playing.get("/assets/example.com/B04.tif").status, 404);
}

#[test]
fn fault_of_the_recorder_spoils_the_answer_and_not_the_recording() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let spoiled = recording.send("GET", FORECAST, "X-Replay-Fault: short_body\r\n", "");
    let whole = player(directory.path()).get(FORECAST);
    assert!(serde_json::from_slice::<Value>(&spoiled.body).is_err());
    assert_eq!(whole.body, real.get(FORECAST).body);
    // The header stayed here.
    let played =
        player(directory.path()).send("GET", FORECAST, "X-Replay-Fault: status=503\r\n", "");
    assert_eq!(played.status, 503);
}

#[test]
fn hosts_that_were_not_named_are_not_asked() {
    let (directory, real) = (Directory::new(), started());
    let recording = recorder(&real, directory.path(), &[]);
    let other = started();
    let target = format!("/assets/{}{SCENE}", other.address);
    assert_eq!(recording.get(&target).status, 404);
    assert_eq!(other.counts()["requests"], json!({}));
}

#[test]
fn wrong_address_of_a_host_is_explained() {
    let directory = Directory::new();
    let path = directory.path().join("recordings");
    let arguments = ["--listen", "127.0.0.1:0", "--record", path.to_str().unwrap()];
    let output = command(&[&arguments[..], &["--stac-host", "example.com"]].concat()).output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.contains("\"example.com\" is not a base address"), "{said}");
}
