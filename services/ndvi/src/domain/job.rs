//! What is a piece of work that outlives the process which began it?
//!
//! A job is claimed for a limited time, the lease. A worker that dies leaves a lease that ends, and
//! another worker takes over. Each claim has a number of its own, so that a worker which was only
//! slow cannot finish what another has taken over meanwhile.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::field::{FieldId, Revision};

/// How often a job is claimed before it is given up, so that one which kills its workers does not
/// come back for ever. A service that is restarted again and again uses up attempts too, and a
/// catalogue may be away for half a day.
pub const ATTEMPTS_MAX: u32 = 20;

/// Longest error in characters that is kept of an attempt.
pub const ERROR_CHARS_MAX: usize = 500;

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

    /// A name made of random bytes.
    #[must_use]
    pub fn of(random: u128) -> Self {
        Self(format!("{random:032x}"))
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

/// What a job becomes when an attempt has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// How far it is now.
    pub state: JobState,
    /// When it may be claimed again; of no meaning once it has ended.
    pub due_at: Timestamp,
    /// What clients are told.
    pub error: Option<String>,
}

impl Verdict {
    /// What becomes of a job after `attempts` of them. The last one that may be made is final.
    #[must_use]
    pub fn ending(&self, attempts: u32, now: Timestamp) -> Ending {
        let (state, due_at, error) = match self {
            Self::Done => (JobState::Done, now, None),
            Self::Failed { error } => (JobState::Failed, now, Some(error.clone())),
            Self::Again { error, .. } if attempts >= ATTEMPTS_MAX => {
                let error = format!("{} The last one said: {error}", given_up());
                (JobState::Failed, now, Some(error))
            }
            Self::Again { at, error } => (JobState::Queued, *at, Some(error.clone())),
        };
        Ending { state, due_at, error: error.map(|text| kept(&text)) }
    }
}

/// What clients are told of a job whose attempts are used up.
#[must_use]
pub fn given_up() -> String {
    format!("The job was given up after {ATTEMPTS_MAX} attempts.")
}

/// A text that every database takes, and not too long.
fn kept(text: &str) -> String {
    text.chars().filter(|char| *char != '\0').take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);
    const LATER: Timestamp = Timestamp::constant(1_700_000_060, 0);

    fn again(error: &str) -> Verdict {
        Verdict::Again { at: LATER, error: error.to_owned() }
    }

    #[test]
    fn failed_attempt_waits_for_its_time() {
        let ending = again("The catalogue is away.").ending(1, NOW);
        assert_eq!((ending.state, ending.due_at), (JobState::Queued, LATER));
        assert_eq!(ending.error.as_deref(), Some("The catalogue is away."));
    }

    #[test]
    fn last_attempt_is_final() {
        let ending = again("The catalogue is away.").ending(ATTEMPTS_MAX, NOW);
        assert_eq!(ending.state, JobState::Failed);
        let error = "The job was given up after 20 attempts. \
                     The last one said: The catalogue is away.";
        assert_eq!(ending.error.as_deref(), Some(error));
    }

    #[test]
    fn error_is_kept_within_bounds() {
        let error = format!("\0{}", "ä".repeat(2 * ERROR_CHARS_MAX));
        let ending = Verdict::Failed { error }.ending(1, NOW);
        assert_eq!(ending.error, Some("ä".repeat(ERROR_CHARS_MAX)));
    }
}
