//! Where are the recorded files, and what is wrong with one that cannot be read?

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

/// Largest recorded file that is read. The largest real one is 2.4 MB.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why the data directory cannot be served.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file or directory could not be read.
    #[error(
        "cannot read {path}: {source}; point --data at the directory that holds weather/, stac/, \
         s2/ and farms/"
    )]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was read but does not hold what its name promises.
    #[error("{path} does not hold a usable recording: {reason}")]
    Shape {
        /// What was read.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A file is larger than replay is willing to hold in memory.
    #[error("{path} is {bytes} bytes; at most {max} are served from memory", max = FILE_BYTES_MAX)]
    TooLarge {
        /// What was read.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

impl DataError {
    pub(crate) fn shape(path: &Path, reason: impl ToString) -> Self {
        Self::Shape { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// The whole of `path`, within [`FILE_BYTES_MAX`].
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(DataError::TooLarge { path: path.to_owned(), bytes });
    }
    std::fs::read(path).map_err(failed)
}

/// `path` as JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    serde_json::from_slice(&read_bytes(path)?).map_err(|error| DataError::shape(path, error))
}

/// The files of `directory` whose name starts with `prefix`, sorted so that every start agrees.
pub(crate) fn files_named(directory: &Path, prefix: &str) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let matches = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(prefix) && name.ends_with(".json"));
        if matches {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// `path` as it is named to clients: relative to the data directory.
pub(crate) fn public_name(data: &Path, path: &Path) -> String {
    path.strip_prefix(data).unwrap_or(path).to_string_lossy().into_owned()
}

/// Squared distance that orders points as the sphere does closely enough to choose a recording;
/// longitude wraps at the antimeridian and shrinks with latitude.
pub(crate) fn distance((lat_a, lon_a): (f64, f64), (lat_b, lon_b): (f64, f64)) -> f64 {
    let wrapped = (lon_a - lon_b).rem_euclid(360.0);
    let east = wrapped.min(360.0 - wrapped) * ((lat_a + lat_b) / 2.0).to_radians().cos();
    (lat_a - lat_b).powi(2) + east.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_wraps_at_the_antimeridian() {
        assert!(distance((0.0, 179.0), (0.0, -179.0)) < distance((0.0, 179.0), (0.0, 170.0)));
    }

    #[test]
    fn a_degree_of_longitude_shrinks_towards_the_pole() {
        assert!(distance((70.0, 0.0), (70.0, 2.0)) < distance((0.0, 0.0), (0.0, 1.0)));
    }
}
