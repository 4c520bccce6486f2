//! The gateway's program: an allocator, a command line, an exit code.

use std::process::ExitCode;

/// mimalloc: glibc's allocator keeps memory that a proxy's short bursts have freed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    farmgate::cli::run()
}
