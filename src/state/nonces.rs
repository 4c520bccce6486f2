//! Was this nonce used before: by this process, before its start, or with another gateway?
//!
//! Without Redis the memory is this process' own; with a [`Journal`] it outlives it. With Redis one
//! round trip asks and remembers for all gateways. What this process let pass it also remembers
//! itself, so a Redis that lost its data, or what its master said last, opens no gap here.
//!
//! While Redis is gone, [`WhenGone`] decides. Under `Local` this process goes on alone, and tells
//! Redis what it let pass as soon as it is back; until then another gateway may let pass the same.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::journal::{Journal, JournalError};
use super::redis::{Redis, Use};
use crate::auth::{NonceError, NonceMemory, UnclaimedNonce};
use crate::clock::Now;

/// Most nonces that wait to be told to Redis; the oldest go first.
const UNTOLD_MAX: usize = 10_000;
/// How many of them are sent at once.
const TOLD_AT_ONCE: usize = 500;
/// How often it is looked whether there are any.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// What a client is told to wait while the disk takes nothing.
const DISK_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What becomes of signed requests while Redis is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenGone {
    /// Each gateway remembers for itself.
    Local,
    /// They are refused.
    #[default]
    Refuse,
}

/// How nonces are kept in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedNonceRules {
    /// What happens while it is gone.
    pub when_gone: WhenGone,
    /// Whether to use the keys of the existing Django gateway, so that both can run side by side.
    pub django_compatible: bool,
}

/// The nonces that were used.
#[derive(Debug)]
pub struct Nonces {
    memory: NonceMemory,
    journal: Option<Journal>,
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    redis: Arc<Redis>,
    rules: SharedNonceRules,
    untold: Mutex<VecDeque<Untold>>,
    degraded: AtomicU64,
}

/// A nonce that was let pass while Redis was gone.
#[derive(Debug)]
struct Untold {
    key: String,
    expiry: Instant,
}

impl Nonces {
    /// A memory of at most `nonces_max` that ends with the process.
    #[must_use]
    pub fn in_memory(nonces_max: usize) -> Self {
        Self { memory: NonceMemory::new(nonces_max), journal: None, shared: None }
    }

    /// A memory of at most `nonces_max` that outlives the process, in a folder of its own.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn journaled(nonces_max: usize, folder: &Path, now: Now) -> Result<Self, JournalError> {
        let (journal, restored) = Journal::open(folder, nonces_max, now)?;
        let memory = NonceMemory::new(nonces_max);
        let count = restored.len();
        for (digest, expiry) in restored {
            memory.restore(digest, expiry);
        }
        tracing::info!(nonces = count, folder = %folder.display(), "nonces read back");
        Ok(Self { memory, journal: Some(journal), shared: None })
    }

    /// The same, with all gateways of a Redis sharing theirs.
    #[must_use]
    pub fn share(mut self, redis: Arc<Redis>, rules: SharedNonceRules) -> Self {
        let (untold, degraded) = (Mutex::default(), AtomicU64::new(0));
        self.shared = Some(Shared { redis, rules, untold, degraded });
        self
    }

    /// Spends a nonce. Of all callers with the same one, exactly one gets `Ok`.
    ///
    /// # Errors
    /// The request must be refused: the nonce was spent before, or it cannot be made sure that it
    /// is remembered.
    pub async fn claim(&self, nonce: &UnclaimedNonce, now: Now) -> Result<(), NonceError> {
        let Some(shared) = &self.shared else { return self.claim_here(nonce, now) };
        let key = shared.key(nonce);
        match shared.claim(&key, nonce.kept()).await {
            Some(true) => self.confirm_here(nonce, now),
            Some(false) => Err(NonceError::Replay),
            None => {
                shared.degraded.fetch_add(1, Ordering::Relaxed);
                match shared.rules.when_gone {
                    WhenGone::Local => {
                        self.claim_here(nonce, now)?;
                        shared.remember_to_tell(key, now.instant + nonce.kept());
                        Ok(())
                    }
                    WhenGone::Refuse => {
                        Err(NonceError::Unavailable { retry_after: shared.redis.retry_after() })
                    }
                }
            }
        }
    }

    /// Tells Redis, each time it comes back, what was let pass without it. Runs beside the requests
    /// for as long as the process lives; without Redis there is nothing to do.
    pub async fn keep(&self, clock: fn() -> Now) {
        let Some(shared) = &self.shared else { return };
        let mut up = shared.redis.watch();
        while up.wait_for(|up| *up).await.is_ok() {
            shared.tell(clock).await;
            // A claim that failed just before may only now be waiting to be told.
            drop(timeout(TELL_INTERVAL, up.wait_for(|up| !*up)).await);
        }
    }

    /// How many nonces this process remembers.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.memory.entries()
    }

    /// How many nonces could not be written to disk since the start.
    #[must_use]
    pub fn write_failures(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::failures)
    }

    /// How many claims Redis did not answer since the start.
    #[must_use]
    pub fn degraded(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.degraded.load(Ordering::Relaxed))
    }

    /// How many nonces wait to be told to Redis.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.shared
            .as_ref()
            .map_or(0, |shared| shared.untold.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    fn claim_here(&self, nonce: &UnclaimedNonce, now: Now) -> Result<(), NonceError> {
        self.memory.claim(nonce, now)?;
        let Some(journal) = &self.journal else { return Ok(()) };
        let digest = nonce.digest();
        journal.append(digest, nonce.kept(), now).map_err(|_logged| {
            // Nothing has happened yet, so the client may come back with the same request.
            self.memory.release(&digest);
            NonceError::Unavailable { retry_after: DISK_RETRY_AFTER }
        })
    }

    /// Remembers what Redis accepted. It decides, and room or a disk of this process' own are not
    /// needed for that; only what was seen here before is a replay all the same.
    fn confirm_here(&self, nonce: &UnclaimedNonce, now: Now) -> Result<(), NonceError> {
        match self.claim_here(nonce, now) {
            Err(NonceError::Replay) => Err(NonceError::Replay),
            Ok(()) | Err(NonceError::Full { .. } | NonceError::Unavailable { .. }) => Ok(()),
        }
    }
}

impl Shared {
    /// By default a hash of client and nonce, which has one length whatever was sent. The form of
    /// the existing gateway is Django's: a prefix that names its cache and the version 1.
    fn key(&self, nonce: &UnclaimedNonce) -> String {
        let client = nonce.client();
        if self.rules.django_compatible {
            return format!(":1:nc_hmac:{client}:{}", nonce.nonce());
        }
        self.redis.key(&format!("nonce:{client}:{}", hex::encode(nonce.digest())))
    }

    /// Whether this is the first claim; `None` where Redis does not say.
    async fn claim(&self, key: &str, kept: Duration) -> Option<bool> {
        let command = self.remember(key, kept);
        let answer: Option<String> = self.redis.call(Use::Nonces, &command).await.ok()?;
        Some(answer.is_some())
    }

    fn remember(&self, key: &str, kept: Duration) -> redis::Cmd {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(1).arg("NX");
        let ms = u64::try_from(kept.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        if self.rules.django_compatible {
            command.arg("EX").arg(ms.div_ceil(1_000));
        } else {
            command.arg("PX").arg(ms);
        }
        command
    }

    fn remember_to_tell(&self, key: String, expiry: Instant) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.len() >= UNTOLD_MAX {
            untold.pop_front();
        }
        untold.push_back(Untold { key, expiry });
    }

    /// Tells Redis until nothing is left or Redis is gone again. What was sent without an answer is
    /// sent again: doing so twice is as good as once.
    async fn tell(&self, clock: fn() -> Now) {
        for _ in 0..UNTOLD_MAX.div_ceil(TOLD_AT_ONCE) {
            let some: Vec<Untold> = {
                let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
                let count = untold.len().min(TOLD_AT_ONCE);
                untold.drain(..count).collect()
            };
            if some.is_empty() {
                return;
            }
            let mut pipeline = redis::pipe();
            let now = clock().instant;
            for Untold { key, expiry } in &some {
                pipeline.add_command(self.remember(key, expiry.saturating_duration_since(now)));
            }
            let told: Result<redis::Value, _> = self.redis.call_all(Use::Nonces, &pipeline).await;
            if told.is_err() {
                let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
                some.into_iter().rev().for_each(|one| untold.push_front(one));
                untold.truncate(UNTOLD_MAX);
                return;
            }
            tracing::info!(nonces = some.len(), "told Redis of nonces that it missed");
        }
    }
}
