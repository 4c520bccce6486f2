//! `make bench-warmth`: does anybody wait for a hot answer, and what do calls cost to prevent it?

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::warmth::main()
}
