//! `make bench-store`: which answers does the store keep, and what memory does it take?

use std::process::ExitCode;

/// The gateway's own: what it keeps of freed memory counts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bench::store::main()
}
