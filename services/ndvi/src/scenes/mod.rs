//! Which scenes show a field, and what do their bands hold there?
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`stac`] | Which scenes does the catalogue have? |
//! | [`ranges`] | How is a part of a remote file read? |
//! | [`plan`] | Which parts have to be read? |
//! | [`cog`] | What do these parts hold? |
//! | [`compute`] | Where does processor work run? |
//! | [`survey`] | What do all scenes together say about a field? |

pub mod cog;
pub mod compute;
pub mod plan;
pub mod ranges;
pub mod stac;
pub mod survey;
