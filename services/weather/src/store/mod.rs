//! What survives a restart: the answers of the providers and the newest value of each day.
//!
//! Each database has its own SQL behind [`WeatherStore`]; nothing outside this module sees SQL.

pub mod sqlite;
pub mod writer;

use std::time::SystemTime;

use async_trait::async_trait;

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::providers::Fetched;

/// An answer to be stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was asked.
    pub ask: Ask,
    /// When.
    pub fetched_at: SystemTime,
    /// What came back.
    pub fetched: Fetched,
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
    /// Stores answers, all or none.
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

/// The database cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address does not name a database this service knows.
    #[error(
        "WEATHER_DATABASE_URL={url:?} is not usable ({why}); \
         write for example sqlite:///var/lib/weather/weather.db"
    )]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database cannot be opened.
    #[error(
        "the database {url:?} cannot be opened: {source}; check that its directory exists and is writable"
    )]
    Open {
        /// The address.
        url: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The tables cannot be brought to the present version.
    #[error("the database {url:?} cannot be migrated: {source}")]
    Migrate {
        /// The address.
        url: String,
        /// What the migrator said.
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[from] sqlx::Error),
}
