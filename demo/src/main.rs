//! What does farmgate do, shown on the running system?
//!
//! Starts the providers' stand-in, both services and the gateway on loopback, tells the story of
//! a busy day with times measured on the spot, and stays up for the reader's own requests.
//!
//! | question | file |
//! |---|---|
//! | which ports, and does it stay up | `options.rs` |
//! | who holds a port that is taken | `ports.rs` |
//! | which credentials, which files | `credentials.rs`, `configuration.rs` |
//! | how are the programs started, watched and stopped | `stack.rs` |
//! | what is asked of them | `stage.rs`, `provider.rs` |
//! | what is shown | `story/`, `screen.rs`, `measure.rs`, `invitation.rs` |

mod configuration;
mod credentials;
mod error;
mod invitation;
mod measure;
mod options;
mod ports;
mod provider;
mod screen;
mod stack;
mod stage;
mod stop;
mod story;

use std::process::ExitCode;

use clap::Parser;

use crate::configuration::Files;
use crate::credentials::Credentials;
use crate::error::DemoError;
use crate::options::Options;
use crate::screen::Screen;
use crate::stack::Stack;
use crate::stage::Stage;
use crate::stop::Stop;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let screen = Screen::stdout();
    match run(&options, screen).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.failure(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Runs the whole demo; whether every line held.
async fn run(options: &Options, screen: Screen) -> Result<bool, DemoError> {
    let mut stop = Stop::watch()?;
    stack::check_ground()?;
    ports::check_free(&options.ports)?;
    let credentials = Credentials::generate();
    let files = Files::write(&options.ports, &credentials)?;
    harness::raise_open_files().await;
    screen.title("farmgate on loopback");
    let mut stack = Stack::new(options.ports);
    // The terminal sends Ctrl-C to the programs too: the reader's wish is looked at first, or their
    // ends would pass for failures.
    let told = tokio::select! {
        biased;
        () = stop.asked() => Err(DemoError::Interrupted),
        told = tell(&mut stack, options, screen, credentials, files) => told,
    };
    let outcome = match told {
        Ok(held) if options.once => Ok(held),
        Ok(held) => {
            screen.note("Ctrl-C stops everything.");
            tokio::select! {
                biased;
                () = stop.asked() => Ok(held),
                dead = stack.death() => Err(dead),
            }
        }
        Err(error) => Err(error),
    };
    screen.blank();
    screen.note("Stopping.");
    stack.stop().await;
    outcome
}

/// Starts the programs, tells the story and prints what to try next; whether every line held.
async fn tell(
    stack: &mut Stack,
    options: &Options,
    screen: Screen,
    credentials: Credentials,
    files: Files,
) -> Result<bool, DemoError> {
    let ready = stack.start(screen).await?;
    let stage = Stage::new(options.ports, credentials, files, screen, stack.gateway_id());
    let held = story::tell(&stage, stack, ready).await?;
    if !options.once {
        invitation::print(&stage);
    }
    Ok(held)
}
