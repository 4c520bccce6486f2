//! Are keys verified, remembered and forgotten as they should be?
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod mysql;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::{FailureGuard, FailureToken, Flow, Keys};
use crate::auth::{KeyError, Principal};
use crate::clock::Now;

const RETRY: Duration = Duration::from_secs(30);

/// An allowance of failures that counts what was taken and kept.
#[derive(Clone, Debug)]
struct Allowance(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    left: AtomicI64,
    asked: AtomicI64,
    given_back: AtomicI64,
}

impl Allowance {
    fn of(failures: i64) -> Self {
        let (asked, given_back) = (AtomicI64::new(0), AtomicI64::new(0));
        Self(Arc::new(Counts { left: AtomicI64::new(failures), asked, given_back }))
    }

    /// How many tokens are left; how often one was asked for.
    fn state(&self) -> (i64, i64) {
        (self.0.left.load(Ordering::SeqCst), self.0.asked.load(Ordering::SeqCst))
    }
}

impl FailureGuard for Allowance {
    type Token = Allowance;

    async fn reserve(&self) -> Result<Allowance, Duration> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let taken = |left: i64| (left > 0).then(|| left - 1);
        self.0.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken).map_err(|_| RETRY)?;
        Ok(self.clone())
    }

    fn flow(&self) -> Flow {
        0
    }
}

impl FailureToken for Allowance {
    async fn give_back(self) {
        self.0.left.fetch_add(1, Ordering::SeqCst);
        self.0.given_back.fetch_add(1, Ordering::SeqCst);
    }
}

async fn ask(keys: &Keys, key: &str, now: Now) -> Result<Principal, KeyError> {
    keys.verify(None, key.as_bytes(), &Allowance::of(1), now).await
}

#[track_caller]
fn hashes(keys: &Keys) -> u64 {
    keys.hashes().unwrap().started()
}
