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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use std::time::Duration;

    use futures::future::{join, join_all};
    use harness::{Answer, Origin};
    use serde_json::json;

    use super::super::key_sets::fixture::{
        TIME, jwks, now, seconds_later, token, token_with, verifier,
    };
    use super::*;
    use crate::auth::{KeySet, KeySetSource, LiveKeySet, RemoteKeySet};

    fn live(kids: &[&str]) -> Arc<LiveKeySet> {
        let live = LiveKeySet::new();
        live.publish(KeySet::parse(jwks(kids).as_bytes()).unwrap());
        Arc::new(live)
    }

    fn memory(tokens_max: usize) -> Tokens {
        Tokens::new(NonZeroUsize::new(tokens_max).unwrap(), Arc::new(KeySets::new()))
    }

    fn nobody(_: &Token) -> bool {
        false
    }

    fn counts(tokens: &Tokens) -> (u64, u64, usize) {
        (tokens.hits(), tokens.misses(), tokens.entries())
    }

    #[tokio::test]
    async fn a_verified_token_is_remembered() {
        let (tokens, verifier) = (memory(100), verifier(&live(&["a"])));
        let token = token("a");
        for _ in 0..3 {
            let found = tokens.verify(&verifier, token.as_bytes(), now(), nobody).await.unwrap();
            assert_eq!(found.principal.quota_key(), "jwt:42");
        }
        assert_eq!(counts(&tokens), (2, 1, 1));
        let copy = tokens.verify(&verifier, token.as_bytes(), now(), nobody).await.unwrap();
        let same = tokens.verify(&verifier, token.as_bytes(), now(), nobody).await.unwrap();
        assert!(Arc::ptr_eq(&copy, &same), "no claim is read again");
    }

    #[tokio::test]
    async fn what_does_not_hold_is_never_remembered() {
        let (tokens, verifier) = (memory(100), verifier(&live(&["a"])));
        let expired = token_with("a", &json!({ "sub": "42", "exp": TIME }));
        for bad in [expired.as_str(), "a.b.c", "", &token("a")[1..], &"A".repeat(9_000)] {
            for _ in 0..2 {
                let outcome = tokens.verify(&verifier, bad.as_bytes(), now(), nobody).await;
                assert!(outcome.is_err(), "{bad}");
            }
        }
        assert_eq!(counts(&tokens), (0, 10, 0));
    }

    #[tokio::test]
    async fn a_long_token_is_verified_each_time() {
        let (tokens, verifier) = (memory(100), verifier(&live(&["a"])));
        let padding = "p".repeat(REMEMBERED_BYTES_MAX);
        let long = token_with("a", &json!({ "sub": "42", "exp": TIME + 1, "padding": padding }));
        for _ in 0..2 {
            assert!(tokens.verify(&verifier, long.as_bytes(), now(), nobody).await.is_ok());
        }
        assert_eq!(counts(&tokens), (0, 2, 0));
    }

    #[tokio::test]
    async fn a_remembered_token_expires_to_the_second() {
        let (tokens, verifier) = (memory(100), verifier(&live(&["a"])));
        let token = token("a");
        for (seconds, outcome) in [
            (0, Ok(())),
            (299, Ok(())),
            (300, Err(TokenError::Expired)),
            (301, Err(TokenError::Expired)),
        ] {
            let now = seconds_later(seconds);
            let found = tokens.verify(&verifier, token.as_bytes(), now, nobody).await.map(drop);
            assert_eq!(found, outcome, "after {seconds} s");
        }
        assert_eq!(counts(&tokens), (1, 3, 0), "it was forgotten");
    }

    #[tokio::test]
    async fn a_revoked_token_is_refused_at_once_and_again() {
        let (tokens, verifier) = (memory(100), verifier(&live(&["a"])));
        let token = token("a");
        let revoked = |token: &Token| token.jti.as_deref() == Some("one");
        let verify = |is_revoked: fn(&Token) -> bool| {
            tokens.verify(&verifier, token.as_bytes(), now(), is_revoked)
        };
        assert_eq!(verify(revoked).await.unwrap_err(), TokenError::Revoked);
        assert_eq!(tokens.entries(), 0, "on a miss it is not remembered");
        assert!(verify(nobody).await.is_ok());
        assert_eq!(verify(revoked).await.unwrap_err(), TokenError::Revoked);
        assert_eq!(counts(&tokens), (1, 2, 1));
    }

    #[tokio::test]
    async fn a_remembered_token_dies_with_its_key() {
        let (tokens, live) = (memory(100), live(&["a", "b"]));
        let verifier = verifier(&live);
        let (gone, kept) = (token("a"), token("b"));
        for token in [&gone, &kept] {
            assert!(tokens.verify(&verifier, token.as_bytes(), now(), nobody).await.is_ok());
        }
        live.publish(KeySet::parse(jwks(&["b", "c"]).as_bytes()).unwrap());
        let refused = tokens.verify(&verifier, gone.as_bytes(), now(), nobody).await.unwrap_err();
        assert_eq!(refused, TokenError::UnknownKey);
        assert!(tokens.verify(&verifier, kept.as_bytes(), now(), nobody).await.is_ok());
        assert_eq!(counts(&tokens), (1, 3, 1));
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let (tokens, verifier) = (memory(32), verifier(&live(&["a"])));
        for user in 0..80 {
            let token = token_with("a", &json!({ "sub": user.to_string(), "exp": TIME + 1 }));
            assert!(tokens.verify(&verifier, token.as_bytes(), now(), nobody).await.is_ok());
        }
        assert!(tokens.entries() <= 32, "{}", tokens.entries());
    }

    const PATH: &str = "/jwks";

    /// A server with a set of keys, a memory of tokens that asks it, and its verifier.
    async fn published(answers: Vec<Answer>) -> (Origin, Tokens, JwtVerifier) {
        let origin = Origin::start().await;
        origin.script(PATH, answers);
        let url = format!("http://{}{PATH}", origin.address());
        let timeout = Duration::from_secs(20);
        let sets = Arc::new(KeySets::new());
        let live = sets.key_set(&RemoteKeySet { timeout, ..RemoteKeySet::at(url) }).unwrap();
        let tokens = Tokens::new(NonZeroUsize::new(100).unwrap(), sets);
        (origin, tokens, verifier(&live))
    }

    #[tokio::test]
    async fn all_who_wait_for_an_unknown_key_share_one_fetch() {
        let answers = vec![Answer::json(jwks(&["a"])), Answer::json(jwks(&["a", "b"])).hold()];
        let (origin, tokens, verifier) = published(answers).await;
        let (old, new) = (token("a"), token("b"));
        assert!(tokens.verify(&verifier, old.as_bytes(), now(), nobody).await.is_ok());
        assert_eq!(origin.calls(PATH), 1);

        let later = seconds_later(30);
        let waiting = (0..50).map(|_| tokens.verify(&verifier, new.as_bytes(), later, nobody));
        let released = async {
            origin.wait_for_calls(PATH, 2).await;
            // A token whose key is known does not wait with the others.
            assert!(tokens.verify(&verifier, old.as_bytes(), later, nobody).await.is_ok());
            origin.release(PATH);
        };
        let (found, ()) = join(join_all(waiting), released).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!((origin.calls(PATH), found.len()), (2, 50));
    }

    #[tokio::test]
    async fn a_key_that_stays_unknown_is_fetched_once_in_a_cooldown() {
        let (origin, tokens, verifier) = published(vec![Answer::json(jwks(&["a"]))]).await;
        let start = now();
        for (seconds, calls) in [(0, 1), (1, 1), (29, 1), (30, 2), (31, 2)] {
            let now = start.plus(Duration::from_secs(seconds));
            for kid in ["x", "../a", ""] {
                let token = token(kid);
                let outcome = tokens.verify(&verifier, token.as_bytes(), now, nobody).await;
                assert_eq!(outcome.unwrap_err(), TokenError::UnknownKey, "{kid}");
            }
            assert_eq!(origin.calls(PATH), calls, "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn without_any_keys_nothing_can_be_said() {
        let answers = vec![Answer::status(503), Answer::reset(), Answer::json(jwks(&["a"]))];
        let (origin, tokens, verifier) = published(answers).await;
        let token = token("a");
        let start = now();
        // 1 s after the first failure and 2 s after the second one it is tried again.
        for (millis, calls, holds) in
            [(0, 1, false), (999, 1, false), (1_000, 2, false), (2_999, 2, false), (3_000, 3, true)]
        {
            let now = start.plus(Duration::from_millis(millis));
            let outcome = tokens.verify(&verifier, token.as_bytes(), now, nobody).await.map(drop);
            let wanted = if holds { Ok(()) } else { Err(TokenError::KeysUnavailable) };
            assert_eq!((outcome, origin.calls(PATH)), (wanted, calls), "after {millis} ms");
        }
    }

    #[tokio::test]
    async fn keys_of_a_server_that_fails_serve_on() {
        let answers = vec![Answer::json(jwks(&["a"])), Answer::status(500)];
        let (origin, tokens, verifier) = published(answers).await;
        assert!(tokens.verify(&verifier, token("a").as_bytes(), now(), nobody).await.is_ok());
        let later = seconds_later(60);
        let unknown = tokens.verify(&verifier, token("b").as_bytes(), later, nobody).await;
        assert_eq!((unknown.unwrap_err(), origin.calls(PATH)), (TokenError::UnknownKey, 2));
        let fresh = token_with("a", &json!({ "sub": "7", "exp": TIME + 90 }));
        assert!(tokens.verify(&verifier, fresh.as_bytes(), later, nobody).await.is_ok());
    }
}
