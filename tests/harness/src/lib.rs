//! The test bench: a scripted origin, the real gateway, clients, credentials and certificates.
//!
//! A black-box test reads as a few sentences:
//!
//! ```no_run
//! # async fn example() {
//! use harness::{Answer, Gateway, Origin};
//!
//! let origin = Origin::start().await;
//! origin.on("/x", Answer::json(r#"{"a":1}"#).hold());
//! let gw = Gateway::binary("target/debug/farmgate")
//!     .with("listeners: ...")
//!     .pool("weather", origin.address())
//!     .start()
//!     .await;
//! let replies = harness::launch(200, |_| gw.get("/x").send());
//! origin.wait_for_calls("/x", 1).await;
//! origin.release("/x");
//! for reply in replies.await.expect("200 clients") {
//!     reply.expect_status(200).expect_body(r#"{"a":1}"#);
//! }
//! assert_eq!(origin.calls("/x"), 1);
//! # }
//! ```
//!
//! The bench fails by panicking with a message that says what was awaited and what was seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a panic with a good message is how a test fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the bench measures the real clock from outside the gateway"
)]

mod answer;
mod certificate;
mod client;
mod credential;
mod directory;
mod gateway;
mod headers;
mod http2;
mod https;
mod key_tables;
mod mariadb;
mod metrics;
mod open_files;
mod openapi;
mod origin;
mod patience;
mod place;
mod ports;
mod process;
mod redis;
mod reply;
mod request;
mod serve;
mod wire;

pub use answer::Answer;
pub use certificate::{Authority, Leaf};
pub use client::{Connection, burst, launch};
pub use credential::{HmacClient, Message, Signature, claims_of, jwt, nonce, unix_now};
pub use directory::Directory;
pub use gateway::{Gateway, Launcher, PoolFile};
pub use headers::Headers;
pub use http2::Http2;
pub use https::Https;
pub use key_tables::KeyTables;
pub use mariadb::{MariaDb, TableLock};
pub use metrics::{Sample, metric, samples};
pub use open_files::raise_open_files;
pub use openapi::OpenApi;
pub use origin::{Origin, Recorded};
pub use patience::PATIENCE;
pub use ports::Reservation;
pub use process::{Finished, Process, Program};
pub use redis::{RedisLauncher, RedisServer, Sentinels};
pub use reply::Reply;
pub use request::Request;
