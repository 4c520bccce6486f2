//! `make bench-pools`: who waits when a service's database has stopped?

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::pools::main()
}
