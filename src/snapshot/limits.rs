//! Compiles `limits`: the quotas that routes share.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::auth::Scheme;
use crate::config::ConfigFault;
use crate::config::limits::{QuotaConfig, QuotaCountsConfig, QuotaOfConfig};
use crate::config::scalar::Rate;
use crate::config::sources::Sources;
use crate::ratelimit::Quota;
use crate::route::{Counts, Limit, QuotaOf};

/// Largest quota: each request of it is remembered for the length of its period.
const QUOTA_REQUESTS_MAX: u32 = 10_000;

/// The name of the count of failed credentials, which no quota may have.
const FAILURES: &str = "failures";

/// The limits of a configuration.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Quotas by name.
    pub(super) quotas: BTreeMap<String, Arc<Limit>>,
    /// How many credentials that do not hold one address may send.
    pub(super) failures: Option<Arc<Limit>>,
}

/// Builds the limits, and reports what is wrong with them.
pub(super) fn compile(sources: &Sources, faults: &mut Vec<ConfigFault>) -> Limits {
    let source = &sources.gateway;
    let config = &source.value.limits;
    let mut limits = Limits::default();
    for (name, quota) in &config.quotas {
        let path = format!("limits.quotas.{name}");
        if name == FAILURES {
            let problem = "the name is taken by `limits.failures`; give the quota another";
            source.report(faults, &path, problem);
        }
        if quota.rate.count() > QUOTA_REQUESTS_MAX {
            source.report(faults, &path, too_large());
        }
        match limit(name, quota) {
            Some(limit) => {
                limits.quotas.insert(name.clone(), Arc::new(limit));
            }
            None => source.report(faults, &path, "write a name of plain letters and digits"),
        }
    }
    if let Some(rate) = config.failures {
        if rate.count() > QUOTA_REQUESTS_MAX {
            source.report(faults, "limits.failures", too_large());
        }
        let limit = Limit::new(FAILURES, counted(rate));
        limits.failures = limit.map(|limit| Arc::new(Limit { of: QuotaOf::Address, ..limit }));
    }
    limits
}

fn too_large() -> String {
    format!("at most {QUOTA_REQUESTS_MAX} requests can be counted exactly; write a shorter period")
}

fn counted(rate: Rate) -> Quota {
    Quota { requests: rate.count(), period: rate.period() }
}

fn limit(name: &str, config: &QuotaConfig) -> Option<Limit> {
    let of = match config.of {
        QuotaOfConfig::Address => QuotaOf::Address,
        QuotaOfConfig::Everyone => QuotaOf::Everyone,
        QuotaOfConfig::Anonymous => QuotaOf::Scheme(Scheme::Anonymous),
        QuotaOfConfig::Jwt => QuotaOf::Scheme(Scheme::Jwt),
        QuotaOfConfig::ApiKey => QuotaOf::Scheme(Scheme::ApiKey),
        QuotaOfConfig::Hmac => QuotaOf::Scheme(Scheme::Signature),
    };
    let counts = match config.counts {
        QuotaCountsConfig::All => Counts::All,
        QuotaCountsConfig::Hits => Counts::Hits,
        QuotaCountsConfig::Misses => Counts::Misses,
    };
    let methods = config.methods.iter().map(|name| name.method().clone()).collect();
    Some(Limit { of, counts, methods, ..Limit::new(name, counted(config.rate))? })
}
