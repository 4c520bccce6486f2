//! What can be asked of the benchmark of tokens on its command line?

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

use crate::program::{Common, ROUNDS_MAX, SECONDS_MAX};

/// Measures what a token costs, cold and warm, with the gateway and without its memory of keys.
#[derive(Clone, Debug, Parser)]
#[command(name = "tokens", version, about)]
pub(crate) struct Options {
    /// Rounds of each row; the medians are over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    pub(crate) rounds: u64,
    /// Seconds of one steady run in one round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub(crate) seconds: u64,
    /// Which rows, and where.
    #[command(flatten)]
    pub(crate) common: Common,
    /// Another part of the program; left out, it measures.
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// What this program is when it measures nothing.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Part {
    /// The server without a memory of keys, which the benchmark starts for itself.
    #[command(hide = true)]
    Forgetful(ForgetfulOptions),
}

/// How the server without a memory is started.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ForgetfulOptions {
    /// Where it listens.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// How many hashes it computes at once; any number, if left out.
    #[arg(long)]
    pub(crate) hash_threads: Option<usize>,
}

impl Options {
    /// The command as another person would type it: without the places of this machine.
    pub(crate) fn command(&self) -> String {
        let only = self.common.command();
        format!("tokens --rounds {} --seconds {}{only}", self.rounds, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn recorded_command_names_no_place() {
        let given = ["tokens", "--gateway", "/some/where", "--only", "flood", "--rounds", "1"];
        let options = Options::try_parse_from(given).unwrap();
        assert_eq!(options.command(), "tokens --rounds 1 --seconds 5 --only flood");
    }

    #[test]
    fn run_without_a_bound_is_refused() {
        assert!(Options::try_parse_from(["tokens", "--rounds", "0"]).is_err());
        assert!(Options::try_parse_from(["tokens", "--seconds", "3600"]).is_err());
    }
}
