//! What can be asked on the command line?

pub mod cache;
pub mod keys;
pub mod tokens;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

mod captured;
mod explain;
mod given;
mod sign;
mod stored;

pub use self::captured::Captured;
use self::keys::Screen;
use self::stored::NowhereError;
use crate::clock::Now;
use crate::config::ConfigFault;
use crate::reload;
use crate::server::{self, StartError};
use crate::state::Outliving;

/// `EX_CONFIG` of sysexits.h: systemd and scripts tell it from a crash.
const EXIT_CONFIG: u8 = 78;

/// What clap ends with, too.
const EXIT_USAGE: u8 = 2;

/// What is logged unless `RUST_LOG` says otherwise. Pingora's own lines show whole request heads, with
/// the credentials in them, from `debug` on.
const LOGGED: &str = "info,pingora=warn,pingora_core=warn,pingora_proxy=warn";

/// An edge gateway: admits, limits, caches and wraps what services answer.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway until SIGTERM; SIGHUP reloads the configuration.
    Run {
        #[command(flatten)]
        files: Files,
    },
    /// Compiles the configuration and lists everything that is wrong with it; exits 78 on faults.
    Check {
        #[command(flatten)]
        files: Files,
    },
    /// Makes API keys, lists them, gives one a new secret, or revokes one. A running gateway knows
    /// within a second.
    Keys {
        #[command(flatten)]
        files: Files,
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Revokes tokens before they expire, or lists what is revoked. A running gateway knows within
    /// a second.
    Tokens {
        #[command(flatten)]
        files: Files,
        #[command(subcommand)]
        command: tokens::TokensCommand,
    },
    /// Asks the gateway that runs what it keeps and why it does not, purges and warms it.
    Cache {
        #[command(flatten)]
        files: Files,
        #[command(subcommand)]
        command: cache::CacheCommand,
    },
    /// Signs a request as a client does, and prints what is signed and the signature.
    Sign(Box<sign::Arguments>),
    /// Says which part of a signed request differs from what its client signed; exits 0 when the
    /// signature holds, 1 when it does not.
    ExplainSignature(Box<explain::Arguments>),
}

/// What a configuration is read from.
#[derive(Debug, Args)]
struct Files {
    /// The configuration file.
    #[arg(long, global = true, default_value = "conf/gateway.yaml")]
    config: PathBuf,
    /// A file of NAME=VALUE lines below the process's own variables; each reload reads it again.
    #[arg(long, global = true, value_name = "PATH")]
    env_file: Option<PathBuf>,
}

/// Runs what the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { files } => start(&files),
        Command::Check { files } => check(&files),
        Command::Keys { files, command } => manage_keys(&files, &command),
        Command::Tokens { files, command } => revoke_tokens(&files, command),
        Command::Cache { files, command } => ask_cache(&files, &command),
        Command::Sign(arguments) => sign::run(*arguments),
        Command::ExplainSignature(arguments) => explain::run(*arguments),
    }
}

fn start(files: &Files) -> ExitCode {
    log_to_stderr();
    match server::run(&files.config, files.env_file.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Config(faults)) => report(&faults),
        Err(error) => {
            tracing::error!(%error, "cannot start");
            say(&mut io::stderr(), &format!("farmgate: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn check(files: &Files) -> ExitCode {
    let config = &files.config;
    let checked = reload::environment(files.env_file.as_deref())
        .and_then(|environment| reload::check(config, &environment, &Outliving::default(), 1));
    match checked {
        Ok(snapshot) => {
            for warning in &snapshot.warnings {
                say(&mut io::stderr(), &format!("warning: {warning}"));
            }
            let routes = snapshot.routes.iter().count();
            say(&mut io::stdout(), &format!("{}: good, {routes} route(s)", config.display()));
            ExitCode::SUCCESS
        }
        Err(faults) => report(&faults),
    }
}

/// Prints what a command found and ends with its code, or says what is wrong with its arguments.
fn end(found: Result<(String, ExitCode), String>) -> ExitCode {
    match found {
        Ok((text, code)) => {
            say(&mut io::stdout(), &text);
            code
        }
        Err(problem) => {
            say(&mut io::stderr(), &format!("farmgate: {problem}"));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn report(faults: &[ConfigFault]) -> ExitCode {
    for fault in faults {
        say(&mut io::stderr(), &fault.to_string());
    }
    say(&mut io::stderr(), &format!("{} fault(s); nothing was started", faults.len()));
    ExitCode::from(EXIT_CONFIG)
}

fn manage_keys(files: &Files, command: &keys::KeysCommand) -> ExitCode {
    let environment = reload::environment(files.env_file.as_deref());
    let found = environment
        .map_err(NowhereError::Config)
        .and_then(|environment| stored::key_store(&files.config, &environment));
    match found {
        Ok(store) => {
            let (out, err) = (&mut io::stdout(), &mut io::stderr());
            let code = keys::run(command, &store.file, Now::read(), &mut Screen { out, err });
            if !store.is_read {
                let problem = "no gateway of this configuration takes the keys of its store; add \
                               `auth: {api_keys: {store: true}}`";
                say(&mut io::stderr(), &format!("warning: {problem}"));
            }
            ExitCode::from(code)
        }
        Err(nowhere) => lost(&nowhere),
    }
}

fn revoke_tokens(files: &Files, command: tokens::TokensCommand) -> ExitCode {
    let environment = reload::environment(files.env_file.as_deref());
    let found = environment
        .map_err(NowhereError::Config)
        .and_then(|environment| stored::revocations(&files.config, &environment));
    let places = match found {
        Ok(places) => places,
        Err(nowhere) => return lost(&nowhere),
    };
    match tokens::run(command, places, Now::read(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut io::stderr(), &format!("farmgate: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn ask_cache(files: &Files, command: &cache::CacheCommand) -> ExitCode {
    let environment = reload::environment(files.env_file.as_deref());
    let found = environment
        .map_err(NowhereError::Config)
        .and_then(|environment| stored::desk(&files.config, &environment));
    match found {
        Ok(desk) => {
            let (out, err) = (&mut io::stdout(), &mut io::stderr());
            ExitCode::from(cache::run(command, &desk, &mut Screen { out, err }))
        }
        Err(nowhere) => lost(&nowhere),
    }
}

fn lost(nowhere: &NowhereError) -> ExitCode {
    if let NowhereError::Config(faults) = nowhere {
        for fault in faults {
            say(&mut io::stderr(), &fault.to_string());
        }
    }
    say(&mut io::stderr(), &format!("farmgate: {nowhere}"));
    ExitCode::from(EXIT_CONFIG)
}

/// JSON lines; `RUST_LOG` chooses what is logged, and Pingora's lines only by their name.
fn log_to_stderr() {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = EnvFilter::try_new(format!("{LOGGED},{chosen}"));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let already_set = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .try_init();
    if already_set.is_err() {
        say(&mut io::stderr(), "farmgate: logging was set up twice");
    }
}

/// A line for a person; when nobody listens any more there is nobody to tell.
fn say(to: &mut impl Write, line: &str) {
    let _reader_may_be_gone = writeln!(to, "{line}");
}
