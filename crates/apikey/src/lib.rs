//! What does it take to verify an API key of the operator's tables, for the gateway and for the
//! services behind it alike?
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`form`] | Can this text be such a key at all? |
//! | [`hash`] | Does a key match the slow hash that is kept of it? |
//! | [`directory`] | What do the operator's own tables say of a key? |
//! | [`pool`] | Where are slow hashes computed, how many at once, and whose is next? |
//! | [`flight`] | Who is finding out about this key already, and what was found? |
//!
//! Nothing here remembers a key, knows HTTP or decides what a caller may do.

pub mod directory;
pub mod flight;
pub mod form;
pub mod hash;
pub mod pool;

mod fair;
