//! Whose API key is this, of all the keys there are?
//!
//! Keys are kept in three places, asked in this order: the configuration, the key file that
//! `farmgate keys` manages, and the operator's own tables. The first two are tables in memory. A
//! key of the operator's tables costs a slow hash once; then its outcome is remembered, and the
//! tables are asked every few seconds whether it still holds. When they cannot be asked,
//! remembered keys stay valid until their time is over.

mod background;
mod file;
mod guard;
mod memory;
mod mysql;
mod shared;
mod slow;
mod store;
mod store_error;
mod table;
mod watch;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use apikey::directory::DirectoryError;
use apikey::directory::{Directory, DirectoryOptions};
use apikey::flight::Flights;
use apikey::form::KeyHint;
use apikey::hash::Pepper;
pub use apikey::pool::{Flow, HashPool, QueueFull};

pub use self::guard::{FailureGuard, FailureToken, Unguarded};
pub use self::shared::{NoSharedMemory, RememberedKey, SharedKeyMemory};
pub use self::store::{KeyRequest, KeyStore, StoredKey};
pub use self::store_error::{KEYS_MAX, SECRETS_PER_KEY_MAX, StoreError};

use self::guard::charge;
use self::memory::{Memory, MemorySizes};
use self::slow::SlowKeys;
use self::watch::WatchedStore;
use crate::auth::{ApiKeyTable, KeyDigest, KeyError, Principal, check_form};
use crate::clock::Now;

/// The shortest time a key may be remembered: clients ask for a token every 295 seconds, and a key
/// that is forgotten in between is hashed each time.
pub const REMEMBER_MIN: Duration = Duration::from_secs(301);
/// How many keys that do not hold are remembered.
const WRONG_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Where keys are kept, and what their verification may cost.
pub struct KeysOptions {
    /// The key file, where there is one.
    pub store: Option<PathBuf>,
    /// The operator's tables, where there are some.
    pub mysql: Option<MysqlOptions>,
    /// How many slow hashes are computed at once.
    pub hash_threads: NonZeroUsize,
    /// How many more may wait.
    pub hash_queue_max: usize,
    /// How long a key that matched its slow hash is relied on; at least [`REMEMBER_MIN`]. A key in
    /// use that the tables confirm is relied on anew.
    pub remember: Duration,
    /// How many such keys are remembered.
    pub remembered_max: NonZeroUsize,
    /// What other processes remember.
    pub shared: Arc<dyn SharedKeyMemory>,
}

impl Default for KeysOptions {
    fn default() -> Self {
        const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
        Self {
            store: None,
            mysql: None,
            hash_threads: NonZeroUsize::MIN,
            hash_queue_max: 64,
            remember: Duration::from_secs(600),
            remembered_max: REMEMBERED_MAX,
            shared: Arc::new(NoSharedMemory),
        }
    }
}

/// How the operator's tables are reached, and what their hashes were made with.
#[derive(Clone)]
pub struct MysqlOptions {
    /// `mysql://user:password@host:3306/database`; TLS by `?ssl-mode=VERIFY_IDENTITY&ssl-ca=…`.
    pub url: String,
    /// What stands before each key when it is hashed.
    pub pepper: Pepper,
    /// How long to wait for a connection, and then for an answer.
    pub timeout: Duration,
    /// How many connections there are at most.
    pub connections_max: u32,
    /// How often the tables are asked whether remembered keys still hold.
    pub recheck_every: Duration,
}

impl MysqlOptions {
    /// Tables at this address, with the usual limits.
    #[must_use]
    pub fn new(url: String, pepper: Pepper) -> Self {
        let (timeout, recheck_every) = (Duration::from_secs(2), Duration::from_secs(5));
        Self { url, pepper, timeout, connections_max: 4, recheck_every }
    }
}

impl fmt::Debug for MysqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlOptions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Why the keys cannot be put to use. Found at the start, never in a request.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The key file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator's tables.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Keys would be forgotten between two uses.
    #[error("API keys are remembered for {} s; use at least {} s", .0.as_secs(), REMEMBER_MIN.as_secs())]
    RememberTooShort(Duration),
    /// No threads to hash on.
    #[error("cannot start the threads that hash API keys: {0}")]
    Threads(#[source] io::Error),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] rand::Error),
}

/// Every key there is, but for those of the configuration, which are handed in.
pub struct Keys {
    store: Option<WatchedStore>,
    slow: Option<Arc<SlowKeys>>,
    recheck_every: Duration,
}

impl Keys {
    /// Opens what the options name. To be called inside a tokio runtime, which may end afterwards.
    /// A database that is down is no error; it is asked when a key wants it.
    ///
    /// # Errors
    ///
    /// [`KeysError`] with what the operator has to change.
    pub async fn open(options: KeysOptions) -> Result<Self, KeysError> {
        let store = match &options.store {
            Some(path) => Some(WatchedStore::open(path).await?),
            None => None,
        };
        let recheck_every =
            options.mysql.as_ref().map_or(Duration::MAX, |mysql| mysql.recheck_every);
        let slow = options.mysql.as_ref().map(|mysql| slow(&options, mysql)).transpose()?;
        Ok(Self { store, slow: slow.map(Arc::new), recheck_every })
    }

    /// No keys but those of the configuration.
    #[must_use]
    pub fn none() -> Self {
        Self { store: None, slow: None, recheck_every: Duration::MAX }
    }

    /// Finds out who presents a key. Ready at once for keys of the configuration and of the file,
    /// and for those that are remembered.
    ///
    /// Every key that does not hold is charged to `guard`, once; nobody else needs to.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong with the key, or with the gateway.
    pub async fn verify<G: FailureGuard>(
        &self,
        configured: Option<&ApiKeyTable>,
        key: &[u8],
        guard: &G,
        now: Now,
    ) -> Result<Principal, KeyError> {
        let error = match self.look_up(configured, key, now) {
            Ok(principal) => return Ok(principal),
            Err(error) => error,
        };
        match &self.slow {
            Some(slow) if error == KeyError::Unknown && KeyHint::of(key).is_some() => {
                // In a box, so that the calls that need none of it stay small.
                Box::pin(slow.verify(key, guard, now)).await
            }
            _ => Err(charge(guard, error).await),
        }
    }

    fn look_up(
        &self,
        configured: Option<&ApiKeyTable>,
        key: &[u8],
        now: Now,
    ) -> Result<Principal, KeyError> {
        check_form(key)?;
        let digest = KeyDigest::of(key);
        let in_file = |store: &WatchedStore| store.verify(&digest, now);
        let found = configured.map_or(Err(KeyError::Unknown), |t| t.verify_digest(&digest, now));
        let found = match (found, &self.store) {
            (Err(KeyError::Unknown), Some(store)) => in_file(store),
            (found, _) => found,
        };
        match (found, &self.slow) {
            (Err(KeyError::Unknown), Some(slow)) => {
                slow.remembered(key, now).ok_or(KeyError::Unknown)
            }
            (found, _) => found,
        }
    }

    /// Takes over what others have changed in the key file; tells whether they had.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file cannot be read; then the keys that were read last stay valid.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        match &self.store {
            Some(store) => store.refresh().await,
            None => Ok(false),
        }
    }

    /// Asks the operator's tables about every remembered key, and forgets those that were revoked,
    /// have expired, whose user is inactive or whose hash is another one; gives their number.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when the tables cannot be asked; then all stay remembered.
    pub async fn recheck(&self, now: Now) -> Result<usize, DirectoryError> {
        match &self.slow {
            Some(slow) => slow.recheck(now).await,
            None => Ok(0),
        }
    }

    /// Writes back when keys of the file were last used.
    pub async fn flush(&self) {
        self.write_used(true).await;
    }

    async fn write_used(&self, all: bool) {
        if let Some(store) = &self.store
            && let Err(error) = store.write_used(all).await
        {
            tracing::warn!(%error, "last use of keys not written");
        }
    }

    /// The threads that hash, and what they did; none without the operator's tables.
    #[must_use]
    pub fn hashes(&self) -> Option<&HashPool> {
        self.slow.as_ref().map(|slow| &slow.pool)
    }

    /// How many keys the file has.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.store.as_ref().map_or(0, WatchedStore::keys)
    }

    /// How many keys of the operator's tables are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.slow.as_ref().map_or(0, |slow| slow.memory.keys())
    }

    /// How many remembered keys were pushed out by others.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.slow.as_ref().map_or(0, |slow| slow.memory.evictions())
    }

    /// Whether the operator's tables answered last time; true where there are none.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.slow.as_ref().is_none_or(|slow| slow.directory.is_up())
    }
}

fn slow(options: &KeysOptions, mysql: &MysqlOptions) -> Result<SlowKeys, KeysError> {
    if options.remember < REMEMBER_MIN {
        return Err(KeysError::RememberTooShort(options.remember));
    }
    let directory = Directory::new(&DirectoryOptions {
        url: mysql.url.clone(),
        connections_max: mysql.connections_max,
        timeout: mysql.timeout,
    })?;
    let (threads, queue_max) = (options.hash_threads, options.hash_queue_max);
    let sizes = MemorySizes {
        keys_max: options.remembered_max,
        wrong_max: WRONG_MAX,
        kept: options.remember,
    };
    Ok(SlowKeys {
        directory,
        pool: HashPool::new(threads, queue_max).map_err(KeysError::Threads)?,
        memory: Memory::new(sizes)?,
        // Whoever leads a flight may need a hash, so one client has no more flights than hashes.
        flights: Arc::new(Flights::new(threads.get().saturating_add(queue_max))),
        shared: Arc::clone(&options.shared),
        pepper: mysql.pepper.clone(),
        kept: options.remember,
        told: false.into(),
    })
}

#[cfg(test)]
mod tests;
