//! `make bench`: how does farmgate compare with its peers, on this machine, now?

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::side_by_side::main()
}
