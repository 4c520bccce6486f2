//! What has to be known of a Redis before it is used, and what is it used for?

use std::time::Duration;

use super::address::RedisUrl;

/// The time limit of a call where the configuration names none.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_millis(100);

/// What all keys begin with where the configuration names nothing.
pub const PREFIX_DEFAULT: &str = "farmgate:";

/// What Redis is used for; errors are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Verified API keys.
    Memory,
    /// Nonces of signed requests.
    Nonces,
    /// Looking whether it is there.
    Probe,
    /// What holds no more of what is kept.
    Purges,
    /// Counts by principal.
    Quotas,
    /// Revoked tokens.
    Revocations,
}

impl Use {
    /// All uses.
    pub const ALL: [Self; 6] =
        [Self::Memory, Self::Nonces, Self::Probe, Self::Purges, Self::Quotas, Self::Revocations];

    /// The stable word, for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Nonces => "nonces",
            Self::Probe => "probe",
            Self::Purges => "purges",
            Self::Quotas => "quotas",
            Self::Revocations => "revocations",
        }
    }
}

/// What has to be known of a Redis.
#[derive(Clone, Debug)]
pub struct RedisRules {
    /// Where it is.
    pub url: RedisUrl,
    /// Authorities to trust in place of the system's, in PEM; for `rediss://`.
    pub ca_pem: Option<Vec<u8>>,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// What all keys begin with.
    pub prefix: String,
}

impl RedisRules {
    /// The rules for an address, with the defaults for the rest.
    #[must_use]
    pub fn new(url: RedisUrl) -> Self {
        Self { url, ca_pem: None, timeout: TIMEOUT_DEFAULT, prefix: PREFIX_DEFAULT.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_has_a_counter_of_its_own() {
        for (index, by) in Use::ALL.into_iter().enumerate() {
            assert_eq!(by as usize, index);
        }
    }
}
