//! What was recorded, and which of it answers a request?
//!
//! | Question | File |
//! |---|---|
//! | which requests count as the same | `question.rs` |
//! | what of an exchange is kept, and in what form | `exchange.rs` |
//! | which real host answers a path, and how do its links lead back | `hosts.rs` |
//! | how is the real host asked, and what of its answer is worth keeping | `recorder.rs` |
//! | which parts of a file are there | `parts.rs` |
//!
//! Each exchange has a file that is named by its question and appears in one step, so the
//! directory is its own index: nothing else can disagree with it after a kill.

mod exchange;
mod hosts;
mod parts;
mod question;
mod recorder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use self::exchange::{Exchange, Head, KeepError, PARTIAL_SUFFIX, SUFFIX};
use self::parts::{FileParts, Found};
use crate::answers::{BASE_PLACEHOLDER, RECORDING_HEADER};
use crate::recorded::DataError;

pub use hosts::{HostError, Hosts};
pub(crate) use question::Question;
pub(crate) use recorder::Recorder;
pub use recorder::RecorderError;

/// Most exchanges of one directory.
const EXCHANGES_MAX: usize = 20_000;

/// The recorded exchanges of one directory. Heads are held in memory, bodies are read when asked.
pub(crate) struct Tape {
    directory: PathBuf,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    heads: BTreeMap<String, Head>,
    /// The parts of files by path.
    files: BTreeMap<String, FileParts>,
}

impl Tape {
    /// Reads the heads of all exchanges in `directory`.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read, or is not an exchange.
    pub(crate) fn load(directory: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Read { path: directory.to_owned(), source };
        let mut index = Index::default();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // What a killed recorder left half written has another suffix.
            if path.extension().is_some_and(|extension| extension == SUFFIX) {
                if index.heads.len() == EXCHANGES_MAX {
                    let why = format!("more than {EXCHANGES_MAX} exchanges");
                    return Err(DataError::shape(directory, why));
                }
                index.add(exchange::read_head(&path)?);
            }
        }
        Ok(Self { directory: directory.to_owned(), index: Mutex::new(index) })
    }

    /// Makes `directory` ready to be recorded into; what it holds stays.
    ///
    /// # Errors
    /// When it cannot be made, or cannot be read.
    pub(crate) fn open(directory: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Read { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(failed)?;
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == PARTIAL_SUFFIX) {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        Self::load(directory)
    }

    /// Keeps `exchange` in place of the one before with the same question.
    async fn keep(&self, exchange: Exchange) -> Result<(), KeepError> {
        let head = exchange.head.clone();
        let name = head.question.file_name();
        {
            let index = self.lock();
            if index.heads.len() >= EXCHANGES_MAX && !index.heads.contains_key(&name) {
                return Err(KeepError::Full { exchanges_max: EXCHANGES_MAX });
            }
        }
        exchange.write(&self.directory).await?;
        let outdated = self.lock().add(head);
        for name in outdated {
            // Parts of a file that was replaced cannot be put together with those of the new one.
            if let Err(error) = tokio::fs::remove_file(self.directory.join(&name)).await {
                tracing::warn!(name, %error, "an outdated part was not removed");
            }
        }
        Ok(())
    }

    /// The recorded answer, if there is one. `base` is the address the client reached.
    pub(crate) async fn play(
        &self,
        question: &Question,
        headers: &HeaderMap,
        base: &str,
    ) -> Option<Response> {
        if question.is_file() {
            let found = self.lock().files.get(&question.path)?.find(&question.method, headers);
            return Some(self.file_answer(question, found).await);
        }
        let name = question.file_name();
        let head = self.lock().heads.get(&name).cloned()?;
        Some(match exchange::read_body(&self.directory.join(&name), &head).await {
            Ok(body) => answer(&head, hosts::played(body, base), &name),
            Err(error) => unreadable(&name, &error),
        })
    }

    async fn file_answer(&self, question: &Question, found: Found) -> Response {
        let (name, within, status, headers) = match found {
            Found::Answered(response) => return *response,
            Found::Part { name, within, status, headers } => (name, within, status, headers),
        };
        let head = self.lock().heads.get(&name).cloned();
        let Some(head) = head else { return StatusCode::NOT_FOUND.into_response() };
        let body = match exchange::read_body(&self.directory.join(&name), &head).await {
            Ok(body) => body,
            Err(error) => return unreadable(&name, &error),
        };
        // The bounds were taken from the head, whose length the body was checked against.
        let body = body.slice(within.start.min(body.len())..within.end.min(body.len()));
        let length = body.len();
        let body = if question.method == Method::HEAD.as_str() { Bytes::new() } else { body };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        named(response, &name)
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // An index is changed in one step; after a panic elsewhere it is still whole.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Adds an exchange; returns the file names of parts that no longer belong to their file.
    fn add(&mut self, head: Head) -> Vec<String> {
        let name = head.question.file_name();
        let mut outdated = Vec::new();
        if head.question.is_file() {
            let parts = self.files.entry(head.question.path.clone()).or_default();
            outdated = parts.add(&name, &head);
            for name in &outdated {
                self.heads.remove(name);
            }
        }
        self.heads.insert(name, head);
        outdated
    }
}

fn answer(head: &Head, body: Bytes, name: &str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = head.header_map();
    named(response, name)
}

fn named(mut response: Response, name: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(name) {
        response.headers_mut().insert(HeaderName::from_static(RECORDING_HEADER), value);
    }
    response
}

fn unreadable(name: &str, error: &DataError) -> Response {
    tracing::error!(name, %error, "a recording cannot be read");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

/// Whether a text stands for the address of the server that plays it.
fn has_placeholder(body: &[u8]) -> bool {
    body.windows(BASE_PLACEHOLDER.len()).any(|window| window == BASE_PLACEHOLDER.as_bytes())
}
