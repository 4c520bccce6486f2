//! How does a request stand in the log?
//!
//! One JSON line a request, in the shape of the other lines of the log. It is written by hand into
//! a buffer that each thread keeps, and leaves in one system call: at thousands of requests a
//! second the general formatter costs more than serving a warm answer.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

/// The target by which `RUST_LOG` chooses these lines.
pub(super) const TARGET: &str = "access";

/// A buffer that grew beyond this for one line is given back.
const BUFFER_BYTES_KEPT_MAX: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One request, as it stands in the log. Absent values are left out.
#[derive(Debug, Serialize)]
pub(super) struct AccessLine<'a> {
    /// When it was answered, RFC 3339 with microseconds, UTC.
    #[serde(serialize_with = "microseconds")]
    pub timestamp: jiff::Timestamp,
    pub level: &'a str,
    pub target: &'a str,
    pub request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub version: &'a str,
    pub status: u16,
    pub bytes: usize,
    pub duration_us: u64,
    pub route: &'a str,
    pub scheme: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<&'a str>,
    pub cache: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub generation: u64,
}

impl AccessLine<'_> {
    /// Whether such lines are wanted; asked before one is put together.
    pub(super) fn is_wanted() -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::INFO)
    }

    /// Writes the line. When nobody reads the log any more there is nobody to tell.
    pub(super) fn write(&self) {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            if serde_json::to_writer(&mut *buffer, self).is_ok() {
                buffer.push(b'\n');
                let _reader_may_be_gone = io::stderr().lock().write_all(buffer);
            }
            buffer.shrink_to(BUFFER_BYTES_KEPT_MAX);
        });
    }
}

fn microseconds<S: Serializer>(time: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}
