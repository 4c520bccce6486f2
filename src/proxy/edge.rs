//! How long may a client take to say what it wants?
//!
//! Pingora limits each read of a request head but not the head as a whole, and none of its hooks
//! runs before the head is complete. So the proxy is wrapped: a clock runs beside it until
//! `early_request_filter` reports that the head was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;

use super::GatewayProxy;

tokio::task_local! {
    static HEAD_READ: Arc<AtomicBool>;
}

/// The mark of a connection that has served a request.
pub struct Used;

/// The proxy behind a deadline for request heads.
pub struct Edge {
    proxy: Arc<HttpProxy<GatewayProxy>>,
    head_timeout: Duration,
}

impl Edge {
    /// Wraps the proxy.
    #[must_use]
    pub fn new(proxy: Arc<HttpProxy<GatewayProxy>>, head_timeout: Duration) -> Self {
        Self { proxy, head_timeout }
    }
}

/// Stops the clock of the request that this task serves.
pub fn head_was_read() {
    // Subrequests and tests run outside an edge and have no clock to stop.
    let _outside_an_edge = HEAD_READ.try_with(|read| read.store(true, Ordering::Release));
}

#[async_trait]
impl HttpServerApp for Edge {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // On a connection that was used the clock covers the idle time before the head as well.
        let used = session.take_connection_user_context().is_some();
        let idle = session.get_keepalive().filter(|_| used).unwrap_or_default();
        let limit = self.head_timeout + Duration::from_secs(idle);
        let read = Arc::new(AtomicBool::new(false));
        let served = HEAD_READ.scope(read.clone(), self.proxy.process_new_http(session, shutdown));
        tokio::pin!(served);
        tokio::select! {
            reused = &mut served => return reused,
            () = tokio::time::sleep(limit) => {}
        }
        if read.load(Ordering::Acquire) { served.await } else { None }
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options.clone()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options.as_ref()
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
