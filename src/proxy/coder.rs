//! Who compresses what is stored, and when?
//!
//! Behind the clients' backs: one answer at a time, on a thread for blocking work, and so many waiting.
//! What finds no room is compressed when it is served or stored the next time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::cache::coding::{Coded, Coding};
use crate::cache::key::Key;
use crate::cache::object::{Object, Usage};
use crate::cache::policy::Policy;
use crate::clock::Now;
use crate::metrics::observe;
use crate::state::State;

/// Answers that are compressed at once: clients need the other cores.
const RUNNING_MAX: usize = 1;

/// Most answers that are compressed or wait for it.
const WAITING_MAX: usize = 256;

/// Compresses stored answers.
pub struct Coder {
    state: Arc<State>,
    running: Semaphore,
    waiting: AtomicUsize,
}

/// One answer's place among those that wait, and its claim not to be compressed twice.
struct Place {
    coder: Arc<Coder>,
    usage: Arc<Usage>,
}

impl Coder {
    /// A coder with nothing to do.
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        Self { state, running: Semaphore::new(RUNNING_MAX), waiting: AtomicUsize::new(0) }
    }

    /// Has codings made of a stored answer, unless it has them, is no answer for them, or too many
    /// wait.
    pub fn push(self: &Arc<Self>, policy: &Policy, key: &Key, object: &Arc<Object>) {
        if policy.compress.is_empty() || !object.lacks_codings() || !object.usage.claim_coding() {
            return;
        }
        let Some(place) = Place::take(self, &object.usage) else {
            object.usage.drop_coding();
            return self.state.metrics.codings.skipped.inc();
        };
        let (coder, key, object) = (self.clone(), *key, object.clone());
        let compress = policy.compress.clone();
        tokio::spawn(async move {
            let _place = place;
            // Nobody closes the semaphore.
            let Ok(_permit) = coder.running.acquire().await else { return };
            let worker = coder.clone();
            let made = tokio::task::spawn_blocking(move || worker.make(&key, &object, &compress));
            if made.await.is_err() {
                tracing::error!("an answer could not be compressed");
            }
        });
    }

    fn make(&self, key: &Key, object: &Object, compress: &[Coding]) {
        let made = compress.iter().map(|coding| self.encode(object, *coding));
        let made: Vec<Coded> = match made.collect::<io::Result<Vec<_>>>() {
            Ok(made) => made.into_iter().flatten().collect(),
            Err(error) => return tracing::error!(%error, "an answer could not be compressed"),
        };
        if !self.state.store.add_codings(key, object, &made.clone().into()) {
            // Where they do not fit, they are not made at each hit again.
            self.state.store.add_codings(key, object, &Arc::default());
            return;
        }
        let metrics = &self.state.metrics.codings;
        for Coded { coding, body, .. } in &made {
            let saved = object.body.len().saturating_sub(body.len()) as u64;
            metrics.saved_bytes.with_label_values(&[coding.as_str()]).inc_by(saved);
            metrics.made.with_label_values(&[coding.as_str()]).inc();
        }
    }

    fn encode(&self, object: &Object, coding: Coding) -> io::Result<Option<Coded>> {
        let began = Now::read().instant;
        let body = coding.encode(&object.body)?;
        let seconds = self.state.metrics.codings.seconds.with_label_values(&[coding.as_str()]);
        observe(&seconds, Now::read().instant.saturating_duration_since(began));
        Ok(body.and_then(|body| Coded::new(coding, body, object.etag())))
    }
}

impl Place {
    fn take(coder: &Arc<Coder>, usage: &Arc<Usage>) -> Option<Self> {
        let more = |waiting| (waiting < WAITING_MAX).then_some(waiting + 1);
        let taken = coder.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Self { coder: coder.clone(), usage: usage.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.coder.waiting.fetch_sub(1, Ordering::AcqRel);
        self.usage.drop_coding();
    }
}
