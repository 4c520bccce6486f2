//! How is the real host asked, and what of its answer is worth keeping?
//!
//! Kept are answers that would be the same tomorrow: success, and refusals of the question
//! itself. An answer that tells of a moment (a limit, an outage, a failure while streaming, a
//! key that is not valid) is passed on and not kept.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chassis::client::{ClientError, ClientSettings, client, read_bounded};
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;

use super::exchange::{Exchange, Head};
use super::hosts::{HostError, Hosts, Kind, Target, played};
use super::parts::content_range;
use super::{Question, Tape};
use crate::clock::Clock;

/// Largest answer that is passed on: beyond it a file has to be asked for by range.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Questions that are with the real hosts at one time: the free weather host takes five at most.
const CALLS_MAX: usize = 4;
/// Cold archive answers take more than 20 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Request headers that reach the real host. Credentials do not.
const SENT: [HeaderName; 6] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
];
/// Tells whether the answer was kept, or why not.
const RECORDED_HEADER: HeaderName = HeaderName::from_static("x-replay-recorded");

/// Asks the real hosts.
pub(crate) struct Recorder {
    hosts: Hosts,
    /// A client for each base address.
    clients: BTreeMap<String, reqwest::Client>,
    calls: Semaphore,
    clock: Clock,
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// A base address is wrong.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A whole answer of a real host.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Recorder {
    pub(crate) fn new(hosts: Hosts, clock: Clock) -> Result<Self, RecorderError> {
        hosts.validate()?;
        let mut clients = BTreeMap::new();
        for base in hosts.all() {
            let settings = ClientSettings {
                base_url: base.clone(),
                connect_timeout: CONNECT_TIMEOUT,
                idle_connections_max: CALLS_MAX,
                user_agent: concat!("farmgate-replay/", env!("CARGO_PKG_VERSION")).to_owned(),
            };
            clients.insert(base.clone(), client(&settings)?);
        }
        Ok(Self { hosts, clients, calls: Semaphore::new(CALLS_MAX), clock })
    }

    /// The answer of the real host, kept on `tape` when it is worth it; `None` when no host
    /// answers this path. `base` is the address the client reached.
    pub(crate) async fn answer(
        &self,
        (question, uri): (Question, &Uri),
        headers: &HeaderMap,
        body: Bytes,
        (tape, base): (&Tape, &str),
    ) -> Option<Response> {
        let target = self.hosts.target(uri.path())?;
        let mut answer = match self.ask(&target, &question.method, uri, headers, body).await {
            Ok(answer) => answer,
            Err(why) => return Some(failed(target.host, &why)),
        };
        if target.kind == Kind::Search
            && let Ok(page) = std::str::from_utf8(&answer.body)
        {
            answer.body = self.hosts.recorded(page).into();
        }
        let kept = match unfit(&question, target.kind, &answer) {
            Some(why) => format!("no: {why}"),
            None => match tape.keep(self.exchange(question, target.host, &answer)).await {
                Ok(()) => "yes".to_owned(),
                Err(error) => {
                    tracing::error!(%error, "an answer was not kept");
                    format!("no: {error}")
                }
            },
        };
        Some(passed_on(answer, base, &kept))
    }

    async fn ask(
        &self,
        target: &Target<'_>,
        method: &str,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, String> {
        let _permit = self.calls.acquire().await.map_err(|error| error.to_string())?;
        let client = self.clients.get(target.host).ok_or("it has no client")?;
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{}{}{query}", target.host, target.path);
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let mut request = client.request(method, url).timeout(CALL_TIMEOUT).body(body);
        for name in SENT {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        // Bytes are kept as they are meant, not as they are packed for this connection.
        request = request.header(header::ACCEPT_ENCODING, "identity");
        // The address of an error may hold a key.
        let response = request.send().await.map_err(|error| error.without_url().to_string())?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            return Err(format!("it answered {status}; redirects are not followed"));
        }
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err("it packed the body although it was asked not to".to_owned());
        }
        let body = read_bounded(response, BODY_BYTES_MAX).await;
        let body = body.map_err(|error| match error {
            chassis::client::BodyError::Broken(error) => error.without_url().to_string(),
            large @ chassis::client::BodyError::TooLarge { .. } => {
                format!("{large}; ask for a part of it with Range")
            }
        })?;
        Ok(Answer { status, headers, body })
    }

    fn exchange(&self, question: Question, host: &str, answer: &Answer) -> Exchange {
        let head = Head {
            question,
            host: host.to_owned(),
            recorded_at: self.clock.now(),
            status: answer.status.as_u16(),
            headers: Head::kept(&answer.headers),
            body_bytes: answer.body.len() as u64,
        };
        Exchange { head, body: answer.body.clone() }
    }
}

/// Why an answer is not kept; `None` when it is.
fn unfit(question: &Question, kind: Kind, answer: &Answer) -> Option<String> {
    if question.method == Method::HEAD.as_str() {
        return Some("HEAD has no body".to_owned());
    }
    if kind == Kind::File {
        let whole = answer.status == StatusCode::OK;
        let part = answer.status == StatusCode::PARTIAL_CONTENT
            && content_range(&answer.headers).is_some_and(|(range, length)| {
                range.len() == answer.body.len() && range.end <= length
            });
        return (!whole && !part).then(|| format!("status {}", answer.status.as_u16()));
    }
    let lasting = matches!(answer.status.as_u16(), 200..=299 | 400 | 404 | 405 | 414 | 415 | 422);
    if !lasting {
        return Some(format!("status {}", answer.status.as_u16()));
    }
    // Open-Meteo appends the text of a failure to a 200 whose head was sent already.
    let json = serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok();
    let declared = answer.headers.get(header::CONTENT_TYPE);
    let declared =
        declared.and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("json"));
    (declared && !json).then(|| "its JSON is broken".to_owned())
}

fn passed_on(answer: Answer, base: &str, kept: &str) -> Response {
    let answer_is_bare = answer.body.is_empty();
    let mut response = Response::new(Body::from(played(answer.body, base)));
    *response.status_mut() = answer.status;
    for (name, value) in Head::kept(&answer.headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    // The answer to HEAD carries the length of the body that it leaves out.
    let length = answer_is_bare.then_some(header::CONTENT_LENGTH);
    for name in [header::RETRY_AFTER, header::ALLOW].into_iter().chain(length) {
        if let Some(value) = answer.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if let Ok(kept) = HeaderValue::try_from(kept) {
        response.headers_mut().insert(RECORDED_HEADER, kept);
    }
    response
}

fn failed(host: &str, why: &str) -> Response {
    tracing::warn!(host, why, "a real host did not answer");
    let text = format!("{host} did not answer: {why}\n");
    (StatusCode::BAD_GATEWAY, [(RECORDED_HEADER, "no: no answer")], text).into_response()
}
