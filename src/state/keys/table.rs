//! Whose key is this, of those in the key file: a table that is built once and then only read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::store::StoredKey;
use crate::auth::{KeyDigest, KeyError, KeyRecord, Principal, scopes};
use crate::clock::Now;

/// How long the file may lag behind the last use of a key, in seconds.
const LAG_MAX_S: i64 = 300;

/// The keys of the file at one moment.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    secrets: HashMap<KeyDigest, Secret>,
    keys: HashMap<String, Arc<Usage>>,
}

#[derive(Debug)]
struct Secret {
    record: Arc<KeyRecord>,
    valid_until: Option<i64>,
    usage: Arc<Usage>,
}

/// When a key was last used, in Unix seconds: as it was seen, and as the file has it. One for each
/// key of the file, so these are bounded as the keys are.
#[derive(Debug, Default)]
struct Usage {
    seen: AtomicI64,
    written: AtomicI64,
}

impl KeyTable {
    /// Builds the table. What is known of the last uses is taken over from the table before it.
    pub(super) fn new(stored: Vec<StoredKey>, before: &Self) -> Self {
        let mut table = Self::default();
        let mut record: Option<Arc<KeyRecord>> = None;
        for key in stored {
            let Ok(digest) = <[u8; 32]>::try_from(key.digest.as_slice()) else { continue };
            let usage = table.keys.entry(key.id.clone()).or_insert_with(|| {
                let usage = before.keys.get(&key.id).cloned().unwrap_or_default();
                usage.written.fetch_max(key.last_used_at.unwrap_or(0), Ordering::Relaxed);
                usage
            });
            // Rows of one key follow each other, so they can share one record.
            let shared = match record.take() {
                Some(shared) if *shared.id == *key.id => shared,
                _ => Arc::new(KeyRecord {
                    id: key.id.into(),
                    name: key.name.into(),
                    user: key.user.map(Arc::from),
                    scopes: scopes(&key.scope),
                    expires_at: key.expires_at,
                    revoked: key.revoked_at.is_some(),
                    owner_active: true,
                }),
            };
            record = Some(Arc::clone(&shared));
            let (valid_until, usage) = (key.valid_until, Arc::clone(usage));
            let secret = Secret { record: shared, valid_until, usage };
            table.secrets.insert(KeyDigest::from_bytes(digest), secret);
        }
        table
    }

    /// Looks up one key, and notes that it was used.
    pub(super) fn verify(&self, digest: &KeyDigest, now: Now) -> Result<Principal, KeyError> {
        let secret = self.secrets.get(digest).ok_or(KeyError::Unknown)?;
        let principal = secret.record.principal(now)?;
        let at = now.unix_seconds();
        if secret.valid_until.is_some_and(|until| at >= until) {
            return Err(KeyError::Expired { id: secret.record.id.to_string() });
        }
        // Most calls find the second noted already, and then write to no shared memory.
        if secret.usage.seen.load(Ordering::Relaxed) < at {
            secret.usage.seen.fetch_max(at, Ordering::Relaxed);
        }
        Ok(principal)
    }

    /// The keys whose last use the file does not know: those that lag too far behind, or `all`.
    pub(super) fn unwritten(&self, all: bool) -> Vec<(String, i64)> {
        let mut unwritten = Vec::new();
        for (id, usage) in &self.keys {
            let (seen, written) =
                (usage.seen.load(Ordering::Relaxed), usage.written.load(Ordering::Relaxed));
            if seen > written && (all || seen - written >= LAG_MAX_S) {
                unwritten.push((id.clone(), seen));
            }
        }
        unwritten
    }

    /// Notes what the file knows now.
    pub(super) fn written(&self, used: &[(String, i64)]) {
        for (id, at) in used {
            if let Some(usage) = self.keys.get(id) {
                usage.written.fetch_max(*at, Ordering::Relaxed);
            }
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}
