//! What survives a restart: the samples that others sent.
//!
//! Each database has its own SQL behind [`SampleStore`]; nothing outside this module sees SQL.

pub mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::sample::{FarmId, Sample};

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

/// The database cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address does not name a database this service knows.
    #[error(
        "NDVI_DATABASE_URL={url:?} is not usable ({why}); \
         write for example sqlite:///var/lib/ndvi/ndvi.db?mode=rwc"
    )]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database cannot be opened.
    #[error(
        "the database {url:?} cannot be opened: {source}; \
         check that its directory exists and is writable"
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
    /// No connection became free in time.
    #[error("all connections of the database are busy; see NDVI_DATABASE_CONNECTIONS_MAX")]
    Busy,
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[source] sqlx::Error),
    /// A row that this service cannot have written.
    #[error("sample {id} in the database is damaged")]
    Damaged {
        /// The row.
        id: i64,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            other => Self::Statement(other),
        }
    }
}
