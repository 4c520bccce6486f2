//! How does a test hand statements to the client of a database?

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::PATIENCE;

/// A table that nobody else can read for as long as this is there.
pub struct TableLock {
    /// It holds the lock, and is killed when dropped.
    _client: Child,
}

impl TableLock {
    /// Lets a client run statements of which the last one says that the table is locked.
    pub(crate) async fn hold(mut client: Command, sql: &str) -> Self {
        let mut client = client.spawn().unwrap_or_else(|error| panic!("{client:?}: {error}"));
        let stdin = client.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(sql.as_bytes()).await.expect("a client that reads statements");
        let stdout = client.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let locked = timeout(PATIENCE, lines.next_line()).await;
        assert!(matches!(locked, Ok(Ok(Some(_)))), "not locked by {sql}: {locked:?}");
        Self { _client: client }
    }
}

/// A program whose streams are piped and that does not outlive its owner.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs a program on some statements, and returns what it printed. `missing` says what to install
/// when it is not there.
pub(crate) async fn feed(mut program: Command, sql: &str, missing: fn(&str) -> !) -> String {
    let name = program.as_std().get_program().to_string_lossy().into_owned();
    let mut child = program.spawn().unwrap_or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(&name),
        _ => panic!("cannot start {name}: {error}"),
    });
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let written = async move {
        // A program that ends early says why on its other streams.
        drop(stdin.write_all(sql.as_bytes()).await);
    };
    let run = async { tokio::join!(written, child.wait_with_output()).1 };
    let output = timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{name} does not end"));
    let output = output.expect("the output of a child process");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
