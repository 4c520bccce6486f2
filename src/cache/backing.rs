//! Where is kept what memory may lose?
//!
//! The store knows no disk. It tells a [`Backing`] what it took and what it forgot, and notes of
//! changes to a [`NoteLog`]; `state` has both.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use super::object::Object;

/// Keeps entries beyond memory. No call waits: what cannot be taken now is not kept.
pub trait Backing: Debug + Send + Sync {
    /// Takes an entry as it is now, oldest variant first, in place of what was under its key; with no
    /// variant it is forgotten.
    fn keep(&self, key: &[u8; 16], objects: &[Arc<Object>]);

    /// Forgets an entry.
    fn forget(&self, key: &[u8; 16]);
}

/// Keeps notes of changes across restarts. A note is bytes; what they mean is for the one who
/// writes them.
pub trait NoteLog: Debug + Send + Sync {
    /// Writes a note down, before the change is answered.
    ///
    /// Answers whether the log should be [rewritten](Self::rewrite): because it has grown, or because
    /// a note could not be written.
    fn append(&self, note: &[u8]) -> bool;

    /// Puts these notes in place of all that were written.
    ///
    /// # Errors
    /// When they cannot be written; then what was written before stays.
    fn rewrite(&self, notes: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<()>;
}
