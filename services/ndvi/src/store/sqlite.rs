//! How does SQLite keep everything in one file?
//!
//! One connection at a time may write to a file. Writers of this process therefore take turns, in
//! the order in which they came, before they take a connection: the busy timeout of SQLite, which
//! is neither fair nor quick, is left for other processes.

use std::ops::{Deref, DerefMut};
use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use chassis::database::{Database, DatabaseSettings, Lease};
use chassis::metrics::Metrics;
use jiff::Timestamp;
use jiff::civil::Date;
use prometheus::Histogram;
use serde_json::value::RawValue;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::error::{StoreError, is_busy};
use super::rows::{FieldRow, JobRow, SampleRow, SeenRow, SurveyRow};
use super::shared;
use super::values::{Day, Micros, count, word};
use super::{
    FieldStore, JobQueue, ObservationStore, Put, Queued, SampleQuery, SampleStore, Seen, Series,
    Store, Stored, Survey,
};
use crate::domain::field::{Field, FieldDraft, FieldId};
use crate::domain::job::{ATTEMPTS_MAX, Claim, Job, JobDraft, JobId, Verdict, given_up};
use crate::domain::observation::Observation;
use crate::domain::sample::Sample;
use crate::domain::statistics::Summary;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations/sqlite");

/// How long a statement waits for a writer of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the file is tried when another process is just turning it to write-ahead mode, which
/// no busy timeout waits for.
const PREPARE_TRIES_MAX: u32 = 50;
const PREPARE_PAUSE: Duration = Duration::from_millis(20);

/// A file, opened in write-ahead mode so that readers do not wait for the writer.
#[derive(Debug)]
pub struct SqliteStore {
    database: Database<Sqlite>,
    turns: Turns,
}

/// Who may write next. Waiting is bounded as it is for a connection.
#[derive(Debug)]
struct Turns {
    writing: Semaphore,
    callers: Semaphore,
    wait_max: Duration,
    waited: Histogram,
}

/// A transaction that holds the right to write.
struct Write<'a> {
    transaction: Lease<'a, Transaction<'static, Sqlite>>,
    // After the transaction: it must have ended when the next writer begins.
    _turn: Turn<'a>,
}

struct Turn<'a> {
    _writing: SemaphorePermit<'a>,
    _caller: SemaphorePermit<'a>,
}

impl SqliteStore {
    /// Opens the file and brings its tables to the present version.
    ///
    /// # Errors
    /// [`StoreError`] when the address is wrong, the file cannot be opened or is of a newer
    /// version.
    pub async fn open(settings: &DatabaseSettings, metrics: &Metrics) -> Result<Self, StoreError> {
        let url = &settings.url;
        let options = SqliteConnectOptions::from_str(url.expose())
            .map_err(|error| StoreError::Url { url: url.clone(), why: error.to_string() })?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged must survive a power cut too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        prepare(&options, settings).await?;
        let waited = metrics.duration_histogram(
            "database_write_turn_seconds",
            "Time until a writer had its turn at the file, or was refused.",
            &[],
        )?;
        let callers = settings.waiting_max.saturating_add(1);
        let turns = Turns {
            writing: Semaphore::new(1),
            callers: Semaphore::new(callers),
            wait_max: settings.acquire_timeout,
            waited: waited.with_label_values::<&str>(&[]),
        };
        let database = Database::open(options, settings, &MIGRATOR, metrics).await?;
        Ok(Self { database, turns })
    }

    async fn read(&self) -> Result<Lease<'_, PoolConnection<Sqlite>>, StoreError> {
        Ok(self.database.acquire().await?)
    }

    async fn write(&self) -> Result<Write<'_>, StoreError> {
        let turn = self.turns.take().await?;
        // A transaction that began with a read could not write once another process has written.
        let transaction = self.database.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Write { transaction, _turn: turn })
    }

    async fn queueing(&self) -> Result<Write<'_>, StoreError> {
        self.write().await
    }

    const CLAIM: &str = shared::claim!("");
}

impl Turns {
    async fn take(&self) -> Result<Turn<'_>, StoreError> {
        let asked = Instant::now();
        let taken = self.wait(asked + self.wait_max).await;
        self.waited.observe(asked.elapsed().as_secs_f64());
        taken.ok_or(StoreError::Busy)
    }

    async fn wait(&self, deadline: Instant) -> Option<Turn<'_>> {
        let caller = self.callers.try_acquire().ok()?;
        let writing = timeout_at(deadline, self.writing.acquire()).await.ok()?.ok()?;
        Some(Turn { _writing: writing, _caller: caller })
    }
}

impl Write<'_> {
    async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Write<'_> {
    type Target = Transaction<'static, Sqlite>;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}

/// Makes the file and its tables while no other process does.
async fn prepare(
    options: &SqliteConnectOptions,
    settings: &DatabaseSettings,
) -> Result<(), StoreError> {
    let url = || settings.url.clone();
    for attempt in 1.. {
        let error = match migrate(options).await {
            Ok(()) => break,
            Err(error) => error,
        };
        match error {
            MigrateError::Execute(source) if attempt < PREPARE_TRIES_MAX && is_busy(&source) => {
                tokio::time::sleep(PREPARE_PAUSE).await;
            }
            MigrateError::Execute(source) => return Err(StoreError::File { url: url(), source }),
            source => return Err(StoreError::Migrate { url: url(), source }),
        }
    }
    Ok(())
}

async fn migrate(options: &SqliteConnectOptions) -> Result<(), MigrateError> {
    let mut connection = SqliteConnection::connect_with(options).await?;
    // The migrator itself does not keep two processes apart in SQLite.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATOR.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    async fn close(&self) {
        self.database.close().await;
    }
}

shared::keep_fields!(SqliteStore);
shared::keep_observations!(SqliteStore);
shared::keep_jobs!(SqliteStore);

#[async_trait]
impl SampleStore for SqliteStore {
    async fn insert(&self, sample: &Sample) -> Result<Stored, StoreError> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO ndvi_samples (farm_id, timestamp_us, mean, min, max, source, geometry) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(sample.farm_id.as_str())
        .bind(Micros::of(sample.timestamp))
        .bind(sample.values.mean())
        .bind(sample.values.min())
        .bind(sample.values.max())
        .bind(sample.source.as_deref().unwrap_or_default())
        .bind(sample.geometry.as_deref().map(RawValue::get))
        .execute(&mut **write)
        .await?;
        write.commit().await?;
        Ok(if done.rows_affected() == 0 { Stored::Already } else { Stored::New })
    }

    async fn find(&self, query: &SampleQuery) -> Result<Vec<Sample>, StoreError> {
        let mut read = self.read().await?;
        let rows: Vec<SampleRow> = sqlx::query_as(
            "SELECT id, farm_id, timestamp_us AS timestamp, mean, min, max, source, geometry \
             FROM ndvi_samples WHERE farm_id = ? AND timestamp_us BETWEEN ? AND ? \
             ORDER BY timestamp_us DESC, id DESC LIMIT ?",
        )
        .bind(query.farm_id.as_str())
        .bind(query.start.map_or(Micros::FIRST, Micros::of))
        .bind(query.end.map_or(Micros::LAST, Micros::of))
        .bind(query.limit)
        .fetch_all(&mut **read)
        .await?;
        rows.into_iter().map(SampleRow::read).collect()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.database.ping().await?)
    }
}
