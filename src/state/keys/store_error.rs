//! Why can the key file not be used, or not for this?

use std::io;
use std::path::PathBuf;

/// The most keys of one file.
pub const KEYS_MAX: usize = 100_000;
/// The most secrets of one key that hold at the same time: the current one and some on their way
/// out.
pub const SECRETS_PER_KEY_MAX: usize = 4;

/// Why the file cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder cannot be made or read.
    #[error("cannot use {}: {source}; the gateway's user must own it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no key file.
    #[error("cannot open {} as a key file: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the library says.
        source: sqlx::Error,
    },
    /// The file is of another version.
    #[error("cannot bring {} up to date: {source}; is it of a newer farmgate?", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What the library says.
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("the key file does not answer: {0}")]
    Failed(#[from] sqlx::Error),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] rand::Error),
    /// There is no key of this id.
    #[error("there is no key \"{id}\"")]
    Unknown {
        /// The id.
        id: String,
    },
    /// The key was withdrawn, or its time is over.
    #[error("the key \"{id}\" no longer holds; create a new one")]
    Over {
        /// Its id.
        id: String,
    },
    /// There are as many keys as there may be.
    #[error(
        "the file has {KEYS_MAX} keys, the most it may have; revoke some, they go after 90 days"
    )]
    Full,
    /// The key has as many secrets as it may have.
    #[error(
        "the key \"{id}\" has {SECRETS_PER_KEY_MAX} secrets that still hold; rotate with --overlap 0s \
         to end them"
    )]
    SecretsTooMany {
        /// Its id.
        id: String,
    },
}
