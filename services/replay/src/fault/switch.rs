//! Which fault is in force for everybody, and when does it wear off?

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::Method;

use super::{Fault, FaultError};

/// The fault in force. `skip` and `times` count down in place, so reading it back shows what is left.
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

    /// The fault that meets this request, if any; uses up one of its `skip` or its `times`.
    pub(crate) fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut slot = self.lock();
        let fault = slot.as_mut().filter(|fault| fault.meets(method, path))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let met = fault.clone();
        if let Some(left) = &mut fault.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                *slot = None;
            }
        }
        Some(met)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fault>> {
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
        assert!(switch.take(&Method::GET, "/v1/forecast").is_some());
        assert_eq!(switch.in_force().unwrap().times, Some(1));
        assert!(switch.take(&Method::GET, "/v1/forecast").is_some());
        assert!(switch.take(&Method::GET, "/v1/forecast").is_none());
    }

    #[test]
    fn other_paths_do_not_use_up_times() {
        let switch = FaultSwitch::default();
        let prefix = Some("/v1".to_owned());
        switch
            .set(Fault { reset: true, times: Some(1), path_prefix: prefix, ..Fault::default() })
            .unwrap();
        assert!(switch.take(&Method::GET, "/s2/scene/B04.tif").is_none());
        assert!(switch.take(&Method::GET, "/v1/forecast").is_some());
    }

    #[test]
    fn skipped_requests_pass_before_the_fault_meets_one() {
        let switch = FaultSwitch::default();
        switch.set(Fault { reset: true, skip: 2, times: Some(1), ..Fault::default() }).unwrap();
        let met: Vec<bool> = (0..4).map(|_| switch.take(&Method::GET, "/v1").is_some()).collect();
        assert_eq!(met, [false, false, true, false]);
    }

    #[test]
    fn other_methods_are_left_alone() {
        let switch = FaultSwitch::default();
        let method = Some("HEAD".to_owned());
        switch.set(Fault { reset: true, method, ..Fault::default() }).unwrap();
        assert!(switch.take(&Method::GET, "/s2/a.tif").is_none());
        assert!(switch.take(&Method::HEAD, "/s2/a.tif").is_some());
    }
}
