//! What can be asked of the benchmark of warmth on its command line?

use std::time::Duration;

use clap::Parser;

use crate::program::{Common, ROUNDS_MAX, SECONDS_MAX};

/// Most requests a second: the clients share their cores with what they ask.
const RATE_MAX: u64 = 5_000;

/// Slowest origin.
const DELAY_MS_MAX: u64 = 10_000;

/// Measures who waits while answers are kept fresh, and how many calls that takes.
#[derive(Clone, Debug, Parser)]
#[command(name = "warmth", version, about)]
pub(crate) struct Options {
    /// Rounds of each row but `overload`; the medians are over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    pub(crate) rounds: u64,
    /// Seconds that an answer is fresh in the rows of steady clients.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub(crate) fresh: u64,
    /// Milliseconds that the origin takes for an answer.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=DELAY_MS_MAX))]
    pub(crate) delay: u64,
    /// Requests a second of the steady clients, on average.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    pub(crate) rate: u64,
    /// Where the random numbers begin: the same seed asks for the same at the same times.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Which rows, and where.
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Options {
    /// How long an answer is fresh.
    pub(crate) fn fresh(&self) -> Duration {
        Duration::from_secs(self.fresh)
    }

    /// How long the origin takes.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay)
    }

    /// The command as another person would type it: without the places of this machine.
    pub(crate) fn command(&self) -> String {
        let Self { rounds, fresh, delay, rate, seed, common } = self;
        let only = common.command();
        format!(
            "warmth --rounds {rounds} --fresh {fresh} --delay {delay} --rate {rate} --seed {seed}{only}"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn recorded_command_names_no_place() {
        let given = ["warmth", "--gateway", "/some/where", "--only", "overload", "--rate", "9"];
        let told = Options::try_parse_from(given).unwrap().command();
        let options = "--rounds 3 --fresh 2 --delay 100 --rate 9 --seed 1 --only overload";
        assert_eq!(told, format!("warmth {options}"));
    }

    #[test]
    fn run_without_a_bound_is_refused() {
        for given in [["--rounds", "0"], ["--fresh", "61"], ["--rate", "0"], ["--delay", "10001"]] {
            assert!(Options::try_parse_from(["warmth", given[0], given[1]]).is_err());
        }
    }
}
