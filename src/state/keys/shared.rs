//! What may processes tell each other of a key that one of them has proved?

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::auth::{KeyRecord, scopes};

/// A key that matched the slow hash of its row, as it is remembered. Nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedKey {
    /// What the row says of the key.
    pub record: KeyRecord,
    /// The row's id, exactly as the database writes it.
    pub row_id: Box<str>,
    /// SHA-256 of the row's slow hash: another hash means another key.
    pub fingerprint: [u8; 32],
    /// Until which Unix second this may be relied on without asking the database.
    pub until: i64,
}

/// A memory of proved keys that several processes share. Keys are told apart by
/// [`apikey::hash::peppered_digest`]. Neither call may take long or fail: a memory that cannot be
/// reached knows nothing.
#[async_trait]
pub trait SharedKeyMemory: Send + Sync {
    /// What another process has remembered of a key.
    async fn get(&self, digest: &[u8; 32]) -> Option<RememberedKey>;

    /// Remembers a key for the other processes.
    async fn put(&self, digest: &[u8; 32], key: &RememberedKey, ttl: Duration);
}

/// Shares nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSharedMemory;

#[async_trait]
impl SharedKeyMemory for NoSharedMemory {
    async fn get(&self, _digest: &[u8; 32]) -> Option<RememberedKey> {
        None
    }

    async fn put(&self, _digest: &[u8; 32], _key: &RememberedKey, _ttl: Duration) {}
}

/// How a key is written for others.
#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    name: String,
    user: Option<String>,
    scope: String,
    expires_at: Option<i64>,
    row_id: String,
    fingerprint: String,
    until: i64,
}

impl RememberedKey {
    /// The text that a shared memory keeps; none in the case, which cannot occur, that it has
    /// none.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        let record = &self.record;
        let written = Written {
            id: record.id.to_string(),
            name: record.name.to_string(),
            user: record.user.as_deref().map(str::to_owned),
            scope: record.scopes.join(","),
            expires_at: record.expires_at,
            row_id: self.row_id.to_string(),
            fingerprint: hex::encode(self.fingerprint),
            until: self.until,
        };
        serde_json::to_string(&written).ok()
    }

    /// Reads what [`Self::to_json`] wrote; none for any other text.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        let mut fingerprint = [0; 32];
        hex::decode_to_slice(&written.fingerprint, &mut fingerprint).ok()?;
        Some(Self {
            record: KeyRecord {
                id: written.id.into(),
                name: written.name.into(),
                user: written.user.map(Arc::from),
                scopes: scopes(&written.scope),
                expires_at: written.expires_at,
                // Only keys that hold are shared.
                revoked: false,
                owner_active: true,
            },
            row_id: written.row_id.into(),
            fingerprint,
            until: written.until,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let key = RememberedKey {
            record: KeyRecord {
                id: "k".into(),
                name: "a \"name\"".into(),
                user: Some("1".into()),
                scopes: scopes("read,write"),
                expires_at: Some(5),
                revoked: false,
                owner_active: true,
            },
            row_id: "0af3".into(),
            fingerprint: [7; 32],
            until: 600,
        };
        assert_eq!(RememberedKey::from_json(&key.to_json().unwrap()), Some(key));
        for text in ["", "{}", "[1]", "null"] {
            assert_eq!(RememberedKey::from_json(text), None, "{text}");
        }
    }
}
