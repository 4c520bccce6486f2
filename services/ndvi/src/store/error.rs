//! What can go wrong with a database, and what should the operator do?

use chassis::database::{AcquireError, DatabaseUrl, OpenError};

/// `SQLITE_BUSY`: another process holds the file for longer than the busy timeout.
const SQLITE_BUSY: &str = "5";

/// Codes of Postgres for what another try may find mended: too many connections, a deadlock, a lock
/// or a statement that took too long, and a server that stops, has crashed or is starting.
const POSTGRES_PASSING: [&str; 7] = ["53300", "40P01", "55P03", "57014", "57P01", "57P02", "57P03"];

/// The database cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address does not name a database this service knows.
    #[error(
        "NDVI_DATABASE_URL={url} is not usable ({why}); \
         write for example sqlite:///var/lib/ndvi/ndvi.db?mode=rwc \
         or postgres://user:password@host/ndvi"
    )]
    Url {
        /// The address; only its scheme is written out.
        url: DatabaseUrl,
        /// What is wrong with it.
        why: String,
    },
    /// The file cannot be opened.
    #[error(
        "the database {url} cannot be opened: {source}; \
         check that its directory exists and is writable"
    )]
    File {
        /// The address; only its scheme is written out.
        url: DatabaseUrl,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The tables cannot be brought to the present version.
    #[error("the database {url} cannot be migrated: {source}")]
    Migrate {
        /// The address; only its scheme is written out.
        url: DatabaseUrl,
        /// What the migrator said.
        source: sqlx::migrate::MigrateError,
    },
    /// The server refused.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The series of the database are registered already.
    #[error("the database's metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No connection became free in time, or too many callers wait for one.
    #[error("all connections of the database are busy; see NDVI_DATABASE_CONNECTIONS_MAX")]
    Busy,
    /// The server is away or was too slow. What was asked may have been done all the same.
    #[error("the database cannot answer now: {0}")]
    Away(#[source] sqlx::Error),
    /// The tables are of a version that this program does not know.
    #[error("the tables of the database cannot be used; the log says why")]
    Tables,
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[source] sqlx::Error),
    /// A row that this service cannot have written.
    #[error("{what} {id} in the database is damaged")]
    Damaged {
        /// What the row is about.
        what: &'static str,
        /// Its name.
        id: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed in a moment. All that is stored may be stored again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Away(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        let is_passing = code.is_some_and(|code| POSTGRES_PASSING.contains(&&*code));
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            error if is_busy(&error) => Self::Busy,
            error @ sqlx::Error::Io(_) => Self::Away(error),
            error if is_passing => Self::Away(error),
            error => Self::Statement(error),
        }
    }
}

impl From<AcquireError> for StoreError {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::Exhausted | AcquireError::TimedOut { .. } => Self::Busy,
            AcquireError::Tables => Self::Tables,
            AcquireError::Failed(error) => error.into(),
        }
    }
}

/// Whether a writer of another process was in the way.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some(SQLITE_BUSY)
}
