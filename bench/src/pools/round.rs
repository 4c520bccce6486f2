//! What happens in one round?

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::contender::Contender;
use crate::client::{Answer, Client, head, now};
use crate::figures::Run;
use crate::latency::Latencies;
use crate::stream::{Job, Pace, Stream};

/// Clients that ask for the locked table.
const CLIENTS: usize = 200;

/// How often what needs no connection is asked for.
const CHEAP: Pace = Pace { connections: 8, per_second: Some(200) };

/// What needs no connection, in turns.
const CHEAP_PATHS: [&str; 3] = ["/healthz", "/api/v1/", "/metrics"];

/// The table that is locked.
const TABLE: &str = "ndvi_samples";

/// A question that reads it.
const SLOW_PATH: &str = "/api/v1/ndvi?farm_id=6f9619ff-8b86-d011-b42d-00cf4fc964ff";

/// How long a client that was sent away stays away, as the answer asks of it.
const PAUSE: Duration = Duration::from_secs(1);

/// Idle first, then with the table locked: how the cheap requests fare, and what the others get.
///
/// # Errors
/// When an answer is not what it should be.
pub(crate) async fn play(contender: &Contender, seconds: u64) -> Result<Run, String> {
    let (server, time) = (contender.address, Duration::from_secs(seconds));
    let idle = stream(server).await?.run_for(time).await?;
    let lock = contender.database.lock(TABLE).await;
    let until = now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(insist(server, until));
    }
    let locked = stream(server).await?.run_for(time).await?;
    drop(lock);
    let (mut refused, mut answered) = (Vec::new(), 0_usize);
    while let Some(ended) = clients.join_next().await {
        let asked = ended.map_err(|error| error.to_string())??;
        refused.extend(asked.refused);
        answered += asked.answered;
    }
    if answered == 0 && refused.is_empty() {
        return Err("nobody asked for the locked table".to_owned());
    }
    let refused = Latencies::of(refused);
    Ok(Run::default()
        .with("idle_p50_us", idle.percentile_us(50))
        .with("locked_p50_us", locked.percentile_us(50))
        .with("p50_ratio", locked.percentile_us(50) / idle.percentile_us(50))
        .with("idle_p99_us", idle.percentile_us(99))
        .with("locked_p99_us", locked.percentile_us(99))
        .with("p99_ratio", locked.percentile_us(99) / idle.percentile_us(99))
        .with("refused", refused.count() as f64)
        .with("refused_p50_ms", refused.percentile_us(50) / 1e3)
        .with("refused_max_ms", refused.percentile_us(100) / 1e3)
        .with("answered", answered as f64))
}

async fn stream(server: SocketAddr) -> Result<Stream, String> {
    Stream::start(server, CHEAP, Arc::new(Cheap { server, turn: AtomicUsize::new(0) })).await
}

/// What needs no connection of the database.
struct Cheap {
    server: SocketAddr,
    turn: AtomicUsize,
}

impl Job for Cheap {
    fn request(&self) -> Vec<u8> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CHEAP_PATHS.len();
        let path = CHEAP_PATHS.get(turn).copied().unwrap_or_default();
        head("GET", path, self.server, &[])
    }

    fn check(&self, answer: &Answer) -> Result<(), String> {
        match answer.status {
            200 => Ok(()),
            status => Err(format!("status {status} to a request that needs no database")),
        }
    }
}

#[derive(Default)]
struct Asked {
    /// How long each refusal took.
    refused: Vec<Duration>,
    /// Requests that were answered, once the table was free.
    answered: usize,
}

/// One client: asks, and when it is sent away comes back after the pause that it is told.
async fn insist(server: SocketAddr, until: std::time::Instant) -> Result<Asked, String> {
    let mut client = Client::connect(server).await.map_err(|error| error.to_string())?;
    let mut asked = Asked::default();
    while now() < until {
        let from = now();
        let answer = client.ask(&head("GET", SLOW_PATH, server, &[])).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match (answer.status, answer.field("retry-after")) {
            (200, _) => asked.answered += 1,
            (503, Some(_)) => {
                asked.refused.push(answer.at - from);
                tokio::time::sleep(PAUSE).await;
            }
            (status, _) => return Err(format!("status {status} from the locked table")),
        }
    }
    Ok(asked)
}
