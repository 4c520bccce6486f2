//! What do all servers fetch, and how often do they ask for it?
//!
//! A small HTTP/1.1 server in this process with two ready answers. It does as little as can be for
//! a request, so that the rows without a cache measure the proxies and not what is behind them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::error::{BenchError, Trying};

/// Most connections at once; more are closed at the door.
const CONNECTIONS_MAX: usize = 1024;

/// Longest request head that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Length of the larger answer's body.
const HOURLY_BYTES: usize = 4096;

/// One answer of the current weather, as such services give it.
const CURRENT: &str = concat!(
    r#"{"latitude":-1.25,"longitude":36.75,"timezone":"Africa/Nairobi","current":"#,
    r#"{"time":"2026-08-14T09:00","temperature_2m":18.4,"relative_humidity_2m":71,"#,
    r#""precipitation":0.2,"wind_speed_10m":9.3,"is_day":1,"weather_code":61}}"#
);

/// Which of the two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// 220 bytes.
    Current,
    /// 4 KiB.
    Hourly,
}

impl Payload {
    /// The last segment of the paths that get it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Hourly => "hourly",
        }
    }

    /// The body, the same in each process and at each call.
    pub(crate) fn body(self) -> String {
        match self {
            Self::Current => CURRENT.to_owned(),
            Self::Hourly => hourly(),
        }
    }

    fn response(self) -> Vec<u8> {
        let body = self.body();
        let (name, length) = (self.name(), body.len());
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             ETag: \"{name}-1\"\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// Temperatures by the hour until the body has its length, the rest filled up with blanks.
fn hourly() -> String {
    const OPEN: &str = r#"{"latitude":-1.25,"longitude":36.75,"hourly":{"temperature_2m":["#;
    const CLOSE: &str = "]}}";
    let mut body = OPEN.to_owned();
    for hour in 0_u32.. {
        let separator = if hour == 0 { "" } else { "," };
        let value = format!("{separator}{}.{}", 12 + hour * 7 % 17, hour * 3 % 10);
        if body.len() + value.len() + CLOSE.len() > HOURLY_BYTES {
            break;
        }
        body.push_str(&value);
    }
    let blanks = HOURLY_BYTES.saturating_sub(body.len() + CLOSE.len());
    body.push_str(&" ".repeat(blanks));
    body.push_str(CLOSE);
    body
}

/// The running origin; it lives as long as the process.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
}

impl Origin {
    /// Starts it on a free loopback port, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no port or no thread.
    pub(crate) fn start() -> Result<Self, BenchError> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.trying(|| "listen on a loopback port".into())?;
        listener.set_nonblocking(true).trying(|| "set up the origin's listener".into())?;
        let address = listener.local_addr().trying(|| "read the origin's address".into())?;
        let calls = Arc::new(AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.trying(|| "start the origin's runtime".into())?;
        let counted = Arc::clone(&calls);
        std::thread::Builder::new()
            .name("origin".into())
            .spawn(move || runtime.block_on(accept(listener, counted)))
            .trying(|| "start the origin's thread".into())?;
        Ok(Self { address, calls })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was asked so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn accept(listener: std::net::TcpListener, calls: Arc<AtomicU64>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let responses = Arc::new([Payload::Current.response(), Payload::Hourly.response()]);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (responses, calls) = (Arc::clone(&responses), Arc::clone(&calls));
        tokio::spawn(async move {
            let [current, hourly] = &*responses;
            // A peer that goes away in the middle is no fault: its measurement is over.
            let _peer_is_gone = serve(stream, current, hourly, &calls).await;
            drop(place);
        });
    }
}

async fn serve(
    mut stream: TcpStream,
    current: &[u8],
    hourly: &[u8],
    calls: &AtomicU64,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::with_capacity(HEAD_BYTES_MAX);
    while stream.read_buf(&mut unread).await? > 0 {
        while let Some(end) = head_end(&unread) {
            let response = if asks_for_hourly(&unread) { hourly } else { current };
            calls.fetch_add(1, Ordering::Relaxed);
            stream.write_all(response).await?;
            unread.drain(..end);
        }
        if unread.len() >= HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

/// Where the first request ends: none of them has a body.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|start| start + 4)
}

fn asks_for_hourly(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.split(|byte| *byte == b' ').nth(1).is_some_and(|path| path.ends_with(b"/hourly"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::probe::ask;

    #[test]
    fn answers_are_json_of_the_stated_lengths() {
        let (current, hourly) = (Payload::Current.body(), Payload::Hourly.body());
        assert_eq!(current.len(), 220);
        assert_eq!(hourly.len(), 4096);
        for body in [current, hourly] {
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
    }

    #[test]
    fn origin_answers_by_path_and_counts() {
        let origin = Origin::start().unwrap();
        for payload in [Payload::Current, Payload::Hourly] {
            let answer = ask(origin.address(), &format!("/any/{}", payload.name()), &[]).unwrap();
            assert_eq!((answer.status, answer.body), (200, payload.body().into_bytes()));
        }
        assert_eq!(origin.calls(), 2);
    }
}
