//! `make bench-tokens`: what does a token cost, cold and warm, with the gateway and without?

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::tokens::main()
}
