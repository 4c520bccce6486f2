//! Was this nonce used before: a bounded memory that answers once, for all threads.
//!
//! An entry is a hash of client and nonce, so each takes the same room whatever was sent. Nothing
//! is ever dropped early: a memory that is full refuses, because a nonce it cannot remember could
//! be replayed.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::clock::Now;

/// More parts than the machine has cores, so that threads rarely meet at one lock.
const SHARDS_MAX: usize = 16;
/// A smaller memory has fewer parts: hashes spread evenly over many entries only.
const SHARD_ENTRIES_MIN: usize = 1024;

/// A hash of client and nonce: what is remembered, and kept on disk, in place of both.
pub type NonceDigest = [u8; 32];

/// The nonce of a request whose signature holds, not spent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclaimedNonce {
    pub(super) client: Arc<str>,
    pub(super) nonce: Box<str>,
    pub(super) kept: Duration,
}

impl UnclaimedNonce {
    /// The nonce of a request whose signature the caller has verified; `kept` is for how long that
    /// signature could be used again.
    #[must_use]
    pub fn new(client: &str, nonce: &str, kept: Duration) -> Self {
        Self { client: client.into(), nonce: nonce.into(), kept }
    }

    /// The id of the client that made it.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// The nonce as it was sent.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// For how long it must be remembered.
    #[must_use]
    pub fn kept(&self) -> Duration {
        self.kept
    }

    /// The hash that stands for it. It is the same on every machine and in every version, because
    /// processes share it and a restart finds it again.
    #[must_use]
    pub fn digest(&self) -> NonceDigest {
        digest(&self.client, &self.nonce)
    }
}

/// Why a nonce cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// It was claimed before.
    #[error("the nonce was used before")]
    Replay,
    /// There is no room to remember it.
    #[error("the nonce memory is full")]
    Full {
        /// How long until there is room again.
        retry_after: Duration,
    },
    /// It cannot be made sure that it is remembered: what keeps the nonces cannot be reached or
    /// written.
    #[error("the nonces cannot be kept at the moment")]
    Unavailable {
        /// How long until another try is worth it.
        retry_after: Duration,
    },
}

/// The nonces that were used, for as long as a signature with one of them could still hold.
#[derive(Debug)]
pub struct NonceMemory {
    shards: Box<[Mutex<Shard>]>,
    shard_entries_max: usize,
}

/// One part of the memory. `by_expiry` is in the order of insertion; where a reload has changed
/// how long nonces are kept, an entry may wait behind one that is kept longer, never less long.
#[derive(Debug, Default)]
struct Shard {
    seen: HashSet<NonceDigest>,
    by_expiry: VecDeque<(Instant, NonceDigest)>,
}

impl NonceMemory {
    /// A memory of at most `entries_max` nonces. It is divided into parts that fill at random, so
    /// a large one may refuse a few percent earlier.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        let shards = (entries_max / SHARD_ENTRIES_MIN).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            shard_entries_max: entries_max / shards,
        }
    }

    /// Spends a nonce. Of all callers with the same one, exactly one gets `Ok`.
    ///
    /// # Errors
    ///
    /// [`NonceError::Replay`] when it was spent before, [`NonceError::Full`] when there is no room
    /// to remember it; the request must be refused in both cases.
    pub fn claim(&self, nonce: &UnclaimedNonce, now: Now) -> Result<(), NonceError> {
        let digest = nonce.digest();
        // There always is a shard; a full answer is the safe one if there were not.
        let Some(mut shard) = self.shard(&digest) else {
            return Err(NonceError::Full { retry_after: nonce.kept });
        };
        shard.forget_expired(now.instant);
        if shard.seen.contains(&digest) {
            return Err(NonceError::Replay);
        }
        if shard.seen.len() >= self.shard_entries_max {
            let oldest = shard.by_expiry.front();
            let retry_after = oldest
                .map_or(nonce.kept, |(expiry, _)| expiry.saturating_duration_since(now.instant));
            return Err(NonceError::Full { retry_after });
        }
        shard.seen.insert(digest);
        shard.by_expiry.push_back((now.instant + nonce.kept, digest));
        Ok(())
    }

    /// Remembers a nonce that was claimed before a restart, even where there is no room: what is
    /// not remembered could be replayed. Call it in the order of expiry.
    pub fn restore(&self, digest: NonceDigest, expiry: Instant) {
        let Some(mut shard) = self.shard(&digest) else { return };
        if shard.seen.insert(digest) {
            shard.by_expiry.push_back((expiry, digest));
        }
    }

    /// Forgets a nonce that was just claimed, because the request is refused for another reason
    /// and may be made again.
    pub fn release(&self, digest: &NonceDigest) {
        let Some(mut shard) = self.shard(digest) else { return };
        shard.seen.remove(digest);
        // Both must go: an entry that is left would end the life of a later claim too early.
        if let Some(index) = shard.by_expiry.iter().rposition(|(_, kept)| kept == digest) {
            shard.by_expiry.remove(index);
        }
    }

    /// How many nonces are remembered, counting those that are due to be forgotten.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).seen.len())
            .sum()
    }

    /// A panic while the lock is held can at worst leave an entry that is never forgotten.
    fn shard(&self, digest: &NonceDigest) -> Option<MutexGuard<'_, Shard>> {
        let part = usize::from(digest[0]) % self.shards.len();
        self.shards.get(part).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn forget_expired(&mut self, now: Instant) {
        while let Some((_, digest)) = self.by_expiry.pop_front_if(|(expiry, _)| *expiry <= now) {
            self.seen.remove(&digest);
        }
    }
}

/// The client's length goes in first, so that no other pair runs together to the same bytes.
fn digest(client: &str, nonce: &str) -> NonceDigest {
    let mut hash = Sha256::new();
    hash.update((client.len() as u64).to_le_bytes());
    hash.update(client);
    hash.update(nonce);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const KEPT: Duration = Duration::from_secs(660);

    fn nonce(client: &str, nonce: &str) -> UnclaimedNonce {
        UnclaimedNonce { client: client.into(), nonce: nonce.into(), kept: KEPT }
    }

    #[test]
    fn a_nonce_is_spent_until_it_is_forgotten() {
        let memory = NonceMemory::new(8);
        let start = Now::read();
        assert_eq!(memory.claim(&nonce("a", "1"), start), Ok(()));
        let last = start.plus(KEPT - Duration::from_nanos(1));
        assert_eq!(memory.claim(&nonce("a", "1"), last), Err(NonceError::Replay));
        assert_eq!(memory.claim(&nonce("a", "1"), start.plus(KEPT)), Ok(()));
        assert_eq!(memory.entries(), 1);
    }

    #[test]
    fn clients_do_not_share_their_nonces() {
        let memory = NonceMemory::new(8);
        let now = Now::read();
        for (client, value) in [("a", "b1"), ("ab", "1"), ("a", "b"), ("", "ab1")] {
            assert_eq!(memory.claim(&nonce(client, value), now), Ok(()), "{client} {value}");
        }
    }

    #[test]
    fn a_full_memory_refuses_and_says_when_to_return() {
        let memory = NonceMemory::new(2);
        let start = Now::read();
        let later = start.plus(Duration::from_secs(60));
        assert_eq!(memory.claim(&nonce("a", "1"), start), Ok(()));
        assert_eq!(memory.claim(&nonce("a", "2"), later), Ok(()));
        let full = NonceError::Full { retry_after: Duration::from_secs(600) };
        assert_eq!(memory.claim(&nonce("a", "3"), later), Err(full));
        assert_eq!(memory.claim(&nonce("a", "1"), later), Err(NonceError::Replay));
        assert_eq!(memory.claim(&nonce("a", "3"), start.plus(KEPT)), Ok(()));
    }

    #[test]
    fn a_large_memory_is_never_larger_than_its_bound() {
        let memory = NonceMemory::new(20_000);
        let now = Now::read();
        let accepted =
            (0..25_000).filter(|i| memory.claim(&nonce("a", &i.to_string()), now).is_ok()).count();
        assert_eq!(memory.entries(), accepted);
        assert!((19_000..=20_000).contains(&accepted), "{accepted}");
    }

    #[test]
    fn a_shorter_time_after_a_reload_forgets_nothing_early() {
        let memory = NonceMemory::new(8);
        let start = Now::read();
        let short = UnclaimedNonce { kept: Duration::from_secs(10), ..nonce("a", "2") };
        assert_eq!(memory.claim(&nonce("a", "1"), start), Ok(()));
        assert_eq!(memory.claim(&short, start), Ok(()));
        let at = start.plus(Duration::from_secs(20));
        assert_eq!(memory.claim(&nonce("a", "1"), at), Err(NonceError::Replay));
        assert_eq!(memory.claim(&nonce("a", "2"), at), Err(NonceError::Replay));
    }

    #[test]
    fn restored_nonces_count_although_there_is_no_room() {
        let memory = NonceMemory::new(1);
        let now = Now::read();
        for value in ["1", "2"] {
            memory.restore(nonce("a", value).digest(), now.plus(KEPT).instant);
        }
        assert_eq!(memory.claim(&nonce("a", "2"), now), Err(NonceError::Replay));
        assert!(matches!(memory.claim(&nonce("a", "3"), now), Err(NonceError::Full { .. })));
        assert_eq!(memory.claim(&nonce("a", "3"), now.plus(KEPT)), Ok(()));
    }

    #[test]
    fn released_nonce_can_be_claimed_for_its_whole_time() {
        let memory = NonceMemory::new(8);
        let start = Now::read();
        assert_eq!(memory.claim(&nonce("a", "1"), start), Ok(()));
        memory.release(&nonce("a", "1").digest());
        let later = start.plus(Duration::from_secs(60));
        assert_eq!(memory.claim(&nonce("a", "1"), later), Ok(()));
        assert_eq!(memory.claim(&nonce("a", "1"), start.plus(KEPT)), Err(NonceError::Replay));
    }

    #[test]
    fn of_many_threads_with_one_nonce_exactly_one_wins() {
        let memory = NonceMemory::new(100_000);
        let now = Now::read();
        let wins: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500)
                            .filter(|i| memory.claim(&nonce("a", &i.to_string()), now).is_ok())
                            .count()
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
        });
        assert_eq!(wins, 500);
    }
}
