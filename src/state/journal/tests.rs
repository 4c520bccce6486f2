//! Does the journal give back what was written, whatever happened to its files?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use harness::Directory;
use segment::RECORD_BYTES;

use super::*;

const KEPT: Duration = Duration::from_secs(660);
const SMALL: Bounds = Bounds { segment_records: 4, records: 24, segments: 64 };

fn digest(number: u8) -> NonceDigest {
    [number; 32]
}

fn open(folder: &Path, now: Now) -> (Journal, Vec<Restored>) {
    Journal::open_with(folder, SMALL, now).unwrap()
}

fn numbers(restored: &[Restored]) -> BTreeSet<u8> {
    restored.iter().map(|(digest, _)| digest[0]).collect()
}

fn write(folder: &Path, numbers: impl IntoIterator<Item = u8>, now: Now) {
    let (journal, _) = open(folder, now);
    for number in numbers {
        journal.append(digest(number), KEPT, now).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    segments_in(folder).unwrap().into_iter().map(|(_, path)| path).collect()
}

#[test]
fn entries_come_back_with_the_time_that_is_left() {
    let folder = Directory::new();
    let start = Now::read();
    write(folder.path(), [1], start);
    write(folder.path(), [2], start.plus(Duration::from_secs(60)));
    let later = start.plus(Duration::from_secs(100));
    let (_journal, restored) = open(folder.path(), later);
    assert_eq!(numbers(&restored), [1, 2].into());
    let left: Vec<_> = restored
        .iter()
        .map(|(_, expiry)| (*expiry - later.instant).as_secs_f64().round())
        .collect();
    assert_eq!(left, [560.0, 620.0]);
}

#[test]
fn expired_segments_are_deleted_whole() {
    let folder = Directory::new();
    let start = Now::read();
    write(folder.path(), 0..9, start);
    assert_eq!(files(folder.path()).len(), 3);
    let (journal, restored) = open(folder.path(), start.plus(KEPT));
    assert!(restored.is_empty());
    assert!(files(folder.path()).is_empty());
    let later = start.plus(KEPT);
    for number in 0..9 {
        journal.append(digest(number), KEPT, later).unwrap();
    }
    // While the process runs they go as well, when the next one is begun.
    let end = later.plus(KEPT);
    for number in 0..9 {
        journal.append(digest(number), KEPT, end).unwrap();
    }
    assert!(files(folder.path()).len() <= 3, "{:?}", files(folder.path()));
}

#[test]
fn long_lived_entries_do_not_keep_the_expired_ones_around_them() {
    let folder = Directory::new();
    let start = Now::read();
    let (journal, _) = open(folder.path(), start);
    // One in four lives for a day, so that no segment ever expires as a whole.
    let mut long = BTreeSet::new();
    for number in 0..200_u8 {
        let now = start.plus(Duration::from_secs(u64::from(number)));
        let is_long = number % 20 == 0;
        let kept = Duration::from_secs(if is_long { 86_400 } else { 2 });
        journal.append(digest(number), kept, now).unwrap();
        long.extend(is_long.then_some(number));
    }
    let bytes: u64 =
        files(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let records = bytes as usize / RECORD_BYTES;
    assert!(records <= SMALL.records + SMALL.segment_records, "{records} records");
    drop(journal);
    let (_journal, restored) = open(folder.path(), start.plus(Duration::from_secs(1_000)));
    assert_eq!(numbers(&restored), long);
}

#[test]
fn short_segments_of_many_restarts_are_joined() {
    let folder = Directory::new();
    let now = Now::read();
    let bounds = Bounds { segments: 3, ..SMALL };
    for number in 0..12 {
        let (journal, restored) = Journal::open_with(folder.path(), bounds, now).unwrap();
        assert_eq!(restored.len(), usize::from(number));
        journal.append(digest(number), KEPT, now).unwrap();
    }
    assert!(files(folder.path()).len() <= 5, "{:?}", files(folder.path()));
}

#[test]
fn torn_last_record_is_dropped_and_the_rest_kept() {
    for cut in 1..RECORD_BYTES as u64 {
        let folder = Directory::new();
        let now = Now::read();
        write(folder.path(), [1, 2, 3], now);
        let file = OpenOptions::new().write(true).open(&files(folder.path())[0]).unwrap();
        file.set_len(3 * RECORD_BYTES as u64 - cut).unwrap();
        write(folder.path(), [4], now);
        let (_journal, restored) = open(folder.path(), now);
        assert_eq!(numbers(&restored), [1, 2, 4].into(), "{cut} bytes cut off");
    }
}

#[test]
fn damaged_record_costs_no_other() {
    let folder = Directory::new();
    let now = Now::read();
    write(folder.path(), [1, 2, 3], now);
    let path = &files(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[RECORD_BYTES + 20] ^= 1;
    fs::write(path, &bytes).unwrap();
    assert_eq!(segment::read(path, now.unix_ms()).unwrap().damaged, 1);
    let (_journal, restored) = open(folder.path(), now);
    assert_eq!(numbers(&restored), [1, 3].into());
}

#[test]
fn clock_that_was_wrong_keeps_no_entry_for_ever() {
    let folder = Directory::new();
    let now = Now::read();
    write(folder.path(), [1], now.plus(Duration::from_secs(1_000_000_000)));
    let (_journal, restored) = open(folder.path(), now);
    assert_eq!(restored, [(digest(1), now.instant + NONCE_KEPT_MAX)]);
}

#[test]
fn folder_belongs_to_one_process_and_its_owner() {
    let parent = Directory::new();
    let folder = parent.path().join("state/nonces");
    let now = Now::read();
    let (journal, _) = open(&folder, now);
    journal.append(digest(1), KEPT, now).unwrap();
    let error = Journal::open_with(&folder, SMALL, now).unwrap_err();
    assert!(matches!(error, JournalError::InUse(_)), "{error}");
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    for path in files(&folder).into_iter().chain([folder.join("lock")]) {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop(journal);
    let (_journal, restored) = open(&folder, now);
    assert_eq!(numbers(&restored), [1].into());
}

#[test]
fn failed_write_is_refused_and_writing_recovers_by_itself() {
    let parent = Directory::new();
    let folder = parent.path().join("nonces");
    let now = Now::read();
    let bounds = Bounds { segment_records: 1, ..SMALL };
    let (journal, _) = Journal::open_with(&folder, bounds, now).unwrap();
    journal.append(digest(1), KEPT, now).unwrap();
    fs::rename(&folder, parent.path().join("away")).unwrap();
    assert!(journal.append(digest(2), KEPT, now).is_err());
    assert!(journal.append(digest(2), KEPT, now).is_err());
    assert_eq!(journal.failures(), 2);
    fs::rename(parent.path().join("away"), &folder).unwrap();
    journal.append(digest(3), KEPT, now).unwrap();
    drop(journal);
    let (_journal, restored) = Journal::open_with(&folder, bounds, now).unwrap();
    assert_eq!(numbers(&restored), [1, 3].into());
}

#[test]
fn place_that_cannot_be_used_is_named() {
    let parent = Directory::new();
    let file = parent.write("file", "");
    let error = Journal::open_with(&file.join("nonces"), SMALL, Now::read()).unwrap_err();
    assert!(error.to_string().contains("file/nonces cannot be used"), "{error}");
}
