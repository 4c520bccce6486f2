//! How is one request charged in Redis, to all of its quotas at once?

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Charge, Limited};
use crate::ratelimit::{Quota, Remaining, RetryAfter};
use crate::state::redis::{Redis, RedisFault, Script, Use};

/// Longer periods count as this long, so that every time is exact as a number of Lua's: 142 years.
const PERIOD_US_MAX: u64 = 1 << 52;

/// The logs that gateways share.
#[derive(Debug)]
pub(super) struct SharedLogs {
    pub(super) redis: Arc<Redis>,
    charge: Script,
    refund: Script,
}

/// What the logs say to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Charged to all.
    Charged(Vec<Remaining>),
    /// Charged to none.
    Limited(Limited),
}

impl SharedLogs {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        Self {
            redis,
            charge: Script::new(include_str!("charge.lua")),
            refund: Script::new(include_str!("refund.lua")),
        }
    }

    /// Decides by the clock of the server. `at_us`, another time in microseconds since 1970, is for
    /// tests; whoever could send it to a server could as well write its keys.
    pub(super) async fn charge(
        &self,
        charges: &[Charge<'_>],
        at_us: Option<u64>,
    ) -> Result<Decision, RedisFault> {
        let mut arguments = vec![at_us.map_or_else(Vec::new, number)];
        for charge in charges {
            arguments.push(number(charge.quota.requests.into()));
            arguments.push(number(period_us(charge.quota)));
        }
        let keys = self.keys(charges.iter());
        let answer: Vec<i64> =
            self.redis.call_script(Use::Quotas, &self.charge, &keys, &arguments).await?;
        decision(charges, &answer)
            .ok_or_else(|| RedisFault::Refused("its answer to a charge cannot be read".to_owned()))
    }

    pub(super) async fn refund(&self, charged: &[(Charge<'_>, u64)]) {
        let mut arguments = Vec::with_capacity(charged.len() * 3);
        for (charge, at_us) in charged {
            arguments.push(number(charge.quota.requests.into()));
            arguments.push(number(period_us(charge.quota)));
            arguments.push(number(*at_us));
        }
        let keys = self.keys(charged.iter().map(|(charge, _)| charge));
        let _counted: Result<i64, _> =
            self.redis.call_script(Use::Quotas, &self.refund, &keys, &arguments).await;
    }

    fn keys<'a>(&self, charges: impl Iterator<Item = &'a Charge<'a>>) -> Vec<String> {
        charges.map(|charge| self.redis.key(&name(charge))).collect()
    }
}

/// The name of a log: the quota to read, the principal hashed. A hash has one length whatever a
/// client is called, and does not spread names and addresses. It covers the quota's name with its
/// length, so that no other pair runs together to the same name.
pub(super) fn name(charge: &Charge<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update((charge.quota_id.len() as u64).to_le_bytes());
    hash.update(charge.quota_id);
    hash.update(charge.principal);
    let hash: [u8; 32] = hash.finalize().into();
    let half = hash.first_chunk::<16>().map(hex::encode).unwrap_or_default();
    format!("quota:{}:{half}", charge.quota_id)
}

/// Rounded up: a request may be freed late, never early.
fn period_us(quota: Quota) -> u64 {
    let us = quota.period.as_nanos().div_ceil(1_000);
    u64::try_from(us).unwrap_or(u64::MAX).clamp(1, PERIOD_US_MAX)
}

fn number(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn decision(charges: &[Charge<'_>], answer: &[i64]) -> Option<Decision> {
    let (accepted, figures) = answer.split_first()?;
    let us = |figure: i64| u64::try_from(figure).ok().map(Duration::from_micros);
    if *accepted == 0 {
        let waits = figures
            .iter()
            .enumerate()
            .filter_map(|(index, wait)| us(*wait).map(|wait| (index, RetryAfter(wait))));
        let refused: Vec<_> = waits.collect();
        return (!refused.is_empty()).then(|| Decision::Limited(Limited::by(refused)));
    }
    let (figures, rest) = figures.as_chunks::<3>();
    if figures.len() != charges.len() || !rest.is_empty() {
        return None;
    }
    let remaining = charges.iter().zip(figures).map(|(charge, [at_us, remaining, reset])| {
        let remaining = u32::try_from(*remaining).ok()?;
        let receipt = u64::try_from(*at_us).ok()?;
        Some(Remaining::elsewhere(charge.quota, remaining, us(*reset)?, receipt))
    });
    Some(Decision::Charged(remaining.collect::<Option<_>>()?))
}
