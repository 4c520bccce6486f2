//! What is known of a token once it holds?

use std::sync::Arc;

use super::super::principal::Principal;
use super::fingerprint::Fingerprint;
use crate::clock::Now;

/// A token that was verified: what it says, until when that holds, and on whose word.
///
/// Whatever a token is told apart by (revoked, counted, remembered for long) must be something in
/// here. Its text is no name for it: an ECDSA signature has a twin that holds as well.
#[derive(Clone, Debug)]
pub struct Token {
    /// For whom it speaks.
    pub principal: Principal,
    /// The `iss`.
    pub issuer: Option<Arc<str>>,
    /// The `jti`: unique for its issuer, where that keeps its promise.
    pub jti: Option<Arc<str>>,
    /// The `sub`.
    pub subject: Option<Arc<str>>,
    /// The `user_id`, a number as its digits.
    pub user_id: Option<Arc<str>>,
    /// The `client_id`.
    pub client: Option<Arc<str>>,
    /// The `scope` as it stands, perhaps empty; `None` where it is absent or `null`.
    pub scope: Option<Arc<str>>,
    /// The `iat`, in whole seconds since 1970.
    pub issued_at: Option<i64>,
    /// The `nbf`, in whole seconds since 1970.
    pub not_before: Option<i64>,
    /// The `exp`, in whole seconds since 1970, without leeway.
    pub expires_at: i64,
    pub(super) proof: Proof,
}

/// On whose word a token holds: under which rule and by which key, and for which time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    pub(super) rule: Fingerprint,
    pub(super) key: Fingerprint,
    pub(super) leeway_seconds: i64,
}

impl Token {
    /// Whether the token says what it may do, by a `scope` that is not `null`.
    #[must_use]
    pub fn has_scope_claim(&self) -> bool {
        self.scope.is_some()
    }

    /// The first second in which it does not hold any more: its `exp`, and the leeway.
    #[must_use]
    pub fn valid_until(&self) -> i64 {
        self.expires_at.saturating_add(self.proof.leeway_seconds)
    }

    /// Whether its times hold. The beginning is asked too, because a clock can be set back.
    #[must_use]
    pub fn holds_at(&self, now: Now) -> bool {
        let now = now.unix_seconds();
        let latest = now.saturating_add(self.proof.leeway_seconds);
        let has_begun = |at: Option<i64>| at.is_none_or(|at| at <= latest);
        now < self.valid_until() && has_begun(self.issued_at) && has_begun(self.not_before)
    }
}
