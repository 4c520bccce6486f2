//! What do the providers say, without a network?
//!
//! `replay` serves recorded answers of Open-Meteo and NASA POWER, a small STAC catalogue and the
//! real Sentinel-2 scenes it names. It records further answers of the real hosts and plays them.
//! Faults can be switched on while it runs, and it counts what it was asked, so that a test can
//! assert "exactly one call".
//!
//! | question | file |
//! |---|---|
//! | how is it started, watched and stopped | `server.rs` ([`Replay`], [`Running`]) |
//! | which routes exist, what meets a request on the way | `routes.rs`, `stage.rs` |
//! | what does Open-Meteo answer | `open_meteo/` |
//! | what does NASA POWER answer | `power.rs`, `power_recording.rs` |
//! | what was recorded from the real hosts | `tape/` |
//! | which scenes match a search | `stac.rs`, `stac_search.rs` |
//! | which bytes of a scene are sent | `files.rs`, `range.rs` |
//! | what goes wrong, and when it wears off | `fault/`, `damage/`, `connection.rs` |
//! | what has every answer in common | `answers.rs` |
//! | what was asked | `counts.rs`, `control.rs` |

mod answers;
mod clock;
mod connection;
mod control;
mod counts;
mod damage;
mod fault;
mod files;
mod open_meteo;
mod params;
mod power;
mod power_recording;
mod range;
mod recorded;
mod routes;
mod server;
mod stac;
mod stac_search;
mod stage;
mod tape;

pub use clock::Clock;
pub use counts::{Counts, LoggedRequest};
pub use fault::{Drip, Fault, FaultError, FileFault, SearchFault};
pub use recorded::DataError;
pub use server::{Options, Replay, Running, StartError, recorded_data_dir};
pub use tape::{HostError, Hosts, RecorderError};
