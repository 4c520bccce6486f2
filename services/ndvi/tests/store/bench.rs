//! What does a test of the store need of a database?

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::database::{DatabaseSettings, DatabaseUrl};
use chassis::metrics::Metrics;
use harness::Directory;
use jiff::Timestamp;
use ndvi::store::{self, Store, StoreError};
use sqlx::{Connection as _, SqliteConnection};

/// A database of one test's own, empty at first.
#[async_trait]
pub(crate) trait Bench: Send + Sync + Sized {
    /// Makes it.
    async fn new() -> Self;

    /// Its address.
    fn url(&self) -> String;

    /// Runs a statement as its master, and returns the first column of the rows.
    async fn run(&self, sql: &'static str) -> Vec<String>;

    /// A statement that gives every sample values that none can have.
    fn damage_samples(&self) -> &'static str;

    /// A statement that lets the tables be of a version which this program does not know.
    fn newer_version(&self) -> &'static str;

    /// Opens a store in it.
    async fn open(&self) -> Arc<dyn Store> {
        self.try_open(&self.settings()).await.unwrap()
    }

    async fn try_open(&self, settings: &DatabaseSettings) -> Result<Arc<dyn Store>, StoreError> {
        store::open(settings, &Metrics::new().unwrap()).await
    }

    /// Settings under which nobody is turned away.
    fn settings(&self) -> DatabaseSettings {
        DatabaseSettings {
            url: DatabaseUrl::new(self.url()),
            connections_max: 5,
            waiting_max: 1_000,
            acquire_timeout: Duration::from_secs(15),
            statement_timeout: Duration::from_secs(10),
        }
    }
}

/// A file in a directory.
pub(crate) struct Sqlite(Directory);

#[async_trait]
impl Bench for Sqlite {
    async fn new() -> Self {
        Self(Directory::new())
    }

    fn url(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.0.path().join("ndvi.db").display())
    }

    async fn run(&self, sql: &'static str) -> Vec<String> {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
    }

    fn damage_samples(&self) -> &'static str {
        "UPDATE ndvi_samples SET geometry = '{' RETURNING farm_id"
    }

    fn newer_version(&self) -> &'static str {
        "INSERT INTO _sqlx_migrations VALUES (9999, '', CURRENT_TIMESTAMP, TRUE, x'00', 0) \
         RETURNING description"
    }
}

/// A server.
pub(crate) struct Postgres(pub(crate) harness::Postgres);

#[async_trait]
impl Bench for Postgres {
    async fn new() -> Self {
        Self(harness::Postgres::start().await)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    async fn run(&self, sql: &'static str) -> Vec<String> {
        self.0.run(sql).await
    }

    fn damage_samples(&self) -> &'static str {
        "ALTER TABLE ndvi_samples DROP CONSTRAINT ndvi_samples_values; \
         UPDATE ndvi_samples SET mean = 7"
    }

    fn newer_version(&self) -> &'static str {
        "INSERT INTO _ndvi_migrations VALUES (9999, '', now(), TRUE, '', 0)"
    }
}

impl Postgres {
    /// Forgets all tables.
    pub(crate) async fn empty(&self) {
        self.0.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION ndvi").await;
    }
}

/// Makes a test of each function, on each database.
macro_rules! on_each_database {
    ($($test:ident)*) => {
        mod sqlite {
            use crate::bench::{Bench as _, Sqlite};

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(&Sqlite::new().await).await;
                }
            )*
        }

        /// All of them on one server: starting one for each would take most of the time.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_postgres() {
            let bench = <crate::bench::Postgres as crate::bench::Bench>::new().await;
            $(
                println!("{}", stringify!($test));
                bench.empty().await;
                $test(&bench).await;
            )*
        }
    };
}

pub(crate) use on_each_database;

/// An instant so many seconds after some other.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// Runs these at once and returns what they return, in any order.
pub(crate) async fn at_once<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut running: tokio::task::JoinSet<T> = work.into_iter().collect();
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes.push(outcome.unwrap());
    }
    outcomes
}
