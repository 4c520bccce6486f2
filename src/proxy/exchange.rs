//! How is one request put to an upstream, and its answer collected whole?
//!
//! An exchange is a subrequest inside the process: it runs through the same proxy as a client's
//! request, with its peers, attempts and header rules, but its answer comes back over a channel
//! instead of a socket. Only when the body is complete is anything decided about it. That is why a
//! broken answer can still become a 502, and why all who wait for one key can share one outcome.

use std::io::Cursor;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{StatusCode, header};
use once_cell::sync::OnceCell;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora_proxy::SubrequestSpawner;
use pingora_proxy::subrequest::{BodyMode, Ctx as SubrequestCtx};
use tokio::sync::mpsc;

use super::request_id;
use crate::auth::Principal;
use crate::refusal::Refusal;
use crate::route::Route;
use crate::snapshot::Snapshot;

/// How long an answer waits for its subrequest to tidy up.
const FINISH_TIMEOUT: Duration = Duration::from_millis(20);

/// Whose errand a request is. It comes from the way the request entered, never from a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client waits for it.
    Client,
    /// A stored answer turned stale.
    Revalidation,
    /// A stored answer that is asked for much will turn stale.
    Ahead,
    /// The schedule wants it before anyone asks.
    Prewarm,
}

impl Origin {
    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Revalidation => "revalidation",
            Self::Ahead => "ahead",
            Self::Prewarm => "prewarm",
        }
    }
}

/// What a subrequest must know, because it is not admitted again.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The configuration under which the request was admitted.
    pub snapshot: Arc<Snapshot>,
    /// Its route.
    pub route: Arc<Route>,
    /// Its id, for the service and the log.
    pub request_id: Arc<str>,
    /// Whose errand it is.
    pub origin: Origin,
    /// The client's address, when a client caused it.
    pub client: Option<IpAddr>,
    /// Whether that client came over TLS.
    pub is_tls: bool,
    /// For whom the service answers; nobody where everybody shares the answer.
    pub callers: Arc<[Principal]>,
    /// When the answer must be complete.
    pub deadline: Instant,
    /// Why there was no answer, left here by the subrequest.
    pub failure: Arc<OnceCell<Refusal>>,
    /// Where interim answers go, if there is a client who can be given them.
    pub interim: Option<mpsc::Sender<ResponseHeader>>,
}

impl Dispatch {
    /// The same errand for another origin, with a deadline and an id of its own.
    #[must_use]
    pub fn on_behalf_of(&self, origin: Origin, deadline: Instant) -> Self {
        Self {
            origin,
            deadline,
            request_id: request_id::new_request_id(),
            failure: Arc::default(),
            interim: None,
            ..self.clone()
        }
    }
}

/// An upstream's answer, complete.
#[derive(Debug)]
pub struct Collected {
    /// Status and header fields as the upstream sent them.
    pub head: ResponseHeader,
    /// The whole body.
    pub body: Bytes,
}

/// How an exchange went.
pub enum Exchanged {
    /// The body is complete.
    Whole(Collected),
    /// The body is longer than was asked to collect; here is what came, and where the rest comes.
    TooLarge(Overflow),
}

/// An answer that is too long to collect, still arriving.
pub struct Overflow {
    /// Status and header fields as the upstream sent them.
    pub head: ResponseHeader,
    /// What was read of the body.
    pub read: Vec<Bytes>,
    /// Where the rest arrives.
    pub rest: Answer,
}

/// A subrequest and the channel on which its answer arrives. The subrequest runs while the answer
/// is waited for, in the same task: dropped, it ends.
pub struct Answer {
    tasks: mpsc::Receiver<HttpTask>,
    /// A closed channel would read as a client that left.
    _open: mpsc::Sender<HttpTask>,
    running: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ended: bool,
}

/// Starts exchanges. It is given the proxy after that was built, since the proxy holds it.
#[derive(Default)]
pub struct Exchange {
    spawner: OnceCell<SubrequestSpawner>,
}

impl Exchange {
    /// Gives the proxy that subrequests run through; a second call changes nothing.
    pub fn attach(&self, spawner: SubrequestSpawner) {
        let _already_attached = self.spawner.set(spawner);
    }

    /// Sends `head` and `body` to the dispatch's route and collects the answer.
    ///
    /// # Errors
    ///
    /// The refusal that the client is to see when there is no complete answer by the deadline.
    pub async fn run(
        &self,
        head: RequestHeader,
        body: Bytes,
        dispatch: Dispatch,
        body_bytes_max: usize,
    ) -> Result<Exchanged, Refusal> {
        let (failure, interim) = (dispatch.failure.clone(), dispatch.interim.clone());
        let deadline = tokio::time::Instant::from_std(dispatch.deadline);
        let work = async {
            let answer = self.start(head, body, dispatch).await?;
            answer.collect(body_bytes_max, interim).await
        };
        let exchanged = tokio::time::timeout_at(deadline, work).await;
        match exchanged {
            Ok(Some(exchanged)) => Ok(exchanged),
            Ok(None) => Err(failure.get().cloned().unwrap_or(Refusal::UpstreamBroken)),
            Err(_elapsed) => Err(Refusal::UpstreamTimeout),
        }
    }

    async fn start(
        &self,
        mut head: RequestHeader,
        body: Bytes,
        dispatch: Dispatch,
    ) -> Option<Answer> {
        let body_mode = if body.is_empty() { BodyMode::NoBody } else { BodyMode::ExpectBody };
        head.remove_header(&header::TRANSFER_ENCODING);
        head.remove_header(&header::CONTENT_LENGTH);
        if !body.is_empty() {
            head.insert_header(header::CONTENT_LENGTH, body.len()).ok()?;
        }
        let mut session = ServerSession::new_http1(Box::new(Cursor::new(serialize(&head))));
        session.read_request().await.ok()?;
        let context =
            SubrequestCtx::builder().body_mode(body_mode).user_ctx(Box::new(dispatch)).build();
        let (subrequest, handle) = self.spawner.get()?.create_subrequest(&session, context);
        if !body.is_empty() {
            handle.tx.send(HttpTask::Body(Some(body), true)).await.ok()?;
        }
        let running = Box::pin(async move {
            subrequest.run().await;
        });
        let (tasks, open) = (handle.rx, handle.tx);
        Some(Answer { tasks, _open: open, running: Some(running), ended: false })
    }
}

impl Answer {
    async fn collect(
        mut self,
        body_bytes_max: usize,
        interim: Option<mpsc::Sender<ResponseHeader>>,
    ) -> Option<Exchanged> {
        let head = self.head(interim).await?;
        let mut read = Vec::new();
        let mut length = 0;
        while let Some(piece) = self.next_piece().await? {
            length += piece.len();
            read.push(piece);
            if length > body_bytes_max {
                return Some(Exchanged::TooLarge(Overflow { head, read, rest: self }));
            }
        }
        let body = match <[Bytes; 1]>::try_from(read) {
            Ok([whole]) => whole,
            Err(pieces) => pieces.concat().into(),
        };
        self.finish().await;
        Some(Exchanged::Whole(Collected { head, body }))
    }

    /// Lets the subrequest end by itself, so that its connection goes back to the pool before the
    /// next request wants one; what takes longer than a moment goes on in the background.
    pub async fn finish(mut self) {
        let rest = async { while self.next_task().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIMEOUT, rest).await.is_err() {
            tokio::spawn(async move { while self.next_task().await.is_some() {} });
        }
    }

    async fn next_task(&mut self) -> Option<HttpTask> {
        if let Some(running) = &mut self.running {
            tokio::select! {
                biased;
                task = self.tasks.recv() => return task,
                () = running => {}
            }
            self.running = None;
        }
        self.tasks.recv().await
    }

    /// The final head. Interim ones (RFC 9110, section 15.2) go to who waits for them; one that is
    /// slow to take them misses some.
    async fn head(
        &mut self,
        interim: Option<mpsc::Sender<ResponseHeader>>,
    ) -> Option<ResponseHeader> {
        loop {
            match self.next_task().await? {
                HttpTask::Header(head, end) if !head.status.is_informational() => {
                    self.ended = end;
                    return Some(*head);
                }
                HttpTask::Header(head, _) if head.status != StatusCode::CONTINUE => {
                    if let Some(interim) = &interim {
                        let _was_taken = interim.try_send(*head).is_ok();
                    }
                }
                HttpTask::Failed(_) | HttpTask::Done => return None,
                _ => {}
            }
        }
    }

    /// The next piece of the body; `Some(None)` at its end, `None` when it broke off.
    pub async fn next_piece(&mut self) -> Option<Option<Bytes>> {
        while !self.ended {
            match self.next_task().await? {
                HttpTask::Body(piece, end) | HttpTask::UpgradedBody(piece, end) => {
                    self.ended = end;
                    if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
                        return Some(Some(piece));
                    }
                }
                HttpTask::Done => self.ended = true,
                HttpTask::Failed(_) => return None,
                _ => {}
            }
        }
        Some(None)
    }
}

/// The head as HTTP/1.1 writes it.
fn serialize(head: &RequestHeader) -> Vec<u8> {
    let mut wire = Vec::with_capacity(512);
    wire.extend_from_slice(head.method.as_str().as_bytes());
    wire.push(b' ');
    wire.extend_from_slice(head.raw_path());
    wire.extend_from_slice(b" HTTP/1.1\r\n");
    head.header_to_h1_wire(&mut wire);
    wire.extend_from_slice(b"\r\n");
    wire
}
