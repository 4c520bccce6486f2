//! How does a steady stream of requests run beside something else?
//!
//! A paced stream sends when a request is due, whether the one before it was answered or not: its
//! connections take turns, and one that is not free in time counts from when it should have sent.
//! So a server that stops for a second is seen by all who would have asked in that second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::client::{Answer, Client, now};
use crate::latency::Latencies;

/// One kind of request, as often as it is wanted.
pub(crate) trait Job: Send + Sync {
    /// The next request.
    fn request(&self) -> Vec<u8>;

    /// Whether this is its answer.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, answer: &Answer) -> Result<(), String>;
}

/// How often is asked, and over how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Connections.
    pub(crate) connections: u32,
    /// Requests a second over all of them; as fast as the answers come, if none.
    pub(crate) per_second: Option<u32>,
}

/// A stream that runs; it ends when dropped.
pub(crate) struct Stream {
    tasks: JoinSet<Result<Vec<Duration>, String>>,
    is_over: Arc<AtomicBool>,
}

impl Stream {
    /// Connects, then starts to ask.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(crate) async fn start(
        server: SocketAddr,
        pace: Pace,
        job: Arc<dyn Job>,
    ) -> Result<Self, String> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for _ in 0..pace.connections {
            clients.push(Client::connect(server).await.map_err(|error| error.to_string())?);
        }
        let (mut tasks, begin) = (JoinSet::new(), now());
        for (number, client) in (0..).zip(clients) {
            let turns = Turns::of(pace, number, begin);
            tasks.spawn(ask(client, turns, job.clone(), is_over.clone()));
        }
        Ok(Self { tasks, is_over })
    }

    /// Ends the stream, once all that was asked is answered, and tells how long each waited.
    ///
    /// # Errors
    /// When an answer was wrong or did not come.
    pub(crate) async fn stop(mut self) -> Result<Latencies, String> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            waits.extend(ended.map_err(|error| error.to_string())??);
        }
        Ok(Latencies::of(waits))
    }

    /// Lets the stream run so long, and ends it.
    ///
    /// # Errors
    /// When an answer was wrong or did not come.
    pub(crate) async fn run_for(self, time: Duration) -> Result<Latencies, String> {
        tokio::time::sleep(time).await;
        self.stop().await
    }
}

/// When one connection of a stream is to ask.
#[derive(Clone, Copy, Debug)]
struct Turns {
    /// The next time, and the time between two; none where nothing is due.
    due: Option<(Instant, Duration)>,
}

impl Turns {
    fn of(pace: Pace, number: u32, begin: Instant) -> Self {
        let due = pace.per_second.map(|per_second| {
            let gap = Duration::from_secs(1) / per_second.max(1);
            (begin + gap * number, gap * pace.connections)
        });
        Self { due }
    }

    /// The next time at which a request is due.
    fn next(&mut self) -> Option<Instant> {
        let (due, gap) = self.due.as_mut()?;
        let this = *due;
        *due += *gap;
        Some(this)
    }
}

async fn ask(
    mut client: Client,
    mut turns: Turns,
    job: Arc<dyn Job>,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<Duration>, String> {
    let mut waits = Vec::new();
    loop {
        let due = turns.next();
        let is_late = due.is_some_and(|due| now() > due);
        if let Some(due) = due {
            sleep_until(due.into()).await;
        }
        if is_over.load(Ordering::Relaxed) {
            return Ok(waits);
        }
        let request = job.request();
        // That the timer of this process is late is nobody's wait.
        let from = due.filter(|_| is_late).unwrap_or_else(now);
        let answer = client.ask(&request).await.map_err(|error| error.to_string())?;
        waits.push(answer.at - from);
        job.check(&answer)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn connections_take_turns_at_the_rate_of_all_of_them() {
        let pace = Pace { connections: 4, per_second: Some(200) };
        let begin = now();
        let mut due: Vec<Duration> = (0..4)
            .flat_map(|number| {
                let mut turns = Turns::of(pace, number, begin);
                [turns.next().unwrap() - begin, turns.next().unwrap() - begin]
            })
            .collect();
        due.sort_unstable();
        let evenly: Vec<_> = (0..8).map(|n| Duration::from_millis(5) * n).collect();
        assert_eq!(due, evenly);
        let pace = Pace { per_second: None, ..pace };
        assert_eq!(Turns::of(pace, 0, begin).next(), None);
    }
}
