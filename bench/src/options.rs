//! What can be asked of the benchmark on its command line?

use clap::Parser;

use crate::program::{Common, ROUNDS_MAX, SECONDS_MAX};

/// Measures farmgate side by side with nginx and Caddy, and writes down the ratios.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench", version, about)]
pub(crate) struct Options {
    /// Rounds of each row; the medians are over them.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    pub(crate) rounds: u64,
    /// Seconds that one server is loaded in one round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub(crate) seconds: u64,
    /// Which rows, and where.
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Options {
    /// The command as another person would type it: without the places of this machine.
    pub(crate) fn command(&self) -> String {
        let only = self.common.command();
        format!("bench --rounds {} --seconds {}{only}", self.rounds, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn recorded_command_names_no_place() {
        let given = ["bench", "--gateway", "/some/where", "--only", "hit", "--seconds", "2"];
        let options = Options::try_parse_from(given).unwrap();
        assert_eq!(options.command(), "bench --rounds 5 --seconds 2 --only hit");
    }

    #[test]
    fn run_without_a_bound_is_refused() {
        assert!(Options::try_parse_from(["bench", "--rounds", "0"]).is_err());
        assert!(Options::try_parse_from(["bench", "--seconds", "3600"]).is_err());
    }
}
