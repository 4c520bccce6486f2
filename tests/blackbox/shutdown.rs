//! How the gateway stops.

use std::time::{Duration, Instant};

use harness::{Answer, Connection, Request, launch};

use crate::fixtures::{OPEN, serve};

#[tokio::test]
async fn request_in_flight_is_finished_after_sigterm() {
    let (origin, mut gw) = serve("server: {drain_timeout: 10s}", &[OPEN]).await;
    origin.on("/slow", Answer::json("1").hold());
    let slow = gw.get("/slow");
    let in_flight = launch(10, |_| slow.clone().send());
    origin.wait_for_calls("/slow", 10).await;
    gw.process().signal("TERM").await;
    gw.wait_for_log(|line| line.contains("\"stopping\"")).await;
    origin.release("/slow");
    for reply in in_flight.await.unwrap() {
        reply.expect_status(200).expect_body("1");
    }
    assert_eq!(gw.stop().await.code(), Some(0));
}

#[tokio::test]
async fn readiness_is_taken_back_while_requests_are_finished() {
    let (origin, gw) = serve("server: {drain_timeout: 10s}", &[OPEN]).await;
    origin.on("/slow", Answer::json("1").hold());
    let mut admin = Connection::open(gw.admin()).await;
    admin.send(Request::get("/readyz")).await.expect_status(200);
    let slow = gw.get("/slow");
    let in_flight = launch(1, |_| slow.clone().send());
    origin.wait_for_calls("/slow", 1).await;
    gw.process().signal("TERM").await;
    gw.wait_for_log(|line| line.contains("\"stopping\"")).await;
    admin.send(Request::get("/readyz")).await.expect_status(503);
    origin.release("/slow");
    in_flight.await.unwrap().remove(0).expect_status(200);
}

#[tokio::test]
async fn new_connections_are_not_taken_after_sigterm() {
    let (origin, mut gw) = serve("server: {drain_timeout: 2s}", &[OPEN]).await;
    gw.process().signal("TERM").await;
    gw.wait_for_log(|line| line.contains("\"stopping\"")).await;
    let waiting = Instant::now();
    while Connection::try_open(gw.address()).await.is_ok() {
        assert!(waiting.elapsed() < harness::PATIENCE, "connections are still accepted");
    }
    assert_eq!(origin.calls_total(), 0);
    assert_eq!(gw.stop().await.code(), Some(0));
}

#[tokio::test]
async fn stuck_request_does_not_hold_the_process_beyond_its_time() {
    let (origin, mut gw) = serve("server: {drain_timeout: 1s}", &[OPEN]).await;
    origin.on("/slow", Answer::json("1").hold());
    let slow = gw.get("/slow");
    let stuck = launch(1, |_| slow.clone().try_send());
    origin.wait_for_calls("/slow", 1).await;
    let stopping = Instant::now();
    let status = gw.stop().await;
    assert_eq!(status.code(), Some(0));
    let took = stopping.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    assert!(stuck.await.unwrap().remove(0).is_err());
}
