//! What does one file of the disk tier hold, and how is it read when it is damaged?
//!
//! Records, one behind the other: a head of one size, then an entry. Both have checksums that begin
//! with a number that nobody outside knows, the salt in the file's name. So a body that looks like a
//! record is none, and a record is found again behind one that is damaged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::cache::record::VERSION;

/// Bytes of a record's head.
pub(super) const HEAD_BYTES: usize = 64;

/// Every record begins with it.
const MAGIC: [u8; 8] = *b"\x00fgentry";

/// Read at once while the next record is looked for.
const SEARCH_BYTES: usize = 64 * 1024;

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Whose entry it is.
    pub(super) key: [u8; 16],
    /// Until when the entry may be used, in milliseconds since 1970; 0 says that it was forgotten.
    pub(super) usable_until_ms: u64,
    /// Bytes of the entry.
    pub(super) length: u32,
    sum: [u8; 16],
}

/// A file of records.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    salt: u64,
    file: Arc<File>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The heads in order, and where each is.
    pub(super) heads: Vec<(u32, Head)>,
    /// Stretches of bytes that are no record.
    pub(super) damaged: u64,
    /// Length of the file.
    pub(super) bytes: u64,
}

impl Head {
    /// That of an entry that nobody reads.
    #[cfg(test)]
    pub(super) fn of(key: [u8; 16], usable_until_ms: u64) -> Self {
        Self { key, usable_until_ms, length: 0, sum: [0; 16] }
    }

    fn encoded(&self, salt: u64) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let fields: [&[u8]; 5] = [
            &MAGIC,
            &self.key,
            &self.usable_until_ms.to_le_bytes(),
            &self.length.to_le_bytes(),
            &self.sum,
        ];
        let fields = fields.concat();
        let sum = checksum(salt, &fields);
        for (to, from) in bytes.iter_mut().zip(fields.iter().chain(sum.iter().take(12))) {
            *to = *from;
        }
        bytes
    }

    fn decoded(bytes: &[u8], salt: u64) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<16>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (sum, _) = rest.split_first_chunk::<16>()?;
        let head = Self {
            key: *key,
            usable_until_ms: u64::from_le_bytes(*until),
            length: u32::from_le_bytes(*length),
            sum: *sum,
        };
        let is_whole = *magic == MAGIC && bytes.get(..HEAD_BYTES)? == head.encoded(salt);
        is_whole.then_some(head)
    }

    /// Bytes of the whole record.
    pub(super) fn record_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.length)
    }
}

/// Sixteen bytes of SHA-256: it guards against damage, and the salt against bodies that were made to
/// look like records.
fn checksum(salt: u64, bytes: &[u8]) -> [u8; 16] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(salt.to_le_bytes()).chain_update(bytes).finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

impl Segment {
    /// Begins a file that was not there.
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let salt = rand::random();
        let path = folder.join(file_name(number, salt));
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { number, path, salt, file: Arc::new(file) })
    }

    fn open(number: u64, salt: u64, path: PathBuf) -> io::Result<Self> {
        let file = Arc::new(File::open(&path)?);
        Ok(Self { number, path, salt, file })
    }

    /// Writes a record at the end, and gives its head. `at` is where the end is: what is there of a
    /// record that could not be written whole is cut off.
    pub(super) fn append(
        &self,
        at: u64,
        key: [u8; 16],
        usable_until_ms: u64,
        entry: &[u8],
    ) -> io::Result<Head> {
        let length = u32::try_from(entry.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let head = Head { key, usable_until_ms, length, sum: checksum(self.salt, entry) };
        // In one call: no other order of head and entry can be seen.
        let record = [&head.encoded(self.salt), entry].concat();
        let written = (&*self.file).write_all(&record);
        if written.is_err() {
            self.file.set_len(at)?;
        }
        written.map(|()| head)
    }

    /// The entry at `at`; `None` when what is there is not the whole entry of this key.
    pub(super) fn entry(&self, at: u32, key: &[u8; 16]) -> io::Result<Option<(Head, Vec<u8>)>> {
        let mut bytes = [0; HEAD_BYTES];
        match self.file.read_exact_at(&mut bytes, at.into()) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let Some(head) = Head::decoded(&bytes, self.salt).filter(|head| head.key == *key) else {
            return Ok(None);
        };
        let begins = u64::from(at) + HEAD_BYTES as u64;
        if begins + u64::from(head.length) > self.file.metadata()?.len() {
            return Ok(None);
        }
        let mut entry = vec![0; usize::try_from(head.length).unwrap_or_default()];
        match self.file.read_exact_at(&mut entry, begins) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok((checksum(self.salt, &entry) == head.sum).then_some((head, entry)))
    }

    /// Reads the heads of all records, and steps over the entries. One that was cut off at the end,
    /// because the process ended there, is no damage.
    pub(super) fn scan(&self) -> io::Result<Scanned> {
        let bytes = self.file.metadata()?.len();
        let mut scanned = Scanned { bytes, ..Scanned::default() };
        let (mut at, mut head) = (0, [0; HEAD_BYTES]);
        while at + HEAD_BYTES as u64 <= bytes {
            self.file.read_exact_at(&mut head, at)?;
            match (Head::decoded(&head, self.salt), u32::try_from(at)) {
                (Some(head), Ok(place)) if at + head.record_bytes() <= bytes => {
                    scanned.heads.push((place, head));
                    at += head.record_bytes();
                }
                _ => {
                    let Some(next) = self.next_head(at + 1, bytes)? else {
                        // Behind the last whole record there may be a piece of one.
                        let is_cut_off = Head::decoded(&head, self.salt).is_some();
                        scanned.damaged += u64::from(!is_cut_off);
                        return Ok(scanned);
                    };
                    scanned.damaged += 1;
                    at = next;
                }
            }
        }
        Ok(scanned)
    }

    /// Where the next whole head begins.
    fn next_head(&self, from: u64, bytes: u64) -> io::Result<Option<u64>> {
        let mut window = vec![0; SEARCH_BYTES];
        let mut from = from;
        while from + HEAD_BYTES as u64 <= bytes {
            let length = usize::try_from(bytes - from).unwrap_or(SEARCH_BYTES).min(SEARCH_BYTES);
            let Some(window) = window.get_mut(..length) else { return Ok(None) };
            self.file.read_exact_at(window, from)?;
            let found = window
                .windows(HEAD_BYTES)
                .position(|bytes| Head::decoded(bytes, self.salt).is_some());
            if let Some(found) = found {
                return Ok(Some(from + found as u64));
            }
            // A head may begin in the last bytes of the window.
            from += (length - HEAD_BYTES + 1) as u64;
        }
        Ok(None)
    }

    /// Deletes the file; who reads it now still can.
    pub(super) fn delete(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            deleted => deleted,
        }
    }
}

fn file_name(number: u64, salt: u64) -> String {
    format!("answers-{VERSION}-{number:012}-{salt:016x}")
}

/// The segments of a folder, oldest first. Those of another form are of no use, and deleted.
pub(super) fn segments_in(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("answers-")) else {
            continue;
        };
        let parts: Vec<&str> = rest.split('-').collect();
        let segment = match parts.as_slice() {
            [version, number, salt] if *version == VERSION.to_string() => {
                number.parse().ok().zip(u64::from_str_radix(salt, 16).ok())
            }
            _ => None,
        };
        match segment {
            Some((number, salt)) => found.push(Segment::open(number, salt, entry.path())?),
            None => fs::remove_file(entry.path())?,
        }
    }
    found.sort_unstable_by_key(|segment| segment.number);
    Ok(found)
}
