//! When is the process ready, and what do its signals do?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use sd_notify::NotifyState;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::prewarm::Warmer;
use crate::clock::Now;
use crate::proxy::ahead::Ahead;
use crate::reload::Reloader;
use crate::snapshot::RestartOnly;
use crate::state::State;

/// How often a stopping process looks whether a request is still in flight.
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long there must be none: the last frames of HTTP/2 are written after a request is over.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// How often a starting process looks whether its listeners are there.
const LISTEN_LOOK_EVERY: Duration = Duration::from_millis(5);

const LOOPBACK_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Warms, reports ready, reloads on SIGHUP, and takes readiness back when it stops.
pub struct Lifecycle {
    state: Arc<State>,
    reloader: Arc<Reloader>,
    warmer: Warmer,
    ahead: Arc<Ahead>,
    ready_timeout: Duration,
    listeners: Vec<SocketAddr>,
}

impl Lifecycle {
    /// The life of a process with these parts.
    #[must_use]
    pub fn new(
        state: Arc<State>,
        reloader: Arc<Reloader>,
        warmer: Warmer,
        ahead: Arc<Ahead>,
        server: &RestartOnly,
    ) -> Self {
        let ready_timeout = server.ready_timeout();
        let listeners = server.listeners.iter().map(|listener| listener.address).collect();
        Self { state, reloader, warmer, ahead, ready_timeout, listeners }
    }

    async fn become_ready(&self, mut warm: watch::Receiver<bool>) {
        for address in &self.listeners {
            until_listening(*address).await;
        }
        let (shared, warmed) = tokio::join!(
            timeout(self.ready_timeout, self.state.until_shared()),
            timeout(self.ready_timeout, async { warm.wait_for(|warm| *warm).await.is_ok() }),
        );
        if shared.is_err() {
            tracing::warn!(timeout = ?self.ready_timeout, "ready without Redis");
        }
        if warmed.is_err() {
            tracing::warn!(timeout = ?self.ready_timeout, "ready before pre-warming was complete");
        }
        self.state.set_ready(true);
        notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
        tracing::info!("ready");
    }

    async fn reload_on_hangup(&self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            notify(&[NotifyState::Status("reloading")]);
            let reloader = self.reloader.clone();
            let ended = tokio::task::spawn_blocking(move || reloader.reload(Now::read())).await;
            let status = match ended {
                Ok(last) if last.success => "serving".to_owned(),
                Ok(last) => format!("serving; reload refused, {} faults", last.faults.len()),
                Err(error) => format!("serving; reload failed: {error}"),
            };
            notify(&[NotifyState::Status(&status)]);
        }
    }
}

#[async_trait]
impl BackgroundService for Lifecycle {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be heard: no reloads");
                return;
            }
        };
        let (warm, is_warm) = watch::channel(false);
        tokio::select! {
            () = self.warmer.run(&self.state.metrics, warm) => {}
            () = self.ahead.run() => {}
            () = async {
                self.become_ready(is_warm).await;
                std::future::pending::<()>().await;
            } => {}
            () = self.reload_on_hangup(hangups) => {}
            _ = shutdown.changed() => {}
        }
        self.state.set_ready(false);
        notify(&[NotifyState::Stopping]);
        let in_flight = self.state.metrics.requests_in_flight.get();
        tracing::info!(in_flight, "stopping");
        self.drain().await;
    }
}

impl Lifecycle {
    /// Ends the process when no request is in flight any more. Pingora would wait its whole grace
    /// period, busy or not; that period stays the bound.
    async fn drain(&self) {
        let mut quiet = Duration::ZERO;
        while quiet < DRAIN_QUIET {
            sleep(DRAIN_LOOK_EVERY).await;
            let is_quiet = self.state.metrics.requests_in_flight.get() == 0;
            quiet = if is_quiet { quiet + DRAIN_LOOK_EVERY } else { Duration::ZERO };
        }
        // The keeper does it too when the stop begins; but the exit would not wait for it, and the
        // last requests used keys as well.
        self.state.keys.flush().await;
        tracing::info!("stopped");
        std::process::exit(0);
    }
}

/// Pingora starts all services at once; a client that trusts readiness must find its listener.
async fn until_listening(mut address: SocketAddr) {
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { LOOPBACK_V4 } else { LOOPBACK_V6 };
        address.set_ip(loopback);
    }
    while TcpStream::connect(address).await.is_err() {
        sleep(LISTEN_LOOK_EVERY).await;
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and that is no error.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
