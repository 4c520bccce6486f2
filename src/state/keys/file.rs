//! How is the key file opened, and is it still the same one?

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use super::store_error::StoreError;

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it takes until such a file is asked for again, where SQLite does not wait itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Only the owner may read what is stored of keys, and whose they are.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// How often the tables are brought up to date when two processes do it at the same moment.
const MIGRATE_TRIES_MAX: usize = 3;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that the path leads to now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Opens the file, makes it where there is none, and brings its tables to the present version.
pub(super) async fn open(path: &Path) -> Result<(SqliteConnection, FileId), StoreError> {
    make(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A revocation that was reported must survive a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    // A pool of one, because the migrator takes no single connection in a future that moves
    // between threads; then that one is taken out of it.
    let pool = connect(options).await.map_err(failed)?;
    migrate(&pool, path).await?;
    let connection = pool.acquire().await.map_err(failed)?.detach();
    pool.close().await;
    let id =
        FileId::of(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    Ok((connection, id))
}

/// SQLite does not wait for another process that puts an empty file into its mode at this moment, so
/// it is asked again for as long as a statement would wait.
async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let mut tries_left = BUSY_TIMEOUT.as_millis() / BUSY_PAUSE.as_millis();
    loop {
        let pool = SqlitePoolOptions::new().max_connections(1);
        match pool.connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && tries_left > 0 => tries_left -= 1,
            connected => return connected,
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}

/// Whether another process holds the file (`SQLITE_BUSY`, 5 in the lowest byte of the code).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match MIGRATOR.run(pool).await {
            Ok(()) => return Ok(()),
            // The gateway and the command line may both find an empty file.
            Err(_) if tries < MIGRATE_TRIES_MAX => tries += 1,
            Err(source) => {
                return Err(StoreError::Migrate { path: path.to_owned(), source });
            }
        }
    }
}

/// Makes an empty file that only its owner may read, unless there is one. Made by root, it goes to
/// the owner of its folder: the gateway's user must be able to open it.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
        Ok(file) => {
            let (owner, made) = (fs::metadata(folder)?, file.metadata()?);
            if made.uid() == 0 && owner.uid() != 0 {
                chown(path, Some(owner.uid()), Some(owner.gid()))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
