//! Which services are measured, and how is each started?

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harness::{Directory, Postgres, Process, Program};

use crate::error::{BenchError, Trying};

/// Connections of each service, as many as it has by default.
const CONNECTIONS_MAX: &str = "5";

/// Longest wait for a connection of the bounded one, in milliseconds; the default.
pub(crate) const ACQUIRE_TIMEOUT_MS: u64 = 1_000;

/// Longest statement of the bounded one, in milliseconds; the default.
pub(crate) const STATEMENT_TIMEOUT_MS: u64 = 5_000;

/// All, in the order of a round; the one that keeps the promise is first.
pub(crate) const WHICH: [Which; 2] = [Which::Bounded, Which::Unbounded];

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// As it is shipped.
    Bounded,
    /// Everybody may wait for a connection, and long, as pools do by default.
    Unbounded,
}

impl Which {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bounded => "ndvi",
            Self::Unbounded => "without bounds",
        }
    }

    fn environment(self) -> [(&'static str, String); 3] {
        let (waiting_max, acquire_ms, statement_ms) = match self {
            Self::Bounded => (64, ACQUIRE_TIMEOUT_MS, STATEMENT_TIMEOUT_MS),
            Self::Unbounded => (100_000, 30_000, 600_000),
        };
        [
            ("NDVI_DATABASE_WAITING_MAX", waiting_max.to_string()),
            ("NDVI_DATABASE_ACQUIRE_TIMEOUT_MS", acquire_ms.to_string()),
            ("NDVI_DATABASE_STATEMENT_TIMEOUT_MS", statement_ms.to_string()),
        ]
    }
}

/// A service that runs, over a database of its own.
pub(crate) struct Contender {
    /// Which.
    pub(crate) which: Which,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its database.
    pub(crate) database: Postgres,
    // Before its folder: it is killed before that is removed.
    _process: Process,
    _folder: Directory,
}

impl Contender {
    /// Starts it and its database.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn start(which: Which, service: &Path) -> Result<Self, BenchError> {
        let (database, folder) = (Postgres::start().await, Directory::new());
        let program = Program::at(service)
            .clean_env()
            .directory(folder.path())
            .env("PORT", "0")
            .env("RUST_LOG", "info,access=warn")
            .env("NDVI_DATABASE_URL", database.url())
            .env("NDVI_DATABASE_CONNECTIONS_MAX", CONNECTIONS_MAX);
        let environment = which.environment();
        let program =
            environment.iter().fold(program, |program, (name, value)| program.env(name, value));
        let process = program.start();
        let line = process.wait_for_line(|line| line.contains("\"listening\"")).await;
        let address = listening(&line).ok_or_else(|| BenchError::NotReady {
            server: which.name().to_owned(),
            said: process.tail(),
        })?;
        Ok(Self { which, address, database, _process: process, _folder: folder })
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line.get("address")?.as_str()?.parse().ok()
}

/// The service's program: the one that was named, else the one that was built beside this one.
///
/// # Errors
/// When it is not there.
pub(crate) fn ndvi_program(named: Option<&Path>) -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().trying(|| "find this program's own place".into())?;
    let service = named.map_or_else(|| own.with_file_name("ndvi"), Path::to_owned);
    service.canonicalize().map_err(|_| BenchError::Missing {
        program: service.display().to_string(),
        remedy: "build it with `cargo build --release -p ndvi`".to_owned(),
    })
}
