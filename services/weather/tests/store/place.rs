//! Where is the database of a test?

use std::sync::Arc;
use std::time::Duration;

use chassis::database::{DatabaseSettings, DatabaseUrl};
use chassis::metrics::Metrics;
use harness::{Directory, MariaDb};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use weather::store::{self, Store, StoreError};

/// A database of one test's own.
pub(crate) enum Place {
    Sqlite(Directory),
    MariaDb(Box<MariaDb>),
}

pub(crate) fn settings(url: impl Into<String>) -> DatabaseSettings {
    DatabaseSettings {
        url: DatabaseUrl::new(url),
        connections_max: 3,
        waiting_max: 10,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(5),
    }
}

pub(crate) async fn try_open(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, StoreError> {
    store::open(settings, &Metrics::new().unwrap()).await
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(Directory::new())
    }

    pub(crate) async fn mariadb() -> Self {
        Self::MariaDb(Box::new(MariaDb::start().await))
    }

    pub(crate) fn settings(&self) -> DatabaseSettings {
        settings(match self {
            Self::Sqlite(directory) => {
                format!("sqlite://{}", directory.path().join("weather.db").display())
            }
            Self::MariaDb(server) => server.writing_url(),
        })
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        try_open(&self.settings()).await.unwrap()
    }

    /// What a table of the store is called here.
    pub(crate) fn table(&self, name: &str) -> String {
        match self {
            Self::Sqlite(_) => name.to_owned(),
            Self::MariaDb(_) => format!("weather_{name}"),
        }
    }

    /// Where migrations are noted here.
    pub(crate) fn migrations(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "_sqlx_migrations",
            Self::MariaDb(_) => "_weather_migrations",
        }
    }

    /// Runs a statement past the store.
    pub(crate) async fn run(&self, sql: &str) {
        match self {
            Self::Sqlite(_) => {
                let url = self.settings().url;
                let mut connection = SqliteConnection::connect(url.expose()).await.unwrap();
                sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::MariaDb(server) => drop(server.run(sql).await),
        }
    }

    /// How many rows a table of the store has.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        let sql = format!("SELECT COUNT(*) FROM {}", self.table(name));
        match self {
            Self::Sqlite(_) => {
                let url = self.settings().url;
                let mut connection = SqliteConnection::connect(url.expose()).await.unwrap();
                let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                u64::try_from(count).unwrap()
            }
            Self::MariaDb(server) => server.run(&sql).await.first().unwrap().parse().unwrap(),
        }
    }
}
