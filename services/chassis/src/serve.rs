//! How does a service start, run and stop?

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::service::{Service, router};
use crate::settings::Settings;

/// How a service listens and how long it waits for what.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Address to accept on (`LISTEN`, or `PORT` on loopback).
    pub listen: SocketAddr,
    /// Longest time for one request (`REQUEST_TIMEOUT_MS`).
    pub request_timeout: Duration,
    /// Longest time for requests in flight after a stop signal (`DRAIN_TIMEOUT_MS`).
    pub drain_timeout: Duration,
    /// Largest request body (`BODY_BYTES_MAX`).
    pub body_bytes_max: usize,
}

impl ServeSettings {
    /// Reads the settings; `port_default` is the service's own port on loopback.
    pub fn read(settings: &mut Settings, port_default: u16) -> Self {
        let port = settings.number("PORT", port_default, 0..=u16::MAX);
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listen = settings.parsed(
            "LISTEN",
            loopback,
            "an address and port such as 127.0.0.1:8090 or [::]:8090",
            |text| text.parse().ok(),
        );
        Self {
            listen,
            request_timeout: settings.duration_ms("REQUEST_TIMEOUT_MS", 30_000, 10..=600_000),
            drain_timeout: settings.duration_ms("DRAIN_TIMEOUT_MS", 10_000, 0..=300_000),
            body_bytes_max: settings.number("BODY_BYTES_MAX", 2 << 20, 1..=256 << 20),
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains for at most the configured time.
///
/// Tells systemd `READY=1` once the socket listens and `STOPPING=1` once it stops.
///
/// # Errors
/// When the address cannot be bound, the signals cannot be watched, or accepting fails.
pub async fn serve(service: Service, settings: &ServeSettings) -> Result<(), ServeError> {
    let name = service.name;
    let listener = bind(settings.listen).await?;
    let address = listener.local_addr().map_err(ServeError::Accept)?;
    let mut stops = Stops::watch()?;
    let (stop, mut stopped) = watch::channel(false);
    let app = router(service, settings);

    tracing::info!(service = name, %address, "listening");
    notify(sd_notify::NotifyState::Ready);
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        // The sender lives in the task below; its end means stop as well.
        let _ended = stopped.wait_for(|stopped| *stopped).await.is_err();
    });
    let mut serving = tokio::spawn(async move { serving.await });
    let signal = tokio::select! {
        signal = stops.next() => signal,
        ended = &mut serving => return finish(ended),
    };
    tracing::info!(service = name, signal, "draining");
    notify(sd_notify::NotifyState::Stopping);
    stop.send_replace(true);
    match tokio::time::timeout(settings.drain_timeout, &mut serving).await {
        Ok(ended) => finish(ended)?,
        Err(_elapsed) => {
            serving.abort();
            tracing::warn!(
                service = name,
                drain_timeout_ms = settings.drain_timeout.as_millis(),
                "requests were still in flight when the drain ended"
            );
        }
    }
    tracing::info!(service = name, "stopped");
    Ok(())
}

/// Why a service could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process has the address.
    #[error(
        "{address} is already in use; stop the other process (`ss -ltnp 'sport = :{port}'` shows it) \
         or set PORT or LISTEN to another address",
        port = address.port()
    )]
    AddressInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be bound for another reason.
    #[error("{address} cannot be listened on: {source}; set LISTEN to an address of this machine")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Stop signals cannot be watched.
    #[error("stop signals cannot be watched: {0}")]
    Signal(io::Error),
    /// The accept loop ended.
    #[error("the service stopped accepting: {0}")]
    Accept(io::Error),
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { address },
        _ => ServeError::Bind { address, source },
    })
}

fn finish(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), ServeError> {
    ended.map_err(io::Error::other).and_then(|ended| ended).map_err(ServeError::Accept)
}

/// Outside systemd there is nobody to tell, which is not an error.
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn watch() -> Result<Self, ServeError> {
        let on = |kind| signal(kind).map_err(ServeError::Signal);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
