//! The weather service, from the outside in.
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`settings`] | What did the operator ask for? |
//! | [`http`] | What did the client ask, and what does it get to see? |
//! | [`answers`] | From where does an answer come: memory, provider or store? |
//! | [`providers`] | How is a provider asked, and what did it mean? |
//! | [`store`] | What survives a restart? |
//! | [`warm`] | Who sees to it that a registered point's first client finds an answer? |
//! | [`metrics`] | What is counted beyond requests? |
//! | [`time`] | What does the clock mean in the calendar? |
//! | [`domain`] | What is weather? Pure: no clock, no socket, no file. |

pub mod answers;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod providers;
pub mod settings;
pub mod store;
pub mod time;
pub mod warm;
