//! Which bytes of a scene or a farm outline are sent?
//!
//! The files are a few megabytes, so they are held in memory, and no request path ever reaches
//! the file system. An entity tag is the content's hash, computed when it is first needed: a test
//! that reads one scene should not wait for the hashes of all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::range::{Wanted, asked};
use crate::recorded::{DataError, read_bytes};

/// Most files that are served from one data directory.
const FILES_MAX: usize = 10_000;
/// Directories nest no deeper than this; a link that points upwards ends here.
const DEPTH_MAX: usize = 8;
/// Hex digits of the content hash that make an entity tag.
const ETAG_DIGITS: usize = 32;

struct StoredFile {
    body: Bytes,
    etag: OnceLock<HeaderValue>,
    content_type: &'static str,
}

impl StoredFile {
    fn etag(&self) -> &HeaderValue {
        self.etag.get_or_init(|| {
            let mut tag = hex::encode(Sha256::digest(&self.body));
            tag.truncate(ETAG_DIGITS);
            // Hex digits always make a header value; a constant would only weaken the tag.
            HeaderValue::try_from(format!("\"{tag}\""))
                .unwrap_or_else(|_| HeaderValue::from_static("\"unknown\""))
        })
    }
}

/// The static files by request path, such as `/s2/<scene>/B04.tif`.
pub(crate) struct Files(BTreeMap<String, StoredFile>);

impl Files {
    /// Reads every file below `data/<root>` for each of `roots`.
    pub(crate) fn load(data: &Path, roots: &[&str]) -> Result<Self, DataError> {
        let mut files = Self(BTreeMap::new());
        for root in roots {
            files.add_directory(&data.join(root), &format!("/{root}"), 0)?;
        }
        Ok(files)
    }

    fn add_directory(&mut self, path: &Path, public: &str, depth: usize) -> Result<(), DataError> {
        if depth > DEPTH_MAX {
            return Err(DataError::shape(
                path,
                format!("nested deeper than {DEPTH_MAX} directories"),
            ));
        }
        let failed = |source| DataError::Read { path: path.to_owned(), source };
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
                return Err(DataError::shape(&entry, "its name is not UTF-8"));
            };
            let public = format!("{public}/{name}");
            if entry.is_dir() {
                self.add_directory(&entry, &public, depth + 1)?;
            } else {
                self.add_file(&entry, public)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, public: String) -> Result<(), DataError> {
        if self.0.len() == FILES_MAX {
            return Err(DataError::shape(path, format!("more than {FILES_MAX} files")));
        }
        let body = Bytes::from(read_bytes(path)?);
        let content_type = content_type(&public);
        self.0.insert(public, StoredFile { body, etag: OnceLock::new(), content_type });
        Ok(())
    }

    /// The answer to a GET or HEAD of `path`: 200, 206, 304, 404, 412 or 416.
    pub(crate) fn answer(&self, path: &str, method: &Method, headers: &HeaderMap) -> Response {
        let Some(file) = self.0.get(path) else {
            return (StatusCode::NOT_FOUND, format!("no such file: {path}\n")).into_response();
        };
        match asked(method, headers, file.etag(), file.body.len()) {
            Wanted::Whole => part(file, StatusCode::OK, file.body.clone(), None),
            Wanted::Part(bytes) => {
                let described = format!(
                    "bytes {}-{}/{}",
                    bytes.start,
                    bytes.end.saturating_sub(1),
                    file.body.len()
                );
                part(file, StatusCode::PARTIAL_CONTENT, file.body.slice(bytes), Some(described))
            }
            Wanted::Unsatisfiable => {
                let described = format!("bytes */{}", file.body.len());
                part(file, StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(described))
            }
            Wanted::NotModified => {
                (StatusCode::NOT_MODIFIED, [(header::ETAG, file.etag())]).into_response()
            }
            Wanted::Failed => StatusCode::PRECONDITION_FAILED.into_response(),
        }
    }
}

fn part(file: &StoredFile, status: StatusCode, body: Bytes, range: Option<String>) -> Response {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, file.etag().clone());
    // Said explicitly: the answer to HEAD carries the length of the body it leaves out.
    headers.insert(header::CONTENT_LENGTH, length);
    if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("tif") => "image/tiff; application=geotiff; profile=cloud-optimized",
        Some("geojson") => "application/geo+json",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
