//! What survives a restart: samples that others sent, fields, what scenes showed of them, and work
//! that was asked for.
//!
//! Each database has its own SQL behind these traits; nothing outside this module sees SQL.

mod error;
pub mod postgres;
mod rows;
mod shared;
pub mod sqlite;
mod statements;
mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::database::DatabaseSettings;
use chassis::metrics::Metrics;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::field::{Field, FieldDraft, FieldId, Revision};
use crate::domain::job::{Claim, Job, JobDraft, JobId, Verdict};
use crate::domain::sample::{FarmId, Sample};

pub use crate::domain::seen::{Seen, Survey};
pub use error::StoreError;
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// Whether a sample was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    New,
    /// The same sample was stored before.
    Already,
}

/// Which samples to find.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleQuery {
    /// Of which farm.
    pub farm_id: FarmId,
    /// Not before this instant.
    pub start: Option<Timestamp>,
    /// Not after this instant.
    pub end: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

/// Where samples outlive the process.
#[async_trait]
pub trait SampleStore: Send + Sync + std::fmt::Debug {
    /// Stores a sample once; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn insert(&self, sample: &Sample) -> Result<Stored, StoreError>;

    /// The newest samples that match, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn find(&self, query: &SampleQuery) -> Result<Vec<Sample>, StoreError>;

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError`] when it does not.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// What became of an outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The field is new.
    Created,
    /// The field had another outline before.
    Replaced,
    /// The field had this outline already; nothing changed.
    Unchanged,
}

/// Where fields are kept.
#[async_trait]
pub trait FieldStore: Send + Sync + std::fmt::Debug {
    /// Gives a field its outline. Another outline is another revision.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn put_field(&self, draft: &FieldDraft) -> Result<(Field, Put), StoreError>;

    /// The field, when there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn field(&self, id: &FieldId) -> Result<Option<Field>, StoreError>;
}

/// Which observations belong together: the same outline, computed by the same rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Of which field.
    pub field: FieldId,
    /// Of which of its outlines.
    pub revision: Revision,
    /// Version of the rules that computed them.
    pub engine_version: String,
}

/// Where observations are kept.
#[async_trait]
pub trait ObservationStore: Send + Sync + std::fmt::Debug {
    /// Stores what a survey saw, all of it or nothing. A scene that was seen before by the same
    /// rules is replaced, so that a survey may be repeated.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn put_seen(
        &self,
        series: &Series,
        survey: &Survey,
        seen: &[Seen],
    ) -> Result<(), StoreError>;

    /// What was seen from `start` to `end`, both days included, oldest first; of more than `limit`
    /// the newest.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn seen(
        &self,
        series: &Series,
        start: Date,
        end: Date,
        limit: u32,
    ) -> Result<Vec<Seen>, StoreError>;

    /// The surveys that have a day in common with `start` to `end`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn surveys(
        &self,
        series: &Series,
        start: Date,
        end: Date,
        limit: u32,
    ) -> Result<Vec<Survey>, StoreError>;
}

/// What became of a job that was to be queued.
#[derive(Clone, Debug, PartialEq)]
pub enum Queued {
    /// It is queued.
    New(Job),
    /// The same work is queued or running already.
    Already(Job),
    /// The same kind of work for the same outline was asked for less than the cooldown ago: this is
    /// that job, which has ended or is about other days.
    CoolingDown(Job),
    /// As many jobs wait as may.
    Full,
}

/// Where work waits, and outlives those who do it.
#[async_trait]
pub trait JobQueue: Send + Sync + std::fmt::Debug {
    /// Queues a job; durable when this returns. A job of the same digest that has not ended takes
    /// its place. `cooldown` counts from when the last job of the same field, revision and kind
    /// was asked for; `waiting_max` bounds the jobs that have not ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn queue(
        &self,
        draft: &JobDraft,
        cooldown: Duration,
        waiting_max: u32,
    ) -> Result<Queued, StoreError>;

    /// Takes the job that has waited longest, if any may be done now: one that is queued and whose
    /// time has come, or one whose lease has ended. Two workers never hold the same claim. A job
    /// that was claimed [`ATTEMPTS_MAX`](crate::domain::job::ATTEMPTS_MAX) times without an end is
    /// failed instead.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn claim(&self, lease: Duration, now: Timestamp) -> Result<Option<Claim>, StoreError>;

    /// Lets the lease of a claim end later. False when the claim is lost: another worker has taken
    /// over, and the work should be dropped.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn extend(
        &self,
        claim: &Claim,
        lease: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Says how the attempt ended. False when the claim is lost, and nothing has changed.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn finish(
        &self,
        claim: &Claim,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The job, when there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// How many jobs have not ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn waiting(&self) -> Result<u64, StoreError>;

    /// When the oldest job that has not ended was asked for; `None` when all have ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or holds what was never stored.
    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Forgets jobs that ended before `before`, a bounded number at a time. Returns how many are
    /// gone. A job that is forgotten lets nobody cool down.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn forget_jobs(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// One database with everything in it.
#[async_trait]
pub trait Store: SampleStore + FieldStore + ObservationStore + JobQueue {
    /// Closes all connections once running statements have ended.
    async fn close(&self);
}

/// Opens the database that the address names, and brings its tables to the present version.
///
/// # Errors
/// [`StoreError`] when the address is wrong, the database refuses or is of a newer version. A
/// server that is away is no error: it is asked again whenever it is needed.
pub async fn open(
    settings: &DatabaseSettings,
    metrics: &Metrics,
) -> Result<Arc<dyn Store>, StoreError> {
    match settings.url.scheme() {
        "sqlite" => Ok(Arc::new(SqliteStore::open(settings, metrics).await?)),
        "postgres" | "postgresql" => Ok(Arc::new(PostgresStore::open(settings, metrics).await?)),
        _ => Err(StoreError::Url {
            url: settings.url.clone(),
            why: "this service keeps its data in SQLite or Postgres".to_owned(),
        }),
    }
}
