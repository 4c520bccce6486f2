//! How green are the fields: NDVI of field outlines from Sentinel-2, and samples sent by others.
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`domain`] | What is true about fields, pixels and vegetation? |
//! | [`scenes`] | Which scenes show a field, and what do their bands hold there? |
//! | [`pictures`] | How does a field look to people? |
//! | [`store`] | What survives a restart? |
//! | [`http`] | What can a client ask, and what does it get to see? |
//! | [`settings`] | What did the operator ask for? |
//!
//! Arrows point down: `http` uses all the others; `scenes`, `pictures` and `store` use only
//! `domain`; `domain` uses nothing but arithmetic.

pub mod domain;
pub mod http;
pub mod pictures;
pub mod scenes;
pub mod settings;
pub mod store;
