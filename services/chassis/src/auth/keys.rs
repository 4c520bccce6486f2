//! Does this API key hold, and what may that cost?
//!
//! A text that cannot be a key costs nothing. Else the key is looked for in memory; a cold one is
//! found out about once for all who present it. That asks the operator's tables, and then hashes
//! on threads of its own, of which there are few and for which few may wait. A key that was proved
//! before is read anew when its time is over and not hashed again while its row has the same hash.
//! Without the database keys in memory go on until their time is over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use apikey::directory::{Directory, DirectoryError, DirectoryOptions, KeyRow};
use apikey::flight::{Boarding, Flights, Lead, Tag};
use apikey::form::KeyHint;
use apikey::hash::{Pepper, SlowHash, peppered_digest};
use apikey::pool::{Flow, HashPool};

use super::memory::{Known, Memory, Proved};
use super::metrics::AuthMetrics;
use super::principal::{Principal, Scheme, scopes};
use super::settings::ApiKeySettings;
use crate::clock::Now;
use crate::metrics::InFlight;

pub(super) use super::memory::KeyFault;

/// How often a caller whose leader was lost tries again.
const BOARDINGS_MAX: usize = 16;

/// Whom keys are hashed for: behind the gateway all callers come from one address.
const FLOW: Flow = 0;

/// The keys of the operator's tables.
pub(super) struct Keys(Arc<Verifier>);

struct Verifier {
    directory: Directory,
    pool: HashPool,
    flights: Arc<Flights<Known>>,
    memory: Memory,
    pepper: Pepper,
    metrics: AuthMetrics,
    /// Whether a row with an unusable hash was told of.
    told: AtomicBool,
}

/// Why keys cannot be verified. Found at the start, never in a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Threads(#[from] io::Error),
}

impl Keys {
    /// Starts the threads that hash. A database that is down is no error: the first key asks it.
    pub(super) fn open(settings: &ApiKeySettings, metrics: AuthMetrics) -> Result<Self, KeysError> {
        let directory = Directory::new(&DirectoryOptions {
            url: settings.database_url.clone(),
            connections_max: settings.connections_max,
            timeout: settings.timeout,
        })?;
        let (threads, queue_max) = (settings.hashes_max, settings.hash_queue_max);
        Ok(Self(Arc::new(Verifier {
            directory,
            pool: HashPool::new(threads, queue_max)?,
            // Whoever leads a flight may need a hash.
            flights: Arc::new(Flights::new(threads.get().saturating_add(queue_max))),
            memory: Memory::new(settings.entries_max, settings.kept),
            pepper: settings.pepper.clone(),
            metrics,
            told: AtomicBool::new(false),
        })))
    }

    /// Finds out who presents a key.
    pub(super) async fn verify(&self, key: &[u8], now: Now) -> Result<Principal, KeyFault> {
        if KeyHint::of(key).is_none() {
            return Err(KeyFault::Form);
        }
        let verifier = &self.0;
        let tag = peppered_digest(&verifier.pepper, key);
        for _ in 0..BOARDINGS_MAX {
            if let Some(known) = verifier.memory.known(&tag, now) {
                return judge(known, now);
            }
            let passenger = match verifier.flights.board(tag, FLOW) {
                Boarding::Full => return Err(KeyFault::Busy),
                Boarding::Join(passenger) => passenger,
                Boarding::Lead(lead) => {
                    let passenger = lead.passenger();
                    // On its own, so that it goes on for the others when this caller leaves.
                    tokio::spawn(Arc::clone(verifier).fly(lead, key.into(), now));
                    passenger
                }
            };
            if let Some(known) = passenger.outcome().await {
                return judge(known, now);
            }
        }
        Err(KeyFault::Busy)
    }
}

impl Verifier {
    async fn fly(self: Arc<Self>, lead: Lead<Known>, key: Box<[u8]>, now: Now) {
        let tag = lead.tag();
        // The flight before this one may have landed between the look and the boarding.
        let found = match self.memory.known(&tag, now) {
            Some(known) => known,
            None => {
                let found = self.prove(&key, &tag, now).await;
                self.memory.remember(tag, &found, now);
                found
            }
        };
        lead.land(found);
    }

    async fn prove(&self, key: &[u8], tag: &Tag, now: Now) -> Known {
        let hint = KeyHint::of(key).ok_or(KeyFault::Form)?;
        let rows = self.directory.candidates(hint, now.instant).await;
        let rows = rows.map_err(|_told_where_it_is_asked| KeyFault::Unavailable)?;
        let proved = self.memory.proved(tag);
        let mut refused = KeyFault::Unknown;
        for row in rows {
            // A withdrawn key is refused whatever it hashes to.
            if let Some(fault) = fault_of(&row, now) {
                refused = fault;
                continue;
            }
            let is_proved = proved.as_ref().is_some_and(|proved| {
                proved.row_id == row.row_id && proved.fingerprint == row.fingerprint
            });
            if !is_proved && !self.hash(&row, key).await? {
                continue;
            }
            // A row without a user is one whose owner is not there.
            let user = row.user.filter(|_| row.is_owner_active).ok_or(KeyFault::OwnerInactive)?;
            let principal = Principal {
                scheme: Scheme::ApiKey,
                subject: user.into(),
                client_id: Some(row.id.into()),
                scopes: Some(scopes(&row.scope)),
            };
            let (row_id, fingerprint, expires_at) = (row.row_id, row.fingerprint, row.expires_at);
            return Ok(Arc::new(Proved { principal, row_id, fingerprint, expires_at }));
        }
        Err(refused)
    }

    async fn hash(&self, row: &KeyRow, key: &[u8]) -> Result<bool, KeyFault> {
        let hash = match SlowHash::parse(&row.hash) {
            Ok(hash) => hash,
            Err(error) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(key = %row.id, %error, "stored key hash is unusable");
                }
                return Ok(false);
            }
        };
        let (pepper, key) = (self.pepper.clone(), Box::<[u8]>::from(key));
        let in_flight = InFlight::enter(&self.metrics.hashes_in_flight);
        let seconds = self.metrics.hash_seconds.clone();
        let hash = move || {
            let (_in_flight, started) = (in_flight, Now::read());
            let matches = hash.matches(&pepper, &key);
            let took = Now::read().instant.saturating_duration_since(started.instant);
            seconds.observe(took.as_secs_f64());
            matches
        };
        let outcome = self.pool.run(FLOW, hash).map_err(|_full| KeyFault::Busy)?;
        outcome.await.map_err(|_lost| KeyFault::Busy)
    }
}

/// Why a row lets nobody in, whoever its owner is.
fn fault_of(row: &KeyRow, now: Now) -> Option<KeyFault> {
    if row.is_revoked {
        return Some(KeyFault::Revoked);
    }
    is_over(row.expires_at, now).then_some(KeyFault::Expired)
}

fn judge(known: Known, now: Now) -> Result<Principal, KeyFault> {
    let proved = known?;
    if is_over(proved.expires_at, now) {
        return Err(KeyFault::Expired);
    }
    Ok(proved.principal.clone())
}

fn is_over(expires_at: Option<i64>, now: Now) -> bool {
    expires_at.is_some_and(|at| now.unix_seconds() >= at)
}
