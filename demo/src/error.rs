//! Why can the demo not go on?

use std::io;
use std::path::PathBuf;

/// What ends the demo before its end, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The working directory is not the repository.
    #[error("{} is not here: run the demo from the root of the repository, as `make demo` does", .0.display())]
    NotTheRoot(PathBuf),
    /// A program is not built.
    #[error(
        "{} is not built; run `make demo`, or: cargo build -p farmgate -p weather -p ndvi -p replay",
        .0.display()
    )]
    NotBuilt(PathBuf),
    /// Two programs were given one port.
    #[error("port {port} is given twice, for {first} and {second}; change one of them")]
    PortGivenTwice {
        /// The port.
        port: u16,
        /// The flag of the first.
        first: &'static str,
        /// The flag of the second.
        second: &'static str,
    },
    /// Ports are taken: one line each, and how to choose others.
    #[error("{}\nTo choose other ports: make demo ARGS=\"{suggestion}\"", taken.join("\n"))]
    PortsTaken {
        /// One sentence a port.
        taken: Vec<String>,
        /// Flags with other ports.
        suggestion: String,
    },
    /// A file cannot be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A template has a name in braces that nothing fills.
    #[error("demo/conf/{template} has the placeholder {{{name}}}, which the demo does not know")]
    Placeholder {
        /// The template.
        template: &'static str,
        /// The name between the braces.
        name: String,
    },
    /// A program ended by itself.
    #[error("{program} ended ({status}). Its last lines:\n{lines}")]
    ProgramEnded {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: String,
        /// What it said last.
        lines: String,
    },
    /// A program does not become ready.
    #[error("{program} was not ready within {seconds} s. Its last lines:\n{lines}")]
    NotReady {
        /// Its name.
        program: &'static str,
        /// How long it had.
        seconds: u64,
        /// What it said last.
        lines: String,
    },
    /// Signals cannot be watched.
    #[error("the signals that end the demo cannot be watched: {0}")]
    Signals(io::Error),
    /// The reader ended it.
    #[error("stopped before the end of the story")]
    Interrupted,
}

/// Why a line of the story could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SceneError {
    /// A request got no answer.
    #[error("no answer to {request}: {source}")]
    NoAnswer {
        /// The request's target.
        request: String,
        /// What the connection said.
        source: io::Error,
    },
    /// An answer is not what the story needs to go on.
    #[error("{0}")]
    Unexpected(String),
    /// Something did not come about in time.
    #[error("waited {seconds} s in vain for {what}")]
    TooLate {
        /// What was awaited.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A file of the story cannot be read or written.
    #[error(transparent)]
    File(#[from] DemoError),
}
