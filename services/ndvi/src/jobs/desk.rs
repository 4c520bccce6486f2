//! How is work asked for?

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::JobSettings;
use crate::domain::field::{FieldId, Revision};
use crate::domain::job::{JobDraft, JobId, Work};
use crate::store::{Queued, Store, StoreError};

/// Where work is handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    store: Arc<dyn Store>,
    wake: Arc<Notify>,
    cooldown: Duration,
    waiting_max: u32,
}

impl Desk {
    /// A desk before this store; `wake` is told of each new job.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, wake: Arc<Notify>, settings: &JobSettings) -> Self {
        let JobSettings { cooldown, waiting_max, .. } = *settings;
        Self { store, wake, cooldown, waiting_max }
    }

    /// Queues work for a field; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub async fn queue(
        &self,
        field: &FieldId,
        revision: Revision,
        work: Work,
        at: Timestamp,
    ) -> Result<Queued, StoreError> {
        let draft = JobDraft {
            id: JobId::of(rand::random()),
            field: field.clone(),
            revision,
            digest: digest(field, revision, &work),
            work,
            at,
        };
        let queued = self.store.queue(&draft, self.cooldown, self.waiting_max).await?;
        if let Queued::New(job) = &queued {
            tracing::info!(job = job.id.as_str(), kind = job.work.kind(), "a job was queued");
            self.wake.notify_one();
        }
        Ok(queued)
    }

    /// How long the same kind of work for a field has to wait.
    #[must_use]
    pub fn cooldown(&self) -> Duration {
        self.cooldown
    }
}

/// The same for the same work for the same outline, and only then.
fn digest(field: &FieldId, revision: Revision, work: &Work) -> [u8; 32] {
    let mut hash = Sha256::new();
    // The name of a field holds no zero byte.
    hash.update(field.as_str());
    hash.update([0]);
    hash.update(revision.to_be_bytes());
    hash.update(serde_json::to_vec(work).unwrap_or_default());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;

    use super::*;

    #[test]
    fn digest_is_the_same_for_the_same_work_only() {
        let field = |name| FieldId::parse(name).unwrap();
        let refresh = |day| Work::Refresh {
            start: date(2021, 6, 1),
            end: date(2021, 6, day),
            max_cloud_percent: None,
        };
        let one = digest(&field("17"), 1, &refresh(30));
        assert_eq!(one, digest(&field("17"), 1, &refresh(30)));
        for other in [
            digest(&field("18"), 1, &refresh(30)),
            digest(&field("17"), 2, &refresh(30)),
            digest(&field("17"), 1, &refresh(29)),
        ] {
            assert_ne!(one, other);
        }
    }
}
