//! What survives a restart: the answers of the providers, the newest value of each day, and the
//! points that are kept warm.
//!
//! Each database has its own SQL behind [`Store`]; nothing outside this module sees SQL.

mod columns;
mod error;
pub mod mysql;
pub mod sqlite;
pub mod writer;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chassis::database::DatabaseSettings;
use chassis::metrics::Metrics;

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::point::{Point, PointState};
use crate::providers::Fetched;
use crate::store::mysql::MySqlStore;
use crate::store::sqlite::SqliteStore;

pub use error::StoreError;

/// What tells one fetch from every other, so that storing it twice is storing it once.
pub type FetchId = [u8; 16];

/// An answer to be stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which fetch it is.
    pub id: FetchId,
    /// What was asked.
    pub ask: Ask,
    /// When.
    pub fetched_at: SystemTime,
    /// What came back.
    pub fetched: Fetched,
}

impl Record {
    /// The record of a fetch that was made just now.
    #[must_use]
    pub fn new(ask: Ask, fetched_at: SystemTime, fetched: Fetched) -> Self {
        Self { id: rand::random(), ask, fetched_at, fetched }
    }
}

/// An answer from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The provider's body as it came.
    pub body: Vec<u8>,
    /// When it came.
    pub fetched_at: SystemTime,
}

/// Where provider answers outlive the process.
#[async_trait]
pub trait WeatherStore: Send + Sync + std::fmt::Debug {
    /// Stores answers, all or none. One that is there already is left as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn append(&self, records: &[Record]) -> Result<(), StoreError>;

    /// The newest answer to `ask` that came at `not_before` or later.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn newest(&self, ask: &Ask, not_before: SystemTime)
    -> Result<Option<Stored>, StoreError>;

    /// The newest values of the days that `ask` is about, and when the oldest of them came. They
    /// may come from answers about other ranges. `None` unless every day is known and came at
    /// `not_before` or later.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn newest_days(
        &self,
        ask: &Ask,
        not_before: SystemTime,
    ) -> Result<Option<(Vec<Day>, SystemTime)>, StoreError>;

    /// Forgets what came before `before`, a bounded number at a time. Returns how many
    /// are gone.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn forget(&self, before: SystemTime) -> Result<u64, StoreError>;
}

/// Where the points that are kept warm are listed, for all processes that share a database.
#[async_trait]
pub trait PointStore: Send + Sync + std::fmt::Debug {
    /// The first `points_max` points, from south to north and west to east.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn points(&self, points_max: usize) -> Result<Vec<PointState>, StoreError>;

    /// Lists points, all or none; those that are listed already stay as they are. `false`, and
    /// nothing changed, when there would be more than `points_max`.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn register(&self, points: &[Point], points_max: usize) -> Result<bool, StoreError>;

    /// Takes a point off the list; `false` when it was not there.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn remove(&self, point: &Point) -> Result<bool, StoreError>;

    /// Notes how fetching went. A state without `last_ok` leaves the time of the last success;
    /// points that are not listed any more are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn mark(&self, states: &[PointState]) -> Result<(), StoreError>;

    /// Whether `holder` is the one of all processes that fetches for points, from now on for
    /// `lasting`. Nobody else is until that time is over.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    async fn lead(&self, holder: &str, lasting: Duration) -> Result<bool, StoreError>;
}

/// A database of this service.
#[async_trait]
pub trait Store: WeatherStore + PointStore {
    /// Whether the database answers and its tables are there.
    ///
    /// # Errors
    /// [`StoreError`] when not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Closes all connections once running statements have ended.
    async fn close(&self);
}

/// Opens the database that the address names. One that cannot be reached is asked again later.
///
/// # Errors
/// [`StoreError`] when the address is wrong or the database will never do.
pub async fn open(
    settings: &DatabaseSettings,
    metrics: &Metrics,
) -> Result<Arc<dyn Store>, StoreError> {
    match settings.url.scheme() {
        "sqlite" => Ok(Arc::new(SqliteStore::open(settings, metrics).await?)),
        "mysql" | "mariadb" => Ok(Arc::new(MySqlStore::open(settings, metrics).await?)),
        scheme => Err(StoreError::Scheme { scheme: scheme.to_owned() }),
    }
}
