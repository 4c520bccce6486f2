//! Is every sample that was acknowledged there once, whatever was killed meanwhile?

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Directory, PATIENCE, Postgres, Program, Request, Reservation};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bench::{Ndvi, program};

const SAMPLES: &str = "/api/v1/ndvi";
const CLIENTS: usize = 6;
/// Samples acknowledged between two kills.
const SAMPLES_A_ROUND: usize = 12;
/// More than one client sends in all rounds together.
const FOUND_MAX: usize = 1_000;

/// What clients and killer tell each other.
struct Traffic {
    address: SocketAddr,
    acknowledged: watch::Sender<usize>,
    /// Counts the starts of the service.
    starts: watch::Sender<usize>,
    is_over: AtomicBool,
}

impl Traffic {
    fn new(address: SocketAddr) -> Arc<Self> {
        let counter = || watch::Sender::new(0);
        let is_over = AtomicBool::new(false);
        Arc::new(Self { address, acknowledged: counter(), starts: counter(), is_over })
    }

    /// Sends one sample after the other, each until it is acknowledged; returns their times.
    async fn send(self: Arc<Self>, client: usize) -> BTreeSet<String> {
        let mut sent = BTreeSet::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let time = time(sent.len());
            let body = json!({
                "farm_id": farm(client), "timestamp": time, "mean": 0.3, "min": 0.1, "max": 0.9,
                "source": "drone", "geometry": null,
            });
            while !self.is_acknowledged(&body).await {}
            sent.insert(time);
            self.acknowledged.send_modify(|count| *count += 1);
        }
        sent
    }

    async fn is_acknowledged(&self, body: &Value) -> bool {
        let starts = *self.starts.borrow();
        match Request::to(self.address, "POST", SAMPLES).json(body).try_send().await {
            Ok(reply) if reply.status == 503 => {
                reply.expect_header("retry-after", "1");
                false
            }
            Ok(reply) => {
                reply.expect_status(201);
                true
            }
            // Without an answer nobody knows whether it is stored: it is sent again.
            Err(_) => {
                let mut started = self.starts.subscribe();
                started.wait_for(|now| *now > starts).await.unwrap();
                false
            }
        }
    }

    async fn started(&self, program: &Program) -> Ndvi {
        let ndvi = Ndvi::start(program.clone()).await;
        self.starts.send_modify(|count| *count += 1);
        ndvi
    }

    /// Waits until so many more samples are acknowledged.
    async fn flow(&self, more: usize) {
        let wanted = *self.acknowledged.borrow() + more;
        let mut acknowledged = self.acknowledged.subscribe();
        let flowing = acknowledged.wait_for(|count| *count >= wanted);
        timeout(PATIENCE, flowing).await.expect("samples are acknowledged").unwrap();
    }
}

fn farm(client: usize) -> String {
    format!("6f9619ff-8b86-d011-b42d-{client:012}")
}

fn time(number: usize) -> String {
    format!("2021-06-17T{:02}:{:02}:{:02}Z", number / 3_600, number / 60 % 60, number % 60)
}

/// Lets clients send while `kill` kills, so many times, and looks whether all is there.
async fn nothing_is_lost_or_doubled(
    program: Program,
    port: Reservation,
    rounds: usize,
    mut kill: impl AsyncFnMut(usize, &mut Ndvi),
) {
    let program = program.env("PORT", port.address().port().to_string());
    let traffic = Traffic::new(port.address());
    let mut ndvi = traffic.started(&program).await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let traffic = Arc::clone(&traffic);
        clients.spawn(async move { (client, traffic.send(client).await) });
    }
    for round in 0..rounds {
        traffic.flow(SAMPLES_A_ROUND).await;
        kill(round, &mut ndvi).await;
        if ndvi.process.exited().is_some() {
            ndvi = traffic.started(&program).await;
        }
    }
    traffic.flow(SAMPLES_A_ROUND).await;
    traffic.is_over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        let (client, sent) = client.unwrap();
        let target = format!("{SAMPLES}?farm_id={}&limit={FOUND_MAX}", farm(client));
        let found = ndvi.get(&target).await.expect_status(200).json();
        let found = found["data"]["samples"].as_array().unwrap();
        let times: BTreeSet<String> =
            found.iter().map(|sample| sample["timestamp"].as_str().unwrap().to_owned()).collect();
        assert!(sent.len() < FOUND_MAX, "one answer must hold all");
        assert_eq!((found.len(), times), (sent.len(), sent));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_loses_and_doubles_nothing_when_the_service_is_killed_again_and_again() {
    let directory = Directory::new();
    let program = program(&directory, "http://127.0.0.1:9");
    nothing_is_lost_or_doubled(program, Reservation::new(), 10, async |_, ndvi: &mut Ndvi| {
        ndvi.process.kill().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_loses_and_doubles_nothing_when_it_or_the_service_is_killed_again_and_again() {
    let directory = Directory::new();
    let mut postgres = Postgres::start().await;
    let program = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", postgres.url())
        .env("NDVI_DATABASE_ACQUIRE_TIMEOUT_MS", "2000");
    let kill = async |round: usize, ndvi: &mut Ndvi| {
        if round.is_multiple_of(2) {
            ndvi.process.kill().await;
        } else {
            postgres.kill().await;
            postgres.restart().await;
        }
    };
    nothing_is_lost_or_doubled(program, Reservation::new(), 20, kill).await;
}
