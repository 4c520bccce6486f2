//! What does a row of the operator's tables mean to the gateway?

use std::sync::Arc;

use apikey::directory;

use super::shared::RememberedKey;
use crate::auth::{KeyRecord, scopes};

/// One key, as the tables have it.
pub(super) struct KeyRow {
    pub(super) record: KeyRecord,
    pub(super) row_id: Box<str>,
    pub(super) hash: Box<str>,
    pub(super) fingerprint: [u8; 32],
}

impl KeyRow {
    /// What is remembered of the key once it is proved.
    pub(super) fn remembered(&self, until: i64) -> RememberedKey {
        let (record, row_id) = (self.record.clone(), self.row_id.clone());
        RememberedKey { record, row_id, fingerprint: self.fingerprint, until }
    }
}

impl From<directory::KeyRow> for KeyRow {
    fn from(row: directory::KeyRow) -> Self {
        let record = KeyRecord {
            id: row.id.into(),
            name: row.name.into(),
            user: row.user.map(Arc::from),
            scopes: scopes(&row.scope),
            expires_at: row.expires_at,
            revoked: row.is_revoked,
            owner_active: row.is_owner_active,
        };
        Self { record, row_id: row.row_id, hash: row.hash, fingerprint: row.fingerprint }
    }
}
