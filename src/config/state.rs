//! What `state` in `conf/gateway.yaml` says: what survives a restart, and what several gateways
//! share.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::scalar::{Period, UrlRef, text_or_mapping};

/// Where the process keeps what must outlive it. `state: redis://…` is short for a Redis with the
/// defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateConfig {
    /// Folder of this gateway's own files, relative to this file's folder.
    pub dir: Option<PathBuf>,
    /// Redis or Valkey, where several gateways share quotas, nonces, revocations and verified keys.
    pub redis: Option<RedisConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateMapping {
    dir: Option<PathBuf>,
    redis: Option<RedisConfig>,
}

impl<'de> Deserialize<'de> for StateConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_mapping(
            deserializer,
            "a URL such as redis://127.0.0.1:6379, or a mapping with `dir` and `redis`",
            |text| Ok(Self { dir: None, redis: Some(RedisConfig::at(text.parse()?)) }),
            |StateMapping { dir, redis }| Self { dir, redis },
        )
    }
}

/// One Redis, or the sentinels that know where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// `redis://`, `rediss://` or `redis-sentinel://`, best as `env:NAME` or `file:PATH`.
    pub url: UrlRef,
    /// What every key begins with.
    pub prefix: String,
    /// How long one call may take.
    pub timeout: Period,
    /// PEM file with the authorities that may vouch for the server, relative to this file's
    /// folder.
    pub ca_file: Option<PathBuf>,
    /// What becomes of signed requests when Redis is gone.
    pub nonces: NoncesWithoutRedisConfig,
    /// What becomes of quotas when Redis is gone.
    pub quotas: QuotasWithoutRedisConfig,
    /// Whether nonces have the keys of the operator's Django gateway, so that neither accepts what
    /// the other has seen.
    pub django_nonces: bool,
}

impl RedisConfig {
    fn at(url: UrlRef) -> Self {
        Self {
            url,
            prefix: default_prefix(),
            timeout: default_timeout(),
            ca_file: None,
            nonces: NoncesWithoutRedisConfig::default(),
            quotas: QuotasWithoutRedisConfig::default(),
            django_nonces: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedisMapping {
    url: UrlRef,
    #[serde(default = "default_prefix")]
    prefix: String,
    #[serde(default = "default_timeout")]
    timeout: Period,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    nonces: NoncesWithoutRedisConfig,
    #[serde(default)]
    quotas: QuotasWithoutRedisConfig,
    #[serde(default)]
    django_nonces: bool,
}

impl<'de> Deserialize<'de> for RedisConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_mapping(
            deserializer,
            "a URL such as redis://127.0.0.1:6379, or a mapping with `url`",
            |text| Ok(Self::at(text.parse()?)),
            |mapping: RedisMapping| Self {
                prefix: mapping.prefix,
                timeout: mapping.timeout,
                ca_file: mapping.ca_file,
                nonces: mapping.nonces,
                quotas: mapping.quotas,
                django_nonces: mapping.django_nonces,
                ..Self::at(mapping.url)
            },
        )
    }
}

/// What becomes of signed requests when Redis is gone.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum NoncesWithoutRedisConfig {
    /// They are refused: a replay could not be told.
    #[default]
    Refuse,
    /// This gateway remembers nonces for itself.
    Local,
}

/// What becomes of quotas when Redis is gone.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum QuotasWithoutRedisConfig {
    /// This gateway counts for itself.
    #[default]
    Local,
    /// Requests under a quota are refused.
    Refuse,
    /// Nothing is counted.
    Allow,
}

fn default_prefix() -> String {
    "farmgate:".to_owned()
}

fn default_timeout() -> Period {
    Period::from(Duration::from_millis(100))
}
