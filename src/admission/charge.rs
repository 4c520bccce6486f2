//! May they call as often as this?
//!
//! The one place where a 429 by quota is decided. A request that is refused is not charged.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Arrival, Identified, Refused};
use crate::auth::{Principal, Token};
use crate::clock::Now;
use crate::ratelimit::{Remaining, RetryAfter};
use crate::refusal::Refusal;
use crate::route::{Limit, Route, network_key};
use crate::state::State;
use crate::state::quotas::{Charge, Limited, QuotaError, Quotas};

/// A request that may go on.
#[derive(Debug)]
pub struct Admission {
    /// Its route.
    pub route: Arc<Route>,
    /// The host that the route took.
    pub host: String,
    /// Everybody whose credential was verified, the first of the fixed order first.
    pub callers: Arc<[Principal]>,
    /// What the bearer token says, where there is one.
    pub token: Option<Arc<Token>>,
    /// What is left of the quotas.
    pub charged: Vec<Charged>,
    /// The failed login that this counts as until the upstream has accepted it.
    pub login: Option<Charged>,
}

/// A charge to a quota.
#[derive(Debug)]
pub struct Charged {
    /// The quota.
    pub limit: Arc<Limit>,
    /// Whose.
    who: String,
    /// What is left.
    pub remaining: Remaining,
}

/// Charges every quota that counts this request, all or none; then the method may still be wrong.
/// `is_hit` says whether the answer is at hand.
///
/// # Errors
///
/// The refusal, with everything that its answer carries.
pub async fn charge(
    state: &State,
    identified: Identified,
    arrival: &Arrival<'_>,
    failures: Option<&Arc<Limit>>,
    is_hit: bool,
) -> Result<Admission, Box<Refused>> {
    let route = identified.route.clone();
    let mut counted = counted(&identified, arrival, is_hit);
    let login = failures.filter(|_| route.is_login);
    if let Some(limit) = login {
        counted.push((limit.clone(), network_key(arrival.client)));
    }
    let mut charged = match counted.is_empty() {
        true => Vec::new(),
        false => take(state, &route, counted, arrival).await?,
    };
    if let Some(allow) = identified.other_methods {
        refund(state, charged).await;
        let method = arrival.head.method.as_str().to_owned();
        return Err(Box::new(Refused::by(&route, Refusal::MethodNotAllowed { method, allow })));
    }
    let login = login.and_then(|_| charged.pop());
    let Identified { host, callers, token, .. } = identified;
    Ok(Admission { route, host, callers, token, charged, login })
}

/// Gives charges back, as if their request had never been made.
pub async fn refund(state: &State, charged: Vec<Charged>) {
    give_back(&state.quotas, charged).await;
}

async fn give_back(quotas: &Quotas, charged: Vec<Charged>) {
    if charged.is_empty() {
        return;
    }
    let (mut names, mut remaining) = (Vec::new(), Vec::new());
    for Charged { limit, who, remaining: left } in charged {
        names.push((limit, who));
        remaining.push(left);
    }
    quotas.refund(&charges(&names), remaining).await;
}

/// A credential that does not hold, counted against its address.
pub(super) struct Failure {
    quotas: Arc<Quotas>,
    charged: Option<Charged>,
}

impl Failure {
    /// Counts one; where Redis is gone this gateway counts for itself, whatever quotas do then.
    ///
    /// # Errors
    ///
    /// [`RetryAfter`] when the address had too many.
    pub(super) async fn take(
        state: &State,
        limit: &Arc<Limit>,
        client: IpAddr,
        now: Now,
    ) -> Result<Option<Self>, RetryAfter> {
        let counted = [(limit.clone(), network_key(client))];
        let taken = match state.quotas.charge_firmly(&charges(&counted), now).await {
            Ok(taken) => taken,
            Err(QuotaError::Unavailable { .. }) => return Ok(None),
            Err(QuotaError::Limited(limited)) => return Err(limited.retry_after),
        };
        let quotas = state.quotas.clone();
        let charged = counted.into_iter().zip(taken).next();
        let charged = charged.map(|((limit, who), remaining)| Charged { limit, who, remaining });
        Ok(Some(Self { quotas, charged }))
    }

    /// Nothing failed after all.
    pub(super) async fn give_back(self) {
        give_back(&self.quotas, self.charged.into_iter().collect()).await;
    }
}

/// The quotas that count this request, each with whom it counts it for.
fn counted(
    identified: &Identified,
    arrival: &Arrival<'_>,
    is_hit: bool,
) -> Vec<(Arc<Limit>, String)> {
    let limits = identified.route.limits.iter();
    let counted = limits.filter_map(|limit| {
        let method = &arrival.head.method;
        let who = limit.counted_as(method, is_hit, identified.callers.iter(), arrival.client)?;
        Some((limit.clone(), who))
    });
    counted.collect()
}

async fn take(
    state: &State,
    route: &Arc<Route>,
    counted: Vec<(Arc<Limit>, String)>,
    arrival: &Arrival<'_>,
) -> Result<Vec<Charged>, Box<Refused>> {
    let taken = state.quotas.charge(&charges(&counted), arrival.now).await;
    match taken {
        Ok(remaining) => Ok(counted
            .into_iter()
            .zip(remaining)
            .map(|((limit, who), remaining)| Charged { limit, who, remaining })
            .collect()),
        Err(QuotaError::Limited(Limited { refused, retry_after })) => {
            let limited = longest(&refused).and_then(|index| counted.into_iter().nth(index));
            let limited = limited.map(|(limit, _)| (limit, retry_after));
            if let Some((limit, _)) = &limited {
                state.metrics.auth.quota_refusals.with_label_values(&[&limit.name]).inc();
            }
            let refused = Refused::by(route, Refusal::QuotaExceeded { retry_after: retry_after.0 });
            Err(Box::new(Refused { limited, ..refused }))
        }
        Err(QuotaError::Unavailable { retry_after }) => {
            let refusal = Refusal::StateUnavailable { retry_after };
            let reason = Some("quotas cannot be counted: Redis is gone".into());
            Err(Box::new(Refused { reason, ..Refused::by(route, refusal) }))
        }
    }
}

/// The place of the quota that a client has to wait for longest.
fn longest(refused: &[(usize, RetryAfter)]) -> Option<usize> {
    refused.iter().max_by_key(|(_, wait)| wait.0).map(|(index, _)| *index)
}

fn charges(counted: &[(Arc<Limit>, String)]) -> Vec<Charge<'_>> {
    counted
        .iter()
        .map(|(limit, who)| Charge { quota_id: &limit.name, quota: limit.quota, principal: who })
        .collect()
}
