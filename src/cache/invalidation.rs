//! Which stored answers hold no more? RFC 9111, section 4.4, and what an operator purges.
//!
//! An answer is named by more than its target, so a purge does not look for the answers that it
//! covers: it notes the time, and an answer that was asked for before that holds no more. So one that
//! is still on its way is covered too. How many notes there are is bounded. When the oldest has to
//! go, everything that was asked for before it counts as covered: rather too much than what is known
//! to be wrong.
//!
//! Each note begins a new epoch. An answer that was found to hold is not looked at again in the same
//! one, so that a hit takes no lock while nothing changes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use lru::LruCache;

use super::backing::NoteLog;
use super::key::TargetKey;
use super::labels::Labels;
use super::note::{Grade, Note, PREFIX_BYTES_MAX, Position, Purge, Scope};
use super::object::Object;

/// Most notes, of some 150 bytes each.
const NOTES_MAX: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Most different lengths of prefixes: so many look-ups are made for one answer, twice.
const LENGTHS_MAX: usize = 64;

/// When what changed.
#[derive(Debug)]
pub struct Invalidations {
    /// Grows with each note; 0 while there is none.
    epoch: AtomicU64,
    notes: RwLock<Notes>,
    /// Where notes are written down; the lock is for one who writes them all anew.
    log: Option<Mutex<Arc<dyn NoteLog>>>,
}

/// Whether an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing covers it.
    Holds,
    /// It counts as stale since then.
    StaleSince(SystemTime, Cause),
    /// It is not used any more.
    Invalid(Cause),
}

/// What covers an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A change of its target, or a purge of it.
    Target,
    /// A purge of its target with its query.
    Exact,
    /// A purge of the tag at this place in its labels.
    Tag(usize),
    /// A purge of its route.
    Route,
    /// A purge of a prefix of this many bytes.
    Prefix(usize),
    /// A purge of everything, or a note that had no room any more.
    All,
}

/// The last times that something was purged.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    hard: Option<SystemTime>,
    soft: Option<SystemTime>,
}

/// The kinds of what a note is about, each with its latest times: an answer that was asked for after
/// all of a kind is not looked up in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Target,
    Exact,
    Tag,
    Route,
    Prefix,
}

#[derive(Debug)]
struct Notes {
    by_key: LruCache<TargetKey, Noted>,
    latest: [Times; 5],
    /// How many notes there are of prefixes, by their length.
    lengths: BTreeMap<usize, usize>,
    /// Everything that was asked for until then is covered.
    floor: Times,
    position: Option<Position>,
}

#[derive(Clone, Debug)]
struct Noted {
    times: Times,
    purge: Purge,
}

impl Default for Invalidations {
    fn default() -> Self {
        Self::new(NOTES_MAX)
    }
}

impl Invalidations {
    fn new(notes_max: NonZeroUsize) -> Self {
        let notes = Notes {
            by_key: LruCache::new(notes_max),
            latest: [Times::default(); 5],
            lengths: BTreeMap::new(),
            floor: Times::default(),
            position: None,
        };
        Self { epoch: AtomicU64::new(0), notes: RwLock::new(notes), log: None }
    }

    /// Notes as they were written before a restart, and a log for those to come. What cannot be read
    /// may have been about anything.
    #[must_use]
    pub fn logged<'a>(
        written: impl IntoIterator<Item = &'a [u8]>,
        log: Arc<dyn NoteLog>,
        now: SystemTime,
    ) -> Self {
        let mut known = Self::default();
        for bytes in written {
            match Note::from_bytes(bytes) {
                Some(note) => known.restore(note),
                None => known.note(Purge::hard(Scope::All), now),
            }
        }
        known.log = Some(Mutex::new(log));
        known
    }

    /// Notes a purge: it covers everything that was asked for until now.
    pub fn note(&self, purge: Purge, now: SystemTime) {
        let note = Note::Purged { purge: purge.clone(), at: now };
        let mut notes = self.notes.write().unwrap_or_else(PoisonError::into_inner);
        notes.add(purge, now);
        // While the lock is held: who sees the new epoch sees the note.
        self.epoch.fetch_add(1, Ordering::Release);
        drop(notes);
        self.write(&note);
    }

    fn restore(&self, note: Note) {
        match note {
            Note::Purged { purge, at } => self.note(purge, at),
            Note::Read(position) => self.read_to(position),
        }
    }

    /// How far the purges of the other machines are known.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.notes.read().unwrap_or_else(PoisonError::into_inner).position
    }

    /// The purges of the other machines are known so far.
    pub fn read_to(&self, position: Position) {
        self.notes.write().unwrap_or_else(PoisonError::into_inner).position = Some(position);
        self.write(&Note::Read(position));
    }

    /// Writes a note down that is in force already: one who writes all anew meanwhile has it too.
    fn write(&self, note: &Note) {
        let Some(log) = &self.log else { return };
        let log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.append(&note.to_bytes()) {
            let mut all = self.notes().into_iter().map(|note| note.to_bytes());
            if let Err(error) = log.rewrite(&mut all) {
                tracing::error!(%error, "the notes of what was purged cannot be written anew");
            }
        }
    }

    /// All that has to be known after a restart, the oldest first.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let notes = self.notes.read().unwrap_or_else(PoisonError::into_inner);
        let floor = Noted { times: notes.floor, purge: Purge::hard(Scope::All) };
        let kept = notes.by_key.iter().rev().map(|(_, noted)| noted);
        let mut all: Vec<Note> =
            std::iter::once(&floor).chain(kept).flat_map(Noted::notes).collect();
        all.extend(notes.position.map(Note::Read));
        all
    }

    /// Grows with each note; 0 while there is none.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether an answer holds.
    #[must_use]
    pub fn verdict(&self, object: &Object) -> Verdict {
        // Read before the notes: one that comes in between is looked at the next time.
        let epoch = self.epoch();
        if object.checked.at(epoch) {
            return Verdict::Holds;
        }
        let verdict = self.judge(object.target.as_ref(), &object.labels, object.asked_at);
        if verdict == Verdict::Holds {
            object.checked.found(epoch);
        }
        verdict
    }

    fn judge(&self, target: Option<&TargetKey>, labels: &Labels, asked_at: SystemTime) -> Verdict {
        let notes = self.notes.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Found { asked_at, hard: None, soft: None };
        found.add(notes.floor, Cause::All);
        let reaches = |kind: Kind| notes.latest(kind).reach(asked_at);
        let times = |key: &TargetKey| notes.by_key.peek(key).map(|noted| noted.times);
        let mut look = |key: &TargetKey, cause| found.add(times(key).unwrap_or_default(), cause);
        if let Some(target) = target.filter(|_| reaches(Kind::Target)) {
            look(target, Cause::Target);
        }
        let Labels { route, host, path, query, tags } = labels;
        if reaches(Kind::Exact) {
            look(&TargetKey::exact(host, path, query), Cause::Exact);
        }
        if reaches(Kind::Tag) {
            for (index, tag) in tags.iter().enumerate() {
                look(&TargetKey::tag(tag), Cause::Tag(index));
            }
        }
        if reaches(Kind::Route) {
            look(&TargetKey::route(route), Cause::Route);
        }
        if reaches(Kind::Prefix) {
            for length in notes.lengths.keys() {
                let Some(prefix) = path.as_bytes().get(..*length) else { break };
                look(&TargetKey::prefix(None, prefix), Cause::Prefix(*length));
                look(&TargetKey::prefix(Some(host), prefix), Cause::Prefix(*length));
            }
        }
        found.verdict()
    }
}

impl Cause {
    /// What an operator is told of it.
    #[must_use]
    pub fn told(self, labels: &Labels) -> String {
        match self {
            Self::Target => "its target was changed or purged".to_owned(),
            Self::Exact => "its target was purged with its query".to_owned(),
            Self::Tag(index) => {
                format!("purged by tag {}", labels.tags.get(index).map_or("", String::as_str))
            }
            Self::Route => format!("purged with route {}", labels.route),
            Self::Prefix(length) => {
                let prefix = labels.path.as_bytes().get(..length).unwrap_or_default();
                format!("purged by prefix {}", String::from_utf8_lossy(prefix))
            }
            Self::All => "purged with everything".to_owned(),
        }
    }
}

impl Times {
    fn of(grade: Grade, at: SystemTime) -> Self {
        match grade {
            Grade::Hard => Self { hard: Some(at), soft: None },
            Grade::Soft => Self { hard: None, soft: Some(at) },
        }
    }

    fn raise(&mut self, other: Self) {
        self.hard = self.hard.max(other.hard);
        self.soft = self.soft.max(other.soft);
    }

    fn reach(self, asked_at: SystemTime) -> bool {
        self.hard.max(self.soft).is_some_and(|at| asked_at <= at)
    }
}

impl Noted {
    fn notes(&self) -> impl Iterator<Item = Note> + use<> {
        let scope = self.purge.scope.clone();
        let graded = [(Grade::Hard, self.times.hard), (Grade::Soft, self.times.soft)];
        graded.into_iter().filter_map(move |(grade, at)| {
            Some(Note::Purged { purge: Purge { scope: scope.clone(), grade }, at: at? })
        })
    }
}

impl Notes {
    fn add(&mut self, mut purge: Purge, now: SystemTime) {
        let mut times = Times::of(purge.grade, now);
        if let Scope::Prefix { path, .. } = &mut purge.scope {
            self.shorten(path);
        }
        let (key, kind) = match &purge.scope {
            Scope::All => return self.floor.raise(times),
            Scope::Prefix { path, .. } if path.is_empty() => return self.floor.raise(times),
            Scope::Target(key) => (*key, Kind::Target),
            Scope::Exact(key) => (*key, Kind::Exact),
            Scope::Tag(key) => (*key, Kind::Tag),
            Scope::Route(key) => (*key, Kind::Route),
            Scope::Prefix { host, path } => {
                (TargetKey::prefix(host.as_deref(), path.as_bytes()), Kind::Prefix)
            }
        };
        if let Some(latest) = self.latest.get_mut(kind as usize) {
            latest.raise(times);
        }
        if let Some(known) = self.by_key.peek(&key) {
            times.raise(known.times);
        } else if let Scope::Prefix { path, .. } = &purge.scope {
            *self.lengths.entry(path.len()).or_default() += 1;
        }
        if let Some((pushed_out, noted)) = self.by_key.push(key, Noted { times, purge })
            && pushed_out != key
        {
            self.forget(&noted);
        }
    }

    /// What had no room covers everything from then on.
    fn forget(&mut self, noted: &Noted) {
        self.floor.raise(noted.times);
        if let Scope::Prefix { path, .. } = &noted.purge.scope
            && let Some(count) = self.lengths.get_mut(&path.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&path.len());
            }
        }
    }

    /// Cuts a prefix to a length that is looked up already where there are too many; what is shorter
    /// covers more.
    fn shorten(&self, path: &mut String) {
        let mut length = path.len().min(PREFIX_BYTES_MAX);
        if !self.lengths.contains_key(&length) && self.lengths.len() >= LENGTHS_MAX {
            let shorter = self.lengths.range(..length).next_back();
            length = shorter.map_or(0, |(shorter, _)| *shorter);
        }
        if length < path.len() {
            // A prefix that ends within a character covers the same as one that ends before it.
            path.truncate(path.floor_char_boundary(length));
            if !self.lengths.contains_key(&path.len()) && self.lengths.len() >= LENGTHS_MAX {
                path.clear();
            }
        }
    }

    fn latest(&self, kind: Kind) -> Times {
        self.latest.get(kind as usize).copied().unwrap_or_default()
    }
}

/// What was found to cover an answer.
struct Found {
    asked_at: SystemTime,
    hard: Option<Cause>,
    soft: Option<(SystemTime, Cause)>,
}

impl Found {
    fn add(&mut self, times: Times, cause: Cause) {
        let covers = |at: &SystemTime| self.asked_at <= *at;
        if times.hard.as_ref().is_some_and(covers) {
            self.hard = Some(cause);
        }
        if let Some(at) = times.soft.filter(covers)
            && self.soft.is_none_or(|(since, _)| at < since)
        {
            self.soft = Some((at, cause));
        }
    }

    fn verdict(self) -> Verdict {
        match (self.hard, self.soft) {
            (Some(cause), _) => Verdict::Invalid(cause),
            (None, Some((since, cause))) => Verdict::StaleSince(since, cause),
            (None, None) => Verdict::Holds,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn labels(path: &str) -> Labels {
        Labels {
            route: "r".into(),
            host: "h".into(),
            path: path.into(),
            query: "q=1".into(),
            tags: vec!["one".into(), "two".into()],
        }
    }

    fn judge(notes: &Invalidations, path: &str, asked_at: u64) -> Verdict {
        notes.judge(Some(&TargetKey::new("h", path)), &labels(path), at(asked_at))
    }

    fn holds(notes: &Invalidations, path: &str, asked_at: u64) -> bool {
        judge(notes, path, asked_at) == Verdict::Holds
    }

    fn change(path: &str) -> Purge {
        Purge::hard(Scope::Target(TargetKey::new("h", path)))
    }

    fn prefix(host: Option<&str>, path: &str) -> Scope {
        Scope::Prefix { host: host.map(str::to_owned), path: path.to_owned() }
    }

    #[test]
    fn what_was_asked_for_before_a_change_is_invalid() {
        let changes = Invalidations::default();
        assert!(holds(&changes, "/a", 1));
        changes.note(change("/a"), at(10));
        for (path, asked_at, wanted) in
            [("/a", 9, false), ("/a", 10, false), ("/a", 11, true), ("/b", 9, true)]
        {
            assert_eq!(holds(&changes, path, asked_at), wanted, "{path} {asked_at}");
        }
        changes.note(change("/a"), at(20));
        assert!(!holds(&changes, "/a", 11) && holds(&changes, "/b", 11));
    }

    #[test]
    fn no_note_is_forgotten_when_there_are_too_many() {
        let changes = Invalidations::new(NonZeroUsize::new(2).unwrap());
        for (path, now) in [("/a", 10), ("/b", 20), ("/c", 30)] {
            changes.note(change(path), at(now));
        }
        assert!(!holds(&changes, "/a", 10), "it was pushed out");
        assert!(!holds(&changes, "/x", 10) && holds(&changes, "/x", 11));
        assert!(!holds(&changes, "/b", 20) && holds(&changes, "/b", 21));
    }

    #[test]
    fn each_scope_covers_what_it_names_and_says_so() {
        let scopes = [
            (Scope::Exact(TargetKey::exact("h", "/a/b", "q=1")), Cause::Exact),
            (Scope::Tag(TargetKey::tag("two")), Cause::Tag(1)),
            (Scope::Route(TargetKey::route("r")), Cause::Route),
            (prefix(None, "/a/"), Cause::Prefix(3)),
            (prefix(Some("h"), "/a/b"), Cause::Prefix(4)),
            (prefix(None, ""), Cause::All),
            (Scope::All, Cause::All),
        ];
        for (scope, cause) in scopes {
            let notes = Invalidations::default();
            notes.note(Purge::hard(scope.clone()), at(10));
            assert_eq!(judge(&notes, "/a/b", 10), Verdict::Invalid(cause), "{scope:?}");
            assert_eq!(judge(&notes, "/a/b", 11), Verdict::Holds, "{scope:?}");
        }
        for other in [
            Scope::Exact(TargetKey::exact("h", "/a/b", "q=2")),
            Scope::Tag(TargetKey::tag("three")),
            Scope::Route(TargetKey::route("s")),
            prefix(Some("i"), "/a/"),
            prefix(None, "/a/b/"),
        ] {
            let notes = Invalidations::default();
            notes.note(Purge::hard(other.clone()), at(10));
            assert_eq!(judge(&notes, "/a/b", 10), Verdict::Holds, "{other:?}");
        }
    }

    #[test]
    fn a_soft_purge_says_since_when_and_a_hard_one_outweighs_it() {
        let notes = Invalidations::default();
        let soft = |path: &str| Purge { grade: Grade::Soft, ..change(path) };
        notes.note(soft("/a"), at(10));
        assert_eq!(judge(&notes, "/a", 9), Verdict::StaleSince(at(10), Cause::Target));
        notes.note(change("/a"), at(12));
        assert_eq!(judge(&notes, "/a", 9), Verdict::Invalid(Cause::Target));
        notes.note(soft("/a"), at(14));
        assert_eq!(judge(&notes, "/a", 9), Verdict::Invalid(Cause::Target), "it stays so");
        assert_eq!(judge(&notes, "/a", 13), Verdict::StaleSince(at(14), Cause::Target));
    }

    #[test]
    fn prefixes_of_too_many_lengths_cover_more_and_never_less() {
        let notes = Invalidations::default();
        for length in 1..=LENGTHS_MAX + 9 {
            notes.note(Purge::hard(prefix(None, &"x".repeat(length))), at(10));
        }
        let y = |length: usize| format!("{}y", "x".repeat(length));
        notes.note(Purge::hard(prefix(None, &y(LENGTHS_MAX + 3))), at(20));
        assert!(!holds(&notes, &y(LENGTHS_MAX + 3), 20));
        assert!(holds(&notes, "z", 20), "it was cut, not made a purge of everything");
    }

    #[test]
    fn notes_survive_a_restart_with_their_position() {
        let notes = Invalidations::default();
        notes.note(change("/a"), at(10));
        notes.note(Purge { grade: Grade::Soft, scope: Scope::All }, at(5));
        notes.read_to(Position { ms: 7, sequence: 1 });
        let restarted = Invalidations::default();
        for note in notes.notes() {
            restarted.restore(Note::from_bytes(&note.to_bytes()).unwrap());
        }
        assert_eq!(restarted.position(), notes.position());
        for (path, asked_at) in [("/a", 4), ("/a", 10), ("/a", 11), ("/b", 5), ("/b", 6)] {
            let wanted = judge(&notes, path, asked_at);
            assert_eq!(judge(&restarted, path, asked_at), wanted, "{path} {asked_at}");
        }
    }

    #[derive(Debug, Default)]
    struct Lines(Mutex<Vec<Vec<u8>>>);

    impl NoteLog for Lines {
        fn append(&self, note: &[u8]) -> bool {
            let mut lines = self.0.lock().unwrap();
            lines.push(note.to_vec());
            lines.len() > 4
        }

        fn rewrite(&self, notes: &mut dyn Iterator<Item = Vec<u8>>) -> std::io::Result<()> {
            *self.0.lock().unwrap() = notes.collect();
            Ok(())
        }
    }

    #[test]
    fn what_is_written_down_is_all_that_counts_after_a_restart() {
        let lines = Arc::new(Lines::default());
        let notes = Invalidations::logged([], lines.clone(), at(1));
        for second in 10..20 {
            notes.note(change("/a"), at(second));
            notes.read_to(Position { ms: second, sequence: 0 });
        }
        let written = lines.0.lock().unwrap().clone();
        assert!(written.len() <= 5, "it was written anew");
        let written = written.iter().map(Vec::as_slice);
        let restarted = Invalidations::logged(written, Arc::new(Lines::default()), at(30));
        assert_eq!(restarted.position(), Some(Position { ms: 19, sequence: 0 }));
        assert!(!holds(&restarted, "/a", 19) && holds(&restarted, "/a", 20));
        let strange = Invalidations::logged([&b"?"[..]], lines, at(30));
        assert!(!holds(&strange, "/b", 30) && holds(&strange, "/b", 31));
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let path = || prop_oneof!["/[ab]{0,3}", "/[ab]/[ab]{0,2}"];
        let host = proptest::option::of(prop_oneof![Just("h".to_owned()), Just("i".to_owned())]);
        prop_oneof![
            path().prop_map(|path| Scope::Target(TargetKey::new("h", &path))),
            path().prop_map(|path| Scope::Exact(TargetKey::exact("h", &path, "q=1"))),
            prop_oneof![Just("one"), Just("three")].prop_map(|tag| Scope::Tag(TargetKey::tag(tag))),
            (host, "/[ab]{0,2}").prop_map(|(host, path)| Scope::Prefix { host, path }),
            Just(Scope::Route(TargetKey::route("r"))),
            Just(Scope::All),
        ]
    }

    /// Whether a scope covers the answer of `labels(path)`, told the long way.
    fn covers(scope: &Scope, path: &str) -> bool {
        match scope {
            Scope::Target(key) => *key == TargetKey::new("h", path),
            Scope::Exact(key) => *key == TargetKey::exact("h", path, "q=1"),
            Scope::Tag(key) => *key == TargetKey::tag("one"),
            Scope::Route(_) | Scope::All => true,
            Scope::Prefix { host, path: prefix } => {
                host.as_deref().is_none_or(|host| host == "h") && path.starts_with(prefix)
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_was_asked_for_before_a_covering_note_ever_holds(
            said in proptest::collection::vec((any_scope(), any::<bool>(), 0_u64..20), 0..12),
            path in prop_oneof!["/[ab]{0,3}", "/[ab]/[ab]{0,2}"],
            asked_at in 0_u64..20,
            room in 1_usize..6,
        ) {
            let notes = Invalidations::new(NonZeroUsize::new(room).unwrap());
            for (scope, soft, now) in &said {
                let grade = if *soft { Grade::Soft } else { Grade::Hard };
                notes.note(Purge { scope: scope.clone(), grade }, at(*now));
            }
            let covering = |wanted: bool| said.iter().any(|(scope, soft, now)| {
                *soft == wanted && asked_at <= *now && covers(scope, &path)
            });
            let verdict = judge(&notes, &path, asked_at);
            if covering(false) {
                prop_assert!(matches!(verdict, Verdict::Invalid(_)), "{verdict:?}");
            } else if covering(true) {
                prop_assert!(verdict != Verdict::Holds);
            } else if said.len() <= room {
                prop_assert_eq!(verdict, Verdict::Holds);
            }
        }
    }
}
