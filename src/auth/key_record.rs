//! What is known of one API key, and may it be used now?

use std::sync::Arc;

use super::error::KeyError;
use super::principal::{Principal, Scheme, Scopes};
use crate::clock::Now;

/// One API key, wherever it is kept. It holds nothing from which the key could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The name that the key's calls are counted and logged by; a rotation leaves it as it is.
    pub id: Arc<str>,
    /// What the operator calls it.
    pub name: Arc<str>,
    /// The user it belongs to, where that is known.
    pub user: Option<Arc<str>>,
    /// What it may do.
    pub scopes: Scopes,
    /// From which Unix second on it no longer holds.
    pub expires_at: Option<i64>,
    /// Whether it was withdrawn.
    pub revoked: bool,
    /// Whether its user may still sign in; true where nobody keeps such a list.
    pub owner_active: bool,
}

impl KeyRecord {
    /// Whether the key itself still holds, whoever owns it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Revoked`] or [`KeyError::Expired`].
    pub fn check(&self, now: Now) -> Result<(), KeyError> {
        if self.revoked {
            return Err(KeyError::Revoked { id: self.id.to_string() });
        }
        if self.expires_at.is_some_and(|at| now.unix_seconds() >= at) {
            return Err(KeyError::Expired { id: self.id.to_string() });
        }
        Ok(())
    }

    /// Who is calling, when this key was presented.
    ///
    /// # Errors
    ///
    /// As [`Self::check`], and then [`KeyError::OwnerInactive`].
    pub fn principal(&self, now: Now) -> Result<Principal, KeyError> {
        self.check(now)?;
        if !self.owner_active {
            return Err(KeyError::OwnerInactive { id: self.id.to_string() });
        }
        Ok(Principal {
            scheme: Scheme::ApiKey,
            id: Arc::clone(&self.id),
            subject: self.user.clone(),
            scopes: Arc::clone(&self.scopes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::principal::scopes;
    use super::*;

    fn record() -> KeyRecord {
        KeyRecord {
            id: "k".into(),
            name: "script".into(),
            user: Some("7".into()),
            scopes: scopes("read"),
            expires_at: None,
            revoked: false,
            owner_active: true,
        }
    }

    #[test]
    fn a_key_speaks_for_its_user() {
        let caller = record().principal(Now::read());
        assert_eq!(caller.map(|caller| caller.subject), Ok(Some("7".into())));
    }

    #[test]
    fn a_withdrawn_key_says_nothing_of_its_owner() {
        let now = Now::read();
        let orphan = KeyRecord { owner_active: false, ..record() };
        assert_eq!(orphan.principal(now), Err(KeyError::OwnerInactive { id: "k".into() }));
        let revoked = KeyRecord { revoked: true, ..orphan.clone() };
        assert_eq!(revoked.principal(now), Err(KeyError::Revoked { id: "k".into() }));
        let expired = KeyRecord { expires_at: Some(1), ..orphan };
        assert_eq!(expired.principal(now), Err(KeyError::Expired { id: "k".into() }));
    }
}
