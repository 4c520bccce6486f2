//! How are the parts put together?
//!
//! The composition root: the only module that knows all others. Every default of Pingora that
//! matters is written out here.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::listeners::ListenerConfig;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::http::v2::server::H2Options;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use pingora_proxy::{SubrequestSpawner, http_proxy};

use crate::admin::Admin;
use crate::clock::Now;
use crate::config::ConfigFault;
use crate::proxy::GatewayProxy;
use crate::proxy::ahead::Ahead;
use crate::proxy::edge::Edge;
use crate::proxy::fill::Filler;
use crate::proxy::refresh::Refresher;
use crate::reload::{self, Reloader};
use crate::snapshot::{Listener, Live, Snapshot};
use crate::state::{Outliving, State, StateError};
use crate::tasks::keeper::Keeper;
use crate::tasks::lifecycle::Lifecycle;
use crate::tasks::prewarm::Warmer;

/// Bytes that are gathered before they are written: head and body of a usual answer leave in one
/// system call, where Pingora's 1,460 would make two.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that are read at once; Pingora's own default.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Most streams that one HTTP/2 connection may have open.
const H2_STREAMS_MAX: u32 = 64;

/// Largest HTTP/2 header list.
const H2_HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// Most idle connections that are kept to all upstreams together, for each worker thread.
const UPSTREAM_IDLE_MAX: usize = 128;

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has faults.
    #[error("the configuration has {} fault(s)", .0.len())]
    Config(Vec<ConfigFault>),
    /// An address is taken.
    #[error(
        "{address} is already in use or cannot be listened on ({error}); stop what holds it, or change the address in the configuration"
    )]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// A TLS listener cannot be built.
    #[error("the TLS listener {address} cannot be built: {problem}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// Why.
        problem: String,
    },
    /// There is no runtime to start with.
    #[error("no runtime can be started: {0}")]
    Runtime(std::io::Error),
    /// Something that the process keeps elsewhere cannot be opened.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
///
/// Why it does not start.
pub fn run(file: &Path, env_file: Option<&Path>) -> Result<(), StartError> {
    let outliving = Outliving::default();
    let environment = reload::environment(env_file).map_err(StartError::Config)?;
    let snapshot = reload::check(file, &environment, &outliving, 1).map_err(StartError::Config)?;
    drop(environment);
    probe_addresses(&snapshot)?;
    let state = open(&snapshot, outliving)?;
    let live: Live = Arc::new(ArcSwap::from_pointee(snapshot));
    let first = live.load_full();
    let mut server = Server::new_with_opt_and_conf(None, server_conf(&first));
    server.bootstrap();

    let filler = Arc::new(Filler::new(state.clone()));
    let refresher = Arc::new(Refresher::new(state.clone(), filler.clone()));
    let ahead = Arc::new(Ahead::new(live.clone(), state.clone(), refresher.clone()));
    let gateway =
        GatewayProxy::new(live.clone(), state.clone(), filler.clone(), refresher, ahead.clone());
    let mut proxy = http_proxy(&server.configuration, gateway);
    proxy.server_options = Some(http_options(&first));
    proxy.h2_options = Some(h2_options());
    let proxy = Arc::new(proxy);
    filler.exchange.attach(SubrequestSpawner::new(proxy.clone()));
    let mut clients = Service::new("clients".into(), Edge::new(proxy, first.restart.head_timeout));
    for listener in &first.restart.listeners {
        clients.add_listener(listen(listener)?);
    }
    clients.threads = Some(first.restart.server.worker_threads);
    server.add_service(clients);

    let (file, env_file) = (file.to_owned(), env_file.map(Path::to_owned));
    let reloader = Reloader::new(file, env_file, live.clone(), state.clone(), Now::read());
    let reloader = Arc::new(reloader);
    let mut admin = Service::new(
        "admin".into(),
        pingora::apps::http_app::HttpServer::new_app(Admin::new(
            live.clone(),
            state.clone(),
            reloader.clone(),
            filler.clone(),
        )),
    );
    admin.add_tcp(&first.restart.admin.to_string());
    admin.threads = Some(1);
    server.add_service(admin);

    let mut keeper = background_service("keeper", Keeper::new(state.clone()));
    // One may read a long file of revocations while the other hears Redis.
    keeper.threads = Some(2);
    server.add_service(keeper);

    let warmer = Warmer::new(live, filler);
    let lifecycle = Lifecycle::new(state, reloader, warmer, ahead, &first.restart);
    let mut lifecycle = background_service("lifecycle", lifecycle);
    lifecycle.threads = Some(1);
    server.add_service(lifecycle);

    announce(&first);
    drop(first);
    server.run(RunArgs::default());
    Ok(())
}

/// Says what serves, and what is wrong and does not keep it from serving.
fn announce(snapshot: &Snapshot) {
    for warning in &snapshot.warnings {
        tracing::warn!(%warning, "configuration warning");
    }
    for listener in &snapshot.restart.listeners {
        let (address, tls) = (listener.address, listener.tls.is_some());
        tracing::info!(%address, tls, "listening");
    }
    tracing::info!(address = %snapshot.restart.admin, "admin listening");
}

/// Opens what the process keeps elsewhere, before Pingora has a runtime.
fn open(snapshot: &Snapshot, outliving: Outliving) -> Result<Arc<State>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Runtime)?;
    Ok(runtime.block_on(State::open(&snapshot.restart, outliving, Now::read()))?)
}

fn server_conf(snapshot: &Snapshot) -> ServerConf {
    let server = &snapshot.restart.server;
    ServerConf {
        daemon: false,
        threads: server.worker_threads,
        work_stealing: true,
        listener_tasks_per_fd: 1,
        // How often may be tried is each pool's own rule; this has to allow it, and the last peer.
        max_retries: 32,
        grace_period_seconds: Some(server.drain_timeout.duration().as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        upstream_keepalive_pool_size: UPSTREAM_IDLE_MAX,
        ..ServerConf::default()
    }
}

fn http_options(snapshot: &Snapshot) -> HttpServerOptions {
    let mut options = HttpServerOptions::default();
    options.h2c = false;
    options.h2_idle_timeout = Some(snapshot.downstream.keepalive_timeout);
    options
}

fn h2_options() -> H2Options {
    let mut options = H2Options::new();
    options.max_concurrent_streams(H2_STREAMS_MAX);
    options.max_header_list_size(H2_HEADER_LIST_BYTES_MAX);
    options
}

fn listen(listener: &Listener) -> Result<ListenerConfig, StartError> {
    let buffers = L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES);
    let endpoint = ListenerConfig::tcp(listener.address.to_string()).l4_buffer(buffers);
    let Some(files) = &listener.tls else { return Ok(endpoint) };
    let (certificate, key) = (files.certificate.to_string_lossy(), files.key.to_string_lossy());
    let settings = TlsSettings::intermediate(&certificate, &key);
    let mut settings = settings.map_err(|error| StartError::Tls {
        address: listener.address,
        problem: error.to_string(),
    })?;
    settings.enable_h2();
    Ok(endpoint.tls(settings))
}

/// Pingora panics on an address that is taken; this says which, and what to do.
fn probe_addresses(snapshot: &Snapshot) -> Result<(), StartError> {
    let restart = &snapshot.restart;
    let addresses = restart.listeners.iter().map(|listener| listener.address);
    for address in addresses.chain([restart.admin]) {
        TcpListener::bind(address).map_err(|error| StartError::Address { address, error })?;
    }
    Ok(())
}
