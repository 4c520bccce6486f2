//! Which tokens were verified already?
//!
//! A client shows the same token with each request. Verified once, it is remembered by its SHA-256
//! until it expires: a hot client costs one hash and one look-up. A remembered token counts only
//! while the rule that took it and the key that signed it are still in force, and while nobody has
//! revoked it. What does not hold is never remembered.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::key_sets::KeySets;
use crate::auth::{JwtVerifier, Token, TokenError};
use crate::clock::Now;

/// Locks that share the tokens between them: a power of two well above the worker threads.
const SHARDS: usize = 16;
/// The longest token that is remembered, in bytes: to hash a longer one would cost about as much as
/// to verify it, and no issuer of ours makes any.
const REMEMBERED_BYTES_MAX: usize = 4 * 1024;

/// The whole hash, so that no two tokens can be taken for one another.
type Key = [u8; 32];

/// The tokens that were verified, for the life of the process.
#[derive(Debug)]
pub struct Tokens {
    shards: [Mutex<LruCache<Key, Arc<Token>>>; SHARDS],
    key_sets: Arc<KeySets>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Tokens {
    /// Room for `tokens_max` tokens, rounded up to a multiple of the shards; beyond it the one goes
    /// that was shown longest ago. Unknown keys are fetched by `key_sets`.
    #[must_use]
    pub fn new(tokens_max: NonZeroUsize, key_sets: Arc<KeySets>) -> Self {
        let shard_max = tokens_max.div_ceil(NonZeroUsize::MIN.saturating_add(SHARDS - 1));
        Self {
            shards: std::array::from_fn(|_| Mutex::new(LruCache::new(shard_max))),
            key_sets,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Verifies a token, or remembers that it was. `is_revoked` is asked each time, so a token that
    /// is revoked is refused from then on. A token whose key is not known waits for the issuer's
    /// keys to be fetched, if that may be done now, and is tried once more.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with the first thing that is wrong.
    pub async fn verify(
        &self,
        verifier: &JwtVerifier,
        token: &[u8],
        now: Now,
        is_revoked: impl Fn(&Token) -> bool,
    ) -> Result<Arc<Token>, TokenError> {
        let key = (token.len() <= REMEMBERED_BYTES_MAX).then(|| Key::from(Sha256::digest(token)));
        let remembered = key.and_then(|key| self.recall(&key, verifier, now));
        let is_hit = remembered.is_some();
        let counter = if is_hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        let found = match remembered {
            Some(found) => found,
            None => Arc::new(self.verify_anew(verifier, token, now).await?),
        };
        if is_revoked(&found) {
            return Err(TokenError::Revoked);
        }
        if let Some(key) = key
            && !is_hit
        {
            self.shard(&key).push(key, Arc::clone(&found));
        }
        Ok(found)
    }

    /// How many tokens are remembered, those included that have expired and were not shown since.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shards.iter().map(|shard| unpoisoned(shard).len()).sum()
    }

    /// How many times a token was remembered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many times a token had to be verified.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn recall(&self, key: &Key, verifier: &JwtVerifier, now: Now) -> Option<Arc<Token>> {
        let found = Arc::clone(self.shard(key).get(key)?);
        if verifier.stands_by(&found, now) {
            return Some(found);
        }
        // It may stand under another snapshot for a moment yet; then it is verified there again.
        self.shard(key).pop(key);
        None
    }

    async fn verify_anew(
        &self,
        verifier: &JwtVerifier,
        token: &[u8],
        now: Now,
    ) -> Result<Token, TokenError> {
        let presented = verifier.read(token)?;
        let first = presented.verify(now);
        let (Err(TokenError::UnknownKey | TokenError::KeysUnavailable), Some(live)) =
            (&first, presented.key_set())
        else {
            return first;
        };
        self.key_sets.refetch(live, now).await;
        presented.verify(now)
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is below SHARDS")]
    fn shard(&self, key: &Key) -> MutexGuard<'_, LruCache<Key, Arc<Token>>> {
        let [first, ..] = key;
        unpoisoned(&self.shards[usize::from(*first) % SHARDS])
    }
}

/// A shard is consistent between any two statements that could panic.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
