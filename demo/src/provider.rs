//! What does the provider do wrong, and how often was it asked?
//!
//! The control API of `replay`, which stands in for Open-Meteo.

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Reply, Request};
use serde_json::{Value, json};

use crate::error::SceneError;

/// How long the article's provider takes.
pub(crate) const DELAY: Duration = Duration::from_millis(2_200);

/// The provider's paths that faults meet. Scenes for NDVI are served elsewhere.
pub(crate) const PATHS: &str = "/v1";

/// The path that every question about the weather ends at.
const FORECAST: &str = "/v1/forecast";

/// The recorded provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provider {
    address: SocketAddr,
}

impl Provider {
    /// The provider at this address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// From now on each answer comes this late.
    ///
    /// # Errors
    /// When `replay` does not do it.
    pub(crate) async fn delay(&self, delay: Duration) -> Result<(), SceneError> {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.fault(&json!({ "delay_ms": delay_ms, "path_prefix": PATHS })).await
    }

    /// From now on each question is refused with this status, at once.
    ///
    /// # Errors
    /// When `replay` does not do it.
    pub(crate) async fn refuse(&self, status: u16) -> Result<(), SceneError> {
        self.fault(&json!({ "status": status, "path_prefix": PATHS })).await
    }

    /// From now on each connection is reset instead of an answer.
    ///
    /// # Errors
    /// When `replay` does not do it.
    pub(crate) async fn reset(&self) -> Result<(), SceneError> {
        self.fault(&json!({ "reset": true, "path_prefix": PATHS })).await
    }

    /// Starts counting at 0.
    ///
    /// # Errors
    /// When `replay` does not do it.
    pub(crate) async fn count_anew(&self) -> Result<(), SceneError> {
        self.control("DELETE", "/_replay/counts", None).await.map(drop)
    }

    /// How often the provider was asked for a forecast since [`count_anew`](Self::count_anew).
    ///
    /// # Errors
    /// When `replay` does not tell.
    pub(crate) async fn calls(&self) -> Result<u64, SceneError> {
        let reply = self.control("GET", "/_replay/counts", None).await?;
        let counts: Value = serde_json::from_slice(&reply.body)
            .map_err(|error| SceneError::Unexpected(format!("the counts of replay: {error}")))?;
        let calls = counts.get("requests").and_then(|requests| requests.get(FORECAST));
        Ok(calls.and_then(Value::as_u64).unwrap_or(0))
    }

    async fn fault(&self, fault: &Value) -> Result<(), SceneError> {
        self.control("PUT", "/_replay/faults", Some(fault)).await.map(drop)
    }

    async fn control(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, SceneError> {
        let request = Request::to(self.address, method, path);
        let request = body.into_iter().fold(request, |request, body| request.json(body));
        let no_answer = |source| SceneError::NoAnswer { request: format!("replay{path}"), source };
        let reply = request.try_send().await.map_err(no_answer)?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let (status, text) = (reply.status, reply.text());
        Err(SceneError::Unexpected(format!("replay answered {status} to {method} {path}: {text}")))
    }
}
