//! What do the benchmarks have in common, and where does each begin?
//!
//! [`side_by_side`] measures farmgate beside nginx and Caddy, [`tokens`] measures the issue of
//! tokens beside the same flow without a memory of keys, [`store`] which answers the cache keeps,
//! [`warmth`] what keeps them fresh and what that asks of their services, [`pools`] what a service
//! whose database has stopped does to everybody else; see `README.md`.

mod client;
mod cpu;
mod error;
mod figures;
mod interrupt;
mod latency;
mod load;
mod machine;
mod measure;
mod options;
mod origin;
mod peer;
mod pinning;
pub mod pools;
mod probe;
mod program;
mod report;
mod row;
mod server;
pub mod side_by_side;
mod stats;
pub mod store;
mod stream;
pub mod tokens;
pub mod warmth;
mod wire;

use std::io::Write as _;

/// A line for a person; when nobody listens any more there is nobody to tell.
fn say(line: &str) {
    let _reader_may_be_gone = writeln!(std::io::stdout(), "{line}");
}
