//! What holds no more, and how is that told to others and written down?
//!
//! A [`Purge`] says what is meant; a [`Note`] is a purge with the time from which it counts on this
//! machine. Both have a byte form that begins with its version, so that a file or a stream may hold
//! what another version wrote. Names of hosts, tags and routes are digests: nobody has to guess how
//! long they may be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::key::TargetKey;

/// The version of the byte forms.
const VERSION: u8 = 1;

/// Longest path of a prefix, in bytes.
pub const PREFIX_BYTES_MAX: usize = 2 * 1024;

/// What becomes of the answers that a purge covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// They are not used any more.
    Hard,
    /// They count as stale from that moment.
    Soft,
}

/// Which answers a purge covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of one host and path, whatever their query.
    Target(TargetKey),
    /// Those of one host, path and query.
    Exact(TargetKey),
    /// Those with a tag.
    Tag(TargetKey),
    /// Those of a route.
    Route(TargetKey),
    /// Those whose path begins so, on one host or on all.
    Prefix {
        /// The host, without port, in lower case.
        host: Option<String>,
        /// What the path begins with.
        path: String,
    },
    /// All of them.
    All,
}

/// That answers hold no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Which answers.
    pub scope: Scope,
    /// What becomes of them.
    pub grade: Grade,
}

/// How far the purges of the other machines are known: the id of an entry of a Redis stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Its first part, milliseconds of the server's clock.
    pub ms: u64,
    /// Its second part.
    pub sequence: u64,
}

/// What has to survive a restart together with answers that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What was asked for until then is covered by a purge.
    Purged {
        /// Which answers, and what becomes of them.
        purge: Purge,
        /// Until when, on this machine's clock, in whole nanoseconds.
        at: SystemTime,
    },
    /// The purges of the other machines are known so far.
    Read(Position),
}

impl Purge {
    /// A purge after which the answers are not used any more.
    #[must_use]
    pub fn hard(scope: Scope) -> Self {
        Self { scope, grade: Grade::Hard }
    }

    /// Its byte form: version, grade, kind, and what it names.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let grade = match self.grade {
            Grade::Hard => 0,
            Grade::Soft => 1,
        };
        let mut bytes = vec![VERSION, grade];
        match &self.scope {
            Scope::All => bytes.push(0),
            Scope::Target(key) => push_key(&mut bytes, 1, key),
            Scope::Exact(key) => push_key(&mut bytes, 2, key),
            Scope::Tag(key) => push_key(&mut bytes, 3, key),
            Scope::Route(key) => push_key(&mut bytes, 4, key),
            Scope::Prefix { host: None, path } => {
                bytes.push(5);
                bytes.extend_from_slice(path.as_bytes());
            }
            // Neither part has a zero byte in it.
            Scope::Prefix { host: Some(host), path } => {
                bytes.push(6);
                bytes.extend_from_slice(host.as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(path.as_bytes());
            }
        }
        bytes
    }

    /// Reads the byte form; `None` for what this version does not know.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [VERSION, grade, kind, rest @ ..] = bytes else { return None };
        let grade = match grade {
            0 => Grade::Hard,
            1 => Grade::Soft,
            _ => return None,
        };
        let text = || std::str::from_utf8(rest).ok();
        let key = || Some(TargetKey::from_bytes(rest.try_into().ok()?));
        let scope = match kind {
            0 if rest.is_empty() => Scope::All,
            1 => Scope::Target(key()?),
            2 => Scope::Exact(key()?),
            3 => Scope::Tag(key()?),
            4 => Scope::Route(key()?),
            5 => Scope::Prefix { host: None, path: text()?.to_owned() },
            6 => {
                let (host, path) = text()?.split_once('\0')?;
                Scope::Prefix { host: Some(host.to_owned()), path: path.to_owned() }
            }
            _ => return None,
        };
        Some(Self { scope, grade })
    }
}

impl Note {
    /// Its byte form: version, kind, time or position, and the purge.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        match self {
            Self::Purged { purge, at } => {
                bytes.push(0);
                let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
                let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
                bytes.extend_from_slice(&nanos.to_be_bytes());
                bytes.extend_from_slice(&purge.to_bytes());
            }
            Self::Read(Position { ms, sequence }) => {
                bytes.push(1);
                bytes.extend_from_slice(&ms.to_be_bytes());
                bytes.extend_from_slice(&sequence.to_be_bytes());
            }
        }
        bytes
    }

    /// Reads the byte form; `None` for what this version does not know.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [VERSION, kind, rest @ ..] = bytes else { return None };
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let first = u64::from_be_bytes(*first);
        match kind {
            0 => Some(Self::Purged {
                purge: Purge::from_bytes(rest)?,
                at: UNIX_EPOCH.checked_add(Duration::from_nanos(first))?,
            }),
            1 => {
                let sequence = u64::from_be_bytes(rest.try_into().ok()?);
                Some(Self::Read(Position { ms: first, sequence }))
            }
            _ => None,
        }
    }
}

fn push_key(bytes: &mut Vec<u8>, kind: u8, key: &TargetKey) {
    bytes.push(kind);
    bytes.extend_from_slice(key.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_scope() -> impl Strategy<Value = Scope> {
        let host = proptest::option::of("[a-z.]{1,12}");
        prop_oneof![
            Just(Scope::All),
            "[a-z/]{0,9}".prop_map(|path| Scope::Target(TargetKey::new("h", &path))),
            "[a-z/]{0,9}".prop_map(|path| Scope::Exact(TargetKey::exact("h", &path, "q"))),
            "[a-z]{1,9}".prop_map(|tag| Scope::Tag(TargetKey::tag(&tag))),
            "[a-z]{1,9}".prop_map(|route| Scope::Route(TargetKey::route(&route))),
            (host, "/[a-z/]{0,9}").prop_map(|(host, path)| Scope::Prefix { host, path }),
        ]
    }

    proptest! {
        #[test]
        fn notes_are_read_as_they_were_written(
            scope in any_scope(), soft: bool, ms: u64, sequence: u64, nanos in 0..u64::MAX / 2,
        ) {
            let grade = if soft { Grade::Soft } else { Grade::Hard };
            let at = UNIX_EPOCH + Duration::from_nanos(nanos);
            let purged = Note::Purged { purge: Purge { scope, grade }, at };
            for note in [purged, Note::Read(Position { ms, sequence })] {
                prop_assert_eq!(Note::from_bytes(&note.to_bytes()), Some(note));
            }
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _read = (Note::from_bytes(&bytes), Purge::from_bytes(&bytes));
        }
    }

    #[test]
    fn the_bytes_of_version_one_stay_what_they_are() {
        let scope = Scope::Prefix { host: Some("h".into()), path: "/a".into() };
        let purge = Purge { scope, grade: Grade::Soft };
        assert_eq!(purge.to_bytes(), b"\x01\x01\x06h\0/a");
        assert_eq!(Purge::hard(Scope::All).to_bytes(), b"\x01\x00\x00");
        let read = Note::Read(Position { ms: 1, sequence: 2 });
        assert_eq!(read.to_bytes(), b"\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02");
        assert_eq!(Purge::from_bytes(b"\x02\x00\x00"), None, "another version");
    }
}
