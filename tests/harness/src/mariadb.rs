//! A MariaDB server of one test's own: real, empty, and gone with the test.

use std::fs;
use std::path::{Path, PathBuf};

use crate::statements::{TableLock, command, feed};
use crate::{Directory, Process, Program, Reservation};

const USER: &str = "gateway";
const PASSWORD: &str = "read-only-password";
const DATABASE: &str = "farm";
const WRITER: &str = "service";
const WRITER_PASSWORD: &str = "writing-password";
/// Where packages put the server; the path of a plain user leaves that folder out.
const SERVER: &str = "/usr/sbin/mariadbd";
const CLIENT: &str = "mariadb";
const STARTS_MAX: usize = 3;

/// Where packages put the statements that make the server's own tables.
const SYSTEM_TABLES: [&str; 2] =
    ["/usr/share/mysql/mysql_system_tables.sql", "/usr/share/mariadb/mysql_system_tables.sql"];

/// What keeps a server of one test small and quick. It survives being killed, not a power cut.
const SMALL: [&str; 11] = [
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=8M",
    "--innodb-temp-data-file-path=ibtmp1:1M:autoextend",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-fast-shutdown=2",
    "--key-buffer-size=1M",
    "--performance-schema=OFF",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--max-connections=50",
];

/// A running MariaDB server with an empty database `farm`, a user that may read it and one that
/// may make tables in it.
pub struct MariaDb {
    // Before its folder: it is killed before that is removed.
    process: Process,
    port: Reservation,
    directory: Directory,
}

impl MariaDb {
    /// Starts a server inside a tokio runtime.
    ///
    /// # Panics
    /// When the server is not installed or does not start.
    pub async fn start() -> Self {
        let directory = Directory::new();
        bootstrap(directory.path()).await;
        let (port, process) = launch(directory.path()).await;
        Self { process, port, directory }
    }

    /// The address of the database, for the user that may read it.
    pub fn url(&self) -> String {
        let address = self.port.address();
        format!("mysql://{USER}:{PASSWORD}@{address}/{DATABASE}?ssl-mode=DISABLED")
    }

    /// The address of the same database, for the user that may make and write tables.
    pub fn writing_url(&self) -> String {
        let address = self.port.address();
        format!("mysql://{WRITER}:{WRITER_PASSWORD}@{address}/{DATABASE}?ssl-mode=DISABLED")
    }

    /// Runs statements as the server's master and returns the lines of their answers.
    ///
    /// # Panics
    /// When a statement fails.
    pub async fn run(&self, sql: &str) -> Vec<String> {
        let socket = format!("--socket={}", socket(self.directory.path()).display());
        let arguments = ["--no-defaults", "--user=root", "--batch", "--skip-column-names"];
        let mut client = command(CLIENT);
        client.args(arguments).arg(socket).arg(DATABASE);
        feed(client, sql, missing).await.lines().map(str::to_owned).collect()
    }

    /// Keeps everybody else from reading this table, until the result is dropped.
    ///
    /// # Panics
    /// When there is no such table.
    pub async fn lock(&self, table: &str) -> TableLock {
        let socket = format!("--socket={}", socket(self.directory.path()).display());
        let arguments = ["--no-defaults", "--user=root", "--batch", "--unbuffered"];
        let mut client = command(CLIENT);
        client.args(arguments).arg(socket).arg(DATABASE);
        let sql = format!("LOCK TABLES {table} WRITE;\nSELECT 'locked';\n");
        TableLock::hold(client, &sql).await
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
        self.process = serve(self.directory.path(), &self.port)
            .await
            .unwrap_or_else(|said| panic!("{SERVER} does not start again:\n{said}"));
    }
}

/// Makes the server's own tables, the database and the user, without a server.
async fn bootstrap(directory: &Path) {
    let tables = SYSTEM_TABLES.iter().find(|path| Path::new(path).exists());
    let tables = tables.unwrap_or_else(|| missing(SERVER));
    let tables = fs::read_to_string(tables).expect("the package's statements can be read");
    fs::create_dir(data(directory)).expect("a data folder in a fresh directory");
    // A statement must end with its line.
    let sql = format!(
        "CREATE DATABASE mysql;\nUSE mysql;\n{tables}\n\
         INSERT INTO global_priv VALUES ('localhost', 'root', '{{\"access\":18446744073709551615}}');\n\
         CREATE DATABASE {DATABASE};\n\
         FLUSH PRIVILEGES;\n\
         CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT SELECT ON {DATABASE}.* TO {USER}@'127.0.0.1';\n\
         CREATE USER {WRITER}@'127.0.0.1' IDENTIFIED BY '{WRITER_PASSWORD}';\n\
         GRANT ALL ON {DATABASE}.* TO {WRITER}@'127.0.0.1';\n"
    );
    let mut server = command(SERVER);
    server.args(arguments(directory)).arg("--bootstrap");
    feed(server, &sql, missing).await;
}

async fn launch(directory: &Path) -> (Reservation, Process) {
    let mut said = String::new();
    for _ in 0..STARTS_MAX {
        let port = Reservation::new();
        match serve(directory, &port).await {
            Ok(process) => return (port, process),
            Err(lines) => said = lines,
        }
    }
    panic!("{SERVER} does not start:\n{said}");
}

/// Starts the server and waits until it answers; gives what it said when it ends instead.
async fn serve(directory: &Path, port: &Reservation) -> Result<Process, String> {
    let address = port.address();
    let mut process = Program::at(SERVER)
        .args(arguments(directory))
        .arg(format!("--socket={}", socket(directory).display()))
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--port={}", address.port()))
        .start();
    let is_ready = |line: &str| line.contains("ready for connections");
    process.wait_for_line(|line| is_ready(line) || line.contains("Aborting")).await;
    match process.exited() {
        None if process.lines().iter().any(|line| is_ready(line)) => Ok(process),
        _ => Err(process.tail()),
    }
}

fn arguments(directory: &Path) -> Vec<String> {
    // First, or the server would read the machine's own settings.
    let mut arguments = vec!["--no-defaults".to_owned()];
    arguments.push(format!("--datadir={}", data(directory).display()));
    // A server that starts removes what others have in a temporary folder that it shares.
    arguments.push(format!("--tmpdir={}", directory.display()));
    arguments.push(format!("--pid-file={}", directory.join("pid").display()));
    arguments.extend(SMALL.map(str::to_owned));
    // The server refuses to run as root unless it is told to; for others this changes nothing.
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| {
        use std::os::unix::fs::MetadataExt as _;
        me.uid() == 0
    });
    arguments.extend(is_root.then(|| "--user=root".to_owned()));
    arguments
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("sock")
}

fn missing(program: &str) -> ! {
    panic!("{program} is missing: install the Debian package mariadb-server, then test again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn locked_table_is_read_once_the_lock_is_dropped() {
        let db = MariaDb::start().await;
        db.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (7);").await;
        let lock = db.lock("t").await;
        let mut reading = Box::pin(db.run("SELECT a FROM t"));
        let waiting = "SELECT COUNT(*) FROM information_schema.processlist \
                       WHERE info = 'SELECT a FROM t'";
        tokio::select! {
            rows = &mut reading => panic!("read through the lock: {rows:?}"),
            () = async { while db.run(waiting).await != ["1"] {} } => {}
        }
        drop(lock);
        assert_eq!(reading.await, ["7"]);
    }

    #[tokio::test]
    async fn killed_server_comes_back_with_its_data() {
        let mut db = MariaDb::start().await;
        db.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (7);").await;
        db.kill().await;
        db.restart().await;
        assert_eq!(db.run("SELECT a FROM t").await, ["7"]);
    }
}
