//! A Postgres server of one test's own: real, empty, and gone with the test.
//!
//! The server refuses to run as root, so that under root it runs as the first of [`USERS`] that
//! there is. Its folder is copied from one that is made once on a machine.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::statements::{TableLock, command, feed};
use crate::{Directory, Process, Program, Reservation};

const USER: &str = "ndvi";
const PASSWORD: &str = "written-nowhere-else";
const DATABASE: &str = "farm";
const MASTER: &str = "master";

/// Users of the machine that own nothing a test could harm.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Where packages put the programs, one folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Starts before a server is said not to start: its port may be taken by another, and after a kill
/// the processes of the former server have to notice first.
const STARTS_MAX: usize = 200;

/// What keeps a server of one test small and quick. It survives being killed, not a power cut.
const SMALL: [&str; 9] = [
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=4MB",
    "max_connections=60",
    "max_wal_senders=0",
    "wal_level=minimal",
    "min_wal_size=2MB",
    "autovacuum=off",
    "logging_collector=off",
];

/// A running Postgres server with an empty database `farm` and a user that owns it.
pub struct Postgres {
    // Before its folder: it is killed before that is removed.
    process: Process,
    port: Reservation,
    directory: Directory,
    programs: Programs,
}

/// Where the programs are, and as whom they run.
struct Programs {
    folder: PathBuf,
    /// User and group to become; `None` for a plain user, who stays.
    becomes: Option<(u32, u32)>,
}

impl Postgres {
    /// Starts a server inside a tokio runtime.
    ///
    /// # Panics
    /// When the server is not installed or does not start.
    pub async fn start() -> Self {
        let programs = Programs::find();
        let template = programs.template().await;
        let directory = programs.directory();
        programs.run("cp", &["-r".as_ref(), &template, &data(directory.path())], "").await;
        let (port, process) = launch(&programs, directory.path()).await;
        Self { process, port, directory, programs }
    }

    /// The address of the database, for the user that owns it.
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{DATABASE}", self.port.address())
    }

    /// Runs statements as the server's master and returns the lines of their answers, with a `|`
    /// between columns.
    ///
    /// # Panics
    /// When a statement fails.
    pub async fn run(&self, sql: &str) -> Vec<String> {
        let answers = feed(self.client(MASTER), sql, missing).await;
        answers.lines().map(str::to_owned).collect()
    }

    /// Runs statements as the user that owns the database.
    ///
    /// # Panics
    /// When a statement fails.
    pub async fn run_as_owner(&self, sql: &str) -> Vec<String> {
        let answers = feed(self.client(USER), sql, missing).await;
        answers.lines().map(str::to_owned).collect()
    }

    /// Keeps everybody else from reading this table, until the result is dropped.
    ///
    /// # Panics
    /// When there is no such table.
    pub async fn lock(&self, table: &str) -> TableLock {
        let sql = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n");
        TableLock::hold(self.client(MASTER), &sql).await
    }

    /// Kills the server at once; what was committed stays.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts a killed server again, with its data and at its address.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        let mut said = String::new();
        for _ in 0..STARTS_MAX {
            match serve(&self.programs, self.directory.path(), &self.port).await {
                Ok(process) => {
                    self.process = process;
                    return;
                }
                Err(lines) => said = lines,
            }
        }
        panic!("Postgres does not start again:\n{said}");
    }

    fn client(&self, user: &str) -> Command {
        let mut client = command(&self.programs.path("psql").to_string_lossy());
        client
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .arg("--set=ON_ERROR_STOP=1")
            .arg(format!("--host={}", self.directory.path().display()))
            .arg(format!("--port={}", self.port.address().port()))
            .arg(format!("--username={user}"))
            .arg(DATABASE);
        client
    }
}

impl Programs {
    fn find() -> Self {
        let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
        let folders = versions.map(|version| version.path().join("bin"));
        let folder = folders.filter(|folder| folder.join("postgres").exists()).max();
        let folder = folder.unwrap_or_else(|| missing("postgres"));
        let plain = || plain_user().unwrap_or_else(|| no_user());
        Self { folder, becomes: (own_user() == 0).then(plain) }
    }

    fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A directory that belongs to whom the server runs as.
    fn directory(&self) -> Directory {
        let directory = Directory::new();
        if let Some((user, group)) = self.becomes {
            chown(directory.path(), Some(user), Some(group)).expect("a directory to give away");
        }
        directory
    }

    /// A data folder with the database and the user, which no server has run in. Whoever comes
    /// first makes it; it stays for the tests that follow.
    async fn template(&self) -> PathBuf {
        let owner = self.becomes.map_or_else(own_user, |(user, _)| user);
        let version = self.folder.parent().and_then(Path::file_name).unwrap_or_default();
        let name = format!("farmgate-postgres-{}-{owner}-1", version.to_string_lossy());
        let template = std::env::temp_dir().join(name);
        if !template.exists() {
            let draft = self.directory();
            self.make(&data(draft.path())).await;
            // Whoever was faster has made the same.
            drop(fs::rename(data(draft.path()), &template));
        }
        template
    }

    async fn make(&self, data: &Path) {
        let folder = format!("--pgdata={}", data.display());
        let user = format!("--username={MASTER}");
        let options = [
            folder.as_str(),
            user.as_str(),
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1",
            "--no-sync",
            "--no-instructions",
        ];
        self.run(&self.path("initdb").to_string_lossy(), &options.map(Path::new), "").await;
        let sql = format!(
            "CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}';\n\
             CREATE DATABASE {DATABASE} OWNER {USER};\n"
        );
        let single = [
            "--single".as_ref(),
            "-D".as_ref(),
            data,
            "-c".as_ref(),
            "fsync=off".as_ref(),
            "postgres".as_ref(),
        ];
        self.run(&self.path("postgres").to_string_lossy(), &single, &sql).await;
    }

    /// Runs a program as the user who owns the data.
    async fn run(&self, program: &str, arguments: &[&Path], sql: &str) {
        let (first, before) = self.becoming(program);
        let mut command = command(&first);
        command.current_dir("/").args(before).args(arguments);
        feed(command, sql, missing).await;
    }

    /// The program, and the arguments before its own, that run `program` as the right user.
    fn becoming(&self, program: &str) -> (String, Vec<String>) {
        match self.becomes {
            None => (program.to_owned(), Vec::new()),
            Some((user, group)) => (
                "setpriv".to_owned(),
                vec![
                    format!("--reuid={user}"),
                    format!("--regid={group}"),
                    "--clear-groups".to_owned(),
                    program.to_owned(),
                ],
            ),
        }
    }
}

async fn launch(programs: &Programs, directory: &Path) -> (Reservation, Process) {
    let mut said = String::new();
    for _ in 0..STARTS_MAX {
        let port = Reservation::new();
        match serve(programs, directory, &port).await {
            Ok(process) => return (port, process),
            Err(lines) => said = lines,
        }
    }
    panic!("Postgres does not start:\n{said}");
}

/// Starts the server and waits until it answers; gives what it said when it ends instead.
async fn serve(
    programs: &Programs,
    directory: &Path,
    port: &Reservation,
) -> Result<Process, String> {
    let address = port.address();
    let (first, before) = programs.becoming(&programs.path("postgres").to_string_lossy());
    let settings = SMALL.map(str::to_owned).into_iter().chain([
        format!("listen_addresses={}", address.ip()),
        format!("port={}", address.port()),
        format!("unix_socket_directories={}", directory.display()),
    ]);
    let mut process = Program::at(first)
        .directory("/")
        .args(before)
        .arg("-D")
        .arg(data(directory))
        .args(settings.flat_map(|setting| ["-c".to_owned(), setting]))
        .start();
    let is_ready = |line: &str| line.contains("ready to accept connections");
    // Clients that come too early are told so, in a line that looks like an end of the server.
    let is_over = |line: &str| line.contains("FATAL:") && !line.contains("the database system is");
    process.wait_for_line(|line| is_ready(line) || is_over(line)).await;
    if process.lines().iter().any(|line| is_ready(line)) {
        return Ok(process);
    }
    process.wait().await;
    Err(process.tail())
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// Whose process this is.
fn own_user() -> u32 {
    fs::metadata("/proc/self").expect("the state of this process").uid()
}

/// User and group of the first of [`USERS`] that the machine has.
fn plain_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    USERS.iter().find_map(|name| {
        let mut fields = users.lines().map(|line| line.split(':'));
        let mut fields =
            fields.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn no_user() -> ! {
    panic!("Postgres does not run as root, and the machine has none of the users {USERS:?}")
}

fn missing(program: &str) -> ! {
    panic!("{program} is missing: install the Debian package postgresql, then test again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn locked_table_is_read_once_the_lock_is_dropped() {
        let db = Postgres::start().await;
        db.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (7);").await;
        let lock = db.lock("t").await;
        let mut reading = Box::pin(db.run("SELECT a FROM t"));
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT a FROM t%'";
        tokio::select! {
            rows = &mut reading => panic!("read through the lock: {rows:?}"),
            () = async { while db.run(waiting).await != ["1"] {} } => {}
        }
        drop(lock);
        assert_eq!(reading.await, ["7"]);
    }

    #[tokio::test]
    async fn killed_server_comes_back_with_its_data() {
        let mut db = Postgres::start().await;
        db.run_as_owner("CREATE TABLE t (a INT); INSERT INTO t VALUES (7);").await;
        db.kill().await;
        db.restart().await;
        assert_eq!(db.run("SELECT a FROM t").await, ["7"]);
    }
}
