//! Did a person or a supervisor ask for the end?
//!
//! The answer is asked for between two runs, so that all servers are stopped on the way out.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{BenchError, Trying};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Takes SIGINT and SIGTERM from now on.
///
/// # Errors
/// When the system gives no thread for it.
pub(crate) fn listen() -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.trying(|| "start a runtime for signals".into())?;
    let wait = async {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        ASKED.store(true, Ordering::Relaxed);
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || runtime.block_on(wait)).trying(|| "start a thread for signals".into())?;
    Ok(())
}

/// Goes on unless the end was asked for.
///
/// # Errors
/// [`BenchError::Interrupted`] when it was.
pub(crate) fn check() -> Result<(), BenchError> {
    if ASKED.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
}
