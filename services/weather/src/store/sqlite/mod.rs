//! How are answers kept in SQLite?

mod answers;
mod points;

use std::str::FromStr as _;

use async_trait::async_trait;
use chassis::database::{Database, DatabaseSettings};
use chassis::metrics::Metrics;
use sqlx::Sqlite;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::store::{Store, StoreError};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations/sqlite");

/// A file, opened in write-ahead mode so that readers do not wait for the writer. What was
/// committed survives the process being killed.
#[derive(Debug)]
pub struct SqliteStore {
    database: Database<Sqlite>,
}

impl SqliteStore {
    /// Opens the file, creating it if need be, and brings its tables to the present version.
    ///
    /// # Errors
    /// [`StoreError`] when the address is wrong, the file cannot be opened or is of a newer
    /// version.
    pub async fn open(settings: &DatabaseSettings, metrics: &Metrics) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(settings.url.expose())
            .map_err(|error| StoreError::Url {
                why: error.to_string(),
                example: "sqlite:///var/lib/weather/weather.db",
            })?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(settings.statement_timeout);
        let database = Database::open(options, settings, &MIGRATOR, metrics).await;
        let hint = "check that its directory exists and is writable";
        let database = database.map_err(|source| StoreError::Open { source, hint })?;
        Ok(Self { database })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.database.ping().await?)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
