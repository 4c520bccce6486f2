//! What `limits` in `conf/gateway.yaml` says: how often clients may call.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::scalar::{MethodName, Rate, text_or_mapping};

/// How often clients may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The constant-memory shield in front of everything.
    pub shield: ShieldConfig,
    /// Most principals counted at once, the least recently seen forgotten first.
    pub principals_max: usize,
    /// How many credentials that do not hold one address may send; absent means any number.
    pub failures: Option<Rate>,
    /// Exact quotas by name, for routes to refer to.
    pub quotas: BTreeMap<String, QuotaConfig>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            shield: ShieldConfig::default(),
            principals_max: 100_000,
            failures: "60/min".parse().ok(),
            quotas: BTreeMap::new(),
        }
    }
}

/// Estimated limits by client address, over `pingora-limits`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ShieldConfig {
    /// Most requests a second from one address.
    pub requests_per_second_max: u32,
    /// Most requests in flight from one address.
    pub in_flight_max: u32,
}

impl Default for ShieldConfig {
    fn default() -> Self {
        Self { requests_per_second_max: 10_000, in_flight_max: 2_000 }
    }
}

/// One quota: its rate alone, or with what it counts.
#[derive(Clone, Debug)]
pub struct QuotaConfig {
    /// So many in so long.
    pub rate: Rate,
    /// Whose requests it counts.
    pub of: QuotaOfConfig,
    /// Which answers it counts.
    pub counts: QuotaCountsConfig,
    /// The methods that it counts; empty means all.
    pub methods: Vec<MethodName>,
}

/// Whose requests a quota counts, each principal apart.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOfConfig {
    /// Everybody's: by principal, or by address where nobody is known.
    #[default]
    Everyone,
    /// Those without a credential, by address.
    Anonymous,
    /// Those with a bearer token.
    Jwt,
    /// Those with an API key.
    ApiKey,
    /// Those that are signed.
    Hmac,
    /// Everybody's, by address whoever it is.
    Address,
}

/// Which answers a quota counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum QuotaCountsConfig {
    /// All.
    #[default]
    All,
    /// Those from the cache.
    Hits,
    /// Those that an upstream has to make.
    Misses,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaMapping {
    rate: Rate,
    #[serde(default)]
    of: QuotaOfConfig,
    #[serde(default)]
    counts: QuotaCountsConfig,
    #[serde(default)]
    methods: Vec<MethodName>,
}

impl<'de> Deserialize<'de> for QuotaConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_mapping(
            deserializer,
            "a rate such as 100/min, or a mapping with `rate`, `of`, `counts` and `methods`",
            |text| {
                Ok(Self {
                    rate: text.parse()?,
                    of: QuotaOfConfig::default(),
                    counts: QuotaCountsConfig::default(),
                    methods: Vec::new(),
                })
            },
            |QuotaMapping { rate, of, counts, methods }| Self { rate, of, counts, methods },
        )
    }
}
