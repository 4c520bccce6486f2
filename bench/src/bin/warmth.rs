//! `make bench-warmth`: what keeps answers fresh, and what does it ask of their services?

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::warmth::main()
}
