//! Real Redis servers and sentinels for one test each, on loopback, gone when they are dropped.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::patience::within_patience;
use crate::{Authority, Directory, PATIENCE, Process, Program, Reservation};

/// A redis-server with options, not yet running.
#[derive(Default)]
pub struct RedisLauncher {
    password: Option<String>,
    tls: Option<Files>,
    persistent: bool,
    replica_of: Option<SocketAddr>,
    options: Vec<String>,
}

struct Files {
    certificate_pem: String,
    key_pem: String,
    ca_pem: String,
}

/// A redis-server of the test's own; killed when dropped.
pub struct RedisServer {
    launcher: RedisLauncher,
    port: Reservation,
    directory: Directory,
    process: Option<Process>,
}

/// A master, a replica and sentinels that watch over them.
pub struct Sentinels {
    /// The server that is the master at first.
    pub master: RedisServer,
    /// The server that takes over.
    pub replica: RedisServer,
    sentinels: Vec<(Reservation, Directory, Process)>,
}

impl RedisLauncher {
    /// Asks for this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Speaks TLS only, with a certificate for `127.0.0.1` of this authority.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> Self {
        let leaf = authority.issue(["127.0.0.1", "localhost"]);
        self.tls = Some(Files {
            certificate_pem: leaf.certificate_pem,
            key_pem: leaf.key_pem,
            ca_pem: authority.pem(),
        });
        self
    }

    /// Keeps its data across a restart, written through with each command.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Adds one option of `redis.conf`, as `--maxmemory`, and its value.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed, or does not answer in time.
    pub async fn start(self) -> RedisServer {
        let (port, directory) = (Reservation::new(), Directory::new());
        let mut server = RedisServer { launcher: self, port, directory, process: None };
        // The port may be taken between its choice and the server's own bind.
        for _ in 0..STARTS_MAX {
            if server.run().await {
                return server;
            }
            server.port = Reservation::new();
        }
        panic!("redis-server found its port taken {STARTS_MAX} times");
    }
}

impl RedisServer {
    /// Starts a server without a password that keeps nothing.
    pub async fn start() -> Self {
        RedisLauncher::default().start().await
    }

    /// A server with options.
    #[must_use]
    pub fn launcher() -> RedisLauncher {
        RedisLauncher::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The address as clients write it, with the password if there is one.
    pub fn url(&self) -> String {
        let scheme = if self.launcher.tls.is_some() { "rediss" } else { "redis" };
        let login = self.launcher.password.as_ref().map(|password| format!(":{password}@"));
        format!("{scheme}://{}{}/0", login.unwrap_or_default(), self.address())
    }

    /// Kills the server (SIGKILL).
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        self.process.take().expect("a running redis-server").kill().await;
    }

    /// Sends a signal by name; `STOP` makes it hang, `CONT` go on.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn signal(&self, name: &str) {
        self.process.as_ref().expect("a running redis-server").signal(name).await;
    }

    /// Starts a killed server again on its port, without its data unless it is persistent.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "kill the server first");
        assert!(self.run().await, "redis-server found its old port taken");
    }

    /// Sends one command (words without white space) and returns the answer as one text, a status
    /// as `+OK`, a number as `:1`, nothing as `$-1`.
    ///
    /// # Panics
    /// When the server cannot be asked.
    pub async fn ask(&self, command: &str) -> String {
        let login = self.launcher.password.as_deref();
        ask(self.address(), login, command).await.unwrap_or_else(|error| {
            panic!("redis-server at {} does not take {command:?}: {error}", self.address())
        })
    }

    /// Whether it runs and answers; false when its port was taken.
    async fn run(&mut self) -> bool {
        let process = self.program().start();
        let ready = process
            .wait_for_line(|line| {
                line.contains("Ready to accept connections") || line.contains("Address already")
            })
            .await;
        if ready.contains("Address already") {
            return false;
        }
        self.process = Some(process);
        if self.launcher.tls.is_none() {
            assert_eq!(self.ask("PING").await, "+PONG");
        }
        true
    }

    fn program(&self) -> Program {
        let launcher = &self.launcher;
        let port = self.address().port().to_string();
        let mut arguments = vec!["--bind", "127.0.0.1", "--save", "", "--loglevel", "notice"];
        arguments.extend(["--dir", self.directory.path().to_str().expect("a plain path")]);
        match &launcher.tls {
            None => arguments.extend(["--port", &port]),
            Some(files) => {
                self.directory.write("tls.crt", &files.certificate_pem);
                self.directory.write("tls.key", &files.key_pem);
                self.directory.write("ca.crt", &files.ca_pem);
                arguments.extend(["--port", "0", "--tls-port", &port]);
                arguments.extend(["--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key"]);
                arguments.extend(["--tls-ca-cert-file", "ca.crt", "--tls-auth-clients", "no"]);
            }
        }
        if launcher.persistent {
            arguments.extend(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        if let Some(password) = &launcher.password {
            arguments.extend(["--requirepass", password, "--masterauth", password]);
        }
        let master = launcher.replica_of.map(|master| format!("127.0.0.1 {}", master.port()));
        if let Some(master) = &master {
            arguments.extend(["--replicaof", master]);
        }
        installed("redis-server").args(arguments).args(&launcher.options)
    }
}

impl Sentinels {
    /// The name by which the sentinels know the master.
    pub const SERVICE: &str = "mymaster";

    /// Starts a master, a replica and `count` sentinels, and waits until each sentinel knows the
    /// replica.
    ///
    /// # Panics
    /// When a program is not installed, or they do not find each other in time.
    pub async fn start(count: usize) -> Self {
        // A replica is sent its first data at once, and not after a pause.
        let launcher = || RedisServer::launcher().option("--repl-diskless-sync-delay", "0");
        let master = launcher().start().await;
        let replica =
            RedisLauncher { replica_of: Some(master.address()), ..launcher() }.start().await;
        master.wait_for_info("connected_slaves:1").await;
        replica.wait_for_info("master_link_status:up").await;
        let mut sentinels = Vec::new();
        for _ in 0..count {
            sentinels.push(sentinel(master.address(), count / 2 + 1).await);
        }
        let started = Self { master, replica, sentinels };
        for (port, _, _) in &started.sentinels {
            let others = format!("num-other-sentinels {}", count - 1);
            started.wait_for_sentinel(port.address(), &["num-slaves 1", &others]).await;
        }
        started
    }

    /// The address as the operator writes it.
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|(port, _, _)| port.address().to_string()).collect();
        format!("redis-sentinel://{}/0?service_name={}", hosts.join(";"), Self::SERVICE)
    }

    /// Makes the replica the master while the master lives on as its replica.
    ///
    /// # Panics
    /// When the sentinels do not do it.
    pub async fn fail_over(&self) {
        let (sentinel, _, _) = self.sentinels.first().expect("a sentinel");
        let command = format!("SENTINEL FAILOVER {}", Self::SERVICE);
        // For a moment after its start a sentinel holds no replica fit to take over.
        wait_for_answer(sentinel.address(), &command, |answer| answer == "+OK").await;
        self.replica.wait_for_info("role:master").await;
        // The sentinels would do this too, but only after ten seconds or so.
        let port = self.replica.address().port();
        let demoted = self.master.ask(&format!("REPLICAOF 127.0.0.1 {port}")).await;
        assert!(demoted.starts_with("+OK"), "{demoted}");
    }

    async fn wait_for_sentinel(&self, sentinel: SocketAddr, wanted: &[&str]) {
        let command = format!("SENTINEL MASTER {}", Self::SERVICE);
        wait_for_answer(sentinel, &command, |answer| {
            wanted.iter().all(|part| answer.contains(part))
        })
        .await;
    }
}

impl RedisServer {
    async fn wait_for_info(&self, part: &str) {
        wait_for_answer(self.address(), "INFO replication", |answer| answer.contains(part)).await;
    }
}

/// A port between its choice and its use may be lost so often.
const STARTS_MAX: usize = 5;

/// A program of a Debian package of the same name.
fn installed(name: &str) -> Program {
    let found = std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .chain(["/usr/bin".into(), "/usr/local/bin".into()])
        .map(|folder| folder.join(name))
        .find(|path: &std::path::PathBuf| Path::is_file(path));
    let path = found.unwrap_or_else(|| {
        panic!("{name} is not installed; install the Debian package {name} and run the test again")
    });
    Program::at(path)
}

async fn sentinel(master: SocketAddr, quorum: usize) -> (Reservation, Directory, Process) {
    let (port, directory) = (Reservation::new(), Directory::new());
    let name = Sentinels::SERVICE;
    let conf = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {} {quorum}\n\
         sentinel down-after-milliseconds {name} 400\nsentinel failover-timeout {name} 2000\n",
        port.address().port(),
        directory.path().display(),
        master.port(),
    );
    let conf = directory.write("sentinel.conf", conf);
    let process = installed("redis-sentinel").arg(conf).start();
    process.wait_for_line(|line| line.contains("+monitor")).await;
    (port, directory, process)
}

async fn wait_for_answer(address: SocketAddr, command: &str, wanted: impl Fn(&str) -> bool) {
    let search = async {
        loop {
            if ask(address, None, command).await.is_ok_and(|answer| wanted(&answer)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    if timeout(PATIENCE, search).await.is_err() {
        let last = ask(address, None, command).await;
        panic!("{command:?} at {address} did not come to what was awaited; it says {last:?}");
    }
}

/// Sends one command, behind the login where there is one, and returns the answer as one text.
async fn ask(address: SocketAddr, password: Option<&str>, command: &str) -> io::Result<String> {
    within_patience(async {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        if let Some(password) = password {
            stream.write_all(format!("AUTH {password}\r\n").as_bytes()).await?;
            read_answer(&mut stream).await?;
        }
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        read_answer(&mut stream).await
    })
    .await
}

/// An answer as one text: a bulk string as it is, a list with spaces between its members, all else
/// with its first character, as `+OK` and `$-1`.
async fn read_answer(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let (mut words, mut wanted) = (Vec::new(), 1_usize);
    while wanted > 0 {
        wanted -= 1;
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        match (line.split_at(1), line.get(1..).and_then(|digits| digits.parse::<usize>().ok())) {
            (("*", _), Some(members)) => wanted += members,
            (("$", _), Some(bytes)) => {
                let mut text = vec![0; bytes + 2];
                stream.read_exact(&mut text).await?;
                words.push(String::from_utf8_lossy(&text[..bytes]).into_owned());
            }
            _ => words.push(line.to_owned()),
        }
    }
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn killed_server_forgets_unless_it_is_persistent() {
        for (persistent, left) in [(false, "$-1"), (true, "b")] {
            let launcher = RedisServer::launcher();
            let launcher = if persistent { launcher.persistent() } else { launcher };
            let mut server = launcher.password("secret").start().await;
            assert_eq!(server.ask("SET a b").await, "+OK");
            let address = server.address();
            server.kill().await;
            assert!(TcpStream::connect(address).await.is_err());
            server.restart().await;
            assert_eq!(server.address(), address);
            assert_eq!(server.ask("GET a").await, left);
        }
    }

    #[test]
    #[should_panic(expected = "install the Debian package no-such-program")]
    fn missing_program_names_its_package() {
        installed("no-such-program");
    }
}
