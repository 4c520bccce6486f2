//! Can a test of another crate start, steer and stop replay in its own process?

#![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use replay::{Clock, Fault, FaultError, Options, Replay, StartError};

fn get(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const FORECAST: &str = "/v1/forecast?latitude=48.3&longitude=13.1&daily=temperature_2m_max";

#[test]
fn started_replay_serves_and_counts() {
    let running = Replay::start(Options::default()).unwrap();
    assert!(get(running.address(), FORECAST).starts_with("HTTP/1.1 200"));
    assert_eq!(running.counts().requests_of("/v1/forecast"), 1);
    assert!(running.counts().bytes_of("/v1/forecast") > 0);
    running.reset_counts();
    assert_eq!(running.counts().requests_of("/v1/forecast"), 0);
    assert_eq!(running.base_url(), format!("http://{}", running.address()));
}

#[test]
fn faults_are_switched_in_process() {
    let running = Replay::start(Options::default()).unwrap();
    running.set_fault(Fault { status: Some(503), ..Fault::default() }).unwrap();
    assert!(get(running.address(), FORECAST).starts_with("HTTP/1.1 503"));
    assert_eq!(running.set_fault(Fault::default()), Err(FaultError::Nothing));
    running.clear_faults();
    assert!(get(running.address(), FORECAST).starts_with("HTTP/1.1 200"));
}

#[test]
fn injected_clock_decides_what_today_is() {
    let clock = Clock::fixed("2026-03-05T09:00:00Z".parse().unwrap());
    let running = Replay::start(Options { clock, shift: true, ..Options::default() }).unwrap();
    assert!(get(running.address(), FORECAST).contains(r#""time":["2026-03-05","#));
    running.set_shift(false);
    assert!(get(running.address(), FORECAST).contains(r#""time":["2021-11-24","#));
}

#[test]
fn dropped_replay_listens_no_more() {
    let running = Replay::start(Options::default()).unwrap();
    let address = running.address();
    let mut open = TcpStream::connect(address).unwrap();
    drop(running);
    assert!(TcpStream::connect(address).is_err());
    // The connection that was open is closed or reset, never left hanging.
    assert!(!matches!(open.read(&mut [0; 1]), Ok(1)));
}

#[tokio::test]
async fn replay_starts_and_stops_inside_a_runtime() {
    let running = Replay::start(Options::default()).unwrap();
    let taken = Replay::start(Options { listen: running.address(), ..Options::default() });
    assert!(matches!(taken, Err(StartError::Taken { address }) if address == running.address()));
    running.stop();
}
