//! What goes wrong next, for whom, and how often?
//!
//! One fault at a time is in force for everybody ([`switch`]); besides, a request may carry its
//! own ([`text`]).

mod switch;
mod text;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use switch::FaultSwitch;
pub(crate) use text::{take_own, without_parameter};

/// Longest delay that can be asked for: two minutes outlast every sane provider deadline.
pub(crate) const DELAY_MS_MAX: u64 = 120_000;
/// Longest reason text of a refusal.
pub(crate) const REASON_BYTES_MAX: usize = 500;
/// Prefix of the control API, which is never faulted: it has to stay able to clear a fault.
pub(crate) const CONTROL_PREFIX: &str = "/_replay";

/// Bytes of one piece of a slow answer.
pub(crate) const DRIP_BYTES_MAX: u32 = 1024 * 1024;
/// Longest pause before a piece of a slow answer.
pub(crate) const DRIP_INTERVAL_MS_MAX: u64 = 60_000;

/// One switchable fault. Absent fields are off; one at most of `status`, `truncate`, `reset`,
/// `error_tail` and `short_body` may be chosen. `delay_ms`, `file` and `search` go with each of
/// them, `drip` with all but `truncate` and `reset`.
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
    /// Send the body slowly, in pieces.
    pub drip: Option<Drip>,
    /// What is wrong with a file or with its server.
    pub file: Option<FileFault>,
    /// What is wrong with the link to the next page of a search.
    pub search: Option<SearchFault>,
    /// Let this many requests pass that the fault would meet: with 1 it meets the second.
    pub skip: u32,
    /// Wear off after this many requests; without it the fault stays until it is cleared.
    pub times: Option<u32>,
    /// Meet only requests of this method.
    pub method: Option<String>,
    /// Meet only requests whose path starts with this.
    pub path_prefix: Option<String>,
}

/// How slowly a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drip {
    /// Bytes of each piece.
    pub bytes: u32,
    /// Pause before each piece.
    pub interval_ms: u64,
}

/// What is wrong with a file or with the server that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFault {
    /// `Content-Range` names bytes one further than those sent.
    WrongRange,
    /// Each answer has another `ETag`; preconditions hold all the same, as with a server that
    /// does not know them.
    WrongEtag,
    /// The file was replaced: another `ETag`, `If-Match` fails with 412 and `If-Range` gets the
    /// whole file.
    Replaced,
    /// 206 with the first half of the range, truly described.
    FewerBytes,
    /// 416 to every range.
    Unsatisfiable,
    /// The server does not say that it serves ranges, but does.
    NoAcceptRanges,
    /// 405 to HEAD.
    RefuseHead,
    /// 307 to the same file under another address.
    Redirect,
    /// 307 to the address that was asked.
    RedirectLoop,
}

/// What is wrong with the link from one page of a search to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchFault {
    /// Its body names a page that the search does not have.
    WrongNext,
    /// It leads to the page it is on, and nothing tells how many items there are.
    EndlessNext,
}

/// Why a fault is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// Nothing would go wrong.
    #[error(
        "the fault does nothing: set delay_ms, status, truncate, reset, error_tail, ignore_range, \
         short_body, drip, file or search"
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
    /// Pieces that are empty, too large or too far apart.
    #[error(
        "drip is {bytes} bytes every {interval_ms} ms; possible are 1 to {bytes_max} bytes every \
         1 to {interval_max} ms",
        bytes_max = DRIP_BYTES_MAX,
        interval_max = DRIP_INTERVAL_MS_MAX
    )]
    Drip {
        /// Bytes of a piece.
        bytes: u32,
        /// Pause between pieces.
        interval_ms: u64,
    },
    /// Not a method.
    #[error("method {given:?} is not one; write it as it is sent, such as GET")]
    Method {
        /// What was asked.
        given: String,
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
    /// A part of the text form that cannot be read.
    #[error(
        "{part:?} is not a fault: write delay=MS, status=400..599, drip=BYTES/MS, file=NAME, \
         search=NAME, truncate, reset, error_tail, ignore_range or short_body, with commas between"
    )]
    Text {
        /// The part.
        part: String,
    },
    /// The same thing said twice.
    #[error("{name} is given twice: once is enough")]
    Twice {
        /// The name.
        name: String,
    },
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
        if spoils.is_empty() && !self.accompanies() {
            return Err(FaultError::Nothing);
        }
        self.validate_drip(&spoils)?;
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
        if let Some(given) = &self.method
            && Method::from_bytes(given.as_bytes()).is_err()
        {
            return Err(FaultError::Method { given: given.clone() });
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

    /// Whether something is on that goes with a spoiled answer and with a whole one.
    fn accompanies(&self) -> bool {
        let more = self.drip.is_some() || self.file.is_some() || self.search.is_some();
        self.delay_ms > 0 || self.ignore_range || more
    }

    fn validate_drip(&self, spoils: &[&'static str]) -> Result<(), FaultError> {
        let Some(Drip { bytes, interval_ms }) = self.drip else { return Ok(()) };
        if let Some(second) = spoils.iter().find(|name| ["truncate", "reset"].contains(name)) {
            return Err(FaultError::Exclusive { first: "drip", second });
        }
        let possible = (1..=DRIP_BYTES_MAX).contains(&bytes)
            && (1..=DRIP_INTERVAL_MS_MAX).contains(&interval_ms);
        if possible { Ok(()) } else { Err(FaultError::Drip { bytes, interval_ms }) }
    }

    fn meets(&self, method: &Method, path: &str) -> bool {
        self.path_prefix.as_deref().is_none_or(|prefix| path.starts_with(prefix))
            && self.method.as_deref().is_none_or(|wanted| method.as_str() == wanted)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::*;

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
        for (bytes, interval_ms) in [(0, 5), (5, 0), (5, 60_001), (2_000_000, 5)] {
            let drip = Some(Drip { bytes, interval_ms });
            assert_eq!(refused(Fault { drip, ..off() }), FaultError::Drip { bytes, interval_ms });
        }
        assert_eq!(
            refused(Fault { drip: Some(Drip { bytes: 1, interval_ms: 1 }), reset: true, ..off() }),
            FaultError::Exclusive { first: "drip", second: "reset" }
        );
        for given in ["", "GET /"] {
            let fault = Fault { delay_ms: 1, method: Some(given.into()), ..off() };
            assert_eq!(refused(fault), FaultError::Method { given: given.into() });
        }
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
