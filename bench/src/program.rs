//! What do all programs of this crate take, and how does each end?

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::BenchError;
use crate::say;

/// Most rounds, so that a slip of the finger does not run for days.
pub(crate) const ROUNDS_MAX: u64 = 100;

/// Most seconds of one run.
pub(crate) const SECONDS_MAX: u64 = 60;

/// Which rows of which gateway are measured, and where the results go.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Common {
    /// Measure these rows only (may be repeated); nothing is written then.
    #[arg(long, value_name = "ROW")]
    pub(crate) only: Vec<String>,
    /// List the rows and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// The gateway's program; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway: Option<PathBuf>,
    /// Where the results go, as Markdown and as JSON.
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub(crate) results: PathBuf,
}

/// Something that is measured by its name.
pub(crate) trait Named {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it is, for people.
    fn title(&self) -> &'static str;
}

impl Common {
    /// The rows that were asked for: all, if none was named.
    ///
    /// # Errors
    /// [`BenchError::NoRow`] when there is none of a name.
    pub(crate) fn choose<R: Named>(
        &self,
        rows: &'static [R],
    ) -> Result<Vec<&'static R>, BenchError> {
        if self.only.is_empty() {
            return Ok(rows.iter().collect());
        }
        let find = |name: &String| {
            let row = rows.iter().find(|row| row.name() == name);
            row.ok_or_else(|| BenchError::NoRow { name: name.clone() })
        };
        self.only.iter().map(find).collect()
    }

    /// The part of the command that says which rows: nothing of it is a place of this machine.
    pub(crate) fn command(&self) -> String {
        self.only.iter().map(|row| format!(" --only {row}")).collect()
    }
}

/// Tells the rows.
pub(crate) fn list(rows: &[&impl Named]) {
    rows.iter().for_each(|row| say(&format!("{:10} {}", row.name(), row.title())));
}

/// Ends a program of this name, and says why if it failed.
pub(crate) fn end(name: &str, result: Result<(), BenchError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{name}: {error}"));
            ExitCode::FAILURE
        }
    }
}
