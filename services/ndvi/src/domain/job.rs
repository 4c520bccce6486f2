//! What is a piece of work that outlives the process which began it?
//!
//! A job is claimed for a limited time, the lease. A worker that dies leaves a lease that ends, and
//! another worker takes over. Each claim has a number of its own, so that a worker which was only
//! slow cannot finish what another has taken over meanwhile.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::field::{FieldId, Revision};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Compute the statistics of every scene of an interval.
    Refresh {
        /// First day, UTC.
        start: Date,
        /// Last day, UTC.
        end: Date,
        /// Largest cloud cover of a whole scene in percent; `None` for all scenes.
        max_cloud_percent: Option<f64>,
    },
    /// Paint the picture of one day.
    Raster {
        /// The day of the scene, UTC.
        date: Date,
        /// Longer side in pixels.
        size: u32,
        /// Largest cloud cover of the whole scene in percent; `None` for any.
        max_cloud_percent: Option<f64>,
    },
}

impl Work {
    /// The word in the store, in answers and in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refresh { .. } => "refresh",
            Self::Raster { .. } => "raster",
        }
    }
}

/// A job's name in answers: it begins with nothing that could be guessed from another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(String);

impl JobId {
    /// Reads 32 hexadecimal digits in lower case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A job that is to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDraft {
    /// Its name, should it be new.
    pub id: JobId,
    /// For which field.
    pub field: FieldId,
    /// For which of its outlines.
    pub revision: Revision,
    /// What is to be done.
    pub work: Work,
    /// Two drafts with the same digest ask for the same thing: field, revision and work.
    pub digest: [u8; 32],
    /// When it was asked for.
    pub at: Timestamp,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody has begun, or a worker gave it back to be tried again.
    Queued,
    /// A worker has it, or had it and died.
    Running,
    /// It is done.
    Done,
    /// It cannot be done; the error says why.
    Failed,
}

/// A job as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// For which field.
    pub field: FieldId,
    /// For which of its outlines.
    pub revision: Revision,
    /// What is to be done.
    pub work: Work,
    /// How far it is.
    pub state: JobState,
    /// How often it was claimed.
    pub attempts: u32,
    /// Why it failed, or why the last attempt did; a sentence for clients.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// A job that a worker holds until its lease ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The job, with this attempt counted.
    pub job: Job,
    /// Number of this claim: a later claim of the same job has a higher one.
    pub token: i64,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The work is done and what it made is stored.
    Done,
    /// It failed, but may succeed from this time on.
    Again {
        /// Not before.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// It cannot succeed.
    Failed {
        /// Why.
        error: String,
    },
}
