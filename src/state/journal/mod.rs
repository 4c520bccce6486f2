//! Which nonces were claimed before this process began?
//!
//! An append-only log. A record is in the hands of the kernel (`write(2)`) before its claim is
//! answered, so a process that is killed, by `kill -9` too, has forgotten nothing. There is no
//! `fsync` in the way of a request: a machine that loses its power can lose the last seconds, as
//! far as its file system had not written them out.
//!
//! Records go to segments of a bounded size. A segment is deleted whole once all its entries have
//! expired. Where entries of very different lifetimes share segments, the oldest are rewritten, so
//! that the disk never holds more than about twice what the memory may hold.

mod segment;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::segment::{Read, Record, Writer};
use crate::auth::{NONCE_KEPT_MAX, NonceDigest};
use crate::clock::Now;

/// Segments that share the entries of a full memory between them.
const SEGMENTS_OF_A_FULL_MEMORY: usize = 16;
/// Fewest records of a segment: 48 KiB.
const SEGMENT_RECORDS_MIN: usize = 1_024;
/// Most records of a segment: 3 MiB.
const SEGMENT_RECORDS_MAX: usize = 65_536;
/// Most segments. Each start makes one, so restarts in a row make short ones.
const SEGMENTS_MAX: usize = 64;
/// How often a problem that lasts is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error(
        "the folder {} is in use by another process; give each gateway a folder of its own, or \
         stop the other one",
        .0.display()
    )]
    InUse(PathBuf),
    /// The folder, or a file in it, cannot be used.
    #[error(
        "{} cannot be used: {error}; the gateway must be able to read and write it",
        place.display()
    )]
    Place {
        /// The file or folder.
        place: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The claimed nonces on disk.
#[derive(Debug)]
pub struct Journal {
    log: Mutex<Log>,
    failures: AtomicU64,
}

/// An entry that was read back, with the moment at which it expires.
pub(super) type Restored = (NonceDigest, Instant);

#[derive(Debug)]
struct Log {
    folder: PathBuf,
    bounds: Bounds,
    /// Oldest first.
    closed: VecDeque<Closed>,
    open: Option<Open>,
    /// The number of the next segment.
    next: u64,
    /// When a failure was logged last; there is one until writing works again.
    failing_since_log: Option<Instant>,
    /// Held for as long as the journal is open; the system lets it go with the process.
    _lock: File,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    segment_records: usize,
    records: usize,
    segments: usize,
}

/// A segment that is not written any more.
#[derive(Debug)]
struct Closed {
    path: PathBuf,
    records: usize,
    last_expiry_ms: u64,
}

/// The segment that is being written.
#[derive(Debug)]
struct Open {
    writer: Writer,
    segment: Closed,
}

impl Journal {
    /// Opens the journal in a folder, which is made if need be, and reads back what has not
    /// expired, in the order of expiry. `nonces_max` is what the memory holds.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub(super) fn open(
        folder: &Path,
        nonces_max: usize,
        now: Now,
    ) -> Result<(Self, Vec<Restored>), JournalError> {
        let segment_records = (nonces_max / SEGMENTS_OF_A_FULL_MEMORY)
            .clamp(SEGMENT_RECORDS_MIN, SEGMENT_RECORDS_MAX);
        let records = nonces_max.saturating_mul(2).saturating_add(2 * segment_records);
        // A full memory twice over must fit, however small the segments.
        let segments = SEGMENTS_MAX.max(2 * nonces_max.div_ceil(segment_records) + 2);
        Self::open_with(folder, Bounds { segment_records, records, segments }, now)
    }

    fn open_with(
        folder: &Path,
        bounds: Bounds,
        now: Now,
    ) -> Result<(Self, Vec<Restored>), JournalError> {
        let at = |place: &Path| {
            let place = place.to_owned();
            move |error| JournalError::Place { place, error }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        let lock = lock(folder)?;
        let mut closed = VecDeque::new();
        let mut live: HashMap<NonceDigest, u64> = HashMap::new();
        let mut next = 0;
        for (number, path) in segments_in(folder).map_err(at(folder))? {
            next = number + 1;
            let read = segment::read(&path, now.unix_ms()).map_err(at(&path))?;
            tell_of_damage(&path, &read);
            for record in &read.live {
                let expiry = live.entry(record.digest).or_default();
                *expiry = record.expiry_ms.max(*expiry);
            }
            let last_expiry_ms = read.live.iter().map(|record| record.expiry_ms).max();
            let last_expiry_ms = last_expiry_ms.unwrap_or_default();
            closed.push_back(Closed { path, records: read.records, last_expiry_ms });
        }
        let folder = folder.to_owned();
        let mut log =
            Log { folder, bounds, closed, open: None, next, failing_since_log: None, _lock: lock };
        log.delete_expired(now.unix_ms());
        Ok((Self { log: Mutex::new(log), failures: AtomicU64::new(0) }, restored(live, now)))
    }

    /// Writes an entry that expires `kept` from now.
    ///
    /// # Errors
    /// When it cannot be written. The next call tries again, with a new segment if need be.
    pub(super) fn append(
        &self,
        digest: NonceDigest,
        kept: Duration,
        now: Now,
    ) -> Result<(), io::Error> {
        let kept_ms = u64::try_from(kept.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let expiry_ms = now.unix_ms().saturating_add(kept_ms);
        // A panic while the lock is held leaves at worst a segment that is never deleted.
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = log.append(Record { digest, expiry_ms }, now.unix_ms());
        if appended.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        log.tell(appended.as_ref().err(), now.instant);
        appended
    }

    /// How many entries could not be written since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl Log {
    fn append(&mut self, record: Record, now_ms: u64) -> io::Result<()> {
        if self.wants_segment() {
            self.begin_segment()?;
            self.delete_expired(now_ms);
            self.shrink(now_ms);
        }
        self.write(record)
    }

    fn wants_segment(&self) -> bool {
        self.open.as_ref().is_none_or(|open| {
            open.writer.is_broken() || open.segment.records >= self.bounds.segment_records
        })
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let path = self.folder.join(file_name(self.next));
        // A file that is left from a try that failed must not stand in the way for ever.
        self.next += 1;
        let writer = Writer::create(&path)?;
        let segment = Closed { path, records: 0, last_expiry_ms: 0 };
        if let Some(full) = self.open.replace(Open { writer, segment }) {
            self.closed.push_back(full.segment);
        }
        Ok(())
    }

    fn write(&mut self, record: Record) -> io::Result<()> {
        if self.wants_segment() {
            self.begin_segment()?;
        }
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        open.writer.append(&record)?;
        open.segment.records += 1;
        open.segment.last_expiry_ms = open.segment.last_expiry_ms.max(record.expiry_ms);
        Ok(())
    }

    fn delete_expired(&mut self, now_ms: u64) {
        self.closed.retain(|segment| {
            let live = segment.last_expiry_ms > now_ms;
            // One that cannot be deleted is tried again, and costs room until then.
            live || fs::remove_file(&segment.path)
                .is_err_and(|e| e.kind() != io::ErrorKind::NotFound)
        });
    }

    /// Rewrites the oldest segments, without what has expired, until the bounds hold.
    fn shrink(&mut self, now_ms: u64) {
        for _ in 0..self.closed.len() {
            let records: usize = self.closed.iter().map(|segment| segment.records).sum();
            if records <= self.bounds.records && self.closed.len() <= self.bounds.segments {
                return;
            }
            let Some(oldest) = self.closed.pop_front() else { return };
            let moved = segment::read(&oldest.path, now_ms)
                .and_then(|read| read.live.into_iter().try_for_each(|record| self.write(record)))
                .and_then(|()| fs::remove_file(&oldest.path));
            if moved.is_err() {
                // Nothing is lost: what was written twice is read back once.
                self.closed.push_back(oldest);
                return;
            }
        }
    }

    /// Logs a failure, once in a while, and the end of it.
    fn tell(&mut self, failure: Option<&io::Error>, now: Instant) {
        let folder = self.folder.display();
        let Some(error) = failure else {
            if self.failing_since_log.take().is_some() {
                tracing::info!(%folder, "the nonce journal can be written again");
            }
            return;
        };
        let lately = |last: Instant| now.saturating_duration_since(last) < LOG_INTERVAL;
        if !self.failing_since_log.is_some_and(lately) {
            self.failing_since_log = Some(now);
            tracing::error!(
                %folder, %error,
                "the nonce journal cannot be written, and without Redis signed requests are \
                 refused until it can; make room there and make it writable"
            );
        }
    }
}

fn lock(folder: &Path) -> Result<File, JournalError> {
    let place = folder.join("lock");
    let opened =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&place);
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(JournalError::Place { place, error }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(JournalError::Place { place, error }),
    }
}

fn file_name(number: u64) -> String {
    format!("nonces-{number:020}")
}

/// The segments of a folder with their numbers, oldest first.
fn segments_in(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("nonces-"));
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn tell_of_damage(path: &Path, read: &Read) {
    if read.damaged > 0 {
        tracing::warn!(
            file = %path.display(), damaged = read.damaged, intact = read.records,
            "records of the nonce journal are damaged and were skipped; check the disk"
        );
    }
}

/// From the wall clock, by which entries are kept across a restart, to this process' own. No entry
/// lives longer than any may, whatever the clock said when it was written.
fn restored(live: HashMap<NonceDigest, u64>, now: Now) -> Vec<Restored> {
    let mut restored: Vec<_> = live
        .into_iter()
        .map(|(digest, expiry_ms)| {
            let left = Duration::from_millis(expiry_ms.saturating_sub(now.unix_ms()));
            (digest, now.instant + left.min(NONCE_KEPT_MAX))
        })
        .collect();
    restored.sort_unstable_by_key(|(_, expiry)| *expiry);
    restored
}
