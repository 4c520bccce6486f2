//! Is work in the background accepted once, done, bounded, and told of?

use harness::{Directory, Program};
use replay::{Fault, Running};
use serde_json::{Value, json};

use crate::bench::{JUNE, Ndvi, SEPTEMBER, STATISTICS, field, program, recorded};
use crate::farm::{Farm, job_id, stands};

/// A service whose failed attempts are repeated at once.
fn eager(directory: &Directory, replay: &Running) -> Program {
    program(directory, &replay.base_url())
        .env("NDVI_JOB_RETRY_MS", "1")
        .env("NDVI_JOB_POLL_MS", "50")
}

async fn start(directory: &Directory, replay: &Running) -> Ndvi {
    Ndvi::start(eager(directory, replay)).await
}

fn slow_search() -> Fault {
    let path_prefix = Some("/search".to_owned());
    Fault { delay_ms: 60_000, path_prefix, ..Fault::default() }
}

async fn queued(farm: Farm<'_>) -> String {
    job_id(&farm.refresh("2021-06-01", "2021-06-30").await.expect_status(202))
}

/// Waits until a request makes this of the service.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(harness::PATIENCE, looking).await.expect("what was awaited")
}

#[tokio::test]
async fn refresh_is_acknowledged_done_and_told_of() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let reply = farm.refresh("2021-06-01", "2021-09-30").await.expect_status(202);
    let reply = reply.expect_json("/message", "Accepted").expect_json("/data/status", "queued");
    let id = job_id(&reply);
    ndvi.attempt_ended(&id, "done").await;
    let job = ndvi.job(&id).await;
    let work = json!({
        "kind": "refresh", "start": "2021-06-01", "end": "2021-09-30", "max_cloud_percent": null,
    });
    for (key, value) in [
        ("job_id", json!(id)),
        ("status", json!("done")),
        ("farm_id", json!("17")),
        ("work", work),
        ("attempts", json!(1)),
        ("error", json!(null)),
    ] {
        assert_eq!(job[key], value, "{key}");
    }
    assert!(job["created_at"].as_str() <= job["updated_at"].as_str());
    let done = [("kind", "refresh"), ("outcome", "done")];
    assert!(ndvi.metric("ndvi_job_attempts_total", &done).await >= 1.0);
    assert_eq!(ndvi.metric("ndvi_jobs_running", &[]).await, 0.0);
    // A month at a time.
    assert_eq!(replay.counts().requests_of("/search"), 4);
}

#[tokio::test]
async fn same_request_while_it_runs_is_the_same_job() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    replay.set_fault(slow_search()).unwrap();
    let farm = ndvi.farm("17", "ering-01").await;
    let id = queued(farm).await;
    ndvi.begun(&id).await;
    let replies =
        harness::burst(8, |_| farm.request("POST", "refresh/").json(&june()).send()).await;
    for reply in replies {
        assert_eq!(job_id(&reply.expect_status(200)), id);
    }
    let running =
        until(async || Some(ndvi.job(&id).await).filter(|job| job["status"] == "running"));
    assert_eq!(running.await["attempts"], 1);
    until(async || (ndvi.metric("ndvi_jobs_waiting", &[]).await >= 1.0).then_some(())).await;
    assert!(ndvi.metric("ndvi_jobs_running", &[]).await >= 1.0);
    until(async || (ndvi.metric("ndvi_jobs_oldest_seconds", &[]).await >= 1.0).then_some(())).await;
}

fn june() -> Value {
    json!({"start": "2021-06-01", "end": "2021-06-30"})
}

#[tokio::test]
async fn request_without_a_body_is_about_the_last_thirty_days() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let reply = farm.request("POST", "refresh/").send().await.expect_status(202);
    let work = &reply.json()["data"]["work"];
    let day = |key: &str| work[key].as_str().unwrap().parse::<jiff::civil::Date>().unwrap();
    assert_eq!(day("end").duration_since(day("start")).as_hours(), 30 * 24);
}

#[tokio::test]
async fn n12_cooldown_is_of_one_field_and_one_kind_of_work() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let id = queued(farm).await;
    ndvi.attempt_ended(&id, "done").await;
    let refused = farm.refresh("2021-06-01", "2021-06-30").await.expect_status(429);
    let rest: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((800..=900).contains(&rest), "{rest}");
    assert!(refused.text().contains(&id), "{}", refused.text());
    let picture = json!({"date": "2021-06-17"});
    farm.request("POST", "raster/queue").json(&picture).send().await.expect_status(202);
    queued(ndvi.farm("18", "ering-01").await).await;
}

#[tokio::test]
async fn cooldown_is_a_setting() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(eager(&directory, &replay).env("NDVI_COOLDOWN_S", "0")).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let first = queued(farm).await;
    ndvi.attempt_ended(&first, "done").await;
    assert_ne!(queued(farm).await, first);
}

#[tokio::test]
async fn queue_without_room_refuses() {
    let (directory, replay) = (Directory::new(), recorded());
    let narrow =
        eager(&directory, &replay).env("NDVI_JOBS_WAITING_MAX", "1").env("NDVI_WORKERS_MAX", "0");
    let ndvi = Ndvi::start(narrow).await;
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    let other = ndvi.farm("18", "ering-01").await;
    let refused = other.refresh("2021-06-01", "2021-06-30").await.expect_status(503);
    refused.expect_header("retry-after", "1").expect_json("/message", "Service busy");
    // What is known is still told.
    let series = other.series("start=2021-06-01&end=2021-06-30").await;
    assert_eq!((&series["stale"], &series["refresh_job_id"]), (&true.into(), &Value::Null));
    // Nobody works here.
    assert_eq!(ndvi.job(&id).await["status"], "queued");
    assert_eq!(replay.counts().requests_of("/search"), 0);
}

#[tokio::test]
async fn failing_catalogue_is_asked_again_later() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let fault = Fault { status: Some(503), times: Some(2), ..Fault::default() };
    replay.set_fault(Fault { path_prefix: Some("/search".into()), ..fault }).unwrap();
    let farm = ndvi.farm("17", "ering-01").await;
    let id = queued(farm).await;
    ndvi.attempt_ended(&id, "done").await;
    let job = ndvi.job(&id).await;
    assert_eq!((&job["attempts"], &job["error"]), (&3.into(), &Value::Null));
    let again = [("kind", "refresh"), ("outcome", "again")];
    assert_eq!(ndvi.metric("ndvi_job_attempts_total", &again).await, 2.0);
}

#[tokio::test]
async fn wait_between_attempts_is_a_setting() {
    let (directory, replay) = (Directory::new(), recorded());
    let patient = eager(&directory, &replay).env("NDVI_JOB_RETRY_MS", "3600000");
    let ndvi = Ndvi::start(patient).await;
    let path_prefix = Some("/search".to_owned());
    replay.set_fault(Fault { status: Some(503), path_prefix, ..Fault::default() }).unwrap();
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.attempt_ended(&id, "again").await;
    let job = ndvi.job(&id).await;
    assert_eq!((&job["status"], &job["attempts"]), (&"queued".into(), &1.into()));
    assert_eq!(job["error"], "The catalogue of scenes does not answer properly.");
}

#[tokio::test]
async fn slow_catalogue_ends_the_attempt_at_its_deadline() {
    let (directory, replay) = (Directory::new(), recorded());
    let hasty = eager(&directory, &replay)
        .env("NDVI_JOB_DEADLINE_MS", "100")
        .env("NDVI_JOB_RETRY_MS", "3600000");
    let ndvi = Ndvi::start(hasty).await;
    replay.set_fault(slow_search()).unwrap();
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.attempt_ended(&id, "again").await;
}

#[tokio::test]
async fn refused_search_fails_for_good_and_says_so() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let path_prefix = Some("/search".to_owned());
    replay.set_fault(Fault { status: Some(400), path_prefix, ..Fault::default() }).unwrap();
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.attempt_ended(&id, "failed").await;
    let job = ndvi.job(&id).await;
    assert_eq!((&job["status"], &job["attempts"]), (&"failed".into(), &1.into()));
    assert_eq!(job["error"], "The catalogue refused the search.");
}

#[tokio::test]
async fn picture_of_a_day_without_a_scene_fails_for_good() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let body = json!({"date": "2021-06-18"});
    let queued = farm.request("POST", "raster/queue").json(&body).send().await.expect_status(202);
    let id = job_id(&queued);
    ndvi.attempt_ended(&id, "failed").await;
    assert_eq!(ndvi.job(&id).await["error"], "No scene shows this field on these days.");
}

#[tokio::test]
async fn job_for_an_outline_that_is_gone_fails_for_good() {
    let (directory, replay) = (Directory::new(), recorded());
    let idle = eager(&directory, &replay).env("NDVI_WORKERS_MAX", "0");
    let mut ndvi = Ndvi::start(idle).await;
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.farm("17", "ering-07").await;
    ndvi.process.stop().await;
    let ndvi = start(&directory, &replay).await;
    ndvi.attempt_ended(&id, "failed").await;
    assert_eq!(ndvi.job(&id).await["error"], "The field has got another outline meanwhile.");
    assert_eq!(replay.counts().requests_of("/search"), 0);
}

#[tokio::test]
async fn scene_that_could_not_be_read_is_read_by_a_later_attempt() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    // Each range is read twice before it counts as unreadable.
    let fault = Fault { status: Some(503), times: Some(4), ..Fault::default() };
    replay.set_fault(Fault { path_prefix: Some(format!("/s2/{JUNE}")), ..fault }).unwrap();
    let farm = ndvi.farm("17", "ering-01").await;
    let id = job_id(&farm.refresh("2021-06-01", "2021-09-30").await.expect_status(202));
    ndvi.attempt_ended(&id, "done").await;
    let seen = stands(&farm.series("start=2021-06-17&end=2021-09-25&step_days=25").await);
    assert_eq!((seen[0].1.as_str(), seen[4].1.as_str()), (JUNE, SEPTEMBER));
    // The months that were read are not read again: four searches, and June's once more.
    let searches = replay.counts().requests_of("/search");
    let attempts = ndvi.job(&id).await["attempts"].as_u64().unwrap();
    assert_eq!(searches, 4 + attempts - 1);
    assert!(attempts >= 2);
}

#[tokio::test]
async fn stop_gives_the_job_back_at_once() {
    let (directory, replay) = (Directory::new(), recorded());
    let mut ndvi = start(&directory, &replay).await;
    replay.set_fault(slow_search()).unwrap();
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.begun(&id).await;
    assert!(ndvi.process.stop().await.success());
    replay.clear_faults();
    let idle = Ndvi::start(eager(&directory, &replay).env("NDVI_WORKERS_MAX", "0")).await;
    let job = idle.job(&id).await;
    assert_eq!((&job["status"], &job["attempts"]), (&"queued".into(), &1.into()));
    assert_eq!(job["error"], "The service was stopped meanwhile.");
    drop(idle);
    // Its lease of a minute is longer than this test waits.
    start(&directory, &replay).await.attempt_ended(&id, "done").await;
}

#[tokio::test]
async fn slow_job_keeps_its_lease() {
    let (directory, replay) = (Directory::new(), recorded());
    let short = || eager(&directory, &replay).env("NDVI_JOB_LEASE_MS", "300");
    let ndvi = Ndvi::start(short()).await;
    let fault = Fault { delay_ms: 2_000, times: Some(1), ..Fault::default() };
    replay.set_fault(Fault { path_prefix: Some("/search".into()), ..fault }).unwrap();
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.begun(&id).await;
    // Another process that would take over as soon as the lease ends.
    let other = Ndvi::start(short()).await;
    ndvi.attempt_ended(&id, "done").await;
    assert_eq!(ndvi.job(&id).await["attempts"], 1);
    assert!(!other.process.lines().iter().any(|line| line.contains(&id)));
}

#[tokio::test]
async fn job_of_another_process_is_found_by_looking() {
    let (directory, replay) = (Directory::new(), recorded());
    let idle = Ndvi::start(eager(&directory, &replay).env("NDVI_WORKERS_MAX", "0")).await;
    let worker = start(&directory, &replay).await;
    let id = queued(idle.farm("17", "ering-01").await).await;
    worker.attempt_ended(&id, "done").await;
}

#[tokio::test]
async fn own_job_is_begun_without_waiting_for_the_next_look() {
    let (directory, replay) = (Directory::new(), recorded());
    let rare = eager(&directory, &replay).env("NDVI_JOB_POLL_MS", "600000");
    let ndvi = Ndvi::start(rare).await;
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.attempt_ended(&id, "done").await;
}

#[tokio::test]
async fn background_leaves_room_for_clients() {
    let (directory, replay) = (Directory::new(), recorded());
    let two = eager(&directory, &replay).env("NDVI_SURVEYS_MAX", "2").env("NDVI_WORKERS_MAX", "8");
    let ndvi = Ndvi::start(two).await;
    replay.set_fault(slow_search()).unwrap();
    let mut jobs = Vec::new();
    for name in ["17", "18", "19"] {
        jobs.push(queued(ndvi.farm(name, "ering-01").await).await);
    }
    ndvi.begun(&jobs[0]).await;
    while replay.counts().requests_of("/search") == 0 {
        tokio::task::yield_now().await;
    }
    replay.clear_faults();
    let body = json!({"geometry": field("ering-01"), "start": "2021-06-17", "end": "2021-06-17"});
    ndvi.post(STATISTICS, &body).await.expect_status(200);
    // One of two places, for all the jobs that wait.
    assert_eq!(ndvi.metric("ndvi_jobs_running", &[]).await, 1.0);
}

#[tokio::test]
async fn jobs_that_ended_long_ago_are_forgotten() {
    let (directory, replay) = (Directory::new(), recorded());
    let forgetful =
        eager(&directory, &replay).env("NDVI_JOBS_KEPT_S", "1").env("NDVI_COOLDOWN_S", "1");
    let ndvi = Ndvi::start(forgetful).await;
    let id = queued(ndvi.farm("17", "ering-01").await).await;
    ndvi.attempt_ended(&id, "done").await;
    let target = format!("/api/v1/ndvi/jobs/{id}/");
    until(async || (ndvi.get(&target).await.status == 404).then_some(())).await;
}

#[tokio::test]
async fn faulty_requests_for_work_are_refused_field_by_field() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    for (target, body, field, text) in [
        ("refresh/", json!({"start": "x"}), "start", "Date has wrong format."),
        ("refresh/", json!({"max_cloud": 101}), "max_cloud", "less than or equal to 100.0."),
        ("refresh/", json!({"start": "2999-01-01"}), "start", "Must not be in the future."),
        ("raster/queue", json!({"size": 127}), "size", "greater than or equal to 128.0."),
        ("raster/queue", json!({"date": "2999-01-01"}), "date", "Must not be in the future."),
    ] {
        let reply = farm.request("POST", target).json(&body).send().await.expect_status(400);
        let fault = reply.json()["errors"][field][0].as_str().unwrap().to_owned();
        assert!(fault.contains(text), "{fault}");
    }
    let text = farm.request("POST", "refresh/").header("Content-Type", "text/plain").body("x");
    text.send().await.expect_status(415);
}
