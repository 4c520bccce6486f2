//! How does Postgres keep everything, beside what its operator has there already?

use std::str::FromStr as _;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use chassis::database::{Database, DatabaseSettings, Lease};
use chassis::metrics::Metrics;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::value::RawValue;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use tokio::time::timeout;

use super::error::StoreError;
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

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations/postgres");
    // Other services may keep their tables in the same database.
    migrator.dangerous_set_table_name("_ndvi_migrations");
    migrator
});

/// Longest wait for another process that brings the tables to the present version.
const MIGRATE_WAIT_MAX: Duration = Duration::from_secs(60);

/// The lock under which jobs are queued: "ndvijobs" in ASCII.
const QUEUE_LOCK: i64 = 0x6e64_7669_6a6f_6273;

/// A server, within the bounds of the settings.
#[derive(Debug)]
pub struct PostgresStore {
    database: Database<Postgres>,
}

impl PostgresStore {
    /// Opens the database and brings its tables to the present version.
    ///
    /// # Errors
    /// [`StoreError`] when the address is wrong, or the server refuses or has tables of a newer
    /// version.
    pub async fn open(settings: &DatabaseSettings, metrics: &Metrics) -> Result<Self, StoreError> {
        let url = &settings.url;
        let options = PgConnectOptions::from_str(url.expose())
            .map_err(|error| StoreError::Url { url: url.clone(), why: error.to_string() })?
            .application_name("ndvi");
        prepare(&options, settings).await?;
        let longest = settings.statement_timeout.as_millis();
        let options = options.options([
            ("statement_timeout", longest.to_string().as_str()),
            ("lock_timeout", longest.to_string().as_str()),
            // Who has waited for a lock has to see what was done under it.
            ("default_transaction_isolation", "read committed"),
        ]);
        let database = Database::open(options, settings, &MIGRATOR, metrics).await?;
        Ok(Self { database })
    }

    async fn read(&self) -> Result<Lease<'_, PoolConnection<Postgres>>, StoreError> {
        Ok(self.database.acquire().await?)
    }

    async fn write(&self) -> Result<Lease<'_, Transaction<'static, Postgres>>, StoreError> {
        Ok(self.database.begin().await?)
    }

    /// Jobs are queued one after the other, so that each sees all that were queued before: the
    /// bound and the cooldown hold exactly. Queueing is rare and short.
    async fn queueing(&self) -> Result<Lease<'_, Transaction<'static, Postgres>>, StoreError> {
        let mut write = self.write().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(QUEUE_LOCK)
            .execute(&mut **write)
            .await?;
        Ok(write)
    }

    const CLAIM: &str = shared::claim!("FOR UPDATE SKIP LOCKED");
}

/// Brings the tables to the present version without the bounds of requests: an index over many
/// old rows takes its time. A server that cannot be reached is left for later.
async fn prepare(
    options: &PgConnectOptions,
    settings: &DatabaseSettings,
) -> Result<(), StoreError> {
    let wait_ms = MIGRATE_WAIT_MAX.as_millis();
    let options = options.clone().options([("lock_timeout", wait_ms)]);
    let connecting = timeout(settings.acquire_timeout, PgConnection::connect_with(&options));
    let Ok(Ok(mut connection)) = connecting.await else { return Ok(()) };
    match MIGRATOR.run_direct(None, &mut connection, false).await {
        Ok(()) => Ok(connection.close().await?),
        Err(MigrateError::Execute(sqlx::Error::Io(_))) => Ok(()),
        Err(source) => Err(StoreError::Migrate { url: settings.url.clone(), source }),
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn close(&self) {
        self.database.close().await;
    }
}

shared::keep_fields!(PostgresStore);
shared::keep_observations!(PostgresStore);
shared::keep_jobs!(PostgresStore);

#[async_trait]
impl SampleStore for PostgresStore {
    /// A sample that an older program has stored, which the unique index does not know, counts as
    /// stored too.
    async fn insert(&self, sample: &Sample) -> Result<Stored, StoreError> {
        let mut connection = self.read().await?;
        let done = sqlx::query(
            "INSERT INTO ndvi_samples \
             (farm_id, \"timestamp\", mean, min, max, source, geometry, once) \
             SELECT $1::uuid, $2, $3, $4, $5, $6, $7::jsonb, TRUE WHERE NOT EXISTS \
             (SELECT 1 FROM ndvi_samples WHERE farm_id = $1::uuid AND \"timestamp\" = $2 \
              AND mean = $3 AND min = $4 AND max = $5 \
              AND COALESCE(source, '') = COALESCE($6, '')) \
             ON CONFLICT DO NOTHING",
        )
        .bind(sample.farm_id.as_str())
        .bind(Micros::of(sample.timestamp))
        .bind(sample.values.mean())
        .bind(sample.values.min())
        .bind(sample.values.max())
        .bind(sample.source.as_deref())
        .bind(sample.geometry.as_deref().map(RawValue::get))
        .execute(&mut **connection)
        .await?;
        Ok(if done.rows_affected() == 0 { Stored::Already } else { Stored::New })
    }

    async fn find(&self, query: &SampleQuery) -> Result<Vec<Sample>, StoreError> {
        let mut read = self.read().await?;
        let rows: Vec<SampleRow> = sqlx::query_as(
            "SELECT id, farm_id::text AS farm_id, \"timestamp\", mean, min, max, source, \
             geometry::text AS geometry FROM ndvi_samples \
             WHERE farm_id = $1::uuid AND \"timestamp\" BETWEEN $2 AND $3 \
             ORDER BY \"timestamp\" DESC, id DESC LIMIT $4",
        )
        .bind(query.farm_id.as_str())
        .bind(query.start.map_or(Micros::FIRST, Micros::of))
        .bind(query.end.map_or(Micros::LAST, Micros::of))
        .bind(i64::from(query.limit))
        .fetch_all(&mut **read)
        .await?;
        rows.into_iter().map(SampleRow::read).collect()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.database.ping().await?)
    }
}
