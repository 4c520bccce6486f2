//! How much processor time has a server used, all its processes together?
//!
//! From `/proc/<pid>/stat` (proc(5)): `utime` and `stime` cover all threads of a process. nginx
//! works in children of the process that was started, so the children are counted too.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::error::{BenchError, Trying};

/// Microseconds of one unit of `utime` and `stime`. Linux shows them in `USER_HZ`, 100 a second on
/// every architecture that this runs on, however finely it counts inside.
const TICK_US: u64 = 10_000;

/// The processes of one server.
pub(crate) type Processes = BTreeSet<u32>;

/// What one line of `stat` says, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// A process and all that descend from it, but for helpers that only pass by.
///
/// # Errors
/// When `/proc` cannot be listed.
pub(crate) fn family(root: u32) -> Result<Processes, BenchError> {
    let entries = fs::read_dir("/proc").trying(|| "list /proc".into())?;
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may end between the listing and the reading.
    let parents: Vec<(u32, u32)> = ids
        .filter_map(|id| stat(id).ok().map(|stat| (id, stat.parent)))
        .filter(|(id, _)| !is_passing(*id))
        .collect();
    let mut found = Processes::from([root]);
    loop {
        let before = found.len();
        found.extend(
            parents
                .iter()
                .filter(|(_, up)| found.contains(up))
                .map(|(id, _)| *id)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            return Ok(found);
        }
    }
}

/// The processor time, user and system, that these processes have used, in microseconds.
///
/// # Errors
/// When one of them has ended.
pub(crate) fn used_us(processes: &Processes) -> Result<u64, BenchError> {
    let mut ticks = 0;
    for id in processes {
        ticks += stat(*id)?.ticks;
    }
    Ok(ticks * TICK_US)
}

/// Whether a process is nginx's cache loader, which comes a minute after the start, looks at what the
/// cache has on disk, and goes: it serves nobody, and has nothing to look at here.
fn is_passing(id: u32) -> bool {
    let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    command.starts_with(b"nginx: cache loader")
}

fn stat(id: u32) -> Result<Stat, BenchError> {
    let path = PathBuf::from(format!("/proc/{id}/stat"));
    let text = fs::read_to_string(&path).trying(|| format!("read {}", path.display()))?;
    parse(&text).ok_or(BenchError::Proc(path))
}

/// The fields behind the program's name, which stands in brackets and may hold anything.
fn parse(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Counted from the state, which is field 3: the parent is field 4, the times are 14 and 15.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat { parent: u32::try_from(number(4)?).ok()?, ticks: number(14)? + number(15)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn program_name_with_brackets_shifts_no_field() {
        let text = "42 (a) b) S 7 42 42 0 -1 4194304 1 2 3 4 150 25 8 9 20 0 1 0 1 2 3";
        assert_eq!(parse(text), Some(Stat { parent: 7, ticks: 175 }));
        assert_eq!(parse("42 (a) S"), None);
    }

    #[test]
    fn helper_that_passes_by_belongs_to_no_family() {
        use std::os::unix::process::CommandExt;
        let named = |name| std::process::Command::new("sleep").arg0(name).arg("60").spawn();
        let (mut loader, mut worker) =
            (named("nginx: cache loader process").unwrap(), named("nginx: worker").unwrap());
        let found = family(std::process::id()).unwrap();
        assert!(!found.contains(&loader.id()) && found.contains(&worker.id()));
        for child in [&mut loader, &mut worker] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn child_belongs_to_the_family() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = family(std::process::id()).unwrap();
        assert!(found.contains(&child.id()));
        assert!(used_us(&found).is_ok());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(used_us(&Processes::from([child.id()])).is_err());
    }
}
