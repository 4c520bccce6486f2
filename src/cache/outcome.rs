//! How can a fetch for the cache end?

use std::sync::Arc;

use super::object::Object;
use crate::refusal::Refusal;

/// The end of one fetch, shared by all who waited for it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The answer is stored now.
    Stored(Arc<Object>),
    /// The answer is for those who waited, and is not kept.
    Given(Arc<Object>),
    /// The answer concerns the one whose credentials fetched it, and nobody else.
    Personal(Arc<Object>),
    /// The upstream failed; its answer is for all who ask until it may be asked again.
    Failed(Arc<Object>),
    /// There is no answer.
    Refused(Refusal),
    /// The answer is too long to collect; each has to fetch it alone.
    TooLarge,
}

impl Outcome {
    /// The word in metrics and logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stored(_) => "stored",
            Self::Given(_) => "uncacheable",
            Self::Personal(_) => "personal",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether a stale answer is better than this.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Refused(_) => true,
            Self::Stored(object) | Self::Given(object) | Self::Personal(object) => {
                object.upstream_status.is_server_error()
            }
            Self::TooLarge => false,
        }
    }
}
