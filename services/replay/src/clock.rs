//! What time is it, as far as replay is concerned?

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// The source of "now". The system's clock in the binary, a chosen instant in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that stands still at `now`.
    #[must_use]
    pub fn fixed(now: Timestamp) -> Self {
        Self(Arc::new(move || now))
    }

    /// A clock read from `source`, for tests that move time by hand.
    pub fn from_fn(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// When a question is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The present instant.
    pub(crate) now: Timestamp,
    /// Whether the recorded week is re-dated so that it starts today.
    pub(crate) shift: bool,
}
