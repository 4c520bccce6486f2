//! How are samples kept in SQLite?

use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;
use sqlx::FromRow;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::{SampleQuery, SampleStore, StoreError, Stored};
use crate::domain::sample::{Extremes, FarmId, Sample};

/// How long a statement waits for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How the file is opened.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// `sqlite://path?mode=rwc`.
    pub url: String,
    /// Connections held at most.
    pub connections_max: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
}

/// A file, opened in write-ahead mode so that readers do not wait for the writer.
#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file and brings its tables to the present version.
    ///
    /// # Errors
    /// [`StoreError`] when the address is wrong, the file cannot be opened or is of a newer
    /// version.
    pub async fn open(settings: &SqliteSettings) -> Result<Self, StoreError> {
        let url = &settings.url;
        check_scheme(url)?;
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| StoreError::Url { url: url.clone(), why: error.to_string() })?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A sample that was acknowledged must survive a power cut too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(settings.connections_max)
            .acquire_timeout(settings.acquire_timeout)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { url: url.clone(), source })?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { url: url.clone(), source })?;
        Ok(Self { pool })
    }

    /// Closes the file once running statements have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The driver would take any other address for the name of a file. What follows the scheme may
/// be a password, so it is not repeated.
fn check_scheme(url: &str) -> Result<(), StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => Ok(()),
        Some((scheme, _)) => Err(StoreError::Url {
            url: format!("{scheme}:..."),
            why: "this service keeps its samples in SQLite".to_owned(),
        }),
        None => Err(StoreError::Url { url: url.to_owned(), why: "it has no scheme".to_owned() }),
    }
}

#[async_trait]
impl SampleStore for SqliteStore {
    async fn insert(&self, sample: &Sample) -> Result<Stored, StoreError> {
        let done = sqlx::query(
            "INSERT INTO ndvi_samples (farm_id, timestamp_us, mean, min, max, source, geometry) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(sample.farm_id.as_str())
        .bind(sample.timestamp.as_microsecond())
        .bind(sample.values.mean())
        .bind(sample.values.min())
        .bind(sample.values.max())
        .bind(sample.source.as_deref().unwrap_or_default())
        .bind(sample.geometry.as_deref().map(RawValue::get))
        .execute(&self.pool)
        .await?;
        Ok(if done.rows_affected() == 0 { Stored::Already } else { Stored::New })
    }

    async fn find(&self, query: &SampleQuery) -> Result<Vec<Sample>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, farm_id, timestamp_us, mean, min, max, source, geometry \
             FROM ndvi_samples WHERE farm_id = ? AND timestamp_us BETWEEN ? AND ? \
             ORDER BY timestamp_us DESC, id DESC LIMIT ?",
        )
        .bind(query.farm_id.as_str())
        .bind(query.start.map_or(i64::MIN, Timestamp::as_microsecond))
        .bind(query.end.map_or(i64::MAX, Timestamp::as_microsecond))
        .bind(query.limit)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Row::into_sample).collect()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    farm_id: String,
    timestamp_us: i64,
    mean: f64,
    min: f64,
    max: f64,
    source: String,
    geometry: Option<String>,
}

impl Row {
    fn into_sample(self) -> Result<Sample, StoreError> {
        let id = self.id;
        self.sample().ok_or(StoreError::Damaged { id })
    }

    fn sample(self) -> Option<Sample> {
        let geometry = self.geometry.map(RawValue::from_string).transpose().ok()?;
        Some(Sample {
            farm_id: FarmId::parse(&self.farm_id)?,
            timestamp: Timestamp::from_microsecond(self.timestamp_us).ok()?,
            values: Extremes::new(self.mean, self.min, self.max)?,
            source: Some(self.source).filter(|source| !source.is_empty()),
            geometry,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    async fn in_memory() -> SqliteStore {
        let url = "sqlite::memory:".to_owned();
        // Each connection of an in-memory database would see a database of its own.
        let settings =
            SqliteSettings { url, connections_max: 1, acquire_timeout: Duration::from_secs(5) };
        SqliteStore::open(&settings).await.unwrap()
    }

    fn sample(timestamp: &str, mean: f64, source: Option<&str>) -> Sample {
        Sample {
            farm_id: FarmId::parse("6f9619ff-8b86-d011-b42d-00cf4fc964ff").unwrap(),
            timestamp: timestamp.parse().unwrap(),
            values: Extremes::new(mean, -0.9, 0.9).unwrap(),
            source: source.map(str::to_owned),
            geometry: Some(RawValue::from_string(r#"{"type": "Point"}"#.to_owned()).unwrap()),
        }
    }

    fn all() -> SampleQuery {
        let farm_id = sample("2021-06-17T10:00:00Z", 0.0, None).farm_id;
        SampleQuery { farm_id, start: None, end: None, limit: 10 }
    }

    #[tokio::test]
    async fn same_sample_is_stored_once() {
        let store = in_memory().await;
        let one = sample("2021-06-17T10:00:00Z", 0.3, None);
        assert_eq!(store.insert(&one).await.unwrap(), Stored::New);
        let same_instant = sample("2021-06-17T13:00:00+03:00", 0.3, None);
        assert_eq!(store.insert(&same_instant).await.unwrap(), Stored::Already);
        assert_eq!(store.find(&all()).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn any_other_value_makes_another_sample() {
        let store = in_memory().await;
        for other in [
            sample("2021-06-17T10:00:00Z", 0.3, None),
            sample("2021-06-17T10:00:00Z", 0.31, None),
            sample("2021-06-17T10:00:00Z", 0.3, Some("drone")),
            sample("2021-06-17T10:00:00.000001Z", 0.3, None),
        ] {
            assert_eq!(store.insert(&other).await.unwrap(), Stored::New);
        }
    }

    #[tokio::test]
    async fn samples_come_back_as_they_went_in_newest_first() {
        let store = in_memory().await;
        let (old, new) = (
            sample("2021-06-17T10:00:00Z", -0.3, None),
            sample("2021-06-18T10:00:00Z", 0.1 + 0.2, Some("s")),
        );
        store.insert(&old).await.unwrap();
        store.insert(&new).await.unwrap();
        let found = store.find(&all()).await.unwrap();
        let as_json = |sample: &Sample| serde_json::to_string(sample).unwrap();
        assert_eq!(found.iter().map(as_json).collect::<Vec<_>>(), [as_json(&new), as_json(&old)]);
    }

    #[tokio::test]
    async fn interval_and_limit_are_kept() {
        let store = in_memory().await;
        for day in 10..20 {
            store.insert(&sample(&format!("2021-06-{day}T00:00:00Z"), 0.5, None)).await.unwrap();
        }
        let at = |day: u32| Some(format!("2021-06-{day}T00:00:00Z").parse().unwrap());
        let query = SampleQuery { start: at(12), end: at(17), limit: 4, ..all() };
        let days: Vec<String> = store
            .find(&query)
            .await
            .unwrap()
            .iter()
            .map(|sample| sample.timestamp.to_string())
            .collect();
        let expected = [17, 16, 15, 14].map(|day| format!("2021-06-{day}T00:00:00Z"));
        assert_eq!(days, expected);
    }

    #[tokio::test]
    async fn unknown_database_is_refused_with_the_variable() {
        let settings = SqliteSettings {
            url: "postgres://user:secret@host/ndvi".to_owned(),
            connections_max: 1,
            acquire_timeout: Duration::from_secs(1),
        };
        let why = SqliteStore::open(&settings).await.unwrap_err().to_string();
        assert!(why.starts_with("NDVI_DATABASE_URL=") && !why.contains("secret"), "{why}");
    }
}
