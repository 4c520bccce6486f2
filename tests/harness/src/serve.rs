//! How the scripted origin serves a connection: read a request, perform its answer, again.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Recorded;
use crate::answer::Ending;
use crate::origin::{Board, Turn};
use crate::wire::{Framing, Wire};

/// Accepts connections until the task is aborted, which ends the connections too.
pub(crate) async fn accept(listener: TcpListener, board: Arc<Board>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    board.connect();
                    connections.spawn(serve(stream, Arc::clone(&board)));
                }
                Err(error) => board.note_fault(format!("accept: {error}")),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, board: Arc<Board>) {
    if let Err(error) = converse(stream, &board).await
        && error.kind() == io::ErrorKind::InvalidData
    {
        board.note_fault(error.to_string());
    }
}

async fn converse(stream: TcpStream, board: &Arc<Board>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    while let Some(request) = read(&mut wire).await? {
        let last = request.headers.holds_token("connection", "close");
        let turn = board.arrive(request);
        if !perform(&mut wire, turn).await? || last {
            break;
        }
    }
    wire.stream.shutdown().await
}

async fn read(wire: &mut Wire<TcpStream>) -> io::Result<Option<Recorded>> {
    let Some(head) = wire.head().await? else {
        return Ok(None);
    };
    let framing = head.framing(Framing::Empty)?;
    let mut parts = head.start.split(' ');
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
        let message = format!("no request line: {:?}", head.start);
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let body = wire.body(framing).await?;
    Ok(Some(Recorded { method, target, headers: head.headers, body }))
}

/// Sends the answer; `true` when the connection may serve another request.
async fn perform(wire: &mut Wire<TcpStream>, mut turn: Turn) -> io::Result<bool> {
    if !turn.answer.delay.is_zero() || turn.answer.held {
        tokio::select! {
            () = wait(&mut turn) => {}
            () = wire.gone() => return Ok(false),
        }
    }
    let ending = turn.answer.ending;
    if ending == Ending::ResetUnanswered {
        wire.stream.set_zero_linger()?;
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let (first, rest) = turn.answer.encode(&turn.method);
    wire.stream.write_all(&first).await?;
    match ending {
        Ending::ResetAfter(_) => {
            wire.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ending::StalledAfter(_) => {
            tokio::select! {
                () = released(&mut turn.gate) => {}
                () = wire.gone() => return Ok(false),
            }
            wire.stream.write_all(&rest).await?;
        }
        Ending::Whole | Ending::TruncatedAfter(_) | Ending::ResetUnanswered => {}
    }
    Ok(!turn.answer.closes())
}

/// Lets the time pass that the answer takes, then holds it if it is to be held.
async fn wait(turn: &mut Turn) {
    tokio::time::sleep(turn.answer.delay).await;
    if turn.answer.held {
        released(&mut turn.gate).await;
    }
}

/// Returns at the next release of the path; one before the request arrived does not count.
async fn released(gate: &mut watch::Receiver<()>) {
    if gate.changed().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Answer, Connection, Origin, Reply, Request};

    async fn get(origin: &Origin, target: &str) -> io::Result<Reply> {
        Request::to(origin.address(), "GET", target).try_send().await
    }

    #[tokio::test]
    async fn script_is_followed_and_its_last_answer_repeats() {
        let origin = Origin::start().await;
        origin.script("/x", [Answer::status(500).times(2), Answer::status(503), Answer::json("1")]);
        let mut statuses = Vec::new();
        for n in 0..6 {
            statuses.push(get(&origin, &format!("/x?n={n}")).await.unwrap().status);
        }
        assert_eq!(statuses, [500, 500, 503, 200, 200, 200]);
        assert_eq!(origin.calls("/x"), 6);
        origin.json("/x", "2");
        get(&origin, "/x").await.unwrap().expect_body("2");
    }

    #[tokio::test]
    async fn request_is_recorded_as_it_was_sent() {
        let origin = Origin::start().await;
        let request = Request::to(origin.address(), "POST", "/x?b=2&a=1")
            .host("a.example")
            .header("X-One", "1")
            .header("x-one", "2")
            .body("farm");
        request.send().await.expect_status(404).expect_body("the origin has no answer for /x");
        let recorded = origin.requests("/x").remove(0);
        assert_eq!((&*recorded.method, recorded.query()), ("POST", "b=2&a=1"));
        assert_eq!(recorded.headers.all("x-one"), ["1", "2"]);
        assert_eq!(recorded.header("Content-Length"), Some("4"));
        assert_eq!(recorded.body, "farm");
        assert!(origin.requests("/y").is_empty());
    }

    #[tokio::test]
    async fn rule_sees_the_request_and_its_number() {
        let origin = Origin::start().await;
        origin.rule("/x", |request, call| {
            Answer::status(200).body(format!("{call} {}", request.header("host").unwrap()))
        });
        origin.otherwise(Answer::status(418));
        for call in 1..3 {
            let reply = Request::to(origin.address(), "GET", "/x").host("a").send().await;
            reply.expect_body(format!("{call} a"));
        }
        get(&origin, "/y").await.unwrap().expect_status(418);
    }

    #[tokio::test]
    async fn delayed_answer_comes_no_sooner() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::json("{}").delay(Duration::from_millis(30)));
        let reply = get(&origin, "/x").await.unwrap();
        assert!(reply.elapsed >= Duration::from_millis(30), "{:?}", reply.elapsed);
    }

    #[tokio::test]
    async fn held_answer_waits_for_its_release() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::json("{}").hold());
        let address = origin.address();
        let first = tokio::spawn(Request::to(address, "GET", "/x").send());
        origin.wait_for_calls("/x", 1).await;
        assert_eq!(origin.in_flight(), 1);
        origin.release("/x");
        first.await.unwrap().expect_status(200);
        // The release was for the first call alone.
        let second = tokio::spawn(Request::to(address, "GET", "/x").send());
        origin.wait_for_calls("/x", 2).await;
        origin.wait_for_in_flight(1).await;
        assert!(!second.is_finished());
        origin.release("/x");
        second.await.unwrap().expect_status(200);
        origin.wait_until_idle().await;
    }

    #[tokio::test]
    async fn client_that_leaves_frees_its_held_answer() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::json("{}").hold());
        let mut connection = Connection::open(origin.address()).await;
        connection.write_raw("GET /x HTTP/1.1\r\n\r\n").await;
        origin.wait_for_in_flight(1).await;
        drop(connection);
        origin.wait_until_idle().await;
    }

    #[tokio::test]
    async fn stalled_body_goes_on_after_the_release() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::status(200).body("farmgate").chunked().stall_after(4));
        let reply = tokio::spawn(Request::to(origin.address(), "GET", "/x").send());
        origin.wait_for_in_flight(1).await;
        origin.release("/x");
        reply.await.unwrap().expect_body("farmgate");
    }

    #[tokio::test]
    async fn reset_comes_before_or_inside_the_answer() {
        let origin = Origin::start().await;
        origin.on("/before", Answer::reset());
        origin.on("/inside", Answer::status(200).body("farmgate").reset_after(4));
        for path in ["/before", "/inside"] {
            let error = get(&origin, path).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{path}");
        }
        let mut connection = Connection::open(origin.address()).await;
        connection.write_raw("GET /before HTTP/1.1\r\n\r\n").await;
        assert_eq!(connection.read_until_close().await, "");
    }

    #[tokio::test]
    async fn truncated_answer_is_closed_early_but_cleanly() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::status(200).body("farmgate").truncate(4));
        let error = get(&origin, "/x").await.unwrap_err();
        assert_eq!(error.to_string(), "body cut after 4 of 8 bytes");
        origin.on("/x", Answer::status(200).body("farmgate").chunked().truncate(4));
        let error = get(&origin, "/x").await.unwrap_err();
        assert_eq!(error.to_string(), "closed inside a chunked body");
    }

    #[tokio::test]
    async fn stopped_origin_refuses_and_can_come_back() {
        let origin = Origin::start().await;
        origin.json("/x", "{}");
        let address = origin.address();
        let mut kept = Connection::open(address).await;
        kept.send(Request::get("/x")).await.expect_status(200);
        origin.stop().await;
        kept.read_until_close().await;
        assert!(Connection::try_open(address).await.is_err());
        let origin = Origin::start_at(address).await;
        get(&origin, "/x").await.unwrap().expect_status(404);
    }
}
