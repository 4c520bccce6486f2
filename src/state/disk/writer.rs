//! How does an entry come to the disk, and what goes for it?
//!
//! One thread takes entries from a bounded queue, in order. Segments are filled one after the other;
//! when there is no room, the oldest goes. What of it was read since it was written, or is in
//! memory, is written again, up to half of it: so what is hot stays.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::Shared;
use super::index::{Going, Listed, Place};
use super::segment::{HEAD_BYTES, Segment};
use crate::cache::object::Object;
use crate::cache::record;
use crate::clock::Now;

/// How long nothing is written after a write failed: a full disk is not asked for each entry.
const PAUSE: Duration = Duration::from_secs(1);

/// How often failures are logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// To write an entry; the queue's bytes that it takes.
    Keep([u8; 16], Vec<Arc<Object>>, usize),
    /// To write that an entry was forgotten.
    Forget([u8; 16]),
}

/// The one who writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) folder: PathBuf,
    pub(super) bytes_max: u64,
    pub(super) segment_bytes: u64,
    /// Number of the next segment.
    pub(super) next: u64,
    /// Whether the last segment is written; after a start it is not.
    pub(super) is_open: bool,
    pub(super) paused_until: Option<Instant>,
    pub(super) logged_at: Option<Instant>,
}

impl Writer {
    /// Writes until nobody asks any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let now = Now::read();
            let (key, bytes) = match &job {
                Job::Keep(key, _, bytes) => (*key, *bytes),
                Job::Forget(key) => (*key, 0),
            };
            self.shared.counts.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let is_written = if self.paused_until.is_some_and(|until| now.instant < until) {
                false
            } else {
                self.work(job, now).unwrap_or_else(|error| {
                    self.fail(&error, now);
                    false
                })
            };
            if !is_written {
                self.shared.counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
            self.shared.index().settle(&key, is_written);
        }
    }

    /// Does what is asked for, and answers whether it could.
    fn work(&mut self, job: Job, now: Now) -> io::Result<bool> {
        if self.shared.is_lost() && matches!(job, Job::Keep(..)) {
            return Ok(false);
        }
        let (key, usable_until_ms, entry) = match job {
            Job::Keep(key, objects, _) if usable_until_ms(&objects) > now.unix_ms() => {
                let Some(entry) = record::encode(&objects) else { return Ok(false) };
                (key, usable_until_ms(&objects), entry)
            }
            // What is not known needs no record that says that it is gone.
            Job::Keep(key, ..) | Job::Forget(key) if !self.shared.index().knows(&key) => {
                return Ok(true);
            }
            Job::Keep(key, ..) | Job::Forget(key) => (key, 0, Vec::new()),
        };
        if (entry.len() + HEAD_BYTES) as u64 > self.segment_bytes {
            return Ok(false);
        }
        self.write(key, usable_until_ms, &entry, now).map(|()| true)
    }

    fn write(
        &mut self,
        key: [u8; 16],
        usable_until_ms: u64,
        entry: &[u8],
        now: Now,
    ) -> io::Result<()> {
        let record_bytes = (HEAD_BYTES + entry.len()) as u64;
        while let Some((oldest, live)) = self.take_oldest(record_bytes) {
            self.give_up(&oldest, live, now)?;
        }
        self.append(key, usable_until_ms, entry, now)
    }

    fn is_in_memory(&self, key: &[u8; 16]) -> bool {
        self.shared.memory.get().is_some_and(|memory| memory.has(key))
    }

    fn take_oldest(&self, more_bytes: u64) -> Option<Going> {
        let mut index = self.shared.index();
        let (oldest, mut live) = index.take_oldest(more_bytes, self.bytes_max)?;
        index.hold(&mut live);
        Some((oldest, live))
    }

    /// Deletes a segment, and writes again what of it is hot.
    fn give_up(
        &mut self,
        oldest: &Listed,
        live: Vec<([u8; 16], Place)>,
        now: Now,
    ) -> io::Result<()> {
        let mut room = oldest.bytes / 2;
        let mut hot = Vec::new();
        let mut gone = 0;
        for (key, place) in live {
            let is_hot = place.was_read || self.is_in_memory(&key);
            let entry = match is_hot && place.usable_until_ms > now.unix_ms() && room > 0 {
                // What cannot be read is not hot enough.
                true => oldest.segment.entry(place.at, &key).ok().flatten(),
                false => None,
            };
            match entry {
                Some((head, entry)) if head.record_bytes() <= room => {
                    room -= head.record_bytes();
                    hot.push((key, place.usable_until_ms, entry));
                }
                _ => {
                    gone += 1;
                    self.shared.index().settle(&key, false);
                }
            }
        }
        self.shared.counts.evictions.fetch_add(gone, Ordering::Relaxed);
        if self.shared.index().last().is_none() {
            // It was the one that is written.
            self.is_open = false;
        }
        let mut done = oldest.segment.delete();
        for (key, usable_until_ms, entry) in hot {
            // What is newer is behind it in the queue, or the index knows that it will not come.
            if done.is_ok() {
                done = self.append(key, usable_until_ms, &entry, now);
            }
            self.shared.index().settle(&key, done.is_ok());
        }
        done
    }

    fn append(
        &mut self,
        key: [u8; 16],
        usable_until_ms: u64,
        entry: &[u8],
        now: Now,
    ) -> io::Result<()> {
        let record_bytes = (HEAD_BYTES + entry.len()) as u64;
        let (segment, at) = self.segment_for(record_bytes)?;
        let written = segment.append(at, key, usable_until_ms, entry);
        // After a failure nobody knows how the file ends.
        self.is_open = written.is_ok();
        let head = written?;
        let place = u32::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut index = self.shared.index();
        index.grow(record_bytes);
        index.take(place, &head, now.unix_ms());
        Ok(())
    }

    /// The segment that a record goes to, and where it ends now.
    fn segment_for(&mut self, record_bytes: u64) -> io::Result<(Segment, u64)> {
        let last = self.shared.index().last();
        if let Some((segment, bytes)) = last
            && self.is_open
            && bytes + record_bytes <= self.segment_bytes
        {
            return Ok((segment, bytes));
        }
        let number = self.next;
        // A file that is left from a try that failed must not stand in the way for ever.
        self.next += 1;
        let segment = Segment::create(&self.folder, number)?;
        let mut index = self.shared.index();
        // Said before the index is emptied: no segment begins behind that.
        if self.shared.is_lost() {
            drop(index);
            segment.delete()?;
            return Err(io::Error::other("a change could not be noted"));
        }
        index.begin(segment.clone());
        self.is_open = true;
        Ok((segment, 0))
    }

    fn fail(&mut self, error: &io::Error, now: Now) {
        self.shared.counts.errors.fetch_add(1, Ordering::Relaxed);
        self.paused_until = Some(now.instant + PAUSE);
        let lately = |at: Instant| now.instant.saturating_duration_since(at) < LOG_EVERY;
        if !self.logged_at.is_some_and(lately) {
            self.logged_at = Some(now.instant);
            tracing::error!(
                folder = %self.folder.display(), %error,
                "the cache cannot be written to disk; answers are kept in memory alone until it can"
            );
        }
    }
}

fn usable_until_ms(objects: &[Arc<Object>]) -> u64 {
    let until = record::usable_until(objects).duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(until.as_millis()).unwrap_or(u64::MAX)
}
