//! What changed while the process that knew it is gone?
//!
//! One file of notes, each with its length and a checksum, written before the change is answered. A
//! note is bytes; what it means is for [`cache::invalidation`](crate::cache::invalidation). When the
//! file has grown, the one who knows what still counts writes it anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// The form of the file is in its name.
const NAME: &str = "changes-2";

/// Where the file is written anew.
const NEXT: &str = "changes-2.next";

/// Goes into every checksum.
const FORM: &[u8] = b"farmgate cache changes 2";

/// Bytes of a note's length and the checksum of that: a length that is wrong must not look like a
/// note that was cut off.
const LENGTH_BYTES: usize = 4 + 8;

/// Bytes of the checksum of length and note, which follows them.
const SUM_BYTES: usize = 8;

/// Longest note.
const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The file is written anew when it is so long, and twice as long as it was then.
const REWRITE_BYTES: u64 = 8 << 20;

/// The notes on disk.
#[derive(Debug)]
pub(super) struct Notes {
    folder: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    rewrite_at: u64,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restored {
    /// The notes, in the order in which they were written.
    pub(super) notes: Vec<Vec<u8>>,
    /// Whether there may be more that cannot be read.
    pub(super) is_damaged: bool,
    /// Whether there was no file.
    pub(super) is_missing: bool,
}

impl Notes {
    /// Opens the file in a folder, and reads it. A note that was cut off at the end is none: its
    /// change was never answered.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Restored)> {
        let path = folder.join(NAME);
        let (bytes, is_missing) = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), true),
            read => (read?, false),
        };
        let (restored, whole) = parse(&bytes);
        let restored = Restored { is_missing, ..restored };
        let file = open_file(&path)?;
        file.set_len(whole)?;
        let open = Open { file, bytes: whole, rewrite_at: REWRITE_BYTES.max(2 * whole) };
        Ok((Self { folder: folder.to_owned(), open: Mutex::new(open) }, restored))
    }

    /// Writes a note, and answers whether the file has grown.
    pub(super) fn append(&self, note: &[u8]) -> io::Result<bool> {
        let framed = framed(note).ok_or(io::ErrorKind::InvalidInput)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let written = open.file.write_all(&framed);
        if written.is_err() {
            // A piece of it would make all that follow unreadable.
            open.file.set_len(open.bytes)?;
        }
        written?;
        open.bytes += framed.len() as u64;
        Ok(open.bytes >= open.rewrite_at)
    }

    /// Lets every append fail.
    #[cfg(test)]
    pub(super) fn break_file(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(file) = File::open(self.folder.join(NAME)) {
            open.file = file;
        }
    }

    /// Puts these notes in place of all. Either the old file is there or the new one is, whole.
    pub(super) fn rewrite(&self, notes: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // One that fails is not tried again with each note.
        open.rewrite_at = open.bytes.saturating_mul(2).max(REWRITE_BYTES);
        let mut all = Vec::new();
        for note in notes {
            all.extend(framed(&note).ok_or(io::ErrorKind::InvalidInput)?);
        }
        let next = self.folder.join(NEXT);
        let file = open_file(&next)?;
        file.set_len(0)?;
        (&file).write_all(&all)?;
        fs::rename(&next, self.folder.join(NAME))?;
        let bytes = all.len() as u64;
        *open = Open { file, bytes, rewrite_at: REWRITE_BYTES.max(2 * bytes) };
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn framed(note: &[u8]) -> Option<Vec<u8>> {
    if note.len() > NOTE_BYTES_MAX {
        return None;
    }
    let length = u32::try_from(note.len()).ok()?.to_le_bytes();
    Some([&length, &checksum(&length, b"")[..], note, &checksum(&length, note)].concat())
}

fn checksum(length: &[u8; 4], note: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(FORM).chain_update(length).chain_update(note);
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

/// The notes in these bytes, and how many of the bytes they are.
fn parse(bytes: &[u8]) -> (Restored, u64) {
    let mut restored = Restored { notes: Vec::new(), is_damaged: false, is_missing: false };
    let mut rest = bytes;
    while let Some((frame, behind)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let Some((length, sum)) = frame.split_first_chunk::<4>() else { break };
        if checksum(length, b"") != *sum {
            restored.is_damaged = true;
            break;
        }
        let note_bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        // Else it was cut off where the process ended.
        let Some((note, behind)) = behind.split_at_checked(note_bytes) else { break };
        let Some((sum, behind)) = behind.split_first_chunk::<SUM_BYTES>() else { break };
        if checksum(length, note) != *sum {
            restored.is_damaged = true;
            break;
        }
        restored.notes.push(note.to_vec());
        rest = behind;
    }
    (restored, (bytes.len() - rest.len()) as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use harness::Directory;

    use super::*;

    fn reopened(folder: &Path) -> Restored {
        Notes::open(folder).unwrap().1
    }

    #[test]
    fn notes_are_read_in_their_order_and_a_piece_of_one_is_none() {
        let folder = Directory::new();
        let (notes, restored) = Notes::open(folder.path()).unwrap();
        let wanted = Restored { notes: Vec::new(), is_damaged: false, is_missing: true };
        assert_eq!(restored, wanted);
        for note in [&b"one"[..], b"", b"three"] {
            assert!(!notes.append(note).unwrap());
        }
        let wanted = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for length in 1..23 {
            fs::write(&path, [&whole[..], &whole[..length]].concat()).unwrap();
            let (notes, is_damaged, is_missing) = (wanted.clone(), false, false);
            assert_eq!(reopened(folder.path()), Restored { notes, is_damaged, is_missing });
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let folder = Directory::new();
        let (notes, _) = Notes::open(folder.path()).unwrap();
        notes.append(b"one").unwrap();
        notes.append(b"two").unwrap();
        let whole = fs::read(folder.path().join(NAME)).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (restored, _) = parse(&damaged);
            assert!(restored.notes.len() < 2 && restored.is_damaged, "bit {bit}");
        }
    }

    #[test]
    fn what_is_rewritten_is_all_there_is() {
        let folder = Directory::new();
        let (notes, _) = Notes::open(folder.path()).unwrap();
        notes.append(b"old").unwrap();
        notes.rewrite(&mut [b"kept".to_vec()].into_iter()).unwrap();
        notes.append(b"new").unwrap();
        let wanted = vec![b"kept".to_vec(), b"new".to_vec()];
        assert_eq!(
            reopened(folder.path()),
            Restored { notes: wanted, is_damaged: false, is_missing: false }
        );
    }
}
