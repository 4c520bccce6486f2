//! What is an answer: what was said, when, by whom, and where it was found?

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chassis::clock::Now;

use crate::domain::ask::Ask;
use crate::domain::report::Report;
use crate::providers::failure::ProviderError;

/// A question and what may be done for its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The question.
    pub ask: Ask,
    /// Whether the client chose the provider; then no other one answers.
    pub provider_named: bool,
}

/// An answer and where it came from.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The question that was answered: another provider than the one asked may have done it.
    pub ask: Ask,
    /// The answer.
    pub kept: Kept,
    /// Where it came from.
    pub origin: Origin,
    /// How old it may be without asking again.
    pub fresh_for: Duration,
}

/// A report and when it was fetched.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What the provider said.
    pub report: Arc<Report>,
    /// When it said so.
    pub fetched_at: SystemTime,
}

impl Kept {
    /// A report that came at `fetched_at`.
    #[must_use]
    pub fn new(report: Report, fetched_at: SystemTime) -> Self {
        Self { report: Arc::new(report), fetched_at }
    }

    /// Time since the provider said so; zero when the clock was set back.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        now.wall.duration_since(self.fetched_at).unwrap_or_default()
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From memory, within its fresh time.
    Hit,
    /// From the provider, now.
    Miss,
    /// From memory or store, past its fresh time, because the provider failed.
    Stale,
    /// From memory, just past its fresh time, while a newer one is fetched.
    Revalidating,
}

impl Origin {
    /// The word in the `X-Cache` header and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Revalidating => "revalidating",
        }
    }
}

/// Why there is no answer at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The provider failed and nothing older can stand in.
    #[error(transparent)]
    Provider(ProviderError),
    /// Too many different questions are being asked of the provider now.
    #[error("too many questions are waiting for the provider")]
    Overloaded,
    /// A fault of our own; the log has the panic.
    #[error("the question was dropped before it was answered")]
    Dropped,
}
