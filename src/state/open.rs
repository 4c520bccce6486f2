//! How is everything opened that outlives the process or is shared with others?

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::disk::{Disk, DiskError};
use super::journal::JournalError;
use super::keys::{
    Keys, KeysError, KeysOptions, MysqlOptions, NoSharedMemory, RememberedKey, SharedKeyMemory,
};
use super::nonces::{self, Nonces, SharedNonceRules};
use super::quotas::{self, Quotas};
use super::redis::{Redis, RedisFault, RedisRules, RedisUrl, RedisUrlError, SharedMemory};
use super::revocations::Revocations;
use crate::clock::Now;
use crate::config::state::{NoncesWithoutRedisConfig, QuotasWithoutRedisConfig};
use crate::ratelimit::Buckets;
use crate::snapshot::{DiskRule, MysqlRule, RedisRule, RestartOnly, StorageRule};

/// Why the process cannot open what it needs.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Redis's address.
    #[error("state.redis.url: {0}")]
    Address(#[from] RedisUrlError),
    /// Authorities for an address that asks for none.
    #[error(
        "state.redis.ca_file: the way to this Redis is not encrypted, so nothing vouches for it; \
         write rediss:// in its address"
    )]
    Authorities,
    /// What Redis needs beside its address.
    #[error("state.redis: {0}")]
    Redis(#[from] RedisFault),
    /// The nonces of this machine.
    #[error("state.dir: {0}")]
    Journal(#[from] JournalError),
    /// The cache on disk.
    #[error("cache.disk: {0}")]
    Disk(#[from] DiskError),
    /// The API keys.
    #[error("auth.api_keys: {0}")]
    Keys(#[from] KeysError),
    /// The folder for it all.
    #[error("state.dir: the folder {} cannot be made: {error}; the gateway must be able to write it", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// What was opened.
pub(super) struct Opened {
    pub(super) redis: Option<Arc<Redis>>,
    pub(super) keys: Keys,
    pub(super) nonces: Nonces,
    pub(super) quotas: Quotas,
    pub(super) revocations: Revocations,
    /// Whether anything is kept outside this process.
    pub(super) is_kept: bool,
    pub(super) disk: Option<OpenedDisk>,
}

/// The disk tier, and the changes that were noted there.
pub(super) type OpenedDisk = (Arc<Disk>, Vec<Vec<u8>>);

impl Opened {
    /// Nothing outside this process.
    pub(super) fn in_memory(sizes: &RestartOnly, now: Now) -> Self {
        Self {
            redis: None,
            keys: Keys::none(),
            nonces: Nonces::in_memory(sizes.nonces_max),
            quotas: Quotas::embedded(buckets(sizes, now)),
            revocations: Revocations::new(None, None),
            is_kept: false,
            disk: None,
        }
    }

    /// Everything that the configuration names. Redis is connected later, by the runtime that keeps
    /// the connection; what is opened here may outlive the runtime that opens it.
    pub(super) async fn open(sizes: &RestartOnly, now: Now) -> Result<Self, OpenError> {
        let storage = &sizes.storage;
        if let Some(dir) = &storage.dir {
            make_folder(dir)?;
        }
        let redis = storage.redis.as_ref().map(connection).transpose()?;
        let options = keys_options(storage, redis.as_ref());
        let nonces = match &storage.dir {
            Some(dir) => Nonces::journaled(sizes.nonces_max, &dir.join("nonces"), now)?,
            None => Nonces::in_memory(sizes.nonces_max),
        };
        let buckets = buckets(sizes, now);
        let (nonces, quotas) = match (&redis, &storage.redis) {
            (Some(redis), Some(rule)) => (
                nonces.share(redis.clone(), nonce_rules(rule)),
                Quotas::shared(redis.clone(), when_quotas_are_gone(rule.quotas), buckets),
            ),
            _ => (nonces, Quotas::embedded(buckets)),
        };
        let keys = Keys::open(options).await?;
        let revocations = Revocations::new(revocations_file(storage), redis.clone());
        revocations.poll(now).await;
        let open = |rule: &DiskRule| Disk::open(&rule.dir, rule.bytes_max, now);
        let disk = storage.disk.as_ref().map(open).transpose()?;
        Ok(Self { redis, keys, nonces, quotas, revocations, disk, is_kept: true })
    }
}

/// The file of the key store, where there is a folder.
#[must_use]
pub fn key_store_file(storage: &StorageRule) -> Option<PathBuf> {
    storage.dir.as_ref().map(|dir| dir.join("farmgate.sqlite"))
}

/// The file of revocations, where there is a folder.
#[must_use]
pub fn revocations_file(storage: &StorageRule) -> Option<PathBuf> {
    storage.dir.as_ref().map(|dir| dir.join("revocations.jsonl"))
}

/// What has to be known of the Redis of a configuration.
///
/// # Errors
///
/// [`OpenError::Address`] and [`OpenError::Authorities`].
pub fn redis_rules(rule: &RedisRule) -> Result<RedisRules, OpenError> {
    let url: RedisUrl = rule.url.parse()?;
    if rule.ca_pem.is_some() && !url.is_tls() {
        return Err(OpenError::Authorities);
    }
    Ok(RedisRules {
        ca_pem: rule.ca_pem.clone(),
        timeout: rule.timeout,
        prefix: rule.prefix.clone(),
        ..RedisRules::new(url)
    })
}

/// Makes the folder of the gateway's own files, for its own eyes.
///
/// # Errors
///
/// [`OpenError::Folder`].
pub fn make_folder(dir: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| OpenError::Folder { dir: dir.to_owned(), error })
}

/// The Redis of a configuration, not connected yet.
///
/// # Errors
///
/// [`OpenError::Address`] and [`OpenError::Redis`], when its address or its authorities are wrong.
pub fn connection(rule: &RedisRule) -> Result<Arc<Redis>, OpenError> {
    Ok(Redis::new(redis_rules(rule)?)?)
}

fn buckets(sizes: &RestartOnly, now: Now) -> Buckets {
    Buckets::new(NonZeroUsize::new(sizes.principals_max).unwrap_or(NonZeroUsize::MIN), now)
}

fn nonce_rules(rule: &RedisRule) -> SharedNonceRules {
    let when_gone = match rule.nonces {
        NoncesWithoutRedisConfig::Local => nonces::WhenGone::Local,
        NoncesWithoutRedisConfig::Refuse => nonces::WhenGone::Refuse,
    };
    SharedNonceRules { when_gone, django_compatible: rule.django_nonces }
}

fn when_quotas_are_gone(config: QuotasWithoutRedisConfig) -> quotas::WhenGone {
    match config {
        QuotasWithoutRedisConfig::Allow => quotas::WhenGone::Allow,
        QuotasWithoutRedisConfig::Local => quotas::WhenGone::Local,
        QuotasWithoutRedisConfig::Refuse => quotas::WhenGone::Refuse,
    }
}

fn keys_options(storage: &StorageRule, redis: Option<&Arc<Redis>>) -> KeysOptions {
    let shared: Arc<dyn SharedKeyMemory> = match redis {
        Some(redis) => Arc::new(KeysInRedis(SharedMemory::new(redis.clone(), "keys"))),
        None => Arc::new(NoSharedMemory),
    };
    let store = key_store_file(storage).filter(|_| storage.has_key_store);
    let options = KeysOptions { store, shared, ..KeysOptions::default() };
    let Some(MysqlRule { url, pepper, config }) = &storage.mysql else { return options };
    KeysOptions {
        hash_threads: NonZeroUsize::new(config.hash_threads).unwrap_or(NonZeroUsize::MIN),
        hash_queue_max: config.hash_queue_max,
        remember: config.remember.duration(),
        mysql: Some(MysqlOptions {
            timeout: config.timeout.duration(),
            connections_max: config.connections_max,
            recheck_every: config.recheck.duration(),
            ..MysqlOptions::new(url.clone(), pepper.clone())
        }),
        ..options
    }
}

/// Keys that one gateway has proved, for the others.
struct KeysInRedis(SharedMemory);

#[async_trait]
impl SharedKeyMemory for KeysInRedis {
    async fn get(&self, digest: &[u8; 32]) -> Option<RememberedKey> {
        let bytes = self.0.get(digest).await?;
        RememberedKey::from_json(std::str::from_utf8(&bytes).ok()?)
    }

    async fn put(&self, digest: &[u8; 32], key: &RememberedKey, ttl: Duration) {
        if let Some(json) = key.to_json() {
            self.0.put(digest, json.as_bytes(), ttl).await;
        }
    }
}
