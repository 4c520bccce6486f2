//! farmgate: an edge gateway on Pingora that admits, limits, caches and wraps.
//!
//! Modules in layer order, lowest first; an arrow may only point up this list.

pub mod clock;
pub mod config;
pub mod refusal;

pub mod auth;
pub mod cache;
pub mod envelope;
pub mod metrics;
pub mod points;
pub mod ratelimit;
pub mod tls;
pub mod upstream;

pub mod route;

pub mod endpoint;
pub mod internal_token;

pub mod answer;
pub mod snapshot;
pub mod state;

pub mod admission;

pub mod reload;

pub mod proxy;

pub mod admin;
pub mod tasks;

pub mod server;

pub mod cli;
