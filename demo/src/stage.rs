//! What is asked of the gateway, by whom, and what does the answer say?

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Connection, Program, Reply, Request};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::configuration::Files;
use crate::credentials::Credentials;
use crate::error::SceneError;
use crate::measure::written;
use crate::options::{Ports, loopback};
use crate::provider::Provider;
use crate::screen::Screen;

/// Longest wait for something that the story needs to go on.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// All that a line of the story works with.
pub(crate) struct Stage {
    /// The ports of the programs.
    pub(crate) ports: Ports,
    /// Who may call.
    pub(crate) credentials: Credentials,
    /// The gateway's configuration.
    pub(crate) files: Files,
    /// The weather's provider.
    pub(crate) provider: Provider,
    /// Where remarks go.
    pub(crate) screen: Screen,
    gateway_id: Option<u32>,
}

/// Where the gateway took an answer from, by its `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// From the cache, fresh.
    Fresh,
    /// From the cache, stale.
    Stale,
    /// From the upstream, while this client waited.
    Miss,
    /// In another way, or the field is missing.
    Otherwise,
}

impl Stage {
    /// A stage over running programs.
    pub(crate) fn new(
        ports: Ports,
        credentials: Credentials,
        files: Files,
        screen: Screen,
        gateway_id: Option<u32>,
    ) -> Self {
        let provider = Provider::at(loopback(ports.replay));
        Self { ports, credentials, files, provider, screen, gateway_id }
    }

    /// The gateway's address for clients.
    pub(crate) fn gateway(&self) -> SocketAddr {
        loopback(self.ports.gateway)
    }

    /// The token of a visitor; each number is another user.
    pub(crate) fn visitor(&self, number: usize) -> String {
        self.credentials.token(&format!("visitor-{number}"))
    }

    /// Asks as a visitor, on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn ask_as(&self, token: &str, target: &str) -> Result<Reply, SceneError> {
        self.send(Request::to(self.gateway(), "GET", target).bearer(token)).await
    }

    /// Asks with the API key, on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn ask(&self, target: &str) -> Result<Reply, SceneError> {
        let key = &self.credentials.api_key;
        self.send(Request::to(self.gateway(), "GET", target).api_key(key)).await
    }

    /// Sends any request on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn send(&self, request: Request<SocketAddr>) -> Result<Reply, SceneError> {
        let what = request.path().to_owned();
        request.try_send().await.map_err(|source| SceneError::NoAnswer { request: what, source })
    }

    /// Opens a connection to the gateway for many requests.
    ///
    /// # Errors
    /// When the gateway does not accept it.
    pub(crate) async fn connect(&self) -> Result<Connection, SceneError> {
        let no_answer =
            |source| SceneError::NoAnswer { request: "a new connection".to_owned(), source };
        Connection::try_open(self.gateway()).await.map_err(no_answer)
    }

    /// Asks the admin listener, on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn admin(&self, path: &str) -> Result<Reply, SceneError> {
        self.send(Request::to(loopback(self.ports.admin), "GET", path)).await
    }

    /// A series of the gateway, summed over its labels; 0 when it is not there.
    ///
    /// # Errors
    /// When `/metrics` does not answer.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64, SceneError> {
        let reply = self.admin("/metrics").await?;
        Ok(harness::metric(&reply.text(), name, &[]).unwrap_or(0.0))
    }

    /// Sends the gateway SIGHUP.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub(crate) async fn hang_up(&self) -> Result<(), SceneError> {
        let ended = || SceneError::Unexpected("the gateway has ended".to_owned());
        let id = self.gateway_id.ok_or_else(ended)?;
        // The shell's own `kill`: a minimal system has no program of that name.
        let sent = Program::at("/bin/sh").args(["-c", &format!("kill -HUP {id}")]).run().await;
        if sent.status.success() { Ok(()) } else { Err(ended()) }
    }

    /// Says that a time to live has to pass, and lets it pass.
    pub(crate) async fn expire(&self, fresh: Duration) {
        // A little more than the time itself: the clock of the answer started after ours.
        let pause = fresh + Duration::from_millis(100);
        let text = format!(
            "Waiting {} for the answer to expire: the demo's short time to live.",
            written(pause)
        );
        self.screen.note(&text);
        sleep(pause).await;
    }

    /// Looks again and again until `look` finds something.
    ///
    /// # Errors
    /// What a look says; [`SceneError::TooLate`] after 15 s.
    pub(crate) async fn until<T, Look>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Look,
    ) -> Result<T, SceneError>
    where
        Look: Future<Output = Result<Option<T>, SceneError>>,
    {
        let started = Instant::now();
        while started.elapsed() < WAIT_MAX {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            sleep(LOOK_PAUSE).await;
        }
        Err(SceneError::TooLate { what: what.to_owned(), seconds: WAIT_MAX.as_secs() })
    }
}

/// Where an answer came from (RFC 9211).
pub(crate) fn served(reply: &Reply) -> Served {
    served_by(reply.header("Cache-Status").unwrap_or_default())
}

fn served_by(cache_status: &str) -> Served {
    let mut parts = cache_status.split(';').map(str::trim).skip(1);
    match (parts.next(), parts.find_map(|part| part.strip_prefix("detail="))) {
        (Some("hit"), None) => Served::Fresh,
        (Some("hit"), Some("refreshing" | "upstream-failed")) => Served::Stale,
        (Some("fwd=uri-miss" | "fwd=vary-miss" | "fwd=stale" | "fwd=request"), _) => Served::Miss,
        _ => Served::Otherwise,
    }
}

/// The body as JSON; `null` when it is none.
pub(crate) fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_status_tells_where_an_answer_came_from() {
        for (field, served) in [
            ("farmgate; hit; ttl=3590", Served::Fresh),
            ("farmgate; hit; ttl=-3; detail=refreshing", Served::Stale),
            ("farmgate; hit; ttl=-3; detail=upstream-failed", Served::Stale),
            ("farmgate; fwd=uri-miss; fwd-status=200; stored", Served::Miss),
            ("farmgate; fwd=stale; fwd-status=304; collapsed", Served::Miss),
            ("farmgate; hit; detail=failure-remembered", Served::Otherwise),
            ("farmgate; fwd=bypass; fwd-status=200", Served::Otherwise),
            ("", Served::Otherwise),
        ] {
            assert_eq!(served_by(field), served, "{field}");
        }
    }
}
