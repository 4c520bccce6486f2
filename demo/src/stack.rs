//! How are the programs started, watched and stopped?

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Process, Program, Request};
use tokio::time::{Instant, sleep};

use crate::configuration::{DIRECTORY, GATEWAY_FILE};
use crate::error::DemoError;
use crate::options::{Ports, loopback};
use crate::provider;
use crate::screen::Screen;

/// Recordings that `replay` serves.
pub(crate) const RECORDINGS: &str = "services/replay/data";

/// Longest time until a program answers that it is ready.
const READY_TIME_MAX: Duration = Duration::from_secs(20);

/// Pause between two looks at a program that starts.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// Pause between two looks at whether all programs still run.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// Lines of a program that are shown when it ends.
const LINES_SHOWN_MAX: usize = 20;

/// The file names of the programs.
const PROGRAMS: [&str; 4] = ["replay", "weather", "ndvi", "farmgate"];

/// Questions that may be on their way to the provider at once: more than the story asks.
const PROVIDER_CALLS_MAX: &str = "1000";

/// How long the weather service waits for the provider: less than the route's time-out, and longer
/// than the story lets requests hang.
const PROVIDER_TIMEOUT_MS: &str = "18000";

/// The running programs; killed when dropped.
pub(crate) struct Stack {
    ports: Ports,
    running: Vec<Running>,
}

struct Running {
    name: &'static str,
    process: Process,
}

/// A program to start: how, where it says that it is ready, and what the reader is told.
struct Plan {
    name: &'static str,
    program: Program,
    ready: (u16, &'static str),
    port: u16,
    what: &'static str,
}

/// Checks that the demo runs in the repository and that the programs are built.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn check_ground() -> Result<(), DemoError> {
    let recordings = Path::new(RECORDINGS);
    if !recordings.is_dir() {
        return Err(DemoError::NotTheRoot(recordings.to_owned()));
    }
    let missing = PROGRAMS.iter().map(|name| binary(name)).find(|path| !path.is_file());
    missing.map_or(Ok(()), |path| Err(DemoError::NotBuilt(path)))
}

impl Stack {
    /// Nothing started yet.
    pub(crate) fn new(ports: Ports) -> Self {
        Self { ports, running: Vec::new() }
    }

    /// Starts all programs, each once the one before is ready; how long the gateway took, which
    /// includes its pre-warming.
    ///
    /// # Errors
    /// When a program ends or is not ready in time, with its last lines.
    pub(crate) async fn start(&mut self, screen: Screen) -> Result<Duration, DemoError> {
        let plans =
            [replay(self.ports), weather(self.ports), ndvi(self.ports), farmgate(self.ports)];
        let mut took = Duration::ZERO;
        for plan in plans {
            let started = Instant::now();
            self.running.push(Running { name: plan.name, process: plan.program.start() });
            self.wait_until_ready(&plan).await?;
            took = started.elapsed();
            screen.line(format_args!(
                "  {:<9} http://{}  {}",
                plan.name,
                loopback(plan.port),
                plan.what
            ));
        }
        Ok(took)
    }

    /// The process id of the gateway.
    pub(crate) fn gateway_id(&self) -> Option<u32> {
        self.running.iter().find(|running| running.name == "farmgate")?.process.id()
    }

    /// Returns when a program has ended by itself, with its last lines.
    pub(crate) async fn death(&mut self) -> DemoError {
        loop {
            if let Some(error) = self.dead().await {
                return error;
            }
            sleep(WATCH_PAUSE).await;
        }
    }

    /// Asks all programs to end, the gateway first, and kills those that do not.
    pub(crate) async fn stop(&mut self) {
        while let Some(mut running) = self.running.pop() {
            running.process.stop().await;
        }
    }

    async fn wait_until_ready(&mut self, plan: &Plan) -> Result<(), DemoError> {
        let (port, path) = plan.ready;
        let started = Instant::now();
        while started.elapsed() < READY_TIME_MAX {
            if let Some(error) = self.dead().await {
                return Err(error);
            }
            let reply = Request::to(loopback(port), "GET", path).try_send().await;
            if reply.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            sleep(READY_PAUSE).await;
        }
        let lines = self.running.last().map(|running| last_lines(&running.process));
        Err(DemoError::NotReady {
            program: plan.name,
            seconds: READY_TIME_MAX.as_secs(),
            lines: lines.unwrap_or_default(),
        })
    }

    /// The first program that has ended.
    async fn dead(&mut self) -> Option<DemoError> {
        let ended = |running: &mut Running| running.process.exited().is_some();
        let running = self.running.iter_mut().find_map(|one| ended(one).then_some(one))?;
        // What it wrote last may still be on its way.
        let status = running.process.wait().await.to_string();
        let lines = last_lines(&running.process);
        Some(DemoError::ProgramEnded { program: running.name, status, lines })
    }
}

fn replay(ports: Ports) -> Plan {
    let delay = provider::DELAY.as_millis().to_string();
    let listen = loopback(ports.replay).to_string();
    let program = quiet("replay")
        .args(["--listen", &listen, "--data", RECORDINGS, "--shift"])
        .args(["--delay-ms", &delay, "--path-prefix", provider::PATHS]);
    Plan {
        name: "replay",
        program,
        ready: (ports.replay, "/healthz"),
        port: ports.replay,
        what: "recorded providers; the weather comes 2.2 s late",
    }
}

/// The service's own memory and its second source are switched off, so that what is seen is the
/// gateway's work.
fn weather(ports: Ports) -> Plan {
    let fresh =
        ["CURRENT", "HOURLY", "DAILY", "WEEKLY"].map(|kind| format!("WEATHER_CACHE_TTL_{kind}_S"));
    let stale = ["CURRENT", "FORECAST"].map(|kind| format!("WEATHER_STALE_MAX_{kind}_S"));
    let program = quiet("weather")
        .directory(DIRECTORY)
        .env("LISTEN", loopback(ports.weather).to_string())
        .env("OPEN_METEO_TIMEOUT_MS", PROVIDER_TIMEOUT_MS)
        .env("OPEN_METEO_CALLS_MAX", PROVIDER_CALLS_MAX)
        .env("WEATHER_PROVIDER_FALLBACK", "none");
    let replay = format!("http://{}", loopback(ports.replay));
    let hosts = ["OPEN_METEO", "OPEN_METEO_ARCHIVE", "OPEN_METEO_HISTORICAL", "NASA_POWER"]
        .map(|host| format!("{host}_BASE_URL"));
    let program = hosts.into_iter().fold(program, |program, name| program.env(name, &replay));
    let program =
        fresh.into_iter().chain(stale).fold(program, |program, name| program.env(name, "0"));
    Plan {
        name: "weather",
        program,
        ready: (ports.weather, "/readyz"),
        port: ports.weather,
        what: "current, hourly, daily, weekly; its own memory is off here",
    }
}

fn ndvi(ports: Ports) -> Plan {
    let program = quiet("ndvi")
        .directory(DIRECTORY)
        .env("LISTEN", loopback(ports.ndvi).to_string())
        .env("NDVI_STAC_URL", format!("http://{}", loopback(ports.replay)));
    Plan {
        name: "ndvi",
        program,
        ready: (ports.ndvi, "/readyz"),
        port: ports.ndvi,
        what: "samples, and statistics of fields over Sentinel-2 scenes",
    }
}

fn farmgate(ports: Ports) -> Plan {
    Plan {
        name: "farmgate",
        program: quiet("farmgate").args(["run", "--config", GATEWAY_FILE]),
        ready: (ports.admin, "/readyz"),
        port: ports.gateway,
        what: "the gateway",
    }
}

/// A program that sees nothing of the reader's environment: a setting there would change the story.
fn quiet(name: &str) -> Program {
    Program::at(binary(name)).clean_env()
}

/// The program beside this one, as cargo puts them.
fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new(".")).join(name)
}

fn last_lines(process: &Process) -> String {
    let lines = process.lines();
    let skipped = lines.len().saturating_sub(LINES_SHOWN_MAX);
    let shown: Vec<_> = lines.iter().skip(skipped).map(|line| format!("  {line}")).collect();
    if shown.is_empty() { "  (it said nothing)".to_owned() } else { shown.join("\n") }
}
