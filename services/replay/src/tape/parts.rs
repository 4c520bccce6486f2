//! Which parts of a file are there, and does one hold what a request asks?
//!
//! A scene's band has 100 MB and more, of which a field needs some tiles. So the ranges that
//! passed are recorded, not the file; a request is answered when one recorded range holds all of
//! its bytes, whether it was asked in these words or not.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::exchange::Head;
use crate::range::{Wanted, asked};

/// Ranges that are named when none fits.
const RANGES_SHOWN_MAX: usize = 8;

/// The recorded parts of one state of a file.
#[derive(Default)]
pub(super) struct FileParts {
    /// Its entity tag, as far as it has one.
    etag: Option<HeaderValue>,
    length: usize,
    headers: HeaderMap,
    parts: Vec<(Range<usize>, String)>,
}

/// What becomes of a request for a file.
pub(super) enum Found {
    /// An answer without bytes of a recording.
    Answered(Box<Response>),
    /// These bytes of the body of the exchange of this name.
    Part { name: String, within: Range<usize>, status: StatusCode, headers: HeaderMap },
}

impl FileParts {
    /// Adds a part; returns the names of parts of another state of the file, which are dropped.
    pub(super) fn add(&mut self, name: &str, head: &Head) -> Vec<String> {
        let headers = head.header_map();
        let body_bytes = usize::try_from(head.body_bytes).unwrap_or(usize::MAX);
        let range = content_range(&headers);
        let (range, length) = range.unwrap_or((0..body_bytes, body_bytes));
        let etag = headers.get(header::ETAG).cloned();
        let mut outdated = Vec::new();
        if self.etag != etag || self.length != length {
            outdated = self.parts.drain(..).map(|(_, name)| name).collect();
        }
        self.parts.retain(|(_, known)| known != name);
        self.parts.push((range, name.to_owned()));
        outdated.retain(|outdated| outdated != name);
        (self.etag, self.length, self.headers) = (etag, length, headers);
        outdated
    }

    pub(super) fn find(&self, method: &str, headers: &HeaderMap) -> Found {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        // A condition never holds for a file without a tag: its state cannot be told.
        let untold = HeaderValue::from_static("\"\"");
        let etag = self.etag.as_ref().unwrap_or(&untold);
        match asked(&method, headers, etag, self.length) {
            Wanted::Failed => answered(StatusCode::PRECONDITION_FAILED),
            Wanted::NotModified => answered(StatusCode::NOT_MODIFIED),
            Wanted::Unsatisfiable => {
                let range = [(header::CONTENT_RANGE, format!("bytes */{}", self.length))];
                let refused = (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response();
                Found::Answered(Box::new(refused))
            }
            Wanted::Whole if method == Method::HEAD => {
                let mut response = StatusCode::OK.into_response();
                *response.headers_mut() = self.common_headers();
                response.headers_mut().insert(header::CONTENT_LENGTH, self.length.into());
                Found::Answered(Box::new(response))
            }
            Wanted::Whole => self.part(0..self.length, StatusCode::OK, self.common_headers()),
            Wanted::Part(range) => {
                let mut headers = self.common_headers();
                let last = range.end.saturating_sub(1);
                let described = format!("bytes {}-{last}/{}", range.start, self.length);
                if let Ok(described) = HeaderValue::try_from(described) {
                    headers.insert(header::CONTENT_RANGE, described);
                }
                self.part(range, StatusCode::PARTIAL_CONTENT, headers)
            }
        }
    }

    fn part(&self, wanted: Range<usize>, status: StatusCode, headers: HeaderMap) -> Found {
        let holds = |part: &Range<usize>| part.start <= wanted.start && wanted.end <= part.end;
        match self.parts.iter().find(|(part, _)| holds(part)) {
            Some((part, name)) => {
                let within = wanted.start - part.start..wanted.end - part.start;
                Found::Part { name: name.clone(), within, status, headers }
            }
            None => {
                let shown = self.parts.iter().take(RANGES_SHOWN_MAX);
                let shown: Vec<String> =
                    shown.map(|(part, _)| format!("{}-{}", part.start, part.end - 1)).collect();
                let text = format!(
                    "no recording holds bytes {}-{} of this file; there are {}\n",
                    wanted.start,
                    wanted.end.saturating_sub(1),
                    shown.join(", ")
                );
                Found::Answered(Box::new((StatusCode::NOT_FOUND, text).into_response()))
            }
        }
    }

    fn common_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove(header::CONTENT_RANGE);
        headers
    }
}

fn answered(status: StatusCode) -> Found {
    Found::Answered(Box::new(status.into_response()))
}

/// The half-open range of a part and the length of the whole.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(Range<usize>, usize)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (span, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, end): (usize, usize) = (first.parse().ok()?, last.parse::<usize>().ok()? + 1);
    (first < end).then_some((first..end, length.parse().ok()?))
}
