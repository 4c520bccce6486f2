//! What of an exchange is kept, and in what form?
//!
//! A file holds a line of JSON, the [`Head`], and after it the body as it came, so that a text
//! can be read with any tool and a tile is not blown up. It is written under another name and
//! renamed: a reader sees all of it or nothing.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::question::Question;
use crate::recorded::{DataError, read_bytes};

/// What the names of exchanges end with.
pub(super) const SUFFIX: &str = "exchange";
/// What the names of files that are being written end with.
pub(super) const PARTIAL_SUFFIX: &str = "partial";
/// Longest head: the body of a search is in it.
const HEAD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Response headers that are kept; the others speak of the connection or of the day.
const HEADERS_KEPT: [&str; 6] =
    ["content-type", "etag", "content-range", "accept-ranges", "last-modified", "x-app-version"];

/// Everything of an exchange but its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) question: Question,
    /// Base address of the host that answered.
    pub(super) host: String,
    pub(super) recorded_at: Timestamp,
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    /// Length of the body that follows.
    pub(super) body_bytes: u64,
}

/// An exchange to be kept.
pub(super) struct Exchange {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

/// Why an exchange was not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// The disk refused.
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    /// There is no room.
    #[error("the directory holds {exchanges_max} exchanges already: record into another one")]
    Full { exchanges_max: usize },
}

impl Head {
    pub(super) fn header_map(&self) -> HeaderMap {
        let pair = |(name, value): (&String, &String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        self.headers.iter().filter_map(pair).collect()
    }

    /// Those of `headers` that are kept.
    pub(super) fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
        let kept = |name: &&str| {
            let value = headers.get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), value.to_owned()))
        };
        HEADERS_KEPT.iter().filter_map(kept).collect()
    }
}

impl Exchange {
    /// Writes the file in one step, on a blocking thread.
    pub(super) async fn write(self, directory: &Path) -> Result<(), KeepError> {
        let path = directory.join(self.head.question.file_name());
        let failed = |source| KeepError::Write { path: path.clone(), source };
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || self.write_now(&target)).await;
        written.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)
    }

    fn write_now(&self, path: &Path) -> io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let partial =
            path.with_extension(format!("{}-{number}.{PARTIAL_SUFFIX}", std::process::id()));
        let written = (|| {
            let mut file = std::fs::File::create(&partial)?;
            serde_json::to_writer(&mut file, &self.head)?;
            file.write_all(b"\n")?;
            file.write_all(&self.body)?;
            file.sync_all()?;
            std::fs::rename(&partial, path)
        })();
        if written.is_err() {
            // The first error tells more than that of clearing up after it.
            drop(std::fs::remove_file(&partial));
        }
        written
    }
}

/// The head of the exchange at `path`, checked against its name and length.
pub(super) fn read_head(path: &Path) -> Result<Head, DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let all_bytes = file.metadata().map_err(failed)?.len();
    let mut line = Vec::new();
    let limited = io::Read::take(file, HEAD_BYTES_MAX);
    io::BufReader::new(limited).read_until(b'\n', &mut line).map_err(failed)?;
    let head: Head =
        serde_json::from_slice(&line).map_err(|error| DataError::shape(path, error))?;
    if path.file_name().is_none_or(|name| *name != *head.question.file_name()) {
        return Err(DataError::shape(path, "its name is not that of its question"));
    }
    if (line.len() as u64).checked_add(head.body_bytes) != Some(all_bytes) {
        return Err(DataError::shape(path, "it is shorter or longer than its head says"));
    }
    Ok(head)
}

/// The body of the exchange at `path`.
pub(super) async fn read_body(path: &Path, head: &Head) -> Result<Bytes, DataError> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_bytes(&owned)).await;
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let bytes = Bytes::from(read.map_err(|error| failed(io::Error::other(error)))??);
    let start =
        usize::try_from(head.body_bytes).ok().and_then(|body| bytes.len().checked_sub(body));
    let start = start.ok_or_else(|| DataError::shape(path, "it is shorter than its head says"))?;
    Ok(bytes.slice(start..))
}
