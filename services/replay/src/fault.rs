//! What goes wrong next, for whom, and how often?

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest delay that can be asked for: two minutes outlast every sane provider deadline.
pub(crate) const DELAY_MS_MAX: u64 = 120_000;
/// Longest reason text of a refusal.
pub(crate) const REASON_BYTES_MAX: usize = 500;
/// Prefix of the control API, which is never faulted: it has to stay able to clear a fault.
pub(crate) const CONTROL_PREFIX: &str = "/_replay";

/// One switchable fault. Absent fields are off; one at most of `status`, `truncate`, `reset`,
/// `error_tail` and `short_body` may be chosen, and `delay_ms` goes with each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Wait this long before answering.
    pub delay_ms: u64,
    /// Answer with this status (400-599) and the provider's error body.
    pub status: Option<u16>,
    /// The reason in that error body, in place of the provider's usual one.
    pub reason: Option<String>,
    /// Promise the whole body in Content-Length, send half of it, close the connection.
    pub truncate: bool,
    /// Close the connection with a TCP reset and no answer.
    pub reset: bool,
    /// 200, half of the body, then the text Open-Meteo appends when it fails while streaming.
    pub error_tail: bool,
    /// Answer a range request with 200 and the whole file.
    pub ignore_range: bool,
    /// A well-framed answer that holds half of the bytes: Content-Length is true, a
    /// Content-Range still promises all of them.
    pub short_body: bool,
    /// Wear off after this many requests; without it the fault stays until it is cleared.
    pub times: Option<u32>,
    /// Meet only requests whose path starts with this.
    pub path_prefix: Option<String>,
}

/// Why a fault is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// Nothing would go wrong.
    #[error(
        "the fault does nothing: set delay_ms, status, truncate, reset, error_tail, ignore_range \
         or short_body"
    )]
    Nothing,
    /// The delay is over the bound.
    #[error("delay_ms is {given}; at most {max} is possible", max = DELAY_MS_MAX)]
    Delay {
        /// What was asked.
        given: u64,
    },
    /// The status is not an error.
    #[error("status is {given}; choose one from 400 to 599")]
    Status {
        /// What was asked.
        given: u16,
    },
    /// Two ways to spoil one answer.
    #[error("{first} and {second} exclude each other: choose one")]
    Exclusive {
        /// The first chosen.
        first: &'static str,
        /// The second chosen.
        second: &'static str,
    },
    /// A reason without a status, or too long a one.
    #[error("reason goes with status and has at most {max} bytes", max = REASON_BYTES_MAX)]
    Reason,
    /// A fault that is over before it began.
    #[error("times is 0: leave it out to keep the fault on, or DELETE /_replay/faults to clear it")]
    Times,
    /// A prefix that meets no provider path.
    #[error("path_prefix {given:?} must start with '/' and lie outside /_replay")]
    PathPrefix {
        /// What was asked.
        given: String,
    },
}

impl Fault {
    /// Checks that the fault is possible and does something.
    ///
    /// # Errors
    /// [`FaultError`] names the field and what to write instead.
    pub fn validate(&self) -> Result<(), FaultError> {
        let spoils = self.spoils();
        if let [first, second, ..] = spoils.as_slice() {
            return Err(FaultError::Exclusive { first, second });
        }
        if spoils.is_empty() && self.delay_ms == 0 && !self.ignore_range {
            return Err(FaultError::Nothing);
        }
        if self.delay_ms > DELAY_MS_MAX {
            return Err(FaultError::Delay { given: self.delay_ms });
        }
        if let Some(given) = self.status.filter(|status| !(400..=599).contains(status)) {
            return Err(FaultError::Status { given });
        }
        if let Some(reason) = &self.reason
            && (self.status.is_none() || reason.len() > REASON_BYTES_MAX)
        {
            return Err(FaultError::Reason);
        }
        if self.times == Some(0) {
            return Err(FaultError::Times);
        }
        match &self.path_prefix {
            Some(given) if !given.starts_with('/') || given.starts_with(CONTROL_PREFIX) => {
                Err(FaultError::PathPrefix { given: given.clone() })
            }
            _ => Ok(()),
        }
    }

    fn spoils(&self) -> Vec<&'static str> {
        [
            ("status", self.status.is_some()),
            ("truncate", self.truncate),
            ("reset", self.reset),
            ("error_tail", self.error_tail),
            ("short_body", self.short_body),
        ]
        .into_iter()
        .filter_map(|(name, chosen)| chosen.then_some(name))
        .collect()
    }

    fn meets(&self, path: &str) -> bool {
        self.path_prefix.as_deref().is_none_or(|prefix| path.starts_with(prefix))
    }
}

/// The fault in force. `times` counts down in place, so reading it back shows what is left.
#[derive(Debug, Default)]
pub(crate) struct FaultSwitch(Mutex<Option<Fault>>);

impl FaultSwitch {
    /// Puts `fault` in force in place of the one before.
    pub(crate) fn set(&self, fault: Fault) -> Result<(), FaultError> {
        fault.validate()?;
        *self.lock() = Some(fault);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    pub(crate) fn in_force(&self) -> Option<Fault> {
        self.lock().clone()
    }

    /// The fault that meets a request of `path`, if any; uses up one of its `times`.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut slot = self.lock();
        let fault = slot.as_mut().filter(|fault| fault.meets(path))?;
        let met = fault.clone();
        if let Some(left) = &mut fault.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                *slot = None;
            }
        }
        Some(met)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        // The value is replaced in one step, so a panic elsewhere cannot leave it half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::*;

    #[test]
    fn fault_wears_off_after_its_times() {
        let switch = FaultSwitch::default();
        switch.set(Fault { status: Some(503), times: Some(2), ..Fault::default() }).unwrap();
        assert!(switch.take("/v1/forecast").is_some());
        assert_eq!(switch.in_force().unwrap().times, Some(1));
        assert!(switch.take("/v1/forecast").is_some());
        assert!(switch.take("/v1/forecast").is_none());
    }

    #[test]
    fn other_paths_do_not_use_up_times() {
        let switch = FaultSwitch::default();
        let prefix = Some("/v1".to_owned());
        switch
            .set(Fault { reset: true, times: Some(1), path_prefix: prefix, ..Fault::default() })
            .unwrap();
        assert!(switch.take("/s2/scene/B04.tif").is_none());
        assert!(switch.take("/v1/forecast").is_some());
    }

    #[test]
    fn impossible_faults_are_refused_by_name() {
        let refused = |fault: Fault| fault.validate().unwrap_err();
        let off = Fault::default;
        assert_eq!(refused(off()), FaultError::Nothing);
        assert_eq!(
            refused(Fault { status: Some(200), ..off() }),
            FaultError::Status { given: 200 }
        );
        assert_eq!(
            refused(Fault { delay_ms: 120_001, ..off() }),
            FaultError::Delay { given: 120_001 }
        );
        assert_eq!(refused(Fault { delay_ms: 1, times: Some(0), ..off() }), FaultError::Times);
        assert_eq!(
            refused(Fault { truncate: true, reset: true, ..off() }),
            FaultError::Exclusive { first: "truncate", second: "reset" }
        );
        assert_eq!(
            refused(Fault { delay_ms: 1, reason: Some("x".into()), ..off() }),
            FaultError::Reason
        );
        for given in ["v1", "/_replay/counts"] {
            let given = given.to_owned();
            let fault = Fault { delay_ms: 1, path_prefix: Some(given.clone()), ..off() };
            assert_eq!(refused(fault), FaultError::PathPrefix { given });
        }
    }

    #[test]
    fn unknown_fault_field_is_refused() {
        let error = serde_json::from_str::<Fault>(r#"{"dely_ms":1}"#).unwrap_err();
        assert!(error.to_string().contains("dely_ms"), "{error}");
    }
}
