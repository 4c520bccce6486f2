//! Which requests does a quota count, and for whom?

use std::net::IpAddr;

use http::{HeaderValue, Method};

use super::is_about;
use crate::auth::{Principal, Scheme};
use crate::ratelimit::{self, Quota};

/// A named quota.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The quota's name: routes with one name share one count a principal.
    pub name: String,
    /// How much it allows.
    pub quota: Quota,
    /// Whose requests it counts.
    pub of: QuotaOf,
    /// Which answers it counts.
    pub counts: Counts,
    /// The methods that it counts; empty means all.
    pub methods: Vec<Method>,
    /// The `RateLimit-Policy` field that says so.
    pub policy_field: HeaderValue,
}

/// Whose requests a quota counts, each principal apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaOf {
    /// Everybody's, by address whoever it is.
    Address,
    /// Everybody's: by the first principal, or by address where nobody is known.
    #[default]
    Everyone,
    /// Those of one scheme; anonymous callers by address.
    Scheme(Scheme),
}

/// Which answers a quota counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counts {
    /// All.
    #[default]
    All,
    /// Those from the cache.
    Hits,
    /// Those that an upstream, or the gateway itself, has to make.
    Misses,
}

impl Limit {
    /// A quota with its name, that counts every request; `None` when the name cannot stand in a
    /// header field.
    #[must_use]
    pub fn new(name: &str, quota: Quota) -> Option<Self> {
        let policy_field = ratelimit::policy_field(name, quota).try_into().ok()?;
        Some(Self {
            name: name.to_owned(),
            quota,
            of: QuotaOf::default(),
            counts: Counts::default(),
            methods: Vec::new(),
            policy_field,
        })
    }

    /// Whom it counts a request for; `None` when it does not count it.
    #[must_use]
    pub fn counted_as<'a>(
        &self,
        method: &Method,
        is_hit: bool,
        mut callers: impl Iterator<Item = &'a Principal>,
        client: IpAddr,
    ) -> Option<String> {
        let is_counted = match self.counts {
            Counts::All => true,
            Counts::Hits => is_hit,
            Counts::Misses => !is_hit,
        };
        if !is_counted || !is_about(&self.methods, method) {
            return None;
        }
        match self.of {
            QuotaOf::Address => Some(network_key(client)),
            QuotaOf::Everyone => callers.next().map(|caller| quota_key(caller, client)),
            QuotaOf::Scheme(scheme) => callers
                .find(|caller| caller.scheme == scheme)
                .map(|caller| quota_key(caller, client)),
        }
    }
}

/// Whoever has no name is counted by address, as the shield does it: an IPv6 client has a whole /64.
fn quota_key(caller: &Principal, client: IpAddr) -> String {
    match caller.scheme {
        Scheme::Anonymous => network_key(client),
        Scheme::Jwt | Scheme::ApiKey | Scheme::Signature => caller.quota_key(),
    }
}

/// The key to count an address by.
#[must_use]
pub fn network_key(client: IpAddr) -> String {
    format!("network:{:x}", ratelimit::network(client))
}
