//! Who takes jobs, and what ends an attempt?

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Now;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::paint::Painter;
use super::refresh::{Interval, Refresher};
use super::room::{Room, Turn};
use super::series::{JobSeries, Outcome};
use super::{JobSettings, Setback};
use crate::domain::job::{Claim, Job, Verdict, Work};
use crate::domain::retry;
use crate::store::{Store, StoreError};
use crate::time::instant;

/// Signs of life in the time of one lease.
const SIGNS_PER_LEASE: u32 = 3;

/// Wait between two tries to store how an attempt ended.
const FINISH_WAIT: Duration = Duration::from_millis(500);

/// Tries to store how an attempt ended. After the last, the lease ends and the job comes back.
const FINISH_TRIES_MAX: u32 = 20;

/// What workers need.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Where jobs are.
    pub store: Arc<dyn Store>,
    /// Told of each job that this process queues.
    pub wake: Arc<Notify>,
    /// Where surveys find a place.
    pub room: Room,
    /// Who looks at scenes.
    pub refresher: Refresher,
    /// Who paints.
    pub painter: Painter,
    /// Times and bounds.
    pub settings: JobSettings,
    /// What is counted.
    pub series: JobSeries,
}

/// Workers at work.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Begins to take jobs.
    #[must_use]
    pub fn start(self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let workers = Arc::new(self);
        let keeping = tokio::spawn(keep_house(Arc::clone(&workers), stopped.clone()));
        let mut tasks = vec![keeping];
        if workers.settings.workers_max > 0 {
            tasks.push(tokio::spawn(take_jobs(workers, stopped)));
        }
        Running { stop, tasks }
    }

    /// A time to wait before the next look into the queue, another one for each process.
    fn poll(&self) -> Duration {
        retry::wait(1, self.settings.poll_max, rand::random())
    }
}

impl Running {
    /// Takes no more jobs and gives back those at hand, waiting at most `longest`.
    pub async fn stop(self, longest: Duration) {
        self.stop.send_replace(true);
        let ended = futures::future::join_all(self.tasks);
        if timeout(longest, ended).await.is_err() {
            tracing::warn!("jobs at hand could not be given back; their leases will end");
        }
    }
}

/// Returns when the service stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means stop as well.
    let _gone = stop.wait_for(|stop| *stop).await.is_err();
}

/// Takes a job whenever it is the background's turn.
async fn take_jobs(workers: Arc<Workers>, mut stop: watch::Receiver<bool>) {
    let mut attempts = JoinSet::new();
    loop {
        let turn = tokio::select! {
            () = stopped(&mut stop) => break,
            turn = workers.room.turn() => turn,
        };
        while let Some(ended) = attempts.try_join_next() {
            noted(ended);
        }
        let now = instant(Now::read());
        match workers.store.claim(workers.settings.lease, now).await {
            Ok(Some(claim)) => {
                attempts.spawn(attempt(Arc::clone(&workers), claim, stop.clone(), turn));
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the queue of jobs cannot be read"),
        }
        drop(turn);
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = workers.wake.notified() => {}
            () = sleep(workers.poll()) => {}
        }
    }
    while let Some(ended) = attempts.join_next().await {
        noted(ended);
    }
}

fn noted(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt at a job ended badly; its lease will end");
    }
}

/// One attempt at one job.
async fn attempt(
    workers: Arc<Workers>,
    claim: Claim,
    mut stop: watch::Receiver<bool>,
    turn: Option<Turn>,
) {
    let running = workers.series.begin();
    let (job, kind) = (&claim.job, claim.job.work.kind());
    tracing::info!(job = job.id.as_str(), kind, attempt = job.attempts, "a job was begun");
    let ended = tokio::select! {
        // The lease first: work that another has taken over must not be finished.
        biased;
        () = workers.hold(&claim) => None,
        () = stopped(&mut stop) => Some((Outcome::Returned, workers.given_back())),
        done = workers.perform(job, turn) => Some(workers.verdict(job, done)),
    };
    let outcome = match ended {
        Some((outcome, verdict)) if workers.finish(&claim, &verdict).await => outcome,
        _ => Outcome::Lost,
    };
    workers.series.ended(kind, outcome);
    tracing::info!(job = job.id.as_str(), kind, outcome = outcome.word(), "an attempt ended");
    drop(running);
}

impl Workers {
    async fn perform(&self, job: &Job, turn: Option<Turn>) -> Result<(), Setback> {
        let _place = match turn {
            Some(turn) => turn.enter().await,
            None => None,
        };
        match job.work {
            Work::Refresh { start, end, max_cloud_percent } => {
                self.refresher.refresh(job, Interval { start, end, max_cloud_percent }).await
            }
            Work::Raster { date, size, max_cloud_percent } => {
                self.painter.paint(job, date, size, max_cloud_percent).await
            }
        }
    }

    fn verdict(&self, job: &Job, done: Result<(), Setback>) -> (Outcome, Verdict) {
        match done {
            Ok(()) => (Outcome::Done, Verdict::Done),
            Err(Setback::Never(error)) => (Outcome::Failed, Verdict::Failed { error }),
            Err(Setback::Again(error)) => {
                let first = self.settings.retry_first;
                let wait = retry::wait(job.attempts, first, rand::random());
                let at = instant(Now::read().plus(wait));
                (Outcome::Again, Verdict::Again { at, error })
            }
        }
    }

    fn given_back(&self) -> Verdict {
        let error = "The service was stopped meanwhile.".to_owned();
        Verdict::Again { at: instant(Now::read()), error }
    }

    async fn count_waiting(&self) -> Result<(), StoreError> {
        let (jobs, oldest) = (self.store.waiting().await?, self.store.oldest().await?);
        let age = oldest.map(|oldest| instant(Now::read()).duration_since(oldest).as_secs());
        self.series.wait(jobs, age.unwrap_or(0));
        Ok(())
    }

    /// Extends the lease for as long as the claim is ours; returns when it is lost.
    async fn hold(&self, claim: &Claim) {
        let lease = self.settings.lease;
        let mut held_at = Instant::now();
        loop {
            sleep(lease / SIGNS_PER_LEASE).await;
            match self.store.extend(claim, lease, instant(Now::read())).await {
                Ok(true) => held_at = Instant::now(),
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "a lease could not be extended");
                    if held_at.elapsed() >= lease {
                        return;
                    }
                }
            }
        }
    }

    /// Stores how an attempt ended; false when the claim is lost or the database stays away.
    async fn finish(&self, claim: &Claim, verdict: &Verdict) -> bool {
        for _try in 0..FINISH_TRIES_MAX {
            match self.store.finish(claim, verdict, instant(Now::read())).await {
                Ok(ours) => return ours,
                Err(error) => tracing::warn!(%error, "the end of a job could not be stored"),
            }
            sleep(FINISH_WAIT).await;
        }
        false
    }
}

/// Counts what waits and forgets what ended long ago.
async fn keep_house(workers: Arc<Workers>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = sleep(workers.poll()) => {}
        }
        if let Err(error) = workers.count_waiting().await {
            tracing::warn!(%error, "waiting jobs cannot be counted");
        }
        // A job that is forgotten lets nobody cool down.
        let kept = workers.settings.kept.max(workers.settings.cooldown);
        let before = instant(Now::read()).saturating_sub(past(kept)).unwrap_or_default();
        if let Err(error) = workers.store.forget_jobs(before).await {
            tracing::warn!(%error, "old jobs cannot be forgotten");
        }
    }
}

fn past(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}
