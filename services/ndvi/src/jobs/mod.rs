//! Who does the work that no client waits for, and what if they die?
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`desk`] | How is work asked for? |
//! | [`room`] | How much may be surveyed at once, for clients and in the background? |
//! | [`workers`] | Who takes jobs, and what ends an attempt? |
//! | [`refresh`] | How are the scenes of an interval looked at? |
//! | [`paint`] | How is a picture made before somebody asks for it? |
//! | [`series`] | What is counted? |
//!
//! A job is in the database before it is acknowledged. A worker holds it by a lease that it
//! extends; whoever dies lets the lease end, and another attempt repeats what was not stored. What
//! an attempt stores replaces what an earlier one stored, so that repeating does no harm.

pub mod desk;
pub mod paint;
pub mod refresh;
pub mod room;
pub mod series;
pub mod workers;

use std::time::Duration;

/// Why an attempt did not do its work. The text is a sentence for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Another attempt may succeed.
    Again(String),
    /// No attempt can succeed.
    Never(String),
}

impl Setback {
    /// The database is in the way, which passes.
    pub(crate) fn store(error: &crate::store::StoreError) -> Self {
        tracing::warn!(%error, "the database hindered a job");
        Self::Again("The database did not do its work.".to_owned())
    }

    /// The field is not what it was when the job was asked for.
    pub(crate) fn other_outline() -> Self {
        Self::Never("The field has got another outline meanwhile.".to_owned())
    }

    /// The computation ended without a result.
    pub(crate) fn compute() -> Self {
        Self::Again("The computation ended without a result.".to_owned())
    }
}

/// How jobs are queued and done.
#[derive(Clone, Copy, Debug)]
pub struct JobSettings {
    /// Jobs done at once (`NDVI_WORKERS_MAX`); 0 leaves them to other processes.
    pub workers_max: usize,
    /// Time after which a job whose worker gave no sign is taken over (`NDVI_JOB_LEASE_MS`).
    pub lease: Duration,
    /// Longest time between two looks into the queue (`NDVI_JOB_POLL_MS`).
    pub poll_max: Duration,
    /// Wait after the first failed attempt (`NDVI_JOB_RETRY_MS`).
    pub retry_first: Duration,
    /// Longest time for the scenes of one month (`NDVI_JOB_DEADLINE_MS`).
    pub deadline: Duration,
    /// Time between two requests for the same kind of work for one field (`NDVI_COOLDOWN_S`).
    pub cooldown: Duration,
    /// Jobs that may wait (`NDVI_JOBS_WAITING_MAX`).
    pub waiting_max: u32,
    /// How long a job that has ended is known (`NDVI_JOBS_KEPT_S`).
    pub kept: Duration,
}
