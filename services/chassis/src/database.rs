//! How does a service hold a database without ever waiting long for it?
//!
//! Connections are few and waiting for one is bounded twice: by number, so that a burst is turned
//! away at once, and by time, so that nobody waits longer than its answer is worth. A database that
//! is away when the service starts does not keep it from starting: its tables are brought to the
//! present version before the first connection is handed out.

mod series;
mod settings;

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{Connection, Pool, SqlSafeStr, Transaction};
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::metrics::{InFlight, Metrics};

pub use series::DatabaseSeries;
pub use settings::{DatabaseSettings, DatabaseUrl};

/// Longest time for one connection to be made. Callers stop waiting earlier; who comes after them
/// has the connection then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What is done with the connection over which tables are changed, before they are. It is closed
/// afterwards, and with it ends whatever the server keeps for it, such as a lock.
pub type Prepare<DB> =
    for<'c> fn(
        &'c mut <DB as sqlx::Database>::Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'c>>;

/// What is done with connections beyond opening them.
#[derive(Debug)]
pub struct Hooks<DB: sqlx::Database> {
    /// With every new one; the numbers in it are those of the settings.
    pub pool: PoolOptions<DB>,
    /// With the one that changes tables.
    pub before_migration: Option<Prepare<DB>>,
}

/// Connections to one database, with a bound on who waits for them. Cheap to clone.
#[derive(Debug)]
pub struct Database<DB: sqlx::Database> {
    inner: Arc<Inner<DB>>,
}

#[derive(Debug)]
struct Inner<DB: sqlx::Database> {
    pool: Pool<DB>,
    settings: DatabaseSettings,
    migrator: &'static Migrator,
    before_migration: Option<Prepare<DB>>,
    migrated: OnceCell<()>,
    /// The attempt to bring the tables to the present version, for whoever waits for it.
    migration: Mutex<Option<JoinHandle<Result<(), MigrateError>>>>,
    /// One permit for each caller that holds a connection or waits for one.
    callers: Semaphore,
    /// The permit of the task that goes on connecting when callers have stopped waiting.
    connecting: Arc<Semaphore>,
    series: DatabaseSeries,
}

impl<DB: sqlx::Database> Clone for Database<DB> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// A connection for as long as it is held.
#[derive(Debug)]
pub struct Lease<'a, T> {
    held: T,
    _caller: tokio::sync::SemaphorePermit<'a>,
}

impl<T> Deref for Lease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T> std::ops::DerefMut for Lease<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<'a, DB: sqlx::Database> Lease<'a, Transaction<'static, DB>> {
    /// Makes everything done in the transaction durable.
    ///
    /// # Errors
    /// When the database refuses; nothing was done then.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.held.commit().await
    }
}

impl<DB> Database<DB>
where
    DB: sqlx::Database,
    DB::Connection: Migrate,
{
    /// Opens a database and brings its tables to the present version.
    ///
    /// A database that cannot be reached now is asked again whenever a connection is wanted.
    ///
    /// # Errors
    /// When it can be reached and will never do: a wrong password, tables of a newer version.
    pub async fn open(
        options: <DB::Connection as Connection>::Options,
        settings: &DatabaseSettings,
        migrator: &'static Migrator,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let hooks = Hooks { pool: PoolOptions::new(), before_migration: None };
        Self::open_with(hooks, options, settings, migrator, metrics).await
    }

    /// [`Self::open`] with more to be done with connections.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(
        hooks: Hooks<DB>,
        options: <DB::Connection as Connection>::Options,
        settings: &DatabaseSettings,
        migrator: &'static Migrator,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let Hooks { pool, before_migration } = hooks;
        let pool = pool
            .max_connections(settings.connections_max)
            .acquire_timeout(settings.acquire_timeout.max(CONNECT_TIMEOUT))
            // A connection that is given back is asked whether it lives. Over a network that was
            // cut in silence that would take until the system gives up, and its place with it.
            .after_release(|connection, _| {
                Box::pin(async move {
                    let asked = tokio::time::timeout(CONNECT_TIMEOUT, connection.ping()).await;
                    asked.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
                })
            })
            .connect_lazy_with(options);
        let series = DatabaseSeries::register(metrics, &pool)?;
        let callers = usize::try_from(settings.connections_max).unwrap_or(1);
        let inner = Inner {
            pool,
            settings: settings.clone(),
            migrator,
            before_migration,
            migrated: OnceCell::new(),
            migration: Mutex::new(None),
            callers: Semaphore::new(callers.saturating_add(settings.waiting_max)),
            connecting: Arc::new(Semaphore::new(1)),
            series,
        };
        let database = Self { inner: Arc::new(inner) };
        match database.inner.migrate_at_start().await {
            Ok(()) => Ok(database),
            Err(MigrateError::Execute(error)) if is_away(&error) => {
                tracing::warn!(%error, "the database cannot be reached: starting without it");
                Ok(database)
            }
            Err(error) => Err(OpenError::Migrate(error)),
        }
    }

    /// A connection, within the bounds of the settings.
    ///
    /// # Errors
    /// [`AcquireError`]; a caller is told at once when too many wait already.
    pub async fn acquire(&self) -> Result<Lease<'_, PoolConnection<DB>>, AcquireError> {
        self.lease(async || self.inner.pool.acquire().await).await
    }

    /// A transaction, within the bounds of the settings. Dropped without a commit it did nothing.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn begin(&self) -> Result<Lease<'_, Transaction<'static, DB>>, AcquireError> {
        self.lease(async || began(self.inner.pool.acquire().await?, None).await).await
    }

    /// A transaction that begins with a statement of its own, such as `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn begin_with(
        &self,
        statement: &'static str,
    ) -> Result<Lease<'_, Transaction<'static, DB>>, AcquireError> {
        self.lease(async || began(self.inner.pool.acquire().await?, Some(statement)).await).await
    }

    /// Whether the database answers and its tables are there.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn ping(&self) -> Result<(), AcquireError> {
        let mut lease = self.acquire().await?;
        lease.ping().await.map_err(AcquireError::Failed)
    }

    /// Closes all connections once they are given back.
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }

    async fn lease<T>(
        &self,
        take: impl AsyncFnOnce() -> Result<T, sqlx::Error>,
    ) -> Result<Lease<'_, T>, AcquireError> {
        let inner = &self.inner;
        let asked = Instant::now();
        let outcome = inner.lease(asked, take).await;
        inner.series.acquired(outcome.as_ref().map(|_| ()), asked.elapsed());
        outcome
    }
}

impl<DB> Inner<DB>
where
    DB: sqlx::Database,
    DB::Connection: Migrate,
{
    async fn lease<T>(
        self: &Arc<Self>,
        asked: Instant,
        take: impl AsyncFnOnce() -> Result<T, sqlx::Error>,
    ) -> Result<Lease<'_, T>, AcquireError> {
        let Ok(caller) = self.callers.try_acquire() else { return Err(AcquireError::Exhausted) };
        let timed_out =
            || AcquireError::TimedOut { acquire_timeout: self.settings.acquire_timeout };
        let waiting = InFlight::enter(self.waiting());
        let taken = tokio::time::timeout_at(asked + self.settings.acquire_timeout, async {
            self.tables().await?;
            take().await.map_err(AcquireError::from)
        });
        let held = match taken.await {
            Ok(Ok(held)) => held,
            Err(_) | Ok(Err(AcquireError::Failed(sqlx::Error::PoolTimedOut))) => {
                self.keep_connecting();
                return Err(timed_out());
            }
            Ok(Err(error)) => return Err(error),
        };
        drop(waiting);
        Ok(Lease { held, _caller: caller })
    }

    /// Goes on making a connection for the callers to come. Without this a server that takes longer
    /// to connect to than callers wait would never be connected to: each takes its attempt along.
    fn keep_connecting(self: &Arc<Self>) {
        let Ok(permit) = Arc::clone(&self.connecting).try_acquire_owned() else { return };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            drop(inner.pool.acquire().await);
            drop(permit);
        });
    }

    fn waiting(&self) -> &IntGauge {
        self.series.waiting()
    }

    /// Waits until the tables are of the present version.
    ///
    /// The attempt is a task of its own: who stops waiting must not leave it half done, and who
    /// comes next waits for the same one.
    async fn tables(self: &Arc<Self>) -> Result<(), AcquireError> {
        if self.migrated.initialized() {
            return Ok(());
        }
        let mut migration = self.migration.lock().await;
        if self.migrated.initialized() {
            return Ok(());
        }
        let attempt = migration.get_or_insert_with(|| tokio::spawn(Arc::clone(self).migrate()));
        let outcome = attempt.await;
        *migration = None;
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(MigrateError::Execute(error))) => Err(AcquireError::Failed(error)),
            Ok(Err(error)) => {
                tracing::error!(%error, "the tables cannot be brought to the present version");
                Err(AcquireError::Tables)
            }
            Err(ended) => {
                tracing::error!(%ended, "the attempt to make the tables ended");
                Err(AcquireError::Tables)
            }
        }
    }

    /// Does not wait for a server longer than a caller would; for the tables as long as they take.
    async fn migrate_at_start(&self) -> Result<(), MigrateError> {
        let connecting = tokio::time::timeout(self.settings.acquire_timeout, self.pool.acquire());
        let connection = connecting.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        self.migrate_on(connection).await
    }

    async fn migrate(self: Arc<Self>) -> Result<(), MigrateError> {
        let connection = self.pool.acquire().await?;
        self.migrate_on(connection).await
    }

    async fn migrate_on(&self, mut connection: PoolConnection<DB>) -> Result<(), MigrateError> {
        // It may still hold the lock under which tables are changed when an attempt has failed.
        connection.close_on_drop();
        if let Some(prepare) = self.before_migration {
            prepare(&mut connection).await?;
        }
        let mut outcome = self.migrator.run_direct(None, &mut *connection, false).await;
        for _migration in self.migrator.iter() {
            let Err(MigrateError::ExecuteMigration(..)) = &outcome else { break };
            // SQLite has no such lock: another process may have made the same table just now.
            match self.migrator.run_direct(None, &mut *connection, false).await {
                Err(MigrateError::Dirty(_)) => break,
                again => outcome = again,
            }
        }
        outcome?;
        // At once, so that it is not counted beside those that are handed out.
        connection.close().await?;
        self.migrated.set(()).ok();
        Ok(())
    }
}

/// Begins a transaction in a task of its own: a caller that gives up while the server has not
/// answered would else leave a connection to the next one inside a transaction that nobody ends.
async fn began<DB: sqlx::Database>(
    connection: PoolConnection<DB>,
    statement: Option<&'static str>,
) -> Result<Transaction<'static, DB>, sqlx::Error> {
    let statement = statement.map(SqlSafeStr::into_sql_str);
    let beginning = tokio::spawn(Transaction::begin(connection, statement));
    beginning.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Whether waiting may help: nobody listens there, or the server is not up yet.
fn is_away(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_))
}

/// A database that will never do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It refused, or its tables cannot be brought to the present version.
    #[error("the database cannot be used: {0}; check the address, the password and the version")]
    Migrate(#[source] MigrateError),
    /// Its series are registered already.
    #[error("the database's metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// No connection could be had.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// All connections are in use and as many callers as may wait do so already.
    #[error("all connections of the database are in use and too many callers wait for one")]
    Exhausted,
    /// None became free in time.
    #[error("no connection of the database became free within {} ms", acquire_timeout.as_millis())]
    TimedOut {
        /// How long it was waited.
        acquire_timeout: std::time::Duration,
    },
    /// The tables are of a version that this program does not know.
    #[error("the tables of the database cannot be used; the log says why")]
    Tables,
    /// The database failed.
    #[error("the database cannot be reached: {0}")]
    Failed(#[from] sqlx::Error),
}

impl AcquireError {
    /// Whether to come back in a moment: the database is not at fault, or is only away.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Exhausted | Self::TimedOut { .. })
    }
}
