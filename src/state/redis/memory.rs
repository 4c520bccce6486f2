//! What may one gateway remember for all: small values under a hash, for a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Redis, Use};

/// A memory that processes share, such as for API keys that were verified. It is a convenience:
/// while Redis is gone it holds nothing and takes nothing.
#[derive(Clone)]
pub struct SharedMemory {
    redis: Arc<Redis>,
    /// Keeps the entries of one purpose apart from those of others.
    purpose: &'static str,
}

impl SharedMemory {
    /// The memory for one purpose.
    #[must_use]
    pub fn new(redis: Arc<Redis>, purpose: &'static str) -> Self {
        Self { redis, purpose }
    }

    /// What was put under this key, if it is still there.
    pub async fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        let mut command = redis::cmd("GET");
        command.arg(self.name(key));
        self.redis.call(Use::Memory, &command).await.ok().flatten()
    }

    /// Remembers a value for `ttl`, in place of what was there. Whether it worked is known by the
    /// [errors](Redis::errors) only, for nobody may count on it.
    pub async fn put(&self, key: &[u8; 32], value: &[u8], ttl: Duration) {
        let mut command = redis::cmd("SET");
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, TTL_MS_MAX);
        command.arg(self.name(key)).arg(value).arg("PX").arg(ttl_ms);
        let _counted: Result<(), _> = self.redis.call(Use::Memory, &command).await;
    }

    /// Forgets a key. Says whether that is certain: where it is not, the entry may be found again
    /// until its time is over.
    pub async fn forget(&self, key: &[u8; 32]) -> bool {
        let mut command = redis::cmd("DEL");
        command.arg(self.name(key));
        self.redis.call::<u64>(Use::Memory, &command).await.is_ok()
    }

    fn name(&self, key: &[u8; 32]) -> String {
        self.redis.key(&format!("memory:{}:{}", self.purpose, hex::encode(key)))
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// Ten years, which is far from where Redis' own arithmetic ends.
const TTL_MS_MAX: u64 = 10 * 365 * 86_400_000;
