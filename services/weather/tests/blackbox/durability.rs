//! Is an answer that was counted as stored still there, whatever is killed, and only once?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Directory, MariaDb, Program, Request};
use replay::{Fault, Running};
use tokio::task::JoinSet;

use crate::bench::{Weather, patiently, program, recorded};

/// How often each of the two is killed.
const KILLS: usize = 10;

/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// Answers that are to be stored before the next kill.
const STORED_PER_ROUND: usize = 10;

/// Clients, each of which always asks for a point that nobody has asked for.
struct Load {
    clients: JoinSet<()>,
}

impl Load {
    /// Asks about the points in `points`.
    fn start(weather: &Weather, points: std::ops::Range<usize>) -> Self {
        let (next, end) = (Arc::new(AtomicUsize::new(points.start)), points.end);
        let address = weather.address;
        let client = |_| {
            let next = Arc::clone(&next);
            async move {
                loop {
                    let point = next.fetch_add(1, Ordering::Relaxed);
                    if point >= end {
                        return;
                    }
                    // A service that is being killed answers nothing; that is not the question.
                    drop(Request::to(address, "GET", &current(point)).try_send().await);
                }
            }
        };
        Self { clients: (0..CLIENTS).map(client).collect() }
    }

    async fn finish(mut self) {
        while self.clients.join_next().await.is_some() {}
    }
}

fn current(point: usize) -> String {
    let (lat, lon) = (point / 300, point % 300);
    let (lat, lon) = (lat as f64 / 100.0, lon as f64 / 100.0);
    format!("/api/v1/weather/current/?lat={lat}&lon={lon}&tz=Europe/Berlin")
}

fn unlimited(directory: &Directory, replay: &Running) -> Program {
    program(directory, &replay.base_url())
        .env("OPEN_METEO_BUDGET_MINUTE", "0")
        .env("OPEN_METEO_BUDGET_HOUR", "0")
        .env("OPEN_METEO_BUDGET_DAY", "0")
        .env("WEATHER_STORE_QUEUE_MAX", "10000")
}

async fn stored(weather: &Weather) -> usize {
    counted(weather, "stored").await
}

async fn counted(weather: &Weather, result: &str) -> usize {
    weather.metric("store_writes_total", &[("result", result)]).await as usize
}

/// Waits until so many answers are stored, and says how many are.
async fn wait_until_stored(weather: &Weather, wanted: usize) -> usize {
    patiently("stored answers", async || {
        Some(stored(weather).await).filter(|count| *count >= wanted)
    })
    .await
}

/// The points of all rows, and how many rows each has.
async fn rows(server: &MariaDb) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for row in server.run("SELECT cell_lat, cell_lon FROM weather_provider_fetch").await {
        *rows.entry(row).or_insert(0) += 1;
    }
    rows
}

/// A provider that wants to be left alone: it is not asked again, so that the tests do not wait.
fn down() -> Fault {
    let reason = Some("Hourly API request limit exceeded. Please try again later.".to_owned());
    Fault { status: Some(429), reason, ..Fault::default() }
}

/// With the provider down, a service that has just started gives every stored answer with its age.
async fn all_are_given(program: Program, replay: &Running, rows: &BTreeMap<String, usize>) {
    replay.set_fault(down()).expect("a possible fault");
    let weather = Weather::start(program).await;
    for cell in rows.keys() {
        let (lat, lon) = cell.split_once('\t').expect("two columns");
        let (lat, lon): (usize, usize) = (lat.parse().unwrap(), lon.parse().unwrap());
        let reply = weather.get(&current(lat * 300 + lon)).await.expect_status(200);
        let reply = reply.expect_header("x-cache", "stale");
        assert!(reply.header("age").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stored_answer_is_lost_when_the_service_is_killed() {
    let (directory, server, replay) = (Directory::new(), MariaDb::start().await, recorded());
    let program = unlimited(&directory, &replay).env("WEATHER_DATABASE_URL", server.writing_url());
    let mut counted = 0;
    for round in 0..KILLS {
        let mut weather = Weather::start(program.clone()).await;
        let load = Load::start(&weather, round * 100..(round + 1) * 100);
        counted += wait_until_stored(&weather, STORED_PER_ROUND).await;
        weather.process.kill().await;
        load.finish().await;
    }
    let rows = rows(&server).await;
    assert!(rows.len() >= counted, "{} rows, {counted} counted", rows.len());
    assert!(rows.values().all(|count| *count == 1), "a fetch is there twice");
    all_are_given(program, &replay, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_lost_when_the_database_is_killed() {
    let (directory, mut server, replay) = (Directory::new(), MariaDb::start().await, recorded());
    let program = unlimited(&directory, &replay).env("WEATHER_DATABASE_URL", server.writing_url());
    let weather = Weather::start(program.clone()).await;
    let mut asked = 0;
    for round in 1..=KILLS {
        let load = Load::start(&weather, asked..asked + 40);
        wait_until_stored(&weather, asked + STORED_PER_ROUND).await;
        server.kill().await;
        // Clients get their answers meanwhile, and the operator sees what is wrong.
        load.finish().await;
        Load::start(&weather, asked + 40..asked + 50).finish().await;
        asked += 50;
        if round == 1 {
            let ready = weather.get("/readyz").await.expect_status(200).json();
            let degraded = ready["data"]["degraded"].as_str().unwrap();
            assert!(degraded.contains("not stored"), "{degraded}");
            weather.wait_for_metric("store_up", &[], |up| up < 0.5).await;
        }
        server.restart().await;
        assert_eq!(wait_until_stored(&weather, asked).await, asked);
    }
    let answered = weather.metric("weather_answers_total", &[("cache", "miss")]).await as usize;
    assert_eq!((answered, asked), (asked, 50 * KILLS), "every client was answered");
    assert_eq!(counted(&weather, "dropped").await + counted(&weather, "failed").await, 0);
    assert!(weather.metric("store_retries_total", &[]).await >= 1.0);
    assert!(weather.metric("store_up", &[]).await > 0.5);
    assert!(!weather.get("/readyz").await.text().contains("degraded"));
    drop(weather);
    let rows = rows(&server).await;
    assert_eq!(rows.len(), asked);
    assert!(rows.values().all(|count| *count == 1), "a fetch is there twice");
    all_are_given(program, &replay, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oldest_answers_go_when_the_database_stays_away() {
    let (directory, mut server, replay) = (Directory::new(), MariaDb::start().await, recorded());
    let program = unlimited(&directory, &replay)
        .env("WEATHER_DATABASE_URL", server.writing_url())
        .env("WEATHER_STORE_QUEUE_MAX", "5");
    server.kill().await;
    // A database that is away does not keep the service from starting and answering.
    let weather = Weather::start(program).await;
    weather.get(&current(0)).await.expect_status(200);
    // The first is in the writer's hands; of the others five may wait.
    weather.wait_for_metric("store_retries_total", &[], |count| count >= 1.0).await;
    for point in 1..=8 {
        weather.get(&current(point)).await.expect_status(200).expect_header("x-cache", "miss");
    }
    assert_eq!(counted(&weather, "dropped").await, 3);
    assert!((weather.metric("store_queue_depth", &[]).await - 5.0).abs() < 1e-9);
    server.restart().await;
    wait_until_stored(&weather, 6).await;
    let cells: Vec<String> = rows(&server).await.into_keys().collect();
    assert_eq!(cells, ["0\t0", "0\t4", "0\t5", "0\t6", "0\t7", "0\t8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stored_answer_is_lost_when_the_service_is_killed_on_sqlite() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = unlimited(&directory, &replay);
    for round in 0..KILLS {
        let mut weather = Weather::start(program.clone()).await;
        let first = round * 100;
        // These are stored for certain; in the midst of the others it is killed.
        Load::start(&weather, first..first + 5).finish().await;
        wait_until_stored(&weather, 5).await;
        let load = Load::start(&weather, first + 5..first + 100);
        wait_until_stored(&weather, STORED_PER_ROUND).await;
        weather.process.kill().await;
        load.finish().await;
    }
    replay.set_fault(down()).expect("a possible fault");
    let weather = Weather::start(program).await;
    for point in (0..KILLS).flat_map(|round| round * 100..round * 100 + 5) {
        let reply = weather.get(&current(point)).await.expect_status(200);
        reply.expect_header("x-cache", "stale");
    }
}
