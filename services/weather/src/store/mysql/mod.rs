//! How are answers kept in MySQL or MariaDB?
//!
//! The database may belong to others as well: every table of this service begins with `weather_`,
//! and its migrations are noted in a table of their own. All statements are those that both
//! servers know.

mod answers;
mod points;

use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use chassis::database::{Database, DatabaseSettings, Hooks};
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
        let pool = MySqlPoolOptions::new().after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move { connection.execute(AssertSqlSafe(session)).await.map(drop) })
        });
        let hooks = Hooks { pool, before_migration: Some(prepare) };
        let database = Database::open_with(hooks, options, settings, &MIGRATOR, metrics).await;
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

/// What the connection is told over which tables are changed: to take its time.
const PATIENT: &str = "SET SESSION sql_mode = @@sql_mode\
     /*M!100108 , SESSION max_statement_time = 0 */\
     /*!50708 , SESSION max_execution_time = 0 */";

/// Waits up to a minute until no other process changes tables, and lets a migration that was cut
/// off be run again, which does no harm: each is one statement that changes nothing when its
/// change is there already.
///
/// The migrator's own lock is none on MariaDB, which refuses to wait without a bound.
fn prepare(
    connection: &mut MySqlConnection,
) -> Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + '_>> {
    Box::pin(async move {
        connection.execute(PATIENT).await?;
        let locked: Option<i64> =
            sqlx::query_scalar("SELECT GET_LOCK(CONCAT('weather.', SHA1(DATABASE())), 60)")
                .fetch_one(&mut *connection)
                .await?;
        if locked != Some(1) {
            let why = "another process has been changing the tables for a minute";
            return Err(sqlx::Error::Protocol(why.to_owned()));
        }
        // Before the first migration there is no such table.
        let cut_off = "DELETE FROM _weather_migrations WHERE success = FALSE";
        if let Ok(done) = connection.execute(cut_off).await
            && done.rows_affected() > 0
        {
            tracing::warn!("a migration was cut off: it is run again");
        }
        Ok(())
    })
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
