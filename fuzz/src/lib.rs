//! What do the fuzz targets share?
//!
//! Each target hands what it is given to the gateway's own code, and compares the answer with one
//! that was found in another way: `reference` holds the rules written a second time, short and slow.
//! A target fails by panicking.

pub mod message;
pub mod reference;
pub mod signing;
pub mod sources;
pub mod tokens;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use farmgate::clock::Now;

/// The moment for which the seeds are made, in seconds since 1970.
pub const NOW: u64 = 1_766_666_666;
/// The moment of two of the signature's vectors.
pub const EARLIER: u64 = 1_700_000_000;

/// This moment, on both clocks.
#[must_use]
pub fn at(seconds: u64) -> Now {
    Now { wall: UNIX_EPOCH + Duration::from_secs(seconds), ..Now::read() }
}

/// The output of a future that waits for nothing.
///
/// # Panics
///
/// When it waits.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("in one process nothing has to be waited for"),
    }
}

/// Whether a text holds a character that would break a log line or a header field.
#[must_use]
pub fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}
