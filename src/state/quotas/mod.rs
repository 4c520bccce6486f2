//! May this request be charged to all of its quotas?
//!
//! All or nothing: a request that one quota refuses costs nothing with the others. Without Redis
//! the counts are this process' own. With Redis one script decides for all gateways in one round
//! trip, by the clock of the server, as exactly as the windows of [`crate::ratelimit`] do.
//!
//! While Redis is gone, [`WhenGone`] decides. Under `Local`, each gateway counts for itself with
//! windows that begin empty: in the period in which an outage begins, a client can get up to one
//! more quota of every gateway that it reaches, and never more.

mod log;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use self::log::{Decision, SharedLogs};
use super::redis::Redis;
use crate::clock::Now;
use crate::ratelimit::{Buckets, Quota, Remaining, RetryAfter};

/// Most quotas of one request.
pub const CHARGES_MAX: usize = 8;

/// One quota that a request is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'a> {
    /// The quota's name; counts of different names are apart.
    pub quota_id: &'a str,
    /// How often.
    pub quota: Quota,
    /// Who is counted.
    pub principal: &'a str,
}

/// What becomes of a request's quotas while Redis is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenGone {
    /// Nobody is limited.
    Allow,
    /// Each gateway counts for itself.
    #[default]
    Local,
    /// Every request that has a quota is refused.
    Refuse,
}

/// Why a request was not charged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// At least one quota is used up.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// Nobody can say whether one is.
    #[error("the quotas cannot be counted, because Redis is gone")]
    Unavailable {
        /// How long until another try is worth it.
        retry_after: Duration,
    },
}

/// The quotas that refuse a request. Nothing was charged, to these or to others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} quota(s) used up, for another {:?}", .refused.len(), .retry_after.0)]
pub struct Limited {
    /// Which of the charges were refused, by their place, each with its own wait.
    pub refused: Vec<(usize, RetryAfter)>,
    /// The longest of the waits.
    pub retry_after: RetryAfter,
}

/// The counts of all principals.
#[derive(Debug)]
pub struct Quotas {
    buckets: Buckets,
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    logs: SharedLogs,
    when_gone: WhenGone,
    degraded: AtomicU64,
}

impl Quotas {
    /// Counts of this process alone.
    #[must_use]
    pub fn embedded(buckets: Buckets) -> Self {
        Self { buckets, shared: None }
    }

    /// Counts that all gateways of a Redis share; `buckets` serve while it is gone.
    #[must_use]
    pub fn shared(redis: Arc<Redis>, when_gone: WhenGone, buckets: Buckets) -> Self {
        let logs = SharedLogs::new(redis);
        Self { buckets, shared: Some(Shared { logs, when_gone, degraded: AtomicU64::new(0) }) }
    }

    /// Charges a request to all of these quotas, at most [`CHARGES_MAX`], or to none. What is left
    /// is told in the same order.
    ///
    /// # Errors
    /// [`QuotaError::Limited`] when a quota is used up, [`QuotaError::Unavailable`] when Redis is
    /// gone and that is to mean a refusal.
    pub async fn charge(
        &self,
        charges: &[Charge<'_>],
        now: Now,
    ) -> Result<Vec<Remaining>, QuotaError> {
        self.charge_with(charges, now, self.shared.as_ref().map(|shared| shared.when_gone)).await
    }

    /// The same for a count that must hold whatever Redis does: while it is gone this process
    /// counts for itself.
    ///
    /// # Errors
    /// When a quota is used up.
    pub async fn charge_firmly(
        &self,
        charges: &[Charge<'_>],
        now: Now,
    ) -> Result<Vec<Remaining>, QuotaError> {
        self.charge_with(charges, now, Some(WhenGone::Local)).await
    }

    async fn charge_with(
        &self,
        charges: &[Charge<'_>],
        now: Now,
        when_gone: Option<WhenGone>,
    ) -> Result<Vec<Remaining>, QuotaError> {
        debug_assert!(charges.len() <= CHARGES_MAX, "{} charges", charges.len());
        let Some(shared) = self.shared.as_ref().filter(|_| !charges.is_empty()) else {
            return Ok(self.charge_here(charges, now)?);
        };
        match shared.logs.charge(charges, None).await {
            Ok(Decision::Charged(remaining)) => return Ok(remaining),
            Ok(Decision::Limited(limited)) => return Err(limited.into()),
            Err(_counted) => {}
        }
        shared.degraded.fetch_add(1, Ordering::Relaxed);
        match when_gone.unwrap_or_default() {
            WhenGone::Allow => {
                Ok(charges.iter().map(|charge| Remaining::uncounted(charge.quota)).collect())
            }
            WhenGone::Local => Ok(self.charge_here(charges, now)?),
            WhenGone::Refuse => {
                Err(QuotaError::Unavailable { retry_after: shared.logs.redis.retry_after() })
            }
        }
    }

    /// Gives charges back, as if their request had never been made; `remaining` is what
    /// [`charge`](Self::charge) answered for the same `charges`. What Redis was charged while it
    /// was there cannot be given back while it is gone: that errs on the side of the limit.
    pub async fn refund(&self, charges: &[Charge<'_>], remaining: Vec<Remaining>) {
        let mut held_elsewhere = Vec::new();
        for (charge, remaining) in charges.iter().zip(remaining) {
            match remaining.receipt_elsewhere() {
                Some(receipt) => held_elsewhere.push((*charge, receipt)),
                None => self.refund_here(charge, remaining),
            }
        }
        if let Some(shared) = self.shared.as_ref().filter(|_| !held_elsewhere.is_empty()) {
            shared.logs.refund(&held_elsewhere).await;
        }
    }

    /// The windows of this process.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// How many requests were decided without Redis, although it should have been asked.
    #[must_use]
    pub fn degraded(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.degraded.load(Ordering::Relaxed))
    }

    /// Asks every quota, also behind one that refuses, for the longest wait is told.
    fn charge_here(&self, charges: &[Charge<'_>], now: Now) -> Result<Vec<Remaining>, Limited> {
        let mut charged = Vec::with_capacity(charges.len());
        let mut refused = Vec::new();
        for (index, charge) in charges.iter().enumerate() {
            let Charge { quota_id, quota, principal } = *charge;
            match self.buckets.charge(quota_id, quota, principal, now) {
                Ok(remaining) => charged.push((charge, remaining)),
                Err(wait) => refused.push((index, wait)),
            }
        }
        if refused.is_empty() {
            return Ok(charged.into_iter().map(|(_, remaining)| remaining).collect());
        }
        for (charge, remaining) in charged {
            self.refund_here(charge, remaining);
        }
        Err(Limited::by(refused))
    }

    fn refund_here(&self, charge: &Charge<'_>, remaining: Remaining) {
        self.buckets.refund(charge.quota_id, charge.quota, charge.principal, remaining);
    }
}

impl Limited {
    fn by(refused: Vec<(usize, RetryAfter)>) -> Self {
        let longest = refused.iter().map(|(_, wait)| wait.0).max().unwrap_or_default();
        Self { refused, retry_after: RetryAfter(longest) }
    }
}
