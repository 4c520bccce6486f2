//! A program that runs beside the test: started, listened to, signalled and always ended.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::patience::until;

const LINES_KEPT_MAX: usize = 50_000;
const LINE_BYTES_MAX: u64 = 64 * 1024;
const LINES_SHOWN_MAX: usize = 100;
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
const OUTPUT_TIME_MAX: Duration = Duration::from_secs(1);

/// A program with its arguments and environment, not yet running.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    inherits: bool,
    directory: Option<PathBuf>,
}

/// A running program; killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    output: Arc<Output>,
}

/// A program that ran to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// The lines it wrote to stdout.
    pub stdout: Vec<String>,
    /// The lines it wrote to stderr.
    pub stderr: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Stdout,
    Stderr,
}

#[derive(Default)]
struct Output {
    state: Mutex<Captured>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Captured {
    lines: VecDeque<(Source, String)>,
    lines_dropped: usize,
    streams_ended: usize,
}

impl Program {
    /// The program at this path.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            inherits: true,
            directory: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Passes on none of this process's environment.
    #[must_use]
    pub fn clean_env(mut self) -> Self {
        self.inherits = false;
        self
    }

    /// Runs in this directory instead of the current one.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Starts the program inside a tokio runtime and captures what it prints.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self) -> Process {
        let mut command = Command::new(&self.path);
        if !self.inherits {
            command.env_clear();
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.path.display()));
        let output = Arc::new(Output::default());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        tokio::spawn(capture(Source::Stdout, stdout, Arc::clone(&output)));
        tokio::spawn(capture(Source::Stderr, stderr, Arc::clone(&output)));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Process { child, name, output }
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it cannot be started or still runs after [`PATIENCE`].
    pub async fn run(&self) -> Finished {
        let mut process = self.start();
        let status = process.wait().await;
        Finished { status, stdout: process.stdout_lines(), stderr: process.stderr_lines() }
    }
}

impl Process {
    /// The process id; `None` once the end of the process was seen.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// All lines so far of both streams, in the order in which they were read.
    pub fn lines(&self) -> Vec<String> {
        self.output.state().lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The lines so far of stdout.
    pub fn stdout_lines(&self) -> Vec<String> {
        self.output.of(Source::Stdout)
    }

    /// The lines so far of stderr.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.output.of(Source::Stderr)
    }

    /// Returns the first line, past or future, that satisfies the predicate.
    ///
    /// # Panics
    /// After [`PATIENCE`], or at once when the process ends without such a line.
    pub async fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_for_lines(1, wanted).await.remove(0)
    }

    /// Returns the lines, past or future, that satisfy the predicate, once there are `count`.
    ///
    /// # Panics
    /// After [`PATIENCE`], or at once when the process ends without so many.
    pub async fn wait_for_lines(&self, count: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let describe =
            || format!("{count} such lines from {}; it said\n{}", self.name, self.tail());
        let (mut found, mut read) = (Vec::new(), 0_usize);
        let look = || {
            let state = self.output.state();
            let unread = state.lines.iter().skip(read.saturating_sub(state.lines_dropped));
            found.extend(unread.map(|(_, line)| line).filter(|line| wanted(line)).cloned());
            read = state.lines_dropped + state.lines.len();
            (found.len() >= count || state.streams_ended == 2).then_some(())
        };
        until(&self.output.changes, look, describe).await;
        assert!(found.len() >= count, "the process ended; expected {}", describe());
        found
    }

    /// Sends a signal by name, as `"HUP"`.
    ///
    /// # Panics
    /// When the process has ended or the signal cannot be sent.
    pub async fn signal(&self, name: &str) {
        let id = self.id().unwrap_or_else(|| panic!("{} has ended:\n{}", self.name, self.tail()));
        // The shell's own `kill`: a minimal system has no program of that name.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status().await;
        assert!(
            sent.as_ref().is_ok_and(ExitStatus::success),
            "cannot send {name} to {}: {sent:?}",
            self.name
        );
    }

    /// How the process ended, if it has.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child process")
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// When it still runs after [`PATIENCE`].
    pub async fn wait(&mut self) -> ExitStatus {
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else {
            panic!(
                "{} still runs after {} s; it said\n{}",
                self.name,
                PATIENCE.as_secs(),
                self.tail()
            );
        };
        self.drain().await;
        status.expect("the state of a child process")
    }

    /// Asks the process to end (SIGTERM) and kills it if it has not done so after 10 seconds.
    ///
    /// # Panics
    /// When it cannot be signalled.
    pub async fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.exited() {
            return status;
        }
        self.signal("TERM").await;
        if let Ok(status) = timeout(STOP_TIME_MAX, self.child.wait()).await {
            self.drain().await;
            return status.expect("the state of a child process");
        }
        self.kill().await
    }

    /// Kills the process at once (SIGKILL).
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(&mut self) -> ExitStatus {
        self.child.kill().await.expect("a child process that can be killed");
        self.drain().await;
        self.child.wait().await.expect("the state of a child process")
    }

    /// The last lines of both streams, for messages.
    pub fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(LINES_SHOWN_MAX)..].join("\n")
    }

    /// Reads what an ended process has left; a grandchild may keep the pipes open for longer.
    async fn drain(&self) {
        let mut changed = self.output.changes.subscribe();
        let ended = async {
            while self.output.state().streams_ended < 2 && changed.changed().await.is_ok() {}
        };
        // Late output is lost for messages only: not worth failing a test that succeeded.
        drop(timeout(OUTPUT_TIME_MAX, ended).await);
    }
}

impl Finished {
    /// Fails unless the program ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "expected exit code {code}, got {}\nstdout: {}\nstderr: {}",
            self.status,
            self.stdout.join("\n"),
            self.stderr.join("\n")
        );
        self
    }
}

impl Output {
    fn state(&self) -> MutexGuard<'_, Captured> {
        self.state.lock().expect("no code panics while it holds the captured lines")
    }

    fn of(&self, source: Source) -> Vec<String> {
        let state = self.state();
        let lines = state.lines.iter().filter(|(from, _)| *from == source);
        lines.map(|(_, line)| line.clone()).collect()
    }

    fn push(&self, source: Source, line: String) {
        let mut state = self.state();
        if state.lines.len() == LINES_KEPT_MAX {
            state.lines.pop_front();
            state.lines_dropped += 1;
        }
        state.lines.push_back((source, line));
        drop(state);
        self.changes.send_replace(());
    }
}

/// Reads lines to the end of the stream; a line over the bound is taken in pieces.
async fn capture(source: Source, stream: impl AsyncRead + Unpin, output: Arc<Output>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        output.push(source, text.trim_end_matches(['\r', '\n']).to_owned());
        line.clear();
    }
    output.state().streams_ended += 1;
    output.changes.send_replace(());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::at("/bin/sh").args(["-c", script])
    }

    #[tokio::test]
    async fn finished_program_leaves_code_and_lines() {
        let finished =
            shell("echo out $A; echo err >&2; exit 3").clean_env().env("A", "b").run().await;
        let finished = finished.expect_code(3);
        assert_eq!(finished.stdout, ["out b"]);
        assert_eq!(finished.stderr, ["err"]);
    }

    #[tokio::test]
    async fn signal_reaches_the_running_process() {
        let mut process = shell(
            "trap 'echo reloaded' HUP; trap 'echo ending; exit 0' TERM; echo ready; \
             while :; do sleep 0.02; done",
        )
        .start();
        process.wait_for_line(|line| line == "ready").await;
        process.signal("HUP").await;
        process.wait_for_line(|line| line == "reloaded").await;
        process.signal("HUP").await;
        assert_eq!(process.wait_for_lines(2, |line| line == "reloaded").await.len(), 2);
        assert_eq!(process.stop().await.code(), Some(0));
        assert_eq!(process.lines().last().map(String::as_str), Some("ending"));
        assert_eq!(process.id(), None);
    }

    #[tokio::test]
    #[should_panic(
        expected = "the process ended; expected 1 such lines from sh; it said\nonly this"
    )]
    async fn ended_process_fails_a_wait_at_once() {
        shell("echo only this").start().wait_for_line(|line| line == "that").await;
    }

    #[tokio::test]
    async fn dropped_process_does_not_outlive_its_owner() {
        let process = Program::at("/bin/sleep").arg("600").start();
        let id = process.id().unwrap();
        drop(process);
        // The signal is sent while dropping; a killed child is a zombie or already gone.
        let state = std::fs::read_to_string(format!("/proc/{id}/stat"));
        assert!(state.is_err() || wait_for_death(id).await);
    }

    async fn wait_for_death(id: u32) -> bool {
        let alive = || match std::fs::read_to_string(format!("/proc/{id}/stat")) {
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => false,
        };
        for _ in 0..10_000 {
            if !alive() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }
}
