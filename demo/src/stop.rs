//! When does the reader want it all to end?

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::DemoError;

/// Ctrl-C, SIGTERM and the closing of the terminal.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stop {
    /// Takes the signals over from now on.
    ///
    /// # Errors
    /// When the system does not let signals be watched.
    pub(crate) fn watch() -> Result<Self, DemoError> {
        let on = |kind| signal(kind).map_err(DemoError::Signals);
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    /// Returns when the first of them arrives.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
