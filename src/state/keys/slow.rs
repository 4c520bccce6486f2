//! Does a key that costs a slow hash hold, and does it still?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apikey::directory::{Directory, DirectoryError, REST, ROWS_MAX};
use apikey::flight::{Boarding, Flights, Lead};
use apikey::form::KeyHint;
use apikey::hash::{Pepper, SlowHash, peppered_digest};
use apikey::pool::{Flow, HashPool};

use super::guard::{FailureGuard, FailureToken, charge};
use super::memory::{Doubt, Known, Memory};
use super::mysql::KeyRow;
use super::shared::SharedKeyMemory;
use crate::auth::{KeyError, Principal};
use crate::clock::Now;

/// How often a caller whose leader was lost tries again.
const BOARDINGS_MAX: usize = 16;
/// When it is worth coming back where too many keys wait.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Keys of the operator's tables.
pub(super) struct SlowKeys {
    pub(super) directory: Directory,
    pub(super) pool: HashPool,
    pub(super) memory: Memory,
    pub(super) flights: Arc<Flights<Known>>,
    pub(super) shared: Arc<dyn SharedKeyMemory>,
    pub(super) pepper: Pepper,
    /// How long a key that holds is relied on.
    pub(super) kept: Duration,
    /// Whether a row with an unusable hash was told of.
    pub(super) told: AtomicBool,
}

impl SlowKeys {
    /// The caller, when its key is remembered as one that holds. Never waits.
    pub(super) fn remembered(&self, key: &[u8], now: Now) -> Option<Principal> {
        let found = self.memory.right(&self.memory.tag(key), now)?;
        found.record.principal(now).ok()
    }

    /// Finds out who is calling. Failures are charged to `guard`.
    pub(super) async fn verify<G: FailureGuard>(
        self: &Arc<Self>,
        key: &[u8],
        guard: &G,
        now: Now,
    ) -> Result<Principal, KeyError> {
        let tag = self.memory.tag(key);
        for _ in 0..BOARDINGS_MAX {
            if let Some(known) = self.memory.known(&tag, now) {
                return judge(known, guard, now).await;
            }
            let passenger = match self.flights.board(tag, guard.flow()) {
                Boarding::Full => {
                    self.pool.refuse();
                    return Err(busy());
                }
                Boarding::Join(passenger) => passenger,
                Boarding::Lead(lead) => {
                    // The flight before this one may have landed between the two looks.
                    if let Some(known) = self.memory.known(&tag, now) {
                        lead.land(known.clone());
                        return judge(known, guard, now).await;
                    }
                    let token = guard.reserve().await;
                    let token =
                        token.map_err(|retry_after| KeyError::TooManyFailures { retry_after })?;
                    let passenger = lead.passenger();
                    // On its own, so that it goes on for the others when this caller leaves.
                    tokio::spawn(Arc::clone(self).fly(lead, token, key.into(), now));
                    let found = passenger.outcome().await.unwrap_or(Err(busy()));
                    return found.and_then(|key| key.record.principal(now));
                }
            };
            if let Some(known) = passenger.outcome().await {
                return judge(known, guard, now).await;
            }
        }
        Err(busy())
    }

    /// Asks the tables again about everything that is remembered, and forgets what no longer
    /// holds; gives the number of keys that were forgotten.
    pub(super) async fn recheck(&self, now: Now) -> Result<usize, DirectoryError> {
        let mut forgotten = 0;
        for doubts in self.memory.doubts(now).chunks(ROWS_MAX) {
            let row_ids: Vec<&str> = doubts.iter().map(|doubt| &*doubt.key.row_id).collect();
            let rows = self.directory.rows(&row_ids, now.instant).await?;
            let rows: Vec<KeyRow> = rows.into_iter().map(KeyRow::from).collect();
            let rows: HashMap<&str, &KeyRow> = rows.iter().map(|row| (&*row.row_id, row)).collect();
            for doubt in doubts {
                forgotten += usize::from(self.reconsider(doubt, &rows, now));
            }
        }
        Ok(forgotten)
    }

    fn reconsider(&self, doubt: &Doubt, rows: &HashMap<&str, &KeyRow>, now: Now) -> bool {
        let row = rows.get(&*doubt.key.row_id);
        let still = row.filter(|row| {
            row.fingerprint == doubt.key.fingerprint && row.record.principal(now).is_ok()
        });
        let Some(row) = still else {
            tracing::info!(key = %doubt.key.record.id, "remembered key forgotten");
            return self.memory.forget(doubt);
        };
        self.memory.confirm(doubt, row.remembered(doubt.key.until), now);
        false
    }

    async fn fly<T: FailureToken>(
        self: Arc<Self>,
        lead: Lead<Known>,
        token: T,
        key: Box<[u8]>,
        now: Now,
    ) {
        let found = self.prove(&key, lead.flow(), now).await;
        self.memory.remember(lead.tag(), &found, now);
        // Before anybody is answered: who comes back at once must find its token again.
        if !found.as_ref().is_err_and(KeyError::is_clients_fault) {
            token.give_back().await;
        }
        lead.land(found);
    }

    async fn prove(&self, key: &[u8], flow: Flow, now: Now) -> Known {
        let Some(hint) = KeyHint::of(key) else { return Err(KeyError::Unknown) };
        let digest = peppered_digest(&self.pepper, key);
        let shared = self.shared.get(&digest).await;
        let shared = shared.filter(|shared| shared.until > now.unix_seconds());
        let Ok(rows) = self.directory.candidates(hint, now.instant).await else {
            // What another process has proved saves a hash, and no look at the row: it may have
            // been revoked since.
            return Err(KeyError::Unavailable { retry_after: REST });
        };
        let mut refused = KeyError::Unknown;
        for row in rows.into_iter().map(KeyRow::from) {
            // A withdrawn key is refused whatever it hashes to.
            if let Err(error) = row.record.check(now) {
                refused = error;
                continue;
            }
            let is_shared = shared.as_ref().is_some_and(|shared| {
                shared.row_id == row.row_id && shared.fingerprint == row.fingerprint
            });
            if !is_shared && !self.hash(&row, key, flow).await? {
                continue;
            }
            row.record.principal(now)?;
            let kept = i64::try_from(self.kept.as_secs()).unwrap_or(i64::MAX);
            let proved = row.remembered(now.unix_seconds().saturating_add(kept));
            if !is_shared {
                self.shared.put(&digest, &proved, self.kept).await;
            }
            return Ok(Arc::new(proved));
        }
        Err(refused)
    }

    async fn hash(&self, row: &KeyRow, key: &[u8], flow: Flow) -> Result<bool, KeyError> {
        let hash = match SlowHash::parse(&row.hash) {
            Ok(hash) => hash,
            Err(error) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(key = %row.record.id, %error, "stored key hash is unusable");
                }
                return Ok(false);
            }
        };
        let (pepper, key) = (self.pepper.clone(), Box::<[u8]>::from(key));
        let hash = move || hash.matches(&pepper, &key);
        let outcome = self.pool.run(flow, hash).map_err(|_| busy())?;
        outcome.await.map_err(|_| busy())
    }
}

/// Answers from what is known, and charges a failure to the one who presents the key again.
async fn judge<G: FailureGuard>(known: Known, guard: &G, now: Now) -> Result<Principal, KeyError> {
    match known.and_then(|key| key.record.principal(now)) {
        Ok(principal) => Ok(principal),
        Err(error) => Err(charge(guard, error).await),
    }
}

fn busy() -> KeyError {
    KeyError::Busy { retry_after: BUSY_RETRY }
}
