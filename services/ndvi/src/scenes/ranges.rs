//! How is a part of a remote file read, and how is it known to be that part of that file?
//!
//! A band is 100 MB and more, so an answer with the whole file is refused before it is read, and
//! so is one of a file that changed between two reads.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::client::{BodyError, read_bounded};
use chassis::metrics::Metrics;
use prometheus::IntCounterVec;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_MATCH, RANGE};
use tokio::sync::Semaphore;

/// Attempts for one part: a connection may break, a server may be busy for a moment.
const ATTEMPTS_MAX: usize = 2;

/// Longest time of one attempt. A host that drips would else hold its place among all readers.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which state of a file was read: its entity tag, when the server has one, and its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The entity tag as sent, quotes included.
    pub etag: Option<String>,
    /// Length of the whole file in bytes.
    pub length: u64,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Part {
    /// Offset of its first byte.
    pub start: u64,
    /// Its bytes.
    pub bytes: Bytes,
    /// The file that it is a part of.
    pub version: Version,
}

/// Reads parts of remote files, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct RangeReader {
    http: reqwest::Client,
    permits: Arc<Semaphore>,
    requests: IntCounterVec,
    bytes: IntCounterVec,
}

impl RangeReader {
    /// A reader with at most `requests_max` requests in flight.
    ///
    /// # Errors
    /// When its series are already registered.
    pub fn new(
        http: reqwest::Client,
        requests_max: usize,
        metrics: &Metrics,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            http,
            permits: Arc::new(Semaphore::new(requests_max)),
            requests: metrics.counter(
                "ndvi_range_requests_total",
                "Range requests for scene files by outcome.",
                &["outcome"],
            )?,
            bytes: metrics.counter(
                "ndvi_range_bytes_total",
                "Bytes of scene files that were read.",
                &[],
            )?,
        })
    }

    /// Reads `range` of the file at `url`; the part is shorter only at the end of the file.
    ///
    /// With `known` the file must still be the same.
    ///
    /// # Errors
    /// [`RangeError`], after a second attempt where that may help.
    pub async fn read(
        &self,
        url: &str,
        range: Range<u64>,
        known: Option<&Version>,
    ) -> Result<Part, RangeError> {
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(url, &range, known).await;
            let label = outcome.as_ref().map_or_else(RangeError::label, |_| "ok");
            self.requests.with_label_values(&[label]).inc();
            match outcome {
                Err(error) if error.may_pass() && attempt < ATTEMPTS_MAX => {
                    tracing::debug!(url, attempt, %error, "reading a part again");
                    attempt += 1;
                }
                Ok(part) => {
                    self.bytes.with_label_values(&[] as &[&str]).inc_by(part.bytes.len() as u64);
                    return Ok(part);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        url: &str,
        range: &Range<u64>,
        known: Option<&Version>,
    ) -> Result<Part, RangeError> {
        let _permit = self.permits.acquire().await.map_err(|_closed| RangeError::Closed)?;
        let exchange = self.exchange(url, range, known);
        tokio::time::timeout(ATTEMPT_TIMEOUT, exchange).await.unwrap_or(Err(RangeError::Slow))
    }

    async fn exchange(
        &self,
        url: &str,
        range: &Range<u64>,
        known: Option<&Version>,
    ) -> Result<Part, RangeError> {
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
        let last = last.ok_or(RangeError::Empty)?;
        let mut request = self.http.get(url).header(RANGE, format!("bytes={}-{last}", range.start));
        if let Some(etag) = known.and_then(|version| version.etag.as_deref()).filter(is_strong) {
            request = request.header(IF_MATCH, etag);
        }
        let response = request.send().await.map_err(RangeError::Transport)?;
        let span = match check_head(&response, range) {
            // A part of the known file would exist: the file at the address is a shorter one.
            Err(RangeError::Status(StatusCode::RANGE_NOT_SATISFIABLE)) if known.is_some() => {
                return Err(RangeError::Changed);
            }
            checked => checked?,
        };
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let version = Version { etag: etag.map(str::to_owned), length: span.length };
        if known.is_some_and(|known| *known != version) {
            return Err(RangeError::Changed);
        }
        let wanted = usize::try_from(span.end - range.start).map_err(|_| RangeError::Empty)?;
        let bytes = read_bounded(response, wanted).await.map_err(RangeError::Body)?;
        if bytes.len() != wanted {
            return Err(RangeError::Short { wanted, got: bytes.len() });
        }
        Ok(Part { start: range.start, bytes, version })
    }
}

/// `If-Match` compares strongly: a weak tag would never match.
fn is_strong(etag: &&str) -> bool {
    !etag.starts_with("W/")
}

/// What `Content-Range: bytes start-last/length` says, with a half-open end.
struct ContentRange {
    end: u64,
    length: u64,
}

fn check_head(
    response: &reqwest::Response,
    range: &Range<u64>,
) -> Result<ContentRange, RangeError> {
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::OK => return Err(RangeError::WholeFile),
        StatusCode::PRECONDITION_FAILED => return Err(RangeError::Changed),
        status => return Err(RangeError::Status(status)),
    }
    let header = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let (start, span) = header.and_then(content_range).ok_or(RangeError::ContentRange)?;
    let complete = span.end == range.end || span.end == span.length;
    let right = start == range.start && complete && span.end > start && span.end <= range.end;
    if right { Ok(span) } else { Err(RangeError::ContentRange) }
}

fn content_range(text: &str) -> Option<(u64, ContentRange)> {
    let (span, length) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = span.split_once('-')?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
    let length = length.trim().parse().ok()?;
    (end <= length).then_some((start.trim().parse().ok()?, ContentRange { end, length }))
}

/// Why a part could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The server does not serve ranges.
    #[error("the server answered with the whole file instead of the requested part")]
    WholeFile,
    /// Another file lies at the address than before.
    #[error("the file changed while it was being read")]
    Changed,
    /// A refusal.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A part other than the requested one.
    #[error("the server answered with another part than the requested one")]
    ContentRange,
    /// Fewer bytes than announced.
    #[error("the answer has {got} bytes instead of {wanted}")]
    Short {
        /// Bytes announced.
        wanted: usize,
        /// Bytes received.
        got: usize,
    },
    /// The body broke off or is longer than announced.
    #[error(transparent)]
    Body(BodyError),
    /// No answer.
    #[error("the server cannot be reached: {0}")]
    Transport(#[source] reqwest::Error),
    /// The answer did not come, or not to its end.
    #[error("the server did not answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    Slow,
    /// A range without bytes.
    #[error("a range without bytes was asked for")]
    Empty,
    /// The reader is shutting down.
    #[error("the service is stopping")]
    Closed,
}

impl RangeError {
    /// Whether the same request may succeed later: not where the file is not there, or its server
    /// cannot do what is needed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::WholeFile | Self::ContentRange | Self::Empty => false,
            Self::Status(status) => {
                let for_now = [
                    StatusCode::REQUEST_TIMEOUT,
                    StatusCode::TOO_EARLY,
                    StatusCode::TOO_MANY_REQUESTS,
                ];
                status.is_server_error() || for_now.contains(status)
            }
            _ => true,
        }
    }

    /// Whether the same request may succeed right away.
    fn may_pass(&self) -> bool {
        match self {
            Self::Short { .. }
            | Self::Slow
            | Self::Transport(_)
            | Self::Body(BodyError::Broken(_)) => true,
            Self::Status(status) => status.is_server_error(),
            _ => false,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::WholeFile => "whole_file",
            Self::Changed => "changed",
            Self::Status(_) => "status",
            Self::ContentRange => "content_range",
            Self::Short { .. } | Self::Body(_) => "body",
            Self::Transport(_) => "transport",
            Self::Slow => "slow",
            Self::Empty | Self::Closed => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_is_read_strictly() {
        let read = |text| content_range(text).map(|(start, span)| (start, span.end, span.length));
        assert_eq!(read("bytes 0-99/1000"), Some((0, 100, 1000)));
        for wrong in [
            "bytes */1000",
            "bytes 0-99/*",
            "0-99/1000",
            "bytes 0-1000/1000",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn file_that_is_not_there_is_not_waited_for() {
        for status in [403, 404, 410, 416] {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            assert!(!RangeError::Status(status).is_passing(), "{status}");
        }
        for status in [408, 429, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            assert!(RangeError::Status(status).is_passing(), "{status}");
        }
        assert!(RangeError::Slow.is_passing() && !RangeError::WholeFile.is_passing());
    }

    #[test]
    fn weak_tags_are_not_sent_as_precondition() {
        assert!(is_strong(&"\"abc\""));
        assert!(!is_strong(&"W/\"abc\""));
    }
}
