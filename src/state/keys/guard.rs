//! What does a wrong key cost the one who sends it?
//!
//! Every key that does not hold keeps one token of its client. Whoever causes work, a question to
//! the database or a slow hash, hands the token over before it is done; whoever is answered from
//! memory hands it over afterwards. So a flood of wrong keys is stopped before it buys hash time,
//! and keys that hold cost nothing.

use std::time::Duration;

use apikey::pool::Flow;

use crate::auth::KeyError;

/// One client's allowance of failures, for example so many in a minute from one address.
pub trait FailureGuard: Send + Sync {
    /// What a token is while it is not known whether it will be kept.
    type Token: FailureToken;

    /// Takes one token.
    ///
    /// # Errors
    ///
    /// How long until there is one, when the client has used up its failures.
    fn reserve(&self) -> impl Future<Output = Result<Self::Token, Duration>> + Send;

    /// Who the client is: keys of different clients take turns where they wait for their hash.
    fn flow(&self) -> Flow;
}

/// A token that was taken. Dropped, it stays taken.
pub trait FailureToken: Send + 'static {
    /// Gives the token back: nothing failed.
    fn give_back(self) -> impl Future<Output = ()> + Send;
}

/// Never refuses: for callers that are limited in another way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unguarded;

impl FailureGuard for Unguarded {
    type Token = ();

    async fn reserve(&self) -> Result<(), Duration> {
        Ok(())
    }

    fn flow(&self) -> Flow {
        0
    }
}

impl FailureToken for () {
    async fn give_back(self) {}
}

/// Charges a failure that nothing was taken for yet; gives the error to answer with.
pub(super) async fn charge<G: FailureGuard>(guard: &G, error: KeyError) -> KeyError {
    if !error.is_clients_fault() {
        return error;
    }
    match guard.reserve().await {
        Ok(kept) => {
            drop(kept);
            error
        }
        Err(retry_after) => KeyError::TooManyFailures { retry_after },
    }
}
