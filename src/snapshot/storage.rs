//! Compiles `state` and the operator's key tables: what the process opens once, at its start.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apikey::hash::Pepper;

use crate::config::ConfigFault;
use crate::config::identity::MysqlKeysConfig;
use crate::config::sources::Sources;
use crate::config::state::{NoncesWithoutRedisConfig, QuotasWithoutRedisConfig, RedisConfig};

/// The shortest time for which a verified key can be remembered: clients fetch a token every 295 s.
const REMEMBER_MIN: Duration = Duration::from_secs(301);

/// Smallest cache on disk.
const DISK_BYTES_MIN: usize = 1024 * 1024;

/// What the process opens at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageRule {
    /// Folder of its own files.
    pub dir: Option<PathBuf>,
    /// Redis.
    pub redis: Option<RedisRule>,
    /// Whether the key store is read.
    pub has_key_store: bool,
    /// The operator's key tables.
    pub mysql: Option<MysqlRule>,
    /// The cache on disk.
    pub disk: Option<DiskRule>,
}

/// The cache on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskRule {
    /// Its folder.
    pub dir: PathBuf,
    /// Most bytes of the answers there.
    pub bytes_max: usize,
}

/// A Redis, and what its loss means.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisRule {
    /// Where it is; may hold a password.
    pub url: String,
    /// Authorities to trust in place of the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// What every key begins with.
    pub prefix: String,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// What becomes of signed requests without it.
    pub nonces: NoncesWithoutRedisConfig,
    /// What becomes of quotas without it.
    pub quotas: QuotasWithoutRedisConfig,
    /// Whether nonces are shared with the operator's Django gateway.
    pub django_nonces: bool,
}

impl fmt::Debug for RedisRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRule").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The operator's key tables.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlRule {
    /// Where they are; holds a password.
    pub url: String,
    /// What stands before each key when it is hashed.
    pub pepper: Pepper,
    /// Times and bounds.
    pub config: MysqlKeysConfig,
}

impl fmt::Debug for MysqlRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlRule").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Gathers it, and reports what is missing.
pub(super) fn compile(sources: &Sources, faults: &mut Vec<ConfigFault>) -> StorageRule {
    let gateway = &sources.gateway;
    let config = &gateway.value;
    let dir = config.state.dir.as_ref().map(|dir| sources.base.join(dir));
    let redis = config.state.redis.as_ref();
    let is_state_whole = gateway.document.is_whole("state");
    if config.auth.hmac.is_some() && dir.is_none() && redis.is_none() && is_state_whole {
        let problem = "a nonce that is forgotten in a restart can be replayed; say where nonces are \
                       kept: `state: {dir: ../var}`, or a Redis";
        gateway.report(faults, "auth.hmac", problem);
    }
    if config.auth.api_keys.store && dir.is_none() && is_state_whole {
        let problem = "the key store needs a folder; add `state: {dir: ../var}`";
        gateway.report(faults, "auth.api_keys.store", problem);
    }
    let disk = disk_rule(sources, dir.as_deref(), faults);
    StorageRule {
        dir,
        disk,
        redis: redis.and_then(|config| redis_rule(sources, config, faults)),
        has_key_store: config.auth.api_keys.store,
        mysql: mysql_rule(sources, faults),
    }
}

fn disk_rule(
    sources: &Sources,
    state_dir: Option<&Path>,
    faults: &mut Vec<ConfigFault>,
) -> Option<DiskRule> {
    let gateway = &sources.gateway;
    let config = gateway.value.cache.disk.as_ref()?;
    let bytes_max = config.size.bytes();
    if bytes_max < DISK_BYTES_MIN {
        gateway.report(faults, "cache.disk.size", "write 1MiB or more");
    }
    let own = config.dir.as_ref().map(|dir| sources.base.join(dir));
    let Some(dir) = own.or_else(|| Some(state_dir?.join("cache"))) else {
        if gateway.document.is_whole("state") {
            let problem =
                "the cache on disk needs a folder; add `dir` here, or `state: {dir: ../var}`";
            gateway.report(faults, "cache.disk", problem);
        }
        return None;
    };
    Some(DiskRule { dir, bytes_max })
}

fn redis_rule(
    sources: &Sources,
    config: &RedisConfig,
    faults: &mut Vec<ConfigFault>,
) -> Option<RedisRule> {
    const PREFIX_BYTES_MAX: usize = 64;
    let prefix = &config.prefix;
    if prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = format!("write at most {PREFIX_BYTES_MAX} plain characters without spaces");
        sources.gateway.report(faults, "state.redis.prefix", problem);
    }
    // A URL or file that could not be read is reported where it was read.
    Some(RedisRule {
        url: sources.urls.get("state.redis.url")?.clone(),
        ca_pem: sources.files.get("state.redis.ca_file").cloned(),
        prefix: prefix.clone(),
        timeout: config.timeout.duration(),
        nonces: config.nonces,
        quotas: config.quotas,
        django_nonces: config.django_nonces,
    })
}

fn mysql_rule(sources: &Sources, faults: &mut Vec<ConfigFault>) -> Option<MysqlRule> {
    let gateway = &sources.gateway;
    let config = gateway.value.auth.api_keys.mysql.as_ref()?;
    let path = |key: &str| format!("auth.api_keys.mysql.{key}");
    if config.remember.duration() < REMEMBER_MIN {
        let problem = format!(
            "clients fetch a token every 295 s, and a key that is forgotten in between is hashed \
             each time; write {}s or more",
            REMEMBER_MIN.as_secs()
        );
        gateway.report(faults, &path("remember"), problem);
    }
    let bounds = [
        ("hash_threads", config.hash_threads, 1..=64),
        ("hash_queue_max", config.hash_queue_max, 1..=10_000),
        ("connections_max", config.connections_max as usize, 1..=1_000),
    ];
    for (key, number, range) in bounds {
        if !range.contains(&number) {
            let problem = format!("write a number from {} to {}", range.start(), range.end());
            gateway.report(faults, &path(key), problem);
        }
    }
    Some(MysqlRule {
        url: sources.urls.get(&path("url"))?.clone(),
        pepper: Pepper::new(sources.secrets.get(&path("pepper"))?.as_bytes()),
        config: config.clone(),
    })
}
