//! What can the operator ask the running gateway?
//!
//! A private listener on a runtime of its own, so that no load on the proxy can silence it:
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 once it may take clients, else 503 |
//! | `GET /metrics` | Prometheus' text format |
//! | `GET /config` | the configuration that serves, and how the last reload ended |
//! | `POST /cache/purge` | what is kept holds no more: by URL, prefix, tag, route, or all of it |
//! | `POST /cache/warm` | targets are fetched now |
//! | `GET /cache/top` | what is used most, or largest |
//! | `GET /cache/show` | what is kept for a target |
//! | `GET /cache/why` | why requests for a target had to be fetched |
//!
//! The last five ask for a token, because the port alone should not let anybody empty the cache.

mod access;
mod asked;
mod cache;
mod entry;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use self::cache::CacheDesk;
use crate::clock::Now;
use crate::proxy::fill::Filler;
use crate::reload::Reloader;
use crate::snapshot::Live;
use crate::state::State;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Largest request body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a request body may take.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// The endpoints of the private listener.
pub struct Admin {
    live: Live,
    state: Arc<State>,
    reloader: Arc<Reloader>,
    cache: CacheDesk,
}

/// What is answered.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    /// A field that belongs to the status.
    field: Option<(header::HeaderName, &'static str)>,
}

impl Answer {
    fn json(status: StatusCode, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { status, content_type: JSON, body, field: None }
    }

    fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    fn error(status: StatusCode, problem: &str) -> Self {
        Self::json(status, &json!({ "error": problem }))
    }

    fn with(self, name: header::HeaderName, value: &'static str) -> Self {
        Self { field: Some((name, value)), ..self }
    }

    fn only(allow: &'static str) -> Self {
        let problem = format!("only {allow} is answered here");
        Self::error(StatusCode::METHOD_NOT_ALLOWED, &problem).with(header::ALLOW, allow)
    }
}

impl Admin {
    /// Endpoints over what they report, and what they change.
    #[must_use]
    pub fn new(
        live: Live,
        state: Arc<State>,
        reloader: Arc<Reloader>,
        filler: Arc<Filler>,
    ) -> Self {
        let cache = CacheDesk::new(live.clone(), state.clone(), filler);
        Self { live, state, reloader, cache }
    }

    async fn answer(&self, session: &mut ServerSession) -> Answer {
        let head = session.req_header();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let allow = match uri.path() {
            "/healthz" | "/readyz" | "/metrics" | "/config" => {
                return self.told(&method, uri.path());
            }
            "/cache/purge" | "/cache/warm" => "POST",
            "/cache/top" | "/cache/show" | "/cache/why" => "GET, HEAD",
            _ => {
                let paths = "there is /healthz, /readyz, /metrics, /config, and below /cache: purge, \
                             warm, top, show and why";
                return Answer::error(StatusCode::NOT_FOUND, paths);
            }
        };
        if let Err(refused) = access::check(self.live.load().admin_token.as_ref(), &head.headers) {
            return refused;
        }
        if !allow.split(", ").any(|allowed| allowed == method.as_str()) {
            return Answer::only(allow);
        }
        let body = match read_body(session).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        let query = uri.query().unwrap_or_default();
        let answered = match uri.path() {
            "/cache/purge" => self.cache.purge(&body).await,
            "/cache/warm" => self.cache.warm(&body).await,
            "/cache/top" => self.cache.top(query),
            "/cache/show" => self.cache.show(query),
            _ => self.cache.why(query),
        };
        match answered {
            Ok(body) => Answer::ok(&body),
            Err((status, problem)) => Answer::error(status, &problem),
        }
    }

    /// What anybody is told who reaches the port.
    fn told(&self, method: &Method, path: &str) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Answer::only("GET, HEAD");
        }
        match path {
            "/healthz" => Answer::ok(&json!({"status": "alive"})),
            "/readyz" if self.state.is_ready() => Answer::ok(&json!({"status": "ready"})),
            "/readyz" => {
                Answer::error(StatusCode::SERVICE_UNAVAILABLE, "not ready: warming, or stopping")
            }
            "/metrics" => {
                self.state.measure(&self.live.load(), Now::read());
                match self.state.metrics.render() {
                    Ok(body) => {
                        Answer { status: StatusCode::OK, content_type: TEXT, body, field: None }
                    }
                    Err(fault) => {
                        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string())
                    }
                }
            }
            _ => match serde_json::to_value(self.reloader.last()) {
                Ok(body) => Answer::ok(&body),
                Err(fault) => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
            },
        }
    }
}

async fn read_body(session: &mut ServerSession) -> Result<Vec<u8>, Answer> {
    let refuse = |status, problem: &str| Err(Answer::error(status, problem));
    let mut body = BytesMut::new();
    let late = Instant::now() + BODY_WITHIN;
    loop {
        match timeout_at(late, session.read_request_body()).await {
            Ok(Ok(Some(piece))) if body.len() + piece.len() > BODY_BYTES_MAX => {
                session.set_keepalive(None);
                let problem = format!("the body may have {BODY_BYTES_MAX} bytes");
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, &problem);
            }
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
            Ok(Ok(None)) => return Ok(body.to_vec()),
            Ok(Err(_)) | Err(_) => {
                session.set_keepalive(None);
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "the body did not arrive whole and in time",
                );
            }
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let is_head = session.req_header().method == Method::HEAD;
        let answer = self.answer(session).await;
        let length = answer.body.len();
        let mut response = Response::new(if is_head { Vec::new() } else { answer.body });
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        let content_type = header::HeaderValue::from_static(answer.content_type);
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        if let Some((name, value)) = answer.field {
            headers.insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}
