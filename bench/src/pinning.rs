//! On which core does what run?
//!
//! With `taskset` and two cores, the servers have the last core and the load has the first: wrk,
//! the origin and this process. A server's processor time is then never time that wrk took from it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread::available_parallelism;

static LAST_CORE: LazyLock<Option<usize>> = LazyLock::new(find);

/// Which side of the measurement a program is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is measured.
    Servers,
    /// What measures.
    Load,
    /// Whatever may run on any core.
    Anywhere,
}

impl Side {
    /// A command that runs the program on this side's core.
    pub(crate) fn command(self, program: &Path) -> Command {
        let Some(core) = self.number() else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.arg("-c").arg(core.to_string()).arg(program);
        command
    }

    fn number(self) -> Option<usize> {
        match self {
            Self::Servers => *LAST_CORE,
            Self::Load => LAST_CORE.map(|_| 0),
            Self::Anywhere => None,
        }
    }
}

/// Moves this process, with the origin's thread, to the load's core, and says what was done.
pub(crate) fn pin_own() -> String {
    let (Some(load), Some(servers)) = (Side::Load.number(), Side::Servers.number()) else {
        return "no pinning: taskset or a second core is missing".to_owned();
    };
    let own = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["-a", "-p", "-c", &load.to_string(), &own]).stdout(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => {
            format!("servers on core {servers}; wrk and the origin on core {load}")
        }
        _ => format!("servers on core {servers}, wrk on core {load}; the origin is not pinned"),
    }
}

fn find() -> Option<usize> {
    let last = available_parallelism().ok()?.get().checked_sub(1).filter(|last| *last > 0)?;
    // Tried out, since a container may forbid cores that it shows.
    let tried = |core: usize| {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "true"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    (tried(0) && tried(last)).then_some(last)
}
