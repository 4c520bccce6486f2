//! How does a server run beside the measurement, and how does it end with it?

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use harness::{Directory, Reservation};

use crate::cpu::{self, Processes};
use crate::error::{BenchError, Trying};
use crate::pinning::Side;
use crate::probe::ask;

/// Looks that are taken at a server that starts or ends, and the pause between two.
const LOOKS_MAX: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Lines that are shown of a server that fails.
const LINES_SHOWN_MAX: usize = 10;

/// Where one server lives: a directory and two ports, given back when dropped.
pub(crate) struct Place {
    directory: Directory,
    listen: Reservation,
    admin: Reservation,
    origin: SocketAddr,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The program.
    pub(crate) path: PathBuf,
    /// The core that it gets.
    pub(crate) side: Side,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its environment, beside `PATH`.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The file that takes a line for each request, when it logs.
    pub(crate) access_log: PathBuf,
    /// What is asked of it to see whether it is up: the path of a 200.
    pub(crate) ready_path: &'static str,
}

/// A running server; ended with all its processes when dropped.
pub(crate) struct Server {
    /// Which one.
    pub(crate) name: &'static str,
    child: Child,
    access_log: PathBuf,
    place: Place,
}

impl Place {
    /// A fresh place in front of this origin.
    pub(crate) fn new(origin: SocketAddr) -> Self {
        Self {
            directory: Directory::new(),
            listen: Reservation::new(),
            admin: Reservation::new(),
            origin,
        }
    }

    /// A path inside the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where it is to listen.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.address()
    }

    /// The file that takes what the server says on stdout and stderr.
    pub(crate) fn said(&self) -> PathBuf {
        self.path("said.log")
    }

    /// Writes a file with the addresses and the directory filled in, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, BenchError> {
        let path = self.path(name);
        let filled = text
            .replace("{listen}", &self.listen.address().to_string())
            .replace("{admin}", &self.admin.address().to_string())
            .replace("{origin}", &self.origin.to_string())
            .replace("{dir}", &self.directory.path().display().to_string());
        let parent = path.parent().unwrap_or(self.directory.path());
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, filled));
        written.trying(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl Server {
    /// Starts a server and returns once it answers.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer within 10 seconds.
    pub(crate) fn start(
        name: &'static str,
        place: Place,
        program: Program,
    ) -> Result<Self, BenchError> {
        let said = File::options().create(true).append(true).open(place.said());
        let said = said.trying(|| "open a server's log".into())?;
        let stdout = said.try_clone().trying(|| "open a server's log".into())?;
        let mut command = program.side.command(&program.path);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let child = command
            .args(&program.arguments)
            .envs(program.environment)
            .current_dir(place.directory.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(said)
            .spawn()
            .trying(|| format!("start {}", program.path.display()))?;
        let mut server = Self { name, child, access_log: program.access_log, place };
        server.wait_until_ready(program.ready_path)?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.place.listen.address()
    }

    /// Where it tells of itself, where it does.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.place.admin.address()
    }

    /// Its processes.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub(crate) fn processes(&self) -> Result<Processes, BenchError> {
        cpu::family(self.child.id())
    }

    /// Empties the access log, so that a run's lines are its own and the disk does not fill.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub(crate) fn empty_log(&self) -> Result<(), BenchError> {
        let cut = || {
            File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&self.access_log)?
                .set_len(0)
        };
        cut().trying(|| "empty an access log".into())
    }

    /// Bytes in the access log.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn log_bytes(&self) -> Result<u64, BenchError> {
        Ok(fs::metadata(&self.access_log).trying(|| "look at an access log".into())?.len())
    }

    fn wait_until_ready(&mut self, path: &str) -> Result<(), BenchError> {
        for _ in 0..LOOKS_MAX {
            if ask(self.address(), path, &[]).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if self.has_ended() {
                break;
            }
            sleep(PAUSE);
        }
        let said = fs::read_to_string(self.place.said()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let shown = lines.len().saturating_sub(LINES_SHOWN_MAX);
        let said = lines.get(shown..).unwrap_or_default().join("\n");
        Err(BenchError::NotReady { server: self.name.to_owned(), said })
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Server {
    /// Asks the server to end, so that it ends its workers, and kills whatever is left.
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let family = self.processes().unwrap_or_default();
        signal("TERM", &Processes::from([self.child.id()]));
        for _ in 0..LOOKS_MAX {
            if self.has_ended() {
                return;
            }
            sleep(PAUSE);
        }
        signal("KILL", &family);
        // It is dead or was never ours: either way there is nothing left to do.
        let _reaped = self.child.wait();
    }
}

/// Sends a signal through the shell's own `kill`: a minimal system has no program of that name.
fn signal(name: &str, processes: &Processes) {
    let ids: String = processes.iter().map(|id| format!(" {id}")).collect();
    // A process that ended first needs no signal.
    let _already_gone = Command::new("sh").arg("-c").arg(format!("kill -{name}{ids}")).status();
}
