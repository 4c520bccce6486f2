//! What do the servers fetch, when did they ask for it, and how many calls were there at once?
//!
//! An origin in this process, on a thread of its own, that takes its time. An answer says when it
//! was made, so that its age can be told without trusting who passes it on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::client::now;
use crate::error::{BenchError, Trying};
use crate::wire::Wire;

/// What each server is asked for to see whether it is up.
pub(crate) const READY_PATH: &str = "/ready";

/// Most calls that are remembered: more than any run makes.
const CALLS_MAX: usize = 1_000_000;

/// One call that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its path.
    pub(crate) path: String,
    /// When it came.
    pub(crate) came_at: Instant,
    /// When its answer was made.
    pub(crate) made_at: Instant,
}

/// The running origin; it lives as long as the process.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    address: SocketAddr,
    board: Arc<Board>,
}

#[derive(Debug)]
struct Board {
    began_at: Instant,
    delay: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    in_flight: usize,
    most_in_flight: usize,
}

impl Origin {
    /// Starts one that takes so long for each answer, on a free loopback port.
    ///
    /// # Errors
    /// When the system gives no port or no thread.
    pub(crate) fn start(delay: Duration) -> Result<Self, BenchError> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.trying(|| "listen on a loopback port".into())?;
        listener.set_nonblocking(true).trying(|| "set up the origin's listener".into())?;
        let address = listener.local_addr().trying(|| "read the origin's address".into())?;
        let board = Board { began_at: now(), delay, state: Mutex::default() };
        let board = Arc::new(board);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.trying(|| "start the origin's runtime".into())?;
        let shared = Arc::clone(&board);
        std::thread::Builder::new()
            .name("origin".into())
            .spawn(move || runtime.block_on(accept(listener, shared)))
            .trying(|| "start the origin's thread".into())?;
        Ok(Self { address, board })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The calls that were answered, in the order of their answers.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.board.state().calls.clone()
    }

    /// How many were answered.
    pub(crate) fn calls_count(&self) -> usize {
        self.board.state().calls.len()
    }

    /// Most calls at once since this was asked for, which begins anew with it.
    pub(crate) fn take_most_in_flight(&self) -> usize {
        let mut state = self.board.state();
        std::mem::replace(&mut state.most_in_flight, 0)
    }

    /// When the answer with this body was made.
    pub(crate) fn made_at(&self, body: &[u8]) -> Option<Instant> {
        let micros = std::str::from_utf8(body).ok()?.parse().ok()?;
        self.board.began_at.checked_add(Duration::from_micros(micros))
    }
}

impl Board {
    fn begin(&self) {
        let mut state = self.state();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
    }

    fn end(&self, call: Call) {
        let mut state = self.state();
        state.in_flight -= 1;
        if state.calls.len() < CALLS_MAX {
            state.calls.push(call);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: std::net::TcpListener, board: Arc<Board>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let board = Arc::clone(&board);
        tokio::spawn(async move {
            // A server that goes away in the middle is no fault: its measurement is over.
            let _peer_is_gone = serve(stream, &board).await;
        });
    }
}

async fn serve(stream: TcpStream, board: &Board) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.message().await? {
        let came_at = now();
        let path = request.start.split(' ').nth(1).unwrap_or_default().to_owned();
        if path != READY_PATH {
            board.begin();
            tokio::time::sleep(board.delay).await;
        }
        let made_at = now();
        let body = made_at.saturating_duration_since(board.began_at).as_micros().to_string();
        if path != READY_PATH {
            board.end(Call { path, came_at, made_at });
        }
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        wire.stream.write_all(format!("{head}: {length}\r\n\r\n{body}").as_bytes()).await?;
    }
    Ok(())
}
