//! The real gateway binary, run with a test's own configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::timeout;

use crate::place::Place;
use crate::{
    Connection, Directory, Finished, Leaf, PATIENCE, Process, Program, Request, metric,
    raise_open_files,
};

const STARTS_MAX: usize = 5;
const READY_PAUSE_MIN: Duration = Duration::from_millis(5);
const READY_PAUSE_MAX: Duration = Duration::from_millis(100);
const CONF: &str = "conf/gateway.yaml";

/// A running gateway with its own directory and ports; killed and removed when dropped.
pub struct Gateway {
    process: Process,
    place: Place,
    launcher: Launcher,
}

/// A gateway about to be started.
///
/// In all YAML and arguments the placeholders `{listen}`, `{tls_listen}` and `{admin}` become free addresses
/// of 127.0.0.1 and `{dir}` the test's directory, which holds `conf/` and `upstreams/`.
#[derive(Clone, Debug)]
pub struct Launcher {
    binary: PathBuf,
    files: Vec<(String, String)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The contents of a file under `upstreams/`: YAML, or the address of the pool's only peer.
#[derive(Clone, Debug)]
pub enum PoolFile {
    /// The file as it stands, with placeholders.
    Yaml(String),
    /// One peer.
    Peer(SocketAddr),
}

impl Gateway {
    /// The gateway of this binary: `Gateway::binary(env!("CARGO_BIN_EXE_farmgate"))`.
    pub fn binary(path: impl AsRef<Path>) -> Launcher {
        Launcher {
            binary: path.as_ref().to_owned(),
            files: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The address of the plain listener, `{listen}`.
    pub fn address(&self) -> SocketAddr {
        self.place.listen.address()
    }

    /// The address of the TLS listener, `{tls_listen}`.
    pub fn tls_address(&self) -> SocketAddr {
        self.place.tls_listen.address()
    }

    /// The address of the admin listener, `{admin}`.
    pub fn admin(&self) -> SocketAddr {
        self.place.admin.address()
    }

    /// The directory with `conf/` and `upstreams/`, `{dir}`.
    pub fn directory(&self) -> &Path {
        self.place.directory.path()
    }

    /// The running program.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A request to the plain listener; each is sent on a connection of its own.
    pub fn request(&self, method: &str, target: &str) -> Request<SocketAddr> {
        Request::to(self.address(), method, target)
    }

    /// A GET to the plain listener.
    pub fn get(&self, target: &str) -> Request<SocketAddr> {
        self.request("GET", target)
    }

    /// A POST to the plain listener.
    pub fn post(&self, target: &str) -> Request<SocketAddr> {
        self.request("POST", target)
    }

    /// A GET to the admin listener.
    pub fn admin_get(&self, target: &str) -> Request<SocketAddr> {
        Request::to(self.admin(), "GET", target)
    }

    /// Opens a connection to the plain listener, for several requests in a row.
    ///
    /// # Panics
    /// When the gateway does not accept it.
    pub async fn connect(&self) -> Connection {
        Connection::open(self.address()).await
    }

    /// A metric as [`metric`] reads it from the admin listener now.
    ///
    /// # Panics
    /// When `/metrics` does not answer 200 with a text exposition.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let reply = self.admin_get("/metrics").try_send().await;
        let reply = reply.unwrap_or_else(|error| {
            panic!("no reply to GET /metrics: {error}; the gateway said\n{}", self.process.tail())
        });
        metric(&reply.expect_status(200).text(), name, labels)
    }

    /// Replaces `conf/gateway.yaml`; the same placeholders get the same values. Takes effect
    /// with [`reload`](Self::reload).
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn rewrite_conf(&self, yaml: &str) {
        self.rewrite_file(CONF, yaml);
    }

    /// Replaces `upstreams/<name>.yaml`.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn rewrite_pool(&self, name: &str, pool: impl Into<PoolFile>) {
        self.rewrite_file(&pool_path(name), &pool.into().yaml());
    }

    /// Replaces any file of the directory.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn rewrite_file(&self, name: &str, contents: &str) {
        self.place.write(name, contents);
    }

    /// Sends SIGHUP. The reload is not done yet when this returns: wait for what it brings about.
    ///
    /// # Panics
    /// When the gateway has ended.
    pub async fn reload(&self) {
        self.process.signal("HUP").await;
    }

    /// All lines that the gateway wrote so far, to stdout and stderr.
    pub fn log_lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Returns the first log line, past or future, that satisfies the predicate.
    ///
    /// # Panics
    /// After [`PATIENCE`], or at once when the gateway ends without such a line.
    pub async fn wait_for_log(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.process.wait_for_line(wanted).await
    }

    /// Returns the log lines, past or future, that satisfy the predicate, once there are `count`.
    ///
    /// # Panics
    /// After [`PATIENCE`], or at once when the gateway ends without so many.
    pub async fn wait_for_logs(&self, count: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.process.wait_for_lines(count, wanted).await
    }

    /// Ends the gateway with SIGTERM, and with SIGKILL when that takes more than 10 seconds.
    ///
    /// # Panics
    /// When it cannot be signalled.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// Ends the gateway at once (SIGKILL).
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(&mut self) -> ExitStatus {
        self.process.kill().await
    }

    /// Starts an ended gateway again, in its directory and on its ports, and returns once
    /// `/readyz` answers 200. Should somebody have taken a port meanwhile, it gets others.
    ///
    /// # Panics
    /// When it still runs, ends, or is not ready within [`PATIENCE`].
    pub async fn restart(mut self) -> Self {
        assert!(self.process.exited().is_some(), "stop or kill the gateway first");
        self.launcher.start_in(self.place).await
    }
}

impl Launcher {
    /// Sets `conf/gateway.yaml`.
    #[must_use]
    pub fn with(self, conf: impl Into<String>) -> Self {
        self.file(CONF, conf)
    }

    /// Adds `upstreams/<name>.yaml`.
    #[must_use]
    pub fn pool(self, name: &str, pool: impl Into<PoolFile>) -> Self {
        let yaml = pool.into().yaml();
        self.file(&pool_path(name), yaml)
    }

    /// Adds `tls/<name>.crt` and `tls/<name>.key`.
    #[must_use]
    pub fn certificate(self, name: &str, leaf: &Leaf) -> Self {
        self.file(&format!("tls/{name}.crt"), &leaf.certificate_pem)
            .file(&format!("tls/{name}.key"), &leaf.key_pem)
    }

    /// Adds a file to the directory; a later one of the same name replaces it.
    #[must_use]
    pub fn file(mut self, name: &str, contents: impl Into<String>) -> Self {
        self.files.push((name.to_owned(), contents.into()));
        self
    }

    /// Adds an argument behind the command and its configuration, with placeholders.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable; the gateway sees no others.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the gateway and returns once `/readyz` answers 200.
    ///
    /// # Panics
    /// With all that the gateway wrote, when it ends or is not ready within [`PATIENCE`].
    pub async fn start(&self) -> Gateway {
        raise_open_files().await;
        self.start_in(self.prepare()).await
    }

    async fn start_in(&self, mut place: Place) -> Gateway {
        for _ in 0..STARTS_MAX {
            let mut process = self.program("run", &place).start();
            let start = timeout(PATIENCE, wait_until_ready(&mut process, place.admin.address()));
            match start.await.unwrap_or(Start::Failed("was not ready in time")) {
                Start::Ready => return Gateway { process, place, launcher: self.clone() },
                Start::AddressTaken => {
                    process.kill().await;
                    place = self.prepare_in(place.directory);
                }
                Start::Failed(why) => {
                    panic!("the gateway {why}; it said\n{}", process.tail())
                }
            }
        }
        panic!("the gateway found its addresses taken {STARTS_MAX} times in a row")
    }

    /// Runs a command of the gateway that ends by itself, as `"check"`, or `"run"` with a broken
    /// configuration.
    ///
    /// # Panics
    /// When it still runs after [`PATIENCE`].
    pub async fn finish(&self, command: &str) -> Finished {
        let place = self.prepare();
        self.program(command, &place).run().await
    }

    fn prepare(&self) -> Place {
        self.prepare_in(Directory::new())
    }

    fn prepare_in(&self, directory: Directory) -> Place {
        let place = Place::new(directory);
        for (name, contents) in &self.files {
            place.write(name, contents);
        }
        place
    }

    fn program(&self, command: &str, place: &Place) -> Program {
        let conf = place.directory.path().join(CONF);
        let program = Program::at(&self.binary).arg(command).arg("--config").arg(conf).clean_env();
        let program = program.args(self.arguments.iter().map(|argument| place.filled(argument)));
        self.environment.iter().fold(program, |program, (name, value)| program.env(name, value))
    }
}

impl PoolFile {
    fn yaml(self) -> String {
        match self {
            Self::Yaml(yaml) => yaml,
            Self::Peer(address) => format!("peers:\n  - address: {address}\n"),
        }
    }
}

impl From<SocketAddr> for PoolFile {
    fn from(address: SocketAddr) -> Self {
        Self::Peer(address)
    }
}

impl From<&str> for PoolFile {
    fn from(yaml: &str) -> Self {
        Self::Yaml(yaml.to_owned())
    }
}

impl From<String> for PoolFile {
    fn from(yaml: String) -> Self {
        Self::Yaml(yaml)
    }
}

/// How a start went.
enum Start {
    Ready,
    AddressTaken,
    Failed(&'static str),
}

/// Asks `/readyz` again and again: the one place where the bench polls.
async fn wait_until_ready(process: &mut Process, admin: SocketAddr) -> Start {
    let mut pause = READY_PAUSE_MIN;
    loop {
        let ended = process.exited().is_some();
        if ended {
            // What it wrote last may still be on its way.
            process.wait().await;
        }
        if process.lines().iter().any(|line| says_address_taken(line)) {
            return Start::AddressTaken;
        }
        if ended {
            return Start::Failed("ended before it was ready");
        }
        let reply = Request::to(admin, "GET", "/readyz").try_send().await;
        if reply.is_ok_and(|reply| reply.status == 200) {
            return Start::Ready;
        }
        tokio::time::sleep(pause).await;
        pause = READY_PAUSE_MAX.min(pause * 2);
    }
}

/// Whether Pingora or the system complains of an address that another program listens on.
fn says_address_taken(line: &str) -> bool {
    ["is in use", "still in use", "already in use"].iter().any(|words| line.contains(words))
}

fn pool_path(name: &str) -> String {
    format!("upstreams/{name}.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Authority, Origin};

    const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/stand_in.sh");
    const CONF: &str = "listen: {listen}\ntls: {tls_listen}\nadmin: {admin}\ndir: {dir}\n";

    /// A pipe on which the stand-in tells where its admin listener should be.
    async fn pipe(directory: &Directory) -> String {
        let path = directory.path().join("pipe").display().to_string();
        Program::at("mkfifo").arg(&path).run().await.expect_code(0);
        path
    }

    /// Starts the launcher's stand-in, and an origin in the place of its admin listener.
    async fn start(launcher: Launcher, pipe: &str) -> (Gateway, Origin) {
        tokio::join!(launcher.start(), admin_behind(pipe))
    }

    async fn admin_behind(pipe: &str) -> Origin {
        let address = tokio::fs::read_to_string(pipe).await.unwrap();
        let admin = Origin::start_at(address.trim().parse().unwrap()).await;
        let unready = Answer::status(503).times(2);
        admin.script("/readyz", [unready, Answer::status(200)]);
        admin.on("/metrics", Answer::status(200).body("up{a=\"b\"} 1\n"));
        admin
    }

    #[tokio::test]
    async fn gateway_is_started_reloaded_and_stopped() {
        let (directory, authority) = (Directory::new(), Authority::new());
        let pipe = pipe(&directory).await;
        let launcher = Gateway::binary(STAND_IN)
            .with(CONF)
            .pool("weather", "peers: [{admin}]")
            .pool("ndvi", SocketAddr::from(([127, 0, 0, 1], 8081)))
            .certificate("a", &authority.issue(["a.example"]))
            .env("ADMIN_PIPE", &pipe);
        let (mut gw, admin) = start(launcher, &pipe).await;
        assert_eq!(admin.calls("/readyz"), 3);
        assert_eq!(gw.metric("up", &[("a", "b")]).await, Some(1.0));
        let read = |name: &str| std::fs::read_to_string(gw.directory().join(name)).unwrap();
        assert_eq!(read("upstreams/weather.yaml"), format!("peers: [{}]", gw.admin()));
        assert_eq!(read("upstreams/ndvi.yaml"), "peers:\n  - address: 127.0.0.1:8081\n");
        assert!(read("tls/a.key").contains("PRIVATE KEY"));

        gw.rewrite_conf("changed: {listen} {tls_listen} {dir}\nadmin: {admin}\n");
        gw.reload().await;
        let said = gw.wait_for_log(|line| line.starts_with("reloaded")).await;
        let (listen, tls, dir) = (gw.address(), gw.tls_address(), gw.directory().display());
        assert_eq!(said, format!("reloaded changed: {listen} {tls} {dir}"));

        assert_eq!(gw.stop().await.code(), Some(0));
        assert_eq!(gw.log_lines().last().map(String::as_str), Some("drained"));

        let (path, address) = (gw.directory().to_owned(), gw.address());
        drop(admin);
        let (gw, admin) = tokio::join!(gw.restart(), admin_behind(&pipe));
        assert_eq!((gw.directory(), gw.address()), (&*path, address));
        assert_eq!(admin.calls("/readyz"), 3);
        drop(gw);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn gateway_that_finds_its_address_taken_is_started_again() {
        let directory = Directory::new();
        let pipe = pipe(&directory).await;
        let taken = directory.path().join("taken").display().to_string();
        let launcher =
            Gateway::binary(STAND_IN).with(CONF).env("ADMIN_PIPE", &pipe).env("TAKEN_ONCE", &taken);
        let (gw, _admin) = start(launcher, &pipe).await;
        assert!(std::fs::exists(taken).unwrap());
        assert!(gw.log_lines().is_empty());
    }

    #[tokio::test]
    #[should_panic(
        expected = "the gateway ended before it was ready; it said\nrun --config: no pipe"
    )]
    async fn gateway_that_ends_at_once_fails_with_its_output() {
        Gateway::binary(STAND_IN).with(CONF).start().await;
    }

    #[tokio::test]
    async fn command_that_ends_by_itself_leaves_its_code() {
        let finished = Gateway::binary(STAND_IN).with(CONF).finish("check").await;
        assert_eq!(finished.expect_code(78).stderr, ["check --config: no pipe"]);
    }
}
