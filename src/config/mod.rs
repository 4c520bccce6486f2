//! What the YAML says.

pub mod environment;
pub mod gateway;
pub mod identity;
pub mod limits;
pub mod pool;
pub mod route;
pub mod scalar;
pub mod sources;
pub mod state;

mod decode;
mod decode_error;
mod document;
mod expand;
mod fault;
mod feign;
mod read;
mod suggest;
mod text;
mod tree;

pub use document::Document;
pub use environment::Environment;
pub use fault::ConfigFault;
pub use suggest::closest;
