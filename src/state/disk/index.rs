//! Which entry is where on the disk, and what has to go next?
//!
//! Pure: the files are the [`writer`](super::writer)'s. A key is known at one place, that of its last
//! record; the records before it are dead and go with their segments, oldest first.

use std::collections::{HashMap, VecDeque};

use super::segment::{Head, Segment};

/// Most entries, of some 100 bytes of memory each, the list of their segment included.
pub(super) const ENTRIES_MAX: usize = 1 << 20;

/// Most segments; each restart begins one.
const SEGMENTS_MAX: usize = 512;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of its segment.
    pub(super) segment: u64,
    /// Where its record begins.
    pub(super) at: u32,
    /// Until when it may be used.
    pub(super) usable_until_ms: u64,
    /// Whether it was read since it was written.
    pub(super) was_read: bool,
}

/// One segment and what was written to it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) segment: Segment,
    pub(super) bytes: u64,
    /// The keys of its records, in order.
    pub(super) keys: Vec<[u8; 16]>,
}

/// A segment that goes, and the entries that are still there.
pub(super) type Going = (Listed, Vec<([u8; 16], Place)>);

/// Records of one key that are to come.
#[derive(Clone, Copy, Debug, Default)]
struct Awaited {
    count: u32,
    /// Whether there was a newer one that will not come: the last of these is outdated, too.
    is_outdated: bool,
}

/// All entries and segments; the last segment is the one that is written.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashMap<[u8; 16], Place>,
    /// Keys whose newest record is not written yet.
    awaited: HashMap<[u8; 16], Awaited>,
    segments: VecDeque<Listed>,
    bytes: u64,
}

impl Index {
    /// Takes a segment that holds nothing yet, to be written from now on.
    pub(super) fn begin(&mut self, segment: Segment) {
        self.segments.push_back(Listed { segment, bytes: 0, keys: Vec::new() });
    }

    /// Takes a record that is at the end of the last segment, or stands in it at `at`.
    pub(super) fn take(&mut self, at: u32, head: &Head, now_ms: u64) {
        let Some(last) = self.segments.back_mut() else { return };
        if head.usable_until_ms <= now_ms {
            self.places.remove(&head.key);
            return;
        }
        last.keys.push(head.key);
        let place = Place {
            segment: last.segment.number,
            at,
            usable_until_ms: head.usable_until_ms,
            was_read: false,
        };
        self.places.insert(head.key, place);
    }

    /// The last segment has grown by so much.
    pub(super) fn grow(&mut self, bytes: u64) {
        if let Some(last) = self.segments.back_mut() {
            last.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// A newer record of this entry is to come: what is there is not read any more.
    pub(super) fn expect(&mut self, key: [u8; 16]) {
        let awaited = self.awaited.entry(key).or_default();
        awaited.count += 1;
        awaited.is_outdated = false;
    }

    /// The newest record of this entry will not come: what is there is outdated, and so is what is
    /// to come.
    pub(super) fn outdate(&mut self, key: &[u8; 16]) {
        self.places.remove(key);
        if let Some(awaited) = self.awaited.get_mut(key) {
            awaited.is_outdated = true;
        }
    }

    /// The entries of a segment that goes and are worth another record: those without a newer one
    /// to come. Each is to be [settled](Self::settle).
    pub(super) fn hold(&mut self, live: &mut Vec<([u8; 16], Place)>) {
        live.retain(|(key, _)| !self.awaited.contains_key(key));
        let held = Awaited { count: 1, is_outdated: false };
        self.awaited.extend(live.iter().map(|(key, _)| (*key, held)));
    }

    /// A record that was to come was written, or will not be: then what is there is outdated.
    pub(super) fn settle(&mut self, key: &[u8; 16], is_written: bool) {
        let mut is_outdated = !is_written;
        if let Some(awaited) = self.awaited.get_mut(key) {
            awaited.count -= 1;
            if awaited.count == 0 {
                is_outdated |= awaited.is_outdated;
                self.awaited.remove(key);
            }
        }
        if is_outdated {
            self.places.remove(key);
        }
    }

    /// Whether records are still to come.
    #[cfg(test)]
    pub(super) fn is_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Whether there is a record of this entry.
    pub(super) fn knows(&self, key: &[u8; 16]) -> bool {
        self.places.contains_key(key)
    }

    /// Where an entry is that is about to be read, and in what.
    pub(super) fn read(&mut self, key: &[u8; 16], now_ms: u64) -> Option<(Segment, Place)> {
        if self.awaited.contains_key(key) {
            return None;
        }
        let place = self.places.get_mut(key).filter(|place| place.usable_until_ms > now_ms)?;
        place.was_read = true;
        let first = self.segments.front()?.segment.number;
        // Numbers follow one another but for segments that could not be read.
        let from = usize::try_from(place.segment.checked_sub(first)?).unwrap_or(usize::MAX);
        let near = self.segments.iter().take(from.saturating_add(1)).rev();
        let listed = near.into_iter().find(|listed| listed.segment.number == place.segment)?;
        Some((listed.segment.clone(), *place))
    }

    /// Whether the newest record of an entry is at this place.
    pub(super) fn is_newest(&self, key: &[u8; 16], place: Place) -> bool {
        !self.awaited.contains_key(key) && self.is_at(key, place)
    }

    /// Forgets an entry, if it still is there.
    pub(super) fn forget_at(&mut self, key: &[u8; 16], place: Place) {
        if self.is_at(key, place) {
            self.places.remove(key);
        }
    }

    fn is_at(&self, key: &[u8; 16], place: Place) -> bool {
        let is_there = |known: &Place| (known.segment, known.at) == (place.segment, place.at);
        self.places.get(key).is_some_and(is_there)
    }

    /// Takes the oldest segment out, when a record of this size would break a bound; with it the
    /// entries that are still there.
    pub(super) fn take_oldest(&mut self, more_bytes: u64, bytes_max: u64) -> Option<Going> {
        let is_in_bounds = self.bytes + more_bytes <= bytes_max
            && self.segments.len() < SEGMENTS_MAX
            && self.places.len() < ENTRIES_MAX;
        if is_in_bounds {
            return None;
        }
        let oldest = self.segments.pop_front()?;
        self.bytes -= oldest.bytes;
        let mut live = Vec::new();
        for key in &oldest.keys {
            if self.places.get(key).is_some_and(|place| place.segment == oldest.segment.number)
                && let Some(place) = self.places.remove(key)
            {
                live.push((*key, place));
            }
        }
        Some((oldest, live))
    }

    /// Forgets everything, and gives the segments.
    pub(super) fn clear(&mut self) -> Vec<Segment> {
        self.places.clear();
        self.bytes = 0;
        self.segments.drain(..).map(|listed| listed.segment).collect()
    }

    /// The segment that is written, and its length.
    pub(super) fn last(&self) -> Option<(Segment, u64)> {
        self.segments.back().map(|listed| (listed.segment.clone(), listed.bytes))
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Entries that are known.
    pub(super) fn entries(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use harness::Directory;

    use super::*;

    const KEY: [u8; 16] = [7; 16];

    fn index_in(folder: &Path) -> Index {
        let mut index = Index::default();
        index.begin(Segment::create(folder, 0).unwrap());
        index
    }

    fn write(index: &mut Index, at: u32) {
        index.take(at, &Head::of(KEY, 2), 1);
    }

    #[test]
    fn older_record_that_is_still_to_come_is_outdated_by_one_that_never_comes() {
        let folder = Directory::new();
        let mut index = index_in(folder.path());
        index.expect(KEY);
        index.outdate(&KEY);
        write(&mut index, 0);
        index.settle(&KEY, true);
        assert!(index.read(&KEY, 1).is_none());
        for at in [1, 2] {
            index.expect(KEY);
            write(&mut index, at);
        }
        index.settle(&KEY, true);
        assert!(index.read(&KEY, 1).is_none(), "the second is to come");
        index.settle(&KEY, true);
        assert_eq!(index.read(&KEY, 1).unwrap().1.at, 2);
    }

    #[test]
    fn what_is_written_again_is_outdated_by_what_came_meanwhile() {
        let folder = Directory::new();
        let mut index = index_in(folder.path());
        write(&mut index, 0);
        let (_, mut live) = index.take_oldest(1, 0).unwrap();
        index.hold(&mut live);
        assert_eq!(live.len(), 1);
        index.outdate(&KEY);
        index.begin(Segment::create(folder.path(), 1).unwrap());
        write(&mut index, 0);
        index.settle(&KEY, true);
        assert!(index.read(&KEY, 1).is_none());
        write(&mut index, 1);
        index.expect(KEY);
        let (_, mut live) = index.take_oldest(1, 0).unwrap();
        index.hold(&mut live);
        assert!(live.is_empty(), "a newer one is to come");
    }
}
