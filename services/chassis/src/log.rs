//! Where do log lines go: one JSON object a line, to standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_DIRECTIVES: &str = "info";

/// Starts logging for the whole process, filtered by `RUST_LOG` (default `info`).
///
/// A second call changes nothing, so tests in one process may all call it.
///
/// # Errors
/// When `RUST_LOG` is set to something that is not a filter. Logging has then started with the
/// default filter, so that the fault itself can be logged.
pub fn init() -> Result<(), LogError> {
    let directives = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let directives = directives.as_deref().unwrap_or(DEFAULT_DIRECTIVES);
    let (filter, outcome) = match EnvFilter::try_new(directives) {
        Ok(filter) => (filter, Ok(())),
        Err(source) => {
            let error = LogError { directives: directives.to_owned(), source };
            (EnvFilter::new(DEFAULT_DIRECTIVES), Err(error))
        }
    };
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging was already started in this process");
    }
    outcome
}

/// `RUST_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG={directives:?} is not a log filter ({source}); write for example RUST_LOG=info")]
pub struct LogError {
    directives: String,
    source: ParseError,
}
