//! The scripted origin: what stands behind the gateway in a test, and what it was asked.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::patience::until;
use crate::ports::listener;
use crate::{Answer, Headers, serve};

const REQUESTS_KEPT_MAX: usize = 10_000;
const PATHS_MAX: usize = 10_000;
const FAULTS_KEPT_MAX: usize = 20;

/// An HTTP/1.1 server on a free loopback port that answers as told and remembers every request.
///
/// Answers are chosen by path without query. A path that no answer was given for gets 404.
/// Dropping the origin closes its listener and all its connections.
pub struct Origin {
    board: Arc<Board>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// One request as it reached the origin.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method as sent.
    pub method: String,
    /// The request target as sent: path and query.
    pub target: String,
    /// The header fields in the order in which they were sent.
    pub headers: Headers,
    /// The whole body, without its framing.
    pub body: Bytes,
}

/// What all connections of one origin share.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    otherwise: Option<Answer>,
    calls: HashMap<String, usize>,
    gates: HashMap<String, watch::Sender<()>>,
    requests: VecDeque<Recorded>,
    faults: VecDeque<String>,
    in_flight: usize,
    connections: usize,
}

/// One request between its arrival and the end of its answer.
pub(crate) struct Turn {
    pub(crate) answer: Answer,
    pub(crate) gate: watch::Receiver<()>,
    pub(crate) method: String,
    board: Arc<Board>,
}

type Rule = Arc<dyn Fn(&Recorded, usize) -> Answer + Send + Sync>;

enum Script {
    Answers(VecDeque<Answer>),
    Rule(Rule),
}

impl Origin {
    /// Starts an origin on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        Self::accept(listener())
    }

    /// Starts an origin at this address, for one that comes back after it was stopped.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address)
            .unwrap_or_else(|error| panic!("the origin cannot listen on {address}: {error}"));
        Self::accept(listener)
    }

    fn accept(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
        let board = Arc::new(Board::default());
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&board)));
        Self { board, address, accepting }
    }

    /// Where the origin listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and all connections, and returns when that is done.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let ended = (&mut self.accepting).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "the origin's accept loop ended");
    }

    /// Answers every call of this path with this JSON text.
    pub fn json(&self, path: &str, body: impl Into<Bytes>) {
        self.on(path, Answer::json(body));
    }

    /// Answers every call of this path so, from the next call on.
    pub fn on(&self, path: &str, answer: Answer) {
        self.script(path, [answer]);
    }

    /// Answers the calls of this path in turn; the last answer repeats.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers: VecDeque<_> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "the script of {path} has no answer");
        self.board.state().scripts.insert(path.to_owned(), Script::Answers(answers));
    }

    /// Answers each call of this path by a rule over the request and its number, counted from 1.
    pub fn rule<F>(&self, path: &str, rule: F)
    where
        F: Fn(&Recorded, usize) -> Answer + Send + Sync + 'static,
    {
        self.board.state().scripts.insert(path.to_owned(), Script::Rule(Arc::new(rule)));
    }

    /// Answers so every path that has no answer of its own.
    pub fn otherwise(&self, answer: Answer) {
        self.board.state().otherwise = Some(answer);
    }

    /// Lets go the answers of this path that are held or stalled now; later ones are held again.
    pub fn release(&self, path: &str) {
        self.board.state().gate(path).send_replace(());
    }

    /// How often this path was called.
    pub fn calls(&self, path: &str) -> usize {
        self.board.state().calls.get(path).copied().unwrap_or_default()
    }

    /// How often any path was called.
    pub fn calls_total(&self) -> usize {
        self.board.state().calls.values().sum()
    }

    /// The requests for this path, oldest first; the last 10,000 of the origin are kept.
    pub fn requests(&self, path: &str) -> Vec<Recorded> {
        let state = self.board.state();
        state.requests.iter().filter(|request| request.path() == path).cloned().collect()
    }

    /// How many requests have arrived whole and are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.board.state().in_flight
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.board.state().connections
    }

    /// Returns when this path was called at least `calls` times.
    ///
    /// # Panics
    /// After [`PATIENCE`](crate::PATIENCE).
    pub async fn wait_for_calls(&self, path: &str, calls: usize) {
        let enough = || (self.calls(path) >= calls).then_some(());
        let wanted = || format!("{calls} calls of {path} at the origin; {}", self.board.summary());
        until(&self.board.changes, enough, wanted).await;
    }

    /// Returns when at least `requests` are in flight at once.
    ///
    /// # Panics
    /// After [`PATIENCE`](crate::PATIENCE).
    pub async fn wait_for_in_flight(&self, requests: usize) {
        let enough = || (self.in_flight() >= requests).then_some(());
        let wanted = || format!("{requests} requests in flight; {}", self.board.summary());
        until(&self.board.changes, enough, wanted).await;
    }

    /// Returns when no request is in flight.
    ///
    /// # Panics
    /// After [`PATIENCE`](crate::PATIENCE).
    pub async fn wait_until_idle(&self) {
        let idle = || (self.in_flight() == 0).then_some(());
        let wanted = || format!("an idle origin; {}", self.board.summary());
        until(&self.board.changes, idle, wanted).await;
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Recorded {
    /// The target up to the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query without its question mark; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of the first header field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

impl Board {
    /// Counts a connection.
    pub(crate) fn connect(&self) {
        self.change(|state| state.connections += 1);
    }

    /// Notes a request that could not be understood, for the message of a failing wait.
    pub(crate) fn note_fault(&self, fault: String) {
        let mut state = self.state();
        if state.faults.len() < FAULTS_KEPT_MAX {
            state.faults.push_back(fault);
        }
    }

    /// Records a whole request and chooses its answer; in flight until the turn is dropped.
    pub(crate) fn arrive(self: &Arc<Self>, request: Recorded) -> Turn {
        let path = request.path().to_owned();
        let (script, call, gate) = self.change(|state| {
            assert!(state.calls.len() < PATHS_MAX, "the origin knows {PATHS_MAX} paths already");
            let call = state.calls.entry(path.clone()).or_default();
            *call += 1;
            let call = *call;
            state.in_flight += 1;
            if state.requests.len() == REQUESTS_KEPT_MAX {
                state.requests.pop_front();
            }
            state.requests.push_back(request.clone());
            (state.choose(&path), call, state.gate(&path).subscribe())
        });
        // The turn exists before a rule runs: a rule that panics still leaves the flight count.
        let mut turn = Turn {
            answer: Answer::status(404).body(format!("the origin has no answer for {path}")),
            gate,
            method: request.method.clone(),
            board: Arc::clone(self),
        };
        match script {
            Some(Choice::Answer(answer)) => turn.answer = answer,
            Some(Choice::Rule(rule)) => turn.answer = rule(&request, call),
            None => {}
        }
        turn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the origin's state")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changes.send_replace(());
        changed
    }

    fn summary(&self) -> String {
        let state = self.state();
        format!(
            "calls {:?}, in flight {}, connections {}, faults {:?}",
            state.calls, state.in_flight, state.connections, state.faults
        )
    }
}

/// What a script says to one call.
enum Choice {
    Answer(Answer),
    Rule(Rule),
}

impl State {
    fn gate(&mut self, path: &str) -> &watch::Sender<()> {
        self.gates.entry(path.to_owned()).or_default()
    }

    fn choose(&mut self, path: &str) -> Option<Choice> {
        match self.scripts.get_mut(path) {
            Some(Script::Answers(answers)) => next_answer(answers).map(Choice::Answer),
            Some(Script::Rule(rule)) => Some(Choice::Rule(Arc::clone(rule))),
            None => self.otherwise.clone().map(Choice::Answer),
        }
    }
}

fn next_answer(answers: &mut VecDeque<Answer>) -> Option<Answer> {
    let is_last = answers.len() == 1;
    let first = answers.front_mut()?;
    if is_last {
        return Some(first.clone());
    }
    first.times -= 1;
    if first.times > 0 { Some(first.clone()) } else { answers.pop_front() }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.board.change(|state| state.in_flight -= 1);
    }
}
