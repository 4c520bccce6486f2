//! What of the cache survives the process?
//!
//! Entries are appended to segment files by one thread of its own and read back when memory has lost
//! them; an index of where each is is built at the start from the records' heads. Nothing is synced:
//! what `write` took survives kill -9, and after a power cut checksums tell what is whole. Whatever
//! fails costs entries and never a request, but for one thing: when a change cannot be noted, all that
//! is on disk is deleted, because an answer that is known to be wrong must not come back.

mod index;
mod notes;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::cache::backing::{Backing, NoteLog};
use crate::cache::object::Object;
use crate::cache::record;
use crate::cache::store::Store;
use crate::clock::Now;
use index::{Index, Place};
use notes::Notes;
use segment::{Segment, segments_in};
use writer::{Job, Writer};

/// A segment is this part of the whole; an entry larger than one is not kept.
const SEGMENTS_OF_THE_WHOLE: u64 = 16;

/// Largest segment.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Most entries that wait to be written, and most bytes of them.
const QUEUE_ENTRIES_MAX: usize = 8 * 1024;
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// Most entries that are read at once, and most that wait for that.
const READS_AT_ONCE_MAX: usize = 16;
const READS_WAITING_MAX: usize = 1024;

/// How long a request waits for the disk; then it asks the upstream.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the disk tier cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system does not let it.
    #[error(
        "{} cannot be used: {error}; the gateway must be able to write there, or leave out cache.disk",
        place.display()
    )]
    Place {
        /// What cannot be used.
        place: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process uses it.
    #[error("another gateway uses {}; give each one its own folder", .0.display())]
    InUse(PathBuf),
}

/// The disk tier of the cache.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    notes: Notes,
    /// Readings under way; each ends when its sender goes.
    reads: Mutex<HashMap<[u8; 16], watch::Receiver<()>>>,
    turns: Arc<Semaphore>,
    bytes_max: u64,
    /// Held for as long as the tier is used; the system lets it go with the process.
    _lock: File,
}

/// What requests, readers and the writer share.
#[derive(Debug, Default)]
struct Shared {
    index: Mutex<Index>,
    memory: OnceLock<&'static Store>,
    /// Whether a change is in force that could not be noted: until all are noted anew, nothing is
    /// written that it may cover.
    is_lost: AtomicBool,
    counts: Counts,
}

/// What happened since the start.
#[derive(Debug, Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    dropped: AtomicU64,
    evictions: AtomicU64,
    damaged: AtomicU64,
    errors: AtomicU64,
}

/// What the disk tier holds, and what happened to it since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFigures {
    /// Bytes of its segments.
    pub bytes: u64,
    /// Entries that can be read.
    pub entries: usize,
    /// Entries that had to go for others.
    pub evictions: u64,
    /// Entries that were not written, because the writer was behind, or the disk did not take them, or
    /// they are larger than a segment.
    pub dropped: u64,
    /// Records that were found damaged.
    pub damaged: u64,
    /// Calls to the system that failed.
    pub errors: u64,
}

impl Disk {
    /// Opens the tier in a folder, which is made if need be, and gives the notes of changes that were
    /// written there.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn open(
        folder: &Path,
        bytes_max: usize,
        now: Now,
    ) -> Result<(Arc<Self>, Vec<Vec<u8>>), DiskError> {
        let at = |error| DiskError::Place { place: folder.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
        let lock = lock(folder)?;
        let (notes, restored) = Notes::open(folder).map_err(at)?;
        let mut segments = segments_in(folder).map_err(at)?;
        // The first start makes the file, before there is anything to read.
        if restored.is_damaged || restored.is_missing && !segments.is_empty() {
            tracing::error!(
                folder = %folder.display(),
                "the notes of changes beside the cache on disk are damaged or gone, so nobody knows \
                 what of it is still right; all of it is deleted"
            );
            segments.drain(..).try_for_each(|segment| segment.delete()).map_err(at)?;
        }
        let next = segments.last().map_or(0, |segment| segment.number + 1);
        let shared = Arc::new(Shared::default());
        for segment in segments {
            shared.restore(segment, now).map_err(at)?;
        }
        let bytes_max = bytes_max as u64;
        // The budget may have been larger before.
        while let Some((oldest, _)) = shared.index().take_oldest(0, bytes_max) {
            oldest.segment.delete().map_err(at)?;
        }
        let writer = Writer {
            shared: shared.clone(),
            folder: folder.to_owned(),
            bytes_max,
            segment_bytes: (bytes_max / SEGMENTS_OF_THE_WHOLE).min(SEGMENT_BYTES_MAX),
            next,
            is_open: false,
            paused_until: None,
            logged_at: None,
        };
        let (jobs, asked) = sync_channel(QUEUE_ENTRIES_MAX);
        let thread = std::thread::Builder::new().name("cache-disk".into());
        let _runs_as_long_as_the_process = thread.spawn(move || writer.run(&asked)).map_err(at)?;
        let disk = Self {
            shared,
            jobs,
            notes,
            reads: Mutex::default(),
            turns: Arc::new(Semaphore::new(READS_AT_ONCE_MAX)),
            bytes_max,
            _lock: lock,
        };
        Ok((Arc::new(disk), restored.notes))
    }

    /// Says what is in memory, which is where entries are read to.
    pub fn attach(&self, memory: &'static Store) {
        let _it_is_attached_once = self.shared.memory.set(memory);
    }

    /// Brings an entry that memory has lost back there, and waits for that; all who want one entry wait
    /// for one reading. Answers whether there was something to bring back.
    pub async fn recall(self: &Arc<Self>, key: &[u8; 16], now: Now) -> bool {
        let Some((segment, place)) = self.shared.index().read(key, now.unix_ms()) else {
            return false;
        };
        let Some(mut reading) = self.reading(key, segment, place) else { return false };
        tokio::time::timeout(READ_TIMEOUT, reading.changed()).await.is_ok()
    }

    /// What the tier holds, and what happened to it.
    #[must_use]
    pub fn figures(&self) -> DiskFigures {
        let Counts { dropped, evictions, damaged, errors, .. } = &self.shared.counts;
        let index = self.shared.index();
        DiskFigures {
            bytes: index.bytes(),
            entries: index.entries(),
            evictions: evictions.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            damaged: damaged.load(Ordering::Relaxed),
            errors: errors.load(Ordering::Relaxed),
        }
    }

    /// The bound of its bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The reading of an entry that is under way, or a new one. It goes on when nobody waits any more,
    /// and keeps its turn until the disk has answered: a slow one must not take every thread.
    fn reading(
        self: &Arc<Self>,
        key: &[u8; 16],
        segment: Segment,
        place: Place,
    ) -> Option<watch::Receiver<()>> {
        let mut reads = self.reads();
        if let Some(reading) = reads.get(key) {
            return Some(reading.clone());
        }
        if reads.len() >= READS_WAITING_MAX {
            return None;
        }
        let (ended, reading) = watch::channel(());
        reads.insert(*key, reading.clone());
        drop(reads);
        let (disk, key) = (self.clone(), *key);
        let _ends_by_itself = tokio::spawn(async move {
            if let Ok(turn) = disk.turns.clone().acquire_owned().await {
                let shared = disk.shared.clone();
                let bringing = move || {
                    shared.bring_back(&key, &segment, place);
                    drop(turn);
                };
                // One that panicked brought nothing back.
                let _brought = tokio::task::spawn_blocking(bringing).await;
            }
            disk.reads().remove(&key);
            drop(ended);
        });
        Some(reading)
    }

    fn reads(&self) -> MutexGuard<'_, HashMap<[u8; 16], watch::Receiver<()>>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a job, unless the writer is behind; what it would have replaced is outdated.
    fn send(&self, key: &[u8; 16], job: Job) -> bool {
        // The writer may be done with it before this call is.
        self.shared.index().expect(*key);
        let is_sent = self.jobs.try_send(job).is_ok();
        if !is_sent {
            let mut index = self.shared.index();
            index.outdate(key);
            index.settle(key, false);
        }
        is_sent
    }

    fn drop_all(&self) {
        let segments = self.shared.index().clear();
        for segment in segments {
            if let Err(error) = segment.delete() {
                tracing::error!(
                    file = %segment.path.display(), %error,
                    "an answer that is known to be wrong may come back after a restart; delete this \
                     file"
                );
            }
        }
    }
}

impl Backing for Disk {
    fn keep(&self, key: &[u8; 16], objects: &[Arc<Object>]) {
        let counts = &self.shared.counts;
        let bytes = objects.iter().map(|object| object.cost_bytes()).sum();
        let queued = counts.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let job = Job::Keep(*key, objects.to_vec(), bytes);
        if queued > QUEUE_BYTES_MAX {
            self.shared.index().outdate(key);
        } else if self.send(key, job) {
            return;
        }
        counts.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        counts.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn forget(&self, key: &[u8; 16]) {
        if !self.send(key, Job::Forget(*key)) {
            self.shared.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl NoteLog for Disk {
    fn append(&self, note: &[u8]) -> bool {
        if self.shared.is_lost() {
            return true;
        }
        self.notes.append(note).unwrap_or_else(|error| {
            self.shared.is_lost.store(true, Ordering::Release);
            self.shared.counts.errors.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                %error,
                "a change cannot be noted beside the cache on disk; all of it is deleted"
            );
            self.drop_all();
            true
        })
    }

    fn rewrite(&self, notes: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<()> {
        self.notes.rewrite(notes)?;
        self.shared.is_lost.store(false, Ordering::Release);
        Ok(())
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Takes what a segment holds that was written before this start.
    fn restore(&self, segment: Segment, now: Now) -> io::Result<()> {
        let scanned = segment.scan()?;
        if scanned.damaged > 0 {
            self.counts.damaged.fetch_add(scanned.damaged, Ordering::Relaxed);
            tracing::warn!(
                file = %segment.path.display(), damaged = scanned.damaged,
                intact = scanned.heads.len(),
                "records of the cache on disk are damaged and were skipped; check the disk"
            );
        }
        let mut index = self.index();
        index.begin(segment);
        index.grow(scanned.bytes);
        scanned.heads.iter().for_each(|(at, head)| index.take(*at, head, now.unix_ms()));
        Ok(())
    }

    /// Reads an entry into memory. One that is not whole is forgotten.
    fn bring_back(&self, key: &[u8; 16], segment: &Segment, place: Place) {
        let entry = match segment.entry(place.at, key) {
            Ok(entry) => entry,
            Err(error) => {
                self.counts.errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(file = %segment.path.display(), %error, "an answer cannot be read");
                self.index().forget_at(key, place);
                return;
            }
        };
        let objects = entry.and_then(|(_, entry)| record::decode(&Bytes::from(entry)));
        match (objects, self.memory.get()) {
            (Some(objects), Some(memory)) => {
                memory.take_back(*key, objects, || self.index().is_newest(key, place));
            }
            _ => {
                self.counts.damaged.fetch_add(1, Ordering::Relaxed);
                self.index().forget_at(key, place);
            }
        }
    }
}

fn lock(folder: &Path) -> Result<File, DiskError> {
    let place = folder.join("lock");
    let opened =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&place);
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(DiskError::Place { place, error }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DiskError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(DiskError::Place { place, error }),
    }
}
