//! How is replay started, watched and stopped?

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::connection::{Poison, ResettableListener};
use crate::counts::Counts;
use crate::fault::{Fault, FaultError};
use crate::recorded::DataError;
use crate::routes::router;
use crate::stage::Stage;
use crate::tape::{Hosts, Recorder, RecorderError, Tape};

/// Connections the kernel queues before they are accepted; hundreds arrive at once in tests.
const LISTEN_BACKLOG: u32 = 1_024;
/// How long [`Running::stop`] waits for answers in flight.
const DRAIN_MS: u64 = 5_000;

/// How replay is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The directory that holds `weather/`, `stac/`, `s2/` and `farms/`.
    pub data: PathBuf,
    /// Re-date the recorded week so that it starts today.
    pub shift: bool,
    /// A fault in force from the start.
    pub fault: Option<Fault>,
    /// A directory of recorded exchanges that answer before everything else.
    pub recordings: Option<PathBuf>,
    /// Ask these hosts and keep their answers in `recordings`, which has to be named too.
    pub record: Option<Hosts>,
    /// What "today" is.
    pub clock: Clock,
}

impl Default for Options {
    /// A free port on the loopback, the recordings of this repository, recorded dates, no fault,
    /// no further recordings, the machine's clock.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: recorded_data_dir(),
            shift: false,
            fault: None,
            recordings: None,
            record: None,
            clock: Clock::system(),
        }
    }
}

/// The recordings in this repository, by the path it had at compile time. For tests that run
/// from the source tree; an installed program has to be told with `--data`.
#[must_use]
pub fn recorded_data_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// Why replay did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The recordings cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The initial fault is impossible.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The real hosts cannot be asked.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// Answers are to be recorded, but not where.
    #[error("there is no directory to record into: name it with --record")]
    NoDirectory,
    /// Another process has the port.
    #[error(
        "{address} is taken by another process: stop it or choose another address with --listen"
    )]
    Taken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a thread or a runtime.
    #[error("cannot start the server thread: {0}")]
    Thread(io::Error),
}

/// The provider stand-in.
#[derive(Debug, Clone, Copy)]
pub struct Replay;

impl Replay {
    /// Starts serving on a thread of its own, from synchronous and asynchronous code alike. The
    /// port is bound when this returns.
    ///
    /// # Errors
    /// [`StartError`] when the recordings, the fault or the address cannot be used.
    pub fn start(options: Options) -> Result<Running, StartError> {
        let mut stage = Stage::load(&options.data, options.clock.clone(), options.shift)?;
        match (&options.recordings, options.record) {
            (Some(directory), Some(hosts)) => {
                stage.tape = Some(Tape::open(directory)?);
                stage.recorder = Some(Recorder::new(hosts, options.clock)?);
            }
            (Some(directory), None) => stage.tape = Some(Tape::load(directory)?),
            (None, Some(_)) => return Err(StartError::NoDirectory),
            (None, None) => {}
        }
        let stage = Arc::new(stage);
        if let Some(fault) = options.fault {
            stage.faults.set(fault)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let bound = bind(&runtime, options.listen);
        let (listener, address) = match bound {
            Ok(bound) => bound,
            Err(error) => {
                // A plain drop would block, which is not allowed inside another runtime.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (stop, stopped) = watch::channel(Stop::No);
        let served = Arc::clone(&stage);
        let thread = std::thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || runtime.block_on(serve(listener, served, stopped)))
            .map_err(StartError::Thread)?;
        Ok(Running { address, stage, stop, thread: Some(thread) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    AfterDrain,
    Now,
}

fn bind(runtime: &Runtime, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let _entered = runtime.enter();
    let bound = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for connections of the process before to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(LISTEN_BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::Taken { address },
        _ => StartError::Listen { address, source },
    })
}

async fn serve(listener: TcpListener, stage: Arc<Stage>, mut stopped: watch::Receiver<Stop>) {
    let service = router(stage).into_make_service_with_connect_info::<Poison>();
    let mut draining = stopped.clone();
    let drained = axum::serve(ResettableListener::new(listener), service)
        .with_graceful_shutdown(async move { until(&mut draining, Stop::AfterDrain).await });
    let cut = async {
        until(&mut stopped, Stop::AfterDrain).await;
        let patience = tokio::time::sleep(Duration::from_millis(DRAIN_MS));
        tokio::select! {
            () = patience => tracing::warn!("answers in flight were cut off"),
            () = until(&mut stopped, Stop::Now) => {}
        }
    };
    tokio::select! {
        result = drained.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the server ended");
            }
        }
        () = cut => {}
    }
}

/// Waits until `wanted` or a stronger stop is asked for. A lost sender is the strongest.
async fn until(stopped: &mut watch::Receiver<Stop>, wanted: Stop) {
    let reached = |stop: &Stop| *stop == wanted || *stop == Stop::Now;
    let _closed = stopped.wait_for(reached).await.is_err();
}

/// A running replay. Dropping it stops it at once and closes its connections.
pub struct Running {
    address: SocketAddr,
    stage: Arc<Stage>,
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The bound address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the bound address, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked since the start or the last reset.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stage.counter.snapshot()
    }

    /// Starts counting anew.
    pub fn reset_counts(&self) {
        self.stage.counter.reset();
    }

    /// Puts `fault` in force in place of the one before.
    ///
    /// # Errors
    /// [`FaultError`] when the fault is impossible; the one before stays.
    pub fn set_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.stage.faults.set(fault)
    }

    /// Lets nothing go wrong from the next request on.
    pub fn clear_faults(&self) {
        self.stage.faults.clear();
    }

    /// Re-dates the recorded week to today, or serves the recorded dates again.
    pub fn set_shift(&self, enabled: bool) {
        self.stage.set_shift(enabled);
    }

    /// Takes no new connections, lets answers in flight end within 5 s, and returns.
    pub fn stop(mut self) {
        self.end(Stop::AfterDrain);
    }

    fn end(&mut self, how: Stop) {
        self.stop.send_replace(how);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the server thread panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Stop::Now);
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
