//! Why can nothing, or nothing more, be measured?

use std::path::PathBuf;

/// Why the benchmark ends without a result. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A program is not there.
    #[error("{program} is not there; {remedy}")]
    Missing {
        /// Which.
        program: String,
        /// How to get it.
        remedy: String,
    },
    /// There is no such row.
    #[error("there is no row {name:?}; `--list` names them")]
    NoRow {
        /// What was asked for.
        name: String,
    },
    /// The system refuses something.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A server does not come up.
    #[error("{server} does not answer; it said:\n{said}")]
    NotReady {
        /// Which.
        server: String,
        /// Its last lines.
        said: String,
    },
    /// An answer is not what the row is about, so its speed would mean nothing.
    #[error("row {row}, {server}: {problem}")]
    WrongAnswer {
        /// The row.
        row: &'static str,
        /// The server.
        server: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// wrk ended without its report.
    #[error("wrk did not report; it said:\n{said}")]
    NoReport {
        /// What it said.
        said: String,
    },
    /// The figures of a process cannot be read.
    #[error("cannot read {}: it is not of the form that Linux writes", .0.display())]
    Proc(PathBuf),
    /// The gateway did not do what it promises.
    #[error("not kept: {broken}")]
    NotKept {
        /// What, by row.
        broken: String,
    },
    /// A person or a supervisor asked for the end.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

/// Says what was tried when the system refuses it.
pub(crate) trait Trying<T> {
    /// Wraps the system's error.
    ///
    /// # Errors
    /// [`BenchError::System`] with `what`.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T, BenchError>;
}

impl<T> Trying<T> for std::io::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T, BenchError> {
        self.map_err(|error| BenchError::System { what: what(), error })
    }
}
