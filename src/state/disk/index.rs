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

/// All entries and segments; the last segment is the one that is written.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashMap<[u8; 16], Place>,
    /// Keys whose newest record is not written yet, and how many are to come.
    awaited: HashMap<[u8; 16], u32>,
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
        *self.awaited.entry(key).or_default() += 1;
    }

    /// A record that was to come was written, or will not be: then what is there is outdated.
    pub(super) fn settle(&mut self, key: &[u8; 16], is_written: bool) {
        if let Some(awaited) = self.awaited.get_mut(key) {
            *awaited -= 1;
            if *awaited == 0 {
                self.awaited.remove(key);
            }
        }
        if !is_written {
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

    /// Forgets an entry, if it still is there.
    pub(super) fn forget_at(&mut self, key: &[u8; 16], place: Place) {
        let is_there = |known: &Place| (known.segment, known.at) == (place.segment, place.at);
        if self.places.get(key).is_some_and(is_there) {
            self.places.remove(key);
        }
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
