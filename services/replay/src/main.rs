//! The `replay` program: which address, which recordings, which fault from the start?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use replay::{Clock, Fault, Hosts, Options, Replay};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Serves recorded provider answers and real Sentinel-2 scenes, with switchable faults.
#[derive(Debug, Parser)]
#[command(name = "replay", version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8070", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Directory that holds weather/, stac/, s2/ and farms/.
    #[arg(long, default_value = "services/replay/data", value_name = "DIR")]
    data: PathBuf,
    /// Re-date the recorded week so that it starts today.
    #[arg(long)]
    shift: bool,
    /// Play the exchanges of this directory before everything else.
    #[arg(long, value_name = "DIR", conflicts_with = "record")]
    recordings: Option<PathBuf>,
    /// Ask the real hosts and keep their answers in this directory.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    #[command(flatten)]
    hosts: HostArguments,
    #[command(flatten)]
    fault: FaultArguments,
}

/// Where the real hosts are; they are asked with --record alone.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Real hosts")]
struct HostArguments {
    /// Open-Meteo's forecasts, asked at /v1/forecast.
    #[arg(long, value_name = "URL", default_value_t = Hosts::default().forecast)]
    forecast_host: String,
    /// Open-Meteo's archive, asked at /v1/archive.
    #[arg(long, value_name = "URL", default_value_t = Hosts::default().archive)]
    archive_host: String,
    /// Open-Meteo's past forecasts, asked at /historical/v1/forecast.
    #[arg(long, value_name = "URL", default_value_t = Hosts::default().historical)]
    historical_host: String,
    /// NASA POWER, asked at /api/temporal/.
    #[arg(long, value_name = "URL", default_value_t = Hosts::default().power)]
    power_host: String,
    /// Root of the STAC API, asked at /search.
    #[arg(long, value_name = "URL", default_value_t = Hosts::default().stac)]
    stac_host: String,
    /// Hosts of scene files, asked at /assets/<host>/; repeat it or put commas between.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_values_t = Hosts::default().assets)]
    assets_host: Vec<String>,
}

impl HostArguments {
    fn hosts(self) -> Hosts {
        let plain = |url: String| url.trim_end_matches('/').to_owned();
        Hosts {
            forecast: plain(self.forecast_host),
            archive: plain(self.archive_host),
            historical: plain(self.historical_host),
            power: plain(self.power_host),
            stac: plain(self.stac_host),
            assets: self.assets_host.into_iter().map(plain).collect(),
        }
    }
}

/// The fault in force from the start. PUT and DELETE /_replay/faults change it later.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Fault from the start")]
struct FaultArguments {
    /// Any fault in its text form, such as `drip=100/50,file=wrong_etag`; the flags below add
    /// to it.
    #[arg(long, value_name = "TEXT")]
    fault: Option<Fault>,
    /// Wait this long before each answer.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    delay_ms: u64,
    /// Answer with this status, 400 to 599.
    #[arg(long, value_name = "STATUS")]
    status: Option<u16>,
    /// Reason in the error body of --status.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Promise the whole body, send half of it, close.
    #[arg(long)]
    truncate: bool,
    /// Close the connection with a TCP reset.
    #[arg(long)]
    reset: bool,
    /// Send half of the body and the text of a failure while streaming.
    #[arg(long)]
    error_tail: bool,
    /// Answer range requests with the whole file.
    #[arg(long)]
    ignore_range: bool,
    /// Send a well-framed half of the body.
    #[arg(long)]
    short_body: bool,
    /// Let this many requests pass first.
    #[arg(long, default_value_t = 0, value_name = "REQUESTS")]
    skip: u32,
    /// Wear off after this many requests.
    #[arg(long, value_name = "REQUESTS")]
    times: Option<u32>,
    /// Meet only requests of this method.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Meet only paths that start with this.
    #[arg(long, value_name = "PREFIX")]
    path_prefix: Option<String>,
}

impl FaultArguments {
    /// The fault, or nothing when no flag was given.
    fn fault(self) -> Option<Fault> {
        let text = self.fault.unwrap_or_default();
        let fault = Fault {
            delay_ms: self.delay_ms.max(text.delay_ms),
            status: self.status.or(text.status),
            reason: self.reason,
            truncate: self.truncate || text.truncate,
            reset: self.reset || text.reset,
            error_tail: self.error_tail || text.error_tail,
            ignore_range: self.ignore_range || text.ignore_range,
            short_body: self.short_body || text.short_body,
            skip: self.skip,
            times: self.times,
            method: self.method,
            path_prefix: self.path_prefix,
            ..text
        };
        (fault != Fault::default()).then_some(fault)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        // A closed stderr must not end the program: reporting the failed write would panic.
        .log_internal_errors(false)
        .init();
    let (mut interrupt, mut terminate) =
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "signals cannot be awaited");
                return ExitCode::FAILURE;
            }
        };
    let options = Options {
        listen: arguments.listen,
        data: arguments.data,
        shift: arguments.shift,
        fault: arguments.fault.fault(),
        record: arguments.record.is_some().then(|| arguments.hosts.hosts()),
        recordings: arguments.record.or(arguments.recordings),
        clock: Clock::system(),
    };
    let running = match Replay::start(options) {
        Ok(running) => running,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!("listening on {}", running.base_url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    running.stop();
    ExitCode::SUCCESS
}
