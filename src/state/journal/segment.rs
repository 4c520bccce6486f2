//! What does one file of the nonce journal hold, and how is it read when it is damaged?
//!
//! Records of one size and nothing else, each with a checksum of its own: what is damaged is told
//! from what is not, and a record is found again behind one that is lost.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::auth::NonceDigest;

/// The digest, when it expires (milliseconds since 1970, little-endian), and the checksum of both.
pub(super) const RECORD_BYTES: usize = 32 + 8 + 8;

/// Goes into every checksum, so that records of another form would count as damaged.
const FORM: &[u8] = b"farmgate nonce journal 1";

/// One claimed nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) digest: NonceDigest,
    pub(super) expiry_ms: u64,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The records that have not expired.
    pub(super) live: Vec<Record>,
    /// How many records are intact, the expired ones included.
    pub(super) records: usize,
    /// How many are not.
    pub(super) damaged: usize,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    bytes: u64,
    broken: bool,
}

impl Record {
    fn encoded(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let (digest, rest) = bytes.split_at_mut(32);
        let (expiry, sum) = rest.split_at_mut(8);
        digest.copy_from_slice(&self.digest);
        expiry.copy_from_slice(&self.expiry_ms.to_le_bytes());
        sum.copy_from_slice(&self.checksum());
        bytes
    }

    fn decoded(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        let (expiry, sum) = rest.split_first_chunk::<8>()?;
        let record = Self { digest: *digest, expiry_ms: u64::from_le_bytes(*expiry) };
        (*sum == record.checksum()).then_some(record)
    }

    /// Eight bytes of SHA-256: it guards against damage, not against malice.
    fn checksum(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(FORM);
        hash.update(self.digest);
        hash.update(self.expiry_ms.to_le_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        hash.first_chunk().copied().unwrap_or_default()
    }
}

/// Reads a file. A record that was cut off at the end is none: its claim was never answered.
pub(super) fn read(path: &Path, now_ms: u64) -> io::Result<Read> {
    let mut file = BufReader::new(File::open(path)?);
    let mut found = Read::default();
    let mut bytes = [0; RECORD_BYTES];
    loop {
        match file.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(found),
            Err(error) => return Err(error),
        }
        match Record::decoded(&bytes) {
            Some(record) => {
                found.records += 1;
                if record.expiry_ms > now_ms {
                    found.live.push(record);
                }
            }
            None => found.damaged += 1,
        }
    }
}

impl Writer {
    /// Begins a file that was not there.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self::to(file))
    }

    fn to(file: File) -> Self {
        Self { file, bytes: 0, broken: false }
    }

    /// Whether no record may follow, because the end of the file is not known to be whole.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Hands one record to the system.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let written = self.file.write_all(&record.encoded());
        match written {
            Ok(()) => self.bytes += RECORD_BYTES as u64,
            // Part of it may be there, and would shift all that follow.
            Err(_) => self.broken = self.file.set_len(self.bytes).is_err(),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn record_survives_its_encoding_and_no_flipped_bit_does() {
        let record = Record { digest: [7; 32], expiry_ms: 1_764_000_000_123 };
        let bytes = record.encoded();
        assert_eq!(Record::decoded(&bytes), Some(record));
        for bit in 0..RECORD_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decoded(&damaged), None, "bit {bit}");
        }
        assert_eq!(Record::decoded(&[0; RECORD_BYTES]), None);
    }

    #[test]
    fn full_disk_is_an_error_and_breaks_the_file() {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut writer = Writer::to(full);
        let record = Record { digest: [7; 32], expiry_ms: 1 };
        let error = writer.append(&record).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(writer.is_broken(), "a device cannot be cut back");
    }
}
