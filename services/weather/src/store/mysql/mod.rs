//! How are answers kept in MySQL or MariaDB?
//!
//! The database may belong to others as well: every table of this service begins with `weather_`,
//! and its migrations are noted in a table of their own. All statements are those that both
//! servers know.

mod answers;
mod points;

use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use chassis::database::{Database, DatabaseSettings};
use chassis::metrics::Metrics;
use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Executor as _, MySql};

use crate::store::{Store, StoreError};

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations/mysql");
    migrator.dangerous_set_table_name("_weather_migrations");
    migrator
});

/// A database on a server.
#[derive(Debug)]
pub struct MySqlStore {
    database: Database<MySql>,
}

impl MySqlStore {
    /// Connects and brings the tables to the present version.
    ///
    /// # Errors
    /// [`StoreError`] when the address is wrong, the server refuses it or its tables are of a
    /// newer version.
    pub async fn open(settings: &DatabaseSettings, metrics: &Metrics) -> Result<Self, StoreError> {
        let unusable =
            |why: String| StoreError::Url { why, example: "mysql://user:password@host/database" };
        let options = MySqlConnectOptions::from_str(settings.url.expose())
            .map_err(|error| unusable(error.to_string()))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(unusable("it names no database".to_owned()));
        }
        let session = session(settings.statement_timeout);
        let mended = Arc::new(AtomicBool::new(false));
        let pool = MySqlPoolOptions::new().after_connect(move |connection, _| {
            let (session, mended) = (session.clone(), Arc::clone(&mended));
            Box::pin(async move {
                connection.execute(AssertSqlSafe(session)).await?;
                if !mended.swap(true, Ordering::Relaxed) {
                    mend(connection).await;
                }
                Ok(())
            })
        });
        let database = Database::open_with(pool, options, settings, &MIGRATOR, metrics).await;
        let hint = "the user must be allowed to create, read and write tables in it";
        let database = database.map_err(|source| StoreError::Open { source, hint })?;
        Ok(Self { database })
    }
}

#[async_trait]
impl Store for MySqlStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.database.ping().await?)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

/// What every connection is told first: to end slow statements and waits for locks by itself, and
/// to refuse a value that does not fit instead of cutting it.
///
/// The servers name the bound of a statement differently, in other units. MariaDB runs what stands
/// in `/*M!…*/` and leaves out `/*!50708 …*/`; MySQL does the opposite. MySQL bounds only reading.
fn session(statement_timeout: Duration) -> String {
    let millis = statement_timeout.as_millis();
    let seconds = statement_timeout.as_secs_f64();
    let whole_seconds = statement_timeout.as_secs().max(1);
    format!(
        "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), \
         SESSION innodb_lock_wait_timeout = {whole_seconds}, \
         SESSION lock_wait_timeout = {whole_seconds}\
         /*M!100108 , SESSION max_statement_time = {seconds} */\
         /*!50708 , SESSION max_execution_time = {millis} */"
    )
}

/// Lets a migration that was cut off be run again, which does no harm: each is one statement that
/// changes nothing when its change is there already.
async fn mend(connection: &mut MySqlConnection) {
    let cut_off = "DELETE FROM _weather_migrations WHERE success = FALSE";
    if let Ok(done) = connection.execute(cut_off).await
        && done.rows_affected() > 0
    {
        tracing::warn!("a migration was cut off: it is run again");
    }
    // Before the first migration there is no such table.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_told_in_the_units_of_each_server() {
        let session = session(Duration::from_millis(2500));
        for part in [
            "innodb_lock_wait_timeout = 2,",
            "max_statement_time = 2.5 ",
            "max_execution_time = 2500 ",
        ] {
            assert!(session.contains(part), "{part} in {session}");
        }
    }
}
