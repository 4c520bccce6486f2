//! Which fault does a request carry itself?
//!
//! `X-Replay-Fault: delay=2200,status=503`, or the same text as the query parameter
//! `replay_fault`. It meets this one request, goes before the fault that is in force for all and
//! leaves that one's count alone. Neither the header nor the parameter is seen by what answers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use axum::extract::{Query, Request};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Drip, Fault, FaultError};

/// The header that carries a fault.
const FAULT_HEADER: &str = "x-replay-fault";
/// The query parameter that carries a fault.
const FAULT_PARAMETER: &str = "replay_fault";

/// Takes the fault that `request` carries out of it.
///
/// # Errors
/// When the text is not a fault, or there are two.
pub(crate) fn take_own(request: &mut Request) -> Result<Option<Fault>, FaultError> {
    let mut texts: Vec<String> = Vec::new();
    let headers = request.headers_mut();
    for value in headers.get_all(FAULT_HEADER) {
        texts.push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    headers.remove(FAULT_HEADER);
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let pairs = pairs.map(|query| query.0).unwrap_or_default();
    let own = pairs.into_iter().filter(|(name, _)| name == FAULT_PARAMETER);
    texts.extend(own.map(|(_, text)| text));
    let without = without_parameter(request.uri(), FAULT_PARAMETER);
    *request.uri_mut() = without;
    match texts.as_slice() {
        [] => Ok(None),
        [text] => text.parse().map(Some),
        _ => Err(FaultError::Twice { name: "the fault of this request".to_owned() }),
    }
}

/// `uri` without the pairs of this name, the others as they came.
pub(crate) fn without_parameter(uri: &Uri, name: &str) -> Uri {
    let Some(query) = uri.query() else { return uri.clone() };
    let named = |pair: &&str| pair.split('=').next() == Some(name);
    if !query.split('&').any(|pair| named(&pair)) {
        return uri.clone();
    }
    let mut text = uri.path().to_owned();
    for (at, pair) in query.split('&').filter(|pair| !named(pair)).enumerate() {
        // Writing to a string cannot fail.
        let _written = write!(text, "{}{pair}", if at == 0 { '?' } else { '&' });
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::from_str(&text).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut fault = Self::default();
        let mut seen = BTreeSet::new();
        for part in text.split(',').map(str::trim) {
            let name = part.split('=').next().unwrap_or(part);
            if !seen.insert(name) {
                return Err(FaultError::Twice { name: name.to_owned() });
            }
            set(&mut fault, part).ok_or_else(|| FaultError::Text { part: part.to_owned() })?;
        }
        fault.validate()?;
        Ok(fault)
    }
}

/// Sets what `part` says; `None` when it says nothing known.
fn set(fault: &mut Fault, part: &str) -> Option<()> {
    match part.split_once('=') {
        Some(("delay", ms)) => fault.delay_ms = number(ms)?,
        Some(("status", status)) => fault.status = Some(number(status)?),
        Some(("drip", drip)) => {
            let (bytes, interval_ms) = drip.split_once('/')?;
            fault.drip = Some(Drip { bytes: number(bytes)?, interval_ms: number(interval_ms)? });
        }
        Some(("file", name)) => fault.file = Some(named(name)?),
        Some(("search", name)) => fault.search = Some(named(name)?),
        Some(_) => return None,
        None => {
            let flag = match part {
                "truncate" => &mut fault.truncate,
                "reset" => &mut fault.reset,
                "error_tail" => &mut fault.error_tail,
                "ignore_range" => &mut fault.ignore_range,
                "short_body" => &mut fault.short_body,
                _ => return None,
            };
            *flag = true;
        }
    }
    Some(())
}

/// Digits alone: `from_str` would take a leading `+`.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A variant by the name it has in JSON.
fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Value::String(name.to_owned())).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::super::{FileFault, SearchFault};
    use super::*;

    #[test]
    fn each_part_sets_its_field() {
        let fault: Fault = "delay=2200, status=503".parse().unwrap();
        assert_eq!((fault.delay_ms, fault.status), (2_200, Some(503)));
        let fault: Fault = "drip=10/50,file=fewer_bytes,short_body".parse().unwrap();
        assert_eq!(fault.drip, Some(Drip { bytes: 10, interval_ms: 50 }));
        assert_eq!((fault.file, fault.short_body), (Some(FileFault::FewerBytes), true));
        let fault: Fault = "search=endless_next".parse().unwrap();
        assert_eq!(fault.search, Some(SearchFault::EndlessNext));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        for (text, named) in [
            ("", "\"\""),
            ("delay=+5", "delay=+5"),
            ("delay=2200;status=503", "delay=2200;status=503"),
            ("status=700", "700"),
            ("times=2", "times=2"),
            ("truncate=1", "truncate=1"),
            ("file=gone", "file=gone"),
            ("drip=10", "drip=10"),
            ("reset,reset", "reset is given twice"),
            ("truncate,reset", "exclude each other"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn fault_is_taken_out_of_the_request() {
        let mut request = Request::builder()
            .uri("/v1/forecast?a=%2C&replay_fault=delay%3D5&b=1")
            .body(axum::body::Body::empty())
            .unwrap();
        assert_eq!(take_own(&mut request).unwrap().unwrap().delay_ms, 5);
        assert_eq!(request.uri(), "/v1/forecast?a=%2C&b=1");
        assert_eq!(take_own(&mut request).unwrap(), None);
        let mut twice = Request::builder()
            .uri("/v1/forecast?replay_fault=reset")
            .header(FAULT_HEADER, "delay=5")
            .body(axum::body::Body::empty())
            .unwrap();
        assert!(take_own(&mut twice).unwrap_err().to_string().contains("twice"));
        assert_eq!(twice.uri(), "/v1/forecast");
    }
}
