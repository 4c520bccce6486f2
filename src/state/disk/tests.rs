//! Does the disk give back what was written, whatever happened to its files?
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use harness::Directory;
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;

use super::*;
use crate::cache::invalidation::Invalidations;
use crate::cache::key::{Key, KeyParts, TargetKey};
use crate::cache::note::{Purge, Scope};
use crate::cache::object::{Checked, Validators, Variance};
use crate::cache::windows::{Grace, Windows};

const MIB: usize = 1 << 20;

/// A gateway's memory over its disk, one after the other in the same folder.
struct Tiers {
    memory: &'static Store,
    disk: Arc<Disk>,
}

impl Tiers {
    fn open(folder: &Directory, memory_bytes: usize, disk_bytes: usize) -> Self {
        let (disk, notes) = Disk::open(folder.path(), disk_bytes, Now::read()).unwrap();
        let notes = notes.iter().map(Vec::as_slice);
        let changes = Invalidations::logged(notes, disk.clone(), Now::read().wall);
        let store = Store::backed(memory_bytes, changes, disk.clone());
        let memory: &'static Store = Box::leak(Box::new(store));
        disk.attach(memory);
        Self { memory, disk }
    }

    /// Notes that a path changed now.
    fn change(&self, path: &str) {
        let change = Purge::hard(Scope::Target(TargetKey::new("h", path)));
        self.memory.invalidations().note(change, Now::read().wall);
    }

    /// Ends as kill -9 would, but that what is queued is written.
    fn crash(self, folder: &Directory) -> Directory {
        self.settle();
        copy_of(folder)
    }

    /// Waits until everything that was put is written.
    fn settle(&self) {
        while self.disk.shared.counts.queued_bytes.load(Ordering::Relaxed) > 0
            || self.disk.shared.index().is_awaited()
        {
            std::thread::yield_now();
        }
    }

    fn put(&self, name: &str, body: &[u8]) {
        self.memory.put(&key(name), object(name, body, Now::read().wall));
    }

    async fn get(&self, name: &str) -> Option<Bytes> {
        let nobody = HeaderMap::new();
        if let Some(found) = self.memory.select(&key(name), &nobody) {
            return Some(found.body.clone());
        }
        self.disk.recall(key(name).as_bytes(), Now::read()).await;
        self.memory.select(&key(name), &nobody).map(|found| found.body.clone())
    }
}

fn key(path: &str) -> Key {
    let (route, pool, scheme, host) = ("r", "p", "http", "h");
    Key::new(&KeyParts { route, pool, form: None, scheme, host, path, query: "", principal: None })
}

fn object(name: &str, body: &[u8], at: SystemTime) -> Arc<Object> {
    let hour = Duration::from_secs(3_600);
    Arc::new(Object {
        head: ResponseHeader::build(200, None).unwrap(),
        body: Bytes::copy_from_slice(body),
        windows: Windows::open(at, Duration::ZERO, hour, Grace::default()),
        validators: Validators::default(),
        variance: Variance::default(),
        upstream_status: StatusCode::OK,
        target: Some(TargetKey::new("h", name)),
        labels: Arc::default(),
        usage: Arc::default(),
        took: Duration::ZERO,
        asked_at: at,
        checked: Checked::default(),
        codings: None,
        refresh_after: UNIX_EPOCH,
    })
}

/// A body of some thousand bytes that nobody takes for another's.
fn body(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(3_000 + 37 * name.len()).collect()
}

/// The first one stays locked for as long as this process lives.
fn copy_of(folder: &Directory) -> Directory {
    let again = Directory::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), again.path().join(entry.file_name())).unwrap();
    }
    again
}

fn segment_files(folder: &Directory) -> Vec<PathBuf> {
    segments_in(folder.path()).unwrap().into_iter().map(|segment| segment.path).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_crash() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    for name in ["/a", "/b"] {
        tiers.put(name, &body(name));
    }
    tiers.put("/a", b"newer");
    let folder = tiers.crash(&folder);
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    assert_eq!(tiers.disk.figures().entries, 2);
    assert_eq!(tiers.get("/a").await.unwrap(), &b"newer"[..]);
    assert_eq!(tiers.get("/b").await.unwrap(), body("/b"));
    assert_eq!(tiers.get("/c").await, None);
}

#[tokio::test]
async fn what_is_forgotten_or_over_does_not_come_back() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    let long_ago = Now::read().wall - Duration::from_secs(3_601);
    tiers.memory.put(&key("/over"), object("/over", b"x", long_ago));
    tiers.put("/forgotten", b"x");
    tiers.memory.purge_key(key("/forgotten").as_bytes());
    tiers.put("/changed", b"x");
    tiers.change("/changed");
    tiers.put("/kept", b"x");
    let folder = tiers.crash(&folder);
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    for name in ["/over", "/forgotten", "/changed"] {
        assert_eq!(tiers.get(name).await, None, "{name}");
    }
    assert_eq!(tiers.get("/kept").await.unwrap(), &b"x"[..]);
}

#[tokio::test]
async fn bound_holds_and_what_is_read_stays() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, 64 * 1024, MIB);
    tiers.put("/hot", &body("/hot"));
    for index in 0..2_000 {
        let name = format!("/{index}");
        tiers.put(&name, &body(&name));
        if index % 20 == 0 {
            tiers.settle();
            assert_eq!(tiers.get("/hot").await.unwrap(), body("/hot"), "{index}");
        }
    }
    tiers.settle();
    let figures = tiers.disk.figures();
    let files = segment_files(&folder);
    let bytes: u64 = files.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(figures.bytes, bytes);
    assert!(bytes <= MIB as u64 && bytes > MIB as u64 / 2, "{bytes}");
    assert!(figures.evictions > 1_000, "{figures:?}");
    assert_eq!(tiers.get("/0").await, None);
}

#[tokio::test]
async fn damage_costs_what_is_damaged_and_nothing_else() {
    let names: Vec<String> = (0..12).map(|index| format!("/{index}")).collect();
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    names.iter().for_each(|name| tiers.put(name, &body(name)));
    let written = tiers.crash(&folder);
    let path = segment_files(&written).remove(0);
    let whole = fs::read(&path).unwrap();
    for round in 0..60 {
        let mut damaged = whole.clone();
        if round % 3 == 0 {
            damaged.truncate(whole.len() * (round + 1) / 61);
        } else {
            let at = whole.len() * round / 60 + round;
            damaged[at] ^= 1 << (round % 8);
        }
        fs::write(&path, &damaged).unwrap();
        let folder = copy_of(&written);
        let tiers = Tiers::open(&folder, MIB, 4 * MIB);
        let mut lost = 0;
        for name in &names {
            match tiers.get(name).await {
                Some(found) => assert_eq!(found, body(name), "round {round}"),
                None => lost += 1,
            }
        }
        if round % 3 == 0 {
            let whole_ones = names.len() * damaged.len() / whole.len();
            assert!(lost <= names.len() - whole_ones + 1, "round {round}: {lost} lost");
        } else {
            assert_eq!((lost, tiers.disk.figures().damaged), (1, 1), "round {round}");
        }
    }
}

#[tokio::test]
async fn body_that_looks_like_a_record_is_none() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    tiers.put("/victim", b"right");
    let folder = tiers.crash(&folder);
    let stolen = fs::read(segment_files(&folder).remove(0)).unwrap();
    // In the body of another answer, whose own head is then damaged so that a head is looked for.
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    tiers.put("/victim", b"newer");
    tiers.put("/bait", &stolen);
    let folder = tiers.crash(&folder);
    let path = segment_files(&folder).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let bait = bytes.windows(stolen.len()).position(|window| window == stolen).unwrap();
    let heads = bytes[..bait].windows(8).rposition(|window| window == &stolen[..8]).unwrap();
    bytes[heads + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    assert_eq!(tiers.get("/victim").await.unwrap(), &b"newer"[..]);
    assert_eq!(tiers.get("/bait").await, None);
}

#[tokio::test]
async fn damaged_notes_cost_all_that_is_on_disk() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    tiers.put("/a", b"x");
    tiers.change("/b");
    let folder = tiers.crash(&folder);
    let path = folder.path().join("changes-2");
    let mut notes = fs::read(&path).unwrap();
    notes[20] ^= 1;
    fs::write(&path, notes).unwrap();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    assert_eq!(tiers.get("/a").await, None);
    assert_eq!(segment_files(&folder).len(), 0);
}

#[tokio::test]
async fn disk_that_takes_nothing_costs_no_answer() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    fs::remove_dir_all(folder.path()).unwrap();
    tiers.put("/a", b"x");
    tiers.settle();
    assert_eq!(tiers.get("/a").await.unwrap(), &b"x"[..]);
    let figures = tiers.disk.figures();
    assert_eq!((figures.errors, figures.dropped, figures.entries), (1, 1, 0));
    fs::create_dir(folder.path()).unwrap();
}

#[tokio::test]
async fn smaller_budget_holds_from_the_start() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, 4 * MIB, 4 * MIB);
    for index in 0..800 {
        let name = format!("/{index}");
        tiers.put(&name, &body(&name));
    }
    let folder = tiers.crash(&folder);
    let tiers = Tiers::open(&folder, MIB, MIB);
    let bytes = tiers.disk.figures().bytes;
    assert!(bytes <= MIB as u64 && bytes > MIB as u64 / 2, "{bytes}");
    assert_eq!(tiers.get("/799").await.unwrap(), body("/799"));
    assert_eq!(tiers.get("/0").await, None);
}

#[tokio::test]
async fn what_is_over_at_once_hides_what_was_before_it() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, MIB);
    tiers.put("/a", b"x");
    let long_ago = Now::read().wall - Duration::from_secs(3_601);
    tiers.memory.put(&key("/a"), object("/a", b"over", long_ago));
    let folder = tiers.crash(&folder);
    let tiers = Tiers::open(&folder, MIB, MIB);
    assert_eq!((tiers.disk.figures().entries, tiers.get("/a").await), (0, None));
}

#[test]
fn folder_is_one_gateways() {
    let folder = Directory::new();
    let _first = Tiers::open(&folder, MIB, MIB);
    let second = Disk::open(folder.path(), MIB, Now::read());
    assert!(matches!(second, Err(DiskError::InUse(_))));
}

#[test]
fn files_of_another_form_are_deleted() {
    let folder = Directory::new();
    let other = folder.write("answers-0-000000000001-00", "x");
    let _tiers = Tiers::open(&folder, MIB, MIB);
    assert!(!other.exists());
}

#[tokio::test]
async fn missing_notes_cost_all_that_is_on_disk() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    tiers.put("/a", b"x");
    let folder = tiers.crash(&folder);
    fs::remove_file(folder.path().join("changes-2")).unwrap();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    assert_eq!(tiers.get("/a").await, None);
    assert_eq!(segment_files(&folder).len(), 0);
}

#[tokio::test]
async fn change_that_cannot_be_noted_keeps_the_disk_empty_until_all_are_noted_anew() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    tiers.put("/a", b"x");
    tiers.settle();
    tiers.disk.notes.break_file();
    // Nor can they be written anew.
    let next = folder.path().join("changes-2.next");
    fs::create_dir(&next).unwrap();
    tiers.change("/a");
    tiers.put("/b", b"x");
    tiers.settle();
    assert_eq!((tiers.disk.figures().entries, segment_files(&folder).len()), (0, 0));
    fs::remove_dir(&next).unwrap();
    tiers.change("/c");
    tiers.put("/b", b"newer");
    let folder = tiers.crash(&folder);
    let (_, notes) = Disk::open(folder.path(), 4 * MIB, Now::read()).unwrap();
    assert_eq!(notes.len(), 2, "of both changes");
    let folder = copy_of(&folder);
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    assert_eq!(tiers.get("/b").await.unwrap(), &b"newer"[..]);
}

#[tokio::test]
async fn variant_that_no_longer_holds_is_not_written_again() {
    let folder = Directory::new();
    let tiers = Tiers::open(&folder, MIB, 4 * MIB);
    let before = Now::read().wall;
    tiers.change("/a");
    tiers.memory.put(&key("/a"), object("/a", b"x", before));
    tiers.settle();
    assert_eq!(tiers.disk.figures().entries, 0);
}
