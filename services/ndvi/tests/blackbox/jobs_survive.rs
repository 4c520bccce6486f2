//! Is work that was accepted done once, whoever dies meanwhile?

use std::time::Duration;

use chassis::database::{DatabaseSettings, DatabaseUrl};
use chassis::metrics::Metrics;
use harness::{Directory, PATIENCE, Postgres, Program};
use ndvi::domain::field::FieldId;
use ndvi::store::{self, Series};
use replay::{Fault, Running};

use crate::bench::{JUNE, Ndvi, SEPTEMBER, program, recorded};
use crate::farm::job_id;

/// How often somebody is killed.
const KILLS: u64 = 10;

/// Slow enough that every attempt is cut in the middle.
fn slow_scenes() -> Fault {
    Fault { delay_ms: 100, path_prefix: Some("/s2".to_owned()), ..Fault::default() }
}

/// A service that takes over soon.
fn quick(directory: &Directory, replay: &Running, url: &str) -> Program {
    program(directory, &replay.base_url())
        .env("NDVI_DATABASE_URL", url)
        .env("NDVI_JOB_LEASE_MS", "400")
        .env("NDVI_JOB_POLL_MS", "50")
        .env("NDVI_JOB_RETRY_MS", "50")
}

fn sqlite(directory: &Directory) -> String {
    format!("sqlite://{}?mode=rwc", directory.path().join("ndvi.db").display())
}

/// Requests for parts of scenes so far.
fn reads(replay: &Running) -> u64 {
    let requests = replay.counts().requests;
    requests.iter().filter(|(path, _)| path.starts_with("/s2")).map(|(_, count)| count).sum()
}

/// Waits, by asking again and again, until this is so.
async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(2 * PATIENCE, looking).await;
    assert!(found.is_ok(), "waited for {what}");
}

/// Waits until a few more reads have begun, another number for each kill. A job alone makes four.
async fn reading(replay: &Running, kill: u64) {
    let (before, more) = (reads(replay), 1 + kill % 3);
    until("a job in the middle", async || reads(replay) >= before + more).await;
}

/// Asks for a refresh of a field of this name until it is acknowledged; returns the job.
async fn acknowledged(ndvi: &Ndvi, name: &str) -> String {
    let mut job = None;
    until("a database that takes a job", async || {
        let outline = crate::bench::field("ering-01");
        let target = crate::farm::geometry_of(name);
        let put = ndvi.request("PUT", &target).json(&outline).send().await;
        if !matches!(put.status, 200 | 201) {
            return false;
        }
        let reply = ndvi.known_farm(name).refresh("2021-06-01", "2021-09-30").await;
        job = matches!(reply.status, 200 | 202).then(|| job_id(&reply));
        job.is_some()
    })
    .await;
    job.unwrap()
}

async fn all_done(ndvi: &Ndvi, jobs: &[String]) {
    for id in jobs {
        until("every job", async || {
            let reply = ndvi.get(&format!("/api/v1/ndvi/jobs/{id}/")).await;
            assert_ne!(reply.status, 404, "an acknowledged job is lost");
            let status = (reply.status == 200).then(|| reply.json()["data"]["status"].clone());
            assert!(status != Some("failed".into()), "{}", reply.text());
            status == Some("done".into())
        })
        .await;
    }
}

/// Fails unless every field has both scenes, each of them once.
async fn nothing_is_doubled(url: &str, names: &[String]) {
    let settings = DatabaseSettings {
        url: DatabaseUrl::new(url),
        connections_max: 1,
        waiting_max: 1,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(10),
    };
    let store = store::open(&settings, &Metrics::new().unwrap()).await.unwrap();
    for name in names {
        let series = Series {
            field: FieldId::parse(name).unwrap(),
            revision: 1,
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let days = ("2021-01-01".parse().unwrap(), "2021-12-31".parse().unwrap());
        let seen = store.seen(&series, days.0, days.1, 100).await.unwrap();
        let scenes: Vec<&str> = seen.iter().map(|seen| seen.scene_id.as_str()).collect();
        assert_eq!(scenes, [JUNE, SEPTEMBER], "field {name}");
    }
}

/// Kills the service again and again in the middle of its work.
async fn killed_service(directory: &Directory, url: &str) {
    let replay = recorded();
    replay.set_fault(slow_scenes()).unwrap();
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    let mut ndvi = Ndvi::start(quick(directory, &replay, url)).await;
    for kill in 1..=KILLS {
        names.push(kill.to_string());
        jobs.push(acknowledged(&ndvi, &kill.to_string()).await);
        reading(&replay, kill).await;
        ndvi.process.kill().await;
        ndvi = Ndvi::start(quick(directory, &replay, url)).await;
    }
    replay.clear_faults();
    all_done(&ndvi, &jobs).await;
    nothing_is_doubled(url, &names).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_killed_ten_times_on_sqlite_loses_and_doubles_nothing() {
    let directory = Directory::new();
    killed_service(&directory, &sqlite(&directory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_killed_ten_times_on_postgres_loses_and_doubles_nothing() {
    let postgres = Postgres::start().await;
    killed_service(&Directory::new(), &postgres.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_ten_times_loses_and_doubles_nothing() {
    let (directory, replay) = (Directory::new(), recorded());
    let mut postgres = Postgres::start().await;
    let url = postgres.url();
    replay.set_fault(slow_scenes()).unwrap();
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    let ndvi = Ndvi::start(quick(&directory, &replay, &url)).await;
    for kill in 1..=KILLS {
        names.push(kill.to_string());
        jobs.push(acknowledged(&ndvi, &kill.to_string()).await);
        reading(&replay, kill).await;
        postgres.kill().await;
        postgres.restart().await;
    }
    replay.clear_faults();
    all_done(&ndvi, &jobs).await;
    nothing_is_doubled(&url, &names).await;
}

/// Two services share one queue; every search of a month is counted.
async fn shared_queue(url: &str, directories: [&Directory; 2]) {
    const FIELDS: u64 = 12;
    let replay = recorded();
    let fault = Fault { delay_ms: 50, path_prefix: Some("/search".to_owned()), ..Fault::default() };
    replay.set_fault(fault).unwrap();
    // Leases that outlast the test: whatever is done twice is done by mistake.
    let patient = |directory| quick(directory, &replay, url).env("NDVI_JOB_LEASE_MS", "60000");
    let services =
        [Ndvi::start(patient(directories[0])).await, Ndvi::start(patient(directories[1])).await];
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    for (name, service) in (1..=FIELDS).zip(services.iter().cycle()) {
        names.push(name.to_string());
        jobs.push(acknowledged(service, &name.to_string()).await);
    }
    all_done(&services[0], &jobs).await;
    // Four months of each field, each searched once.
    assert_eq!(replay.counts().requests_of("/search"), 4 * FIELDS);
    let mut done = [0.0; 2];
    for (done, service) in done.iter_mut().zip(&services) {
        *done = service.metric("ndvi_job_attempts_total", &[]).await;
    }
    assert!(
        (done.iter().sum::<f64>() - 12.0).abs() < 0.5 && done.iter().all(|done| *done >= 1.0),
        "{done:?}"
    );
    nothing_is_doubled(url, &names).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_on_one_postgres_do_every_job_once() {
    let postgres = Postgres::start().await;
    shared_queue(&postgres.url(), [&Directory::new(), &Directory::new()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_on_one_file_do_every_job_once() {
    let directory = Directory::new();
    shared_queue(&sqlite(&directory), [&directory, &directory]).await;
}
