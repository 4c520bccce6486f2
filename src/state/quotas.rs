//! stub
use crate::clock::Now;
use crate::ratelimit::{Buckets, Quota, Remaining, RetryAfter};
use std::time::Duration;
/// One.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// q
    pub quota_id: &'a str,
    /// q
    pub quota: Quota,
    /// p
    pub principal: &'a str,
}
/// Why.
#[derive(Debug)]
pub enum Limited {
    /// e
    Exceeded {
        /// i
        index: usize,
        /// r
        retry_after: RetryAfter,
    },
    /// u
    Unavailable {
        /// r
        retry_after: Duration,
    },
}
/// Quotas.
#[derive(Debug)]
pub struct Quotas(Buckets);
impl Quotas {
    /// new
    pub fn new(b: Buckets) -> Self {
        Self(b)
    }
    /// charge
    pub async fn charge(
        &self,
        charges: &[Charge<'_>],
        now: Now,
    ) -> Result<Vec<Remaining>, Limited> {
        let mut out = Vec::new();
        for (index, c) in charges.iter().enumerate() {
            match self.0.charge(c.quota_id, c.quota, c.principal, now) {
                Ok(r) => out.push(r),
                Err(retry_after) => {
                    self.refund(charges, out).await;
                    return Err(Limited::Exceeded { index, retry_after });
                }
            }
        }
        Ok(out)
    }
    /// refund
    pub async fn refund(&self, charges: &[Charge<'_>], remaining: Vec<Remaining>) {
        for (c, r) in charges.iter().zip(remaining) {
            self.0.refund(c.quota_id, c.quota, c.principal, r);
        }
    }
}
