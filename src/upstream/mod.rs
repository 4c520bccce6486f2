//! Which peer answers, and may another be tried?
//!
//! [`Pool`] is compiled from one file in `upstreams/`; [`PoolState`] is what outlives a reload:
//! which peers could not be reached of late, and how many requests are in flight.

mod budget;
mod health;
mod pool;

pub use budget::{Budget, CALLS_MAX, Calls, Purpose, Window};
pub use health::{InFlight, PoolState, Pools};
pub use pool::{Peer, Pool, PoolTls};
