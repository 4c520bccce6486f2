//! Why did a provider not answer, and whose fault is it?

use std::time::Duration;

/// A call that brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider says that the request is wrong.
    #[error("the provider refused the request: {reason}")]
    Refused {
        /// Its own words, cut to a bounded length.
        reason: String,
    },
    /// The provider's allowance is used up.
    #[error("the provider's limit is reached ({reason}); try again in {} s", retry_after.as_secs())]
    RateLimited {
        /// Its own words, cut to a bounded length.
        reason: String,
        /// When the limit is expected to be lifted.
        retry_after: Duration,
    },
    /// The call was not made, because it does not fit into what may be asked of the provider.
    #[error("the budget of calls is used up; try again in {} s", retry_after.as_secs())]
    OverBudget {
        /// When there is a budget again.
        retry_after: Duration,
    },
    /// The provider answers, but with a fault of its own.
    #[error("the provider answered with status {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// The connection failed or broke off.
    #[error("the provider cannot be reached: {why}")]
    Unreachable {
        /// What the HTTP client said.
        why: String,
    },
    /// The deadline passed.
    #[error("the provider did not answer within {} ms", deadline.as_millis())]
    TimedOut {
        /// The whole time that was given.
        deadline: Duration,
    },
    /// The answer cannot be trusted.
    #[error("the provider's answer cannot be used: {why}")]
    InvalidResponse {
        /// What is wrong with it.
        why: String,
    },
}

/// Longest reason that is carried over, in characters.
pub(crate) const REASON_CHARS_MAX: usize = 200;

/// A provider's words without control characters, cut to a bounded length.
pub(crate) fn cut(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

impl ProviderError {
    /// An answer that cannot be trusted.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::InvalidResponse { why: why.into() }
    }

    /// Whether asking once more at once may help. A limit or a timeout is not helped by it.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Unavailable { status: 500.. } | Self::Unreachable { .. })
    }

    /// Whether the fault may lie with one of several points that were asked about together.
    #[must_use]
    pub fn may_concern_one_point(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::InvalidResponse { .. })
    }

    /// Whether an older answer is better than this failure. It is not when the request was wrong.
    #[must_use]
    pub fn may_be_answered_stale(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// A word from a closed set, for metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::RateLimited { .. } => "rate_limited",
            Self::OverBudget { .. } => "over_budget",
            Self::Unavailable { .. } => "unavailable",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::InvalidResponse { .. } => "invalid_response",
        }
    }
}
