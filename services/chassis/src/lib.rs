//! What do all services behind the gateway share, whatever their domain?
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`clock`] | What time is it? |
//! | [`settings`] | What did the operator ask for in the environment? |
//! | [`log`] | Where do log lines go? |
//! | [`envelope`] | What does an answer look like? |
//! | [`mod@file`] | How is a picture sent, and when is it not sent again? |
//! | [`request_id`] | Which request is this? |
//! | [`metrics`] | What is counted about every request? |
//! | [`openapi`] | What can be asked of a service, in the words that programs read? |
//! | [`auth`] | Who is calling, and may this caller do that? |
//! | [`service`] | Which routes and guards does every service have? |
//! | [`serve`] | How does a service start, run and stop? |
//! | [`client`] | How does a service call others? |
//! | [`database`] | How does a service hold a database without waiting long for it? |
//!
//! The allocator is the binary's choice, and nothing here knows about weather or vegetation.

pub mod auth;
pub mod client;
pub mod clock;
pub mod database;
pub mod envelope;
pub mod file;
pub mod log;
pub mod metrics;
pub mod openapi;
pub mod request_id;
pub mod serve;
pub mod service;
pub mod settings;

mod access;
mod guard;
