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

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::json;

use crate::clock::Now;
use crate::reload::Reloader;
use crate::snapshot::Live;
use crate::state::State;

/// The endpoints of the private listener.
pub struct Admin {
    live: Live,
    state: Arc<State>,
    reloader: Arc<Reloader>,
}

impl Admin {
    /// Endpoints over what they report.
    #[must_use]
    pub fn new(live: Live, state: Arc<State>, reloader: Arc<Reloader>) -> Self {
        Self { live, state, reloader }
    }

    fn answer(&self, method: &Method, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
        if !matches!(*method, Method::GET | Method::HEAD) {
            return (StatusCode::METHOD_NOT_ALLOWED, JSON, error("only GET is answered here"));
        }
        match path {
            "/healthz" => (StatusCode::OK, JSON, json!({"status": "alive"}).to_string().into()),
            "/readyz" if self.state.is_ready() => {
                (StatusCode::OK, JSON, json!({"status": "ready"}).to_string().into())
            }
            "/readyz" => {
                (StatusCode::SERVICE_UNAVAILABLE, JSON, error("not ready: warming, or stopping"))
            }
            "/metrics" => {
                self.state.measure(&self.live.load(), Now::read());
                match self.state.metrics.render() {
                    Ok(text) => (StatusCode::OK, TEXT, text),
                    Err(fault) => {
                        (StatusCode::INTERNAL_SERVER_ERROR, JSON, error(&fault.to_string()))
                    }
                }
            }
            "/config" => match serde_json::to_vec(&self.reloader.last()) {
                Ok(body) => (StatusCode::OK, JSON, body),
                Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, JSON, error(&fault.to_string())),
            },
            _ => {
                let paths = "there is /healthz, /readyz, /metrics and /config";
                (StatusCode::NOT_FOUND, JSON, error(paths))
            }
        }
    }
}

fn error(problem: &str) -> Vec<u8> {
    json!({ "error": problem }).to_string().into_bytes()
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let (status, content_type, body) = self.answer(&head.method, head.uri.path());
        let length = body.len();
        let body = if head.method == Method::HEAD { Vec::new() } else { body };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        response
    }
}
