//! How does a test start the program and speak to it?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

pub(crate) const FORECAST: &str =
    "/v1/forecast?latitude=48.3&longitude=13.1&current=temperature_2m";
pub(crate) const SCENE: &str = "/s2/S2A_29RKH_20200219_0_L2A/SCL.tif";
pub(crate) const SCENE_BYTES: usize = 8_268;

/// A started program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: String,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.unwrap().split_once("http://").map(|(_, rest)| rest.to_owned()))
            .expect("replay says where it listens");
        Self { child, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request on its own connection and reads until the server closes it.
    pub(crate) fn raw(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        body: &str,
    ) -> std::io::Result<Vec<u8>> {
        let mut stream = self.connect();
        let address = &self.address;
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn send(&self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        Answer::parse(&self.raw(method, target, headers, body).unwrap())
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "", "")
    }

    pub(crate) fn fault(&self, fault: &Value) -> Answer {
        self.send("PUT", "/_replay/faults", "", &fault.to_string())
    }

    pub(crate) fn counts(&self) -> Value {
        self.get("/_replay/counts").json()
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id();
        // The shell has `kill` built in; the program of that name is missing on lean systems.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {pid}")).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended in the test of SIGTERM.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    command
        .args(["--data", concat!(env!("CARGO_MANIFEST_DIR"), "/data")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped());
    command
}

pub(crate) fn started() -> Program {
    Program::start(&["--listen", "127.0.0.1:0"])
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn length(&self) -> usize {
        self.header("content-length").unwrap().parse().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
