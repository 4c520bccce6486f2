//! How are revocations kept in a file that the command line writes and the gateway reads?
//!
//! One line of JSON each. Whoever writes holds the lock beside the file. A line is on disk before
//! the command says so. Expired lines go when there are many: the file is written anew beside the
//! old one and takes its place in one step, so a reader sees one or the other.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::REVOCATIONS_MAX;
use super::entry::{NAME_BYTES_MAX, Revocation};

/// The longest line: a name may double when it is escaped.
const LINE_BYTES_MAX: u64 = 2 * NAME_BYTES_MAX as u64 + 128;
/// What is read of a file at most.
const FILE_BYTES_MAX: u64 = LINE_BYTES_MAX * REVOCATIONS_MAX as u64;
/// So many expired lines are worth writing the file anew.
const EXPIRED_LINES_MAX: usize = 1_000;

/// Why a revocation could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum RevocationFileError {
    /// There is no room.
    #[error(
        "{REVOCATIONS_MAX} revocations are in force, which is all there may be; revoke by subject \
         or client instead of one token at a time"
    )]
    Full,
    /// The file cannot be used.
    #[error("{} cannot be used: {error}", place.display())]
    Place {
        /// The file or its lock.
        place: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Where the reader of a file is.
#[derive(Debug, Default)]
pub(super) struct Tail {
    seen: Option<Stamp>,
    /// Where the first line begins that was not read.
    offset: u64,
}

/// By which a file is known to be the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) revocations: Vec<Revocation>,
    /// How many lines are none.
    pub(super) damaged: usize,
}

impl Tail {
    /// Reads what is new. A file that is not there holds nothing.
    pub(super) fn read_new(&mut self, path: &Path) -> io::Result<Lines> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self = Self::default();
                return Ok(Lines::default());
            }
            Err(error) => return Err(error),
        };
        let stamp = Stamp::of(&metadata);
        if self.seen == Some(stamp) {
            return Ok(Lines::default());
        }
        let mut file = File::open(path)?;
        // Between the two calls another file may have taken its place.
        let opened = Stamp::of(&file.metadata()?);
        let same = self.seen.is_some_and(|seen| seen.inode == opened.inode);
        if !same || opened.bytes < self.offset {
            self.offset = 0;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let (lines, bytes) = lines(BufReader::new(file.take(FILE_BYTES_MAX)))?;
        self.offset += bytes;
        self.seen = Some(stamp);
        Ok(lines)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// The revocations of a file, and how many bytes their lines have. A last line without its end is
/// still being written.
fn lines(mut reader: impl BufRead) -> io::Result<(Lines, u64)> {
    let (mut found, mut bytes) = (Lines::default(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let whole = line.pop_if(|last| *last == b'\n').is_some();
        if !whole && (read as u64) < LINE_BYTES_MAX {
            return Ok((found, bytes));
        }
        bytes += read as u64;
        let text = str::from_utf8(&line).unwrap_or_default();
        match Revocation::from_line(text) {
            Ok(revocation) if whole => found.revocations.push(revocation),
            _ if whole && line.is_empty() => {}
            _ => found.damaged += 1,
        }
    }
}

/// Writes a revocation down, for good when this returns. `now` is in seconds since 1970.
pub(super) fn append(
    path: &Path,
    revocation: &Revocation,
    now: i64,
) -> Result<(), RevocationFileError> {
    let place = |place: &Path| {
        let place = place.to_owned();
        move |error| RevocationFileError::Place { place, error }
    };
    let lock_path = path.with_extension("lock");
    let lock = create(&lock_path, OpenOptions::new().write(true)).map_err(place(&lock_path))?;
    lock.lock().map_err(place(&lock_path))?;
    let mut file = create(path, OpenOptions::new().read(true).append(true)).map_err(place(path))?;
    let (known, _) = lines(BufReader::new(&file)).map_err(place(path))?;
    let live: Vec<_> = known.revocations.iter().filter(|known| known.expires > now).collect();
    if live.len() >= REVOCATIONS_MAX {
        return Err(RevocationFileError::Full);
    }
    if known.revocations.len() - live.len() >= EXPIRED_LINES_MAX {
        file = rewritten(path, &live).map_err(place(path))?;
    }
    write_line(&mut file, revocation).map_err(place(path))
}

/// The revocations of a file that are in force.
pub(super) fn list(path: &Path, now: i64) -> Result<Vec<Revocation>, RevocationFileError> {
    let read = match File::open(path) {
        Ok(file) => lines(BufReader::new(file)).map(|(read, _)| read.revocations),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let read =
        read.map_err(|error| RevocationFileError::Place { place: path.to_owned(), error })?;
    Ok(read.into_iter().filter(|revocation| revocation.expires > now).collect())
}

/// Opens a file for its owner only, making it if need be. Where the command line is run by root, a
/// new file belongs to the owner of its folder, or the gateway could not read it.
fn create(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let was_there = path.exists();
    let file = options.create(true).truncate(false).mode(0o600).open(path)?;
    if !was_there && let Some(folder) = path.parent() {
        let folder = fs::metadata(folder)?;
        let mine = file.metadata()?;
        if (mine.uid(), mine.gid()) != (folder.uid(), folder.gid()) {
            // Whoever may not give files away is not root, and then it is theirs by right.
            drop(chown(path, Some(folder.uid()), Some(folder.gid())));
        }
    }
    Ok(file)
}

fn rewritten(path: &Path, live: &[&Revocation]) -> io::Result<File> {
    let draft = path.with_extension("draft");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create(&draft, OpenOptions::new().read(true).append(true))?;
    let text: String = live.iter().flat_map(|one| [one.to_line(), "\n".to_owned()]).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(file)
}

fn write_line(file: &mut File, revocation: &Revocation) -> io::Result<()> {
    let mut text = revocation.to_line();
    text.push('\n');
    let bytes = file.metadata()?.len();
    if bytes > 0 {
        // A command that was killed may have left a line without its end.
        let mut last = [0];
        file.seek(SeekFrom::Start(bytes - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.insert(0, '\n');
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use harness::Directory;

    use super::super::entry::Target;
    use super::*;

    fn revocation(id: &str, expires: i64) -> Revocation {
        Revocation { target: Target::Token(id.to_owned()), before: 0, expires }
    }

    fn ids(lines: &Lines) -> Vec<&str> {
        lines.revocations.iter().map(|one| one.target.name()).collect()
    }

    #[test]
    fn reader_sees_each_line_once() {
        let folder = Directory::new();
        let path = folder.path().join("revocations.jsonl");
        let mut tail = Tail::default();
        assert!(tail.read_new(&path).unwrap().revocations.is_empty());
        append(&path, &revocation("a", 9), 1).unwrap();
        append(&path, &revocation("b", 9), 1).unwrap();
        assert_eq!(ids(&tail.read_new(&path).unwrap()), ["a", "b"]);
        assert!(tail.read_new(&path).unwrap().revocations.is_empty());
        append(&path, &revocation("c", 9), 1).unwrap();
        assert_eq!(ids(&tail.read_new(&path).unwrap()), ["c"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn line_without_its_end_waits_and_then_costs_no_other() {
        let folder = Directory::new();
        let path = folder.write("revocations.jsonl", r#"{"jti":"a","expires":9}"#);
        let mut tail = Tail::default();
        assert!(tail.read_new(&path).unwrap().revocations.is_empty());
        fs::write(&path, "{\"jti\":\"a\",\"expires\":9}\n{\"jti\":\"to").unwrap();
        assert_eq!(ids(&tail.read_new(&path).unwrap()), ["a"]);
        append(&path, &revocation("b", 9), 1).unwrap();
        let read = tail.read_new(&path).unwrap();
        assert_eq!((ids(&read), read.damaged), (vec!["b"], 1));
        fs::write(
            &path,
            ["x".repeat(3_000).as_str(), "\n{\"jti\":\"c\",\"expires\":9}\n"].concat(),
        )
        .unwrap();
        let read = Tail::default().read_new(&path).unwrap();
        assert_eq!(ids(&read), ["c"]);
        assert!(read.damaged >= 1);
    }

    #[test]
    fn file_is_written_anew_when_much_has_expired() {
        let folder = Directory::new();
        let old: String = (0..EXPIRED_LINES_MAX)
            .map(|id| revocation(&id.to_string(), 5).to_line() + "\n")
            .collect();
        let path =
            folder.write("revocations.jsonl", old + &revocation("live", 99).to_line() + "\n");
        let mut tail = Tail::default();
        assert_eq!(tail.read_new(&path).unwrap().revocations.len(), EXPIRED_LINES_MAX + 1);
        append(&path, &revocation("new", 99), 10).unwrap();
        assert_eq!(ids(&tail.read_new(&path).unwrap()), ["live", "new"]);
        assert_eq!(list(&path, 10).unwrap().len(), 2);
        assert_eq!(list(&path, 99).unwrap().len(), 0);
    }

    #[test]
    fn commands_at_once_lose_no_line() {
        let folder = Directory::new();
        let path = folder.path().join("revocations.jsonl");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..10 {
                        append(path, &revocation(&format!("{thread}-{n}"), 9), 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(list(&path, 1).unwrap().len(), 40);
    }
}
