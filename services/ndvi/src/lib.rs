//! How green are the fields: NDVI of field outlines from Sentinel-2, and samples sent by others.
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`domain`] | What is true about fields, pixels and vegetation? |
//! | [`scenes`] | Which scenes show a field, and what do their bands hold there? |
//! | [`pictures`] | How does a field look to people? |
//! | [`store`] | What survives a restart? |
//! | [`gallery`] | Which pictures are ready, and who paints one that is not? |
//! | [`jobs`] | Who does the work that no client waits for? |
//! | [`http`] | What can a client ask, and what does it get to see? |
//! | [`settings`] | What did the operator ask for? |
//! | [`time`] | What does a reading of the clock say in the calendar's terms? |
//!
//! Arrows point down: `http` uses all the others, `jobs` uses `gallery`, and both use what follows;
//! `scenes`, `pictures` and `store` use only `domain`; `domain` uses nothing but arithmetic.

pub mod domain;
pub mod gallery;
pub mod http;
pub mod jobs;
pub mod pictures;
pub mod scenes;
pub mod settings;
pub mod store;
pub mod time;
