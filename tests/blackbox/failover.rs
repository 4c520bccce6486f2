//! What happens when a peer is gone.

use std::time::{Duration, Instant};

use harness::{Answer, Authority, Directory, Gateway, Origin, Request, Reservation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::fixtures::{OPEN, conf, conf_with_tls, gateway};

/// A gateway whose pool has these peers (in flow style) and these further settings.
async fn pool_of(peers: &[String], more: &str) -> Gateway {
    let pool = format!("{more}\npeers: [{}]\n", peers.join(", "));
    gateway().with(conf("", &[OPEN])).pool("service", pool).start().await
}

fn peer(address: std::net::SocketAddr) -> String {
    format!("{{address: '{address}'}}")
}

async fn origin(body: &'static str) -> Origin {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json(body));
    origin
}

#[tokio::test]
async fn dead_peer_is_passed_over() {
    let (good, dead) = (origin("1").await, Reservation::new());
    let gw = pool_of(&[peer(dead.address()), peer(good.address())], "eject_for: 1h").await;
    for _ in 0..20 {
        gw.get("/x").send().await.expect_status(200);
    }
    assert_eq!(good.calls("/x"), 20);
    let attempts = async |result: &str| {
        let labels = [("pool", "service"), ("result", result)];
        gw.metric("farmgate_upstream_attempts_total", &labels).await
    };
    // It was tried once, then passed over.
    assert_eq!(attempts("unreachable").await, Some(1.0));
    assert_eq!(attempts("answered").await, Some(20.0));
    let up = async |address: String| {
        let labels = [("pool", "service"), ("peer", &*address)];
        gw.metric("farmgate_upstream_peer_up", &labels).await
    };
    assert_eq!(up(dead.address().to_string()).await, Some(0.0));
    assert_eq!(up(good.address().to_string()).await, Some(1.0));
    gw.wait_for_log(|line| line.contains("peer is unreachable")).await;
}

#[tokio::test]
async fn post_goes_to_another_peer_while_nothing_was_sent() {
    let (good, dead) = (origin("1").await, Reservation::new());
    let gw = pool_of(&[peer(dead.address()), peer(good.address())], "eject_for: 1ms").await;
    for _ in 0..6 {
        gw.post("/x").body("a body").send().await.expect_status(200);
    }
    let bodies: Vec<_> = good.requests("/x").into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, ["a body"; 6]);
}

#[tokio::test]
async fn post_that_was_sent_is_not_sent_again() {
    let (first, second) = (origin("1").await, origin("1").await);
    for each in [&first, &second] {
        each.on("/x", Answer::reset());
    }
    let gw = pool_of(&[peer(first.address()), peer(second.address())], "attempts_max: 4").await;
    gw.post("/x").body("pay 1").send().await.expect_status(502);
    assert_eq!(first.calls("/x") + second.calls("/x"), 1);
}

#[tokio::test]
async fn get_that_a_peer_dropped_is_answered_by_another() {
    let (bad, good) = (Origin::start().await, origin("1").await);
    bad.otherwise(Answer::reset());
    let gw = pool_of(&[peer(bad.address()), peer(good.address())], "attempts_max: 2").await;
    for _ in 0..4 {
        gw.get("/x").send().await.expect_status(200);
    }
    assert_eq!(good.calls("/x"), 4);
}

#[tokio::test]
async fn kept_connection_that_the_peer_closed_costs_no_answer() {
    let good = origin("1").await;
    let gw = pool_of(&[peer(good.address())], "").await;
    gw.get("/x").send().await.expect_status(200);
    let address = good.address();
    good.stop().await;
    let back = Origin::start_at(address).await;
    back.otherwise(Answer::json("2"));
    gw.get("/x").send().await.expect_status(200).expect_body("2");
}

#[tokio::test]
async fn pool_without_a_living_peer_answers_at_once() {
    let (one, two) = (Reservation::new(), Reservation::new());
    let gw = pool_of(&[peer(one.address()), peer(two.address())], "").await;
    for _ in 0..3 {
        let reply = gw.get("/x").send().await.expect_status(503);
        assert!(reply.elapsed < Duration::from_secs(3), "{:?}", reply.elapsed);
        reply.expect_json("/errors/code", "upstream_unavailable");
    }
}

#[tokio::test]
async fn no_more_peers_are_tried_than_allowed() {
    let (good, dead) = (origin("1").await, Reservation::new());
    let more = "attempts_max: 1\neject_for: 1ms";
    let gw = pool_of(&[peer(dead.address()), peer(good.address())], more).await;
    let mut refused = 0;
    for _ in 0..6 {
        refused += usize::from(gw.get("/x").send().await.status == 503);
    }
    // Every other turn is the dead peer's, and nobody else is tried then.
    assert_eq!((refused, good.calls("/x")), (3, 3));
}

#[tokio::test]
async fn ejected_peer_comes_back() {
    let (first, second) = (origin("1").await, origin("2").await);
    let gw = pool_of(&[peer(first.address()), peer(second.address())], "eject_for: 200ms").await;
    let address = second.address();
    second.stop().await;
    for _ in 0..4 {
        gw.get("/x").send().await.expect_status(200).expect_body("1");
    }
    let second = Origin::start_at(address).await;
    second.otherwise(Answer::json("2"));
    let waiting = Instant::now();
    while second.calls("/x") == 0 {
        gw.get("/x").send().await.expect_status(200);
        assert!(waiting.elapsed() < harness::PATIENCE, "the peer stays ejected");
    }
    gw.get("/x").send().await.expect_status(200);
    let labels = [("pool", "service"), ("peer", &*address.to_string())];
    assert_eq!(gw.metric("farmgate_upstream_peer_up", &labels).await, Some(1.0));
}

#[tokio::test]
async fn peers_take_turns_by_weight() {
    let (heavy, light) = (origin("1").await, origin("2").await);
    let peers = [
        format!("{{address: '{}', weight: 3}}", heavy.address()),
        format!("{{address: '{}'}}", light.address()),
    ];
    let gw = pool_of(&peers, "").await;
    let mut connection = gw.connect().await;
    for _ in 0..40 {
        connection.send(Request::get("/x")).await.expect_status(200);
    }
    assert_eq!((heavy.calls("/x"), light.calls("/x")), (30, 10));
}

#[tokio::test]
async fn peer_that_does_not_accept_is_given_up_in_time() {
    // A listener whose queue is full lets no handshake end.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue of the listener is never full");
    }
    let good = origin("1").await;
    let more = "connect_timeout: 300ms\neject_for: 1h";
    let gw = pool_of(&[peer(address), peer(good.address())], more).await;
    for _ in 0..2 {
        let reply = gw.get("/x").send().await.expect_status(200);
        assert!(reply.elapsed < Duration::from_secs(5), "{:?}", reply.elapsed);
    }
    assert_eq!(good.calls("/x"), 2);
}

#[tokio::test]
async fn idle_connection_to_a_peer_is_closed_after_its_time() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let pool = peer(listener.local_addr().unwrap());
    let closed = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await.unwrap();
        let idle = Instant::now();
        // The far end closes without another byte.
        assert_eq!(stream.read(&mut request).await.unwrap(), 0);
        idle.elapsed()
    });
    let gw = pool_of(&[pool], "idle_timeout: 1s").await;
    gw.get("/x").send().await.expect_status(200);
    let idle = tokio::time::timeout(harness::PATIENCE, closed).await.expect("it stays open");
    let idle = idle.unwrap();
    assert!(idle > Duration::from_millis(500) && idle < Duration::from_secs(15), "{idle:?}");
}

/// A second gateway is the TLS peer of the first.
#[tokio::test]
async fn peers_over_tls_must_carry_the_configured_name() {
    let (authority, behind) = (Authority::new(), origin("1").await);
    let peer_gateway = gateway()
        .with(conf_with_tls("", &[OPEN]))
        .certificate("edge", &authority.issue(["peer.internal"]))
        .pool("service", behind.address())
        .start()
        .await;
    let trusted = Directory::new();
    let roots = trusted.write("roots.pem", authority.pem());
    let edge = async |name: &str| {
        let peers = peer(peer_gateway.tls_address());
        let pool = format!("tls: {{server_name: {name}}}\npeers: [{peers}]");
        let launcher = gateway().env("SSL_CERT_FILE", roots.to_str().unwrap());
        launcher.with(conf("", &[OPEN])).pool("service", pool).start().await
    };
    edge("peer.internal").await.get("/x").send().await.expect_status(200);
    let stranger = edge("other.internal").await.get("/x").send().await.expect_status(503);
    stranger.expect_json("/errors/code", "upstream_unavailable");
    assert_eq!(behind.calls("/x"), 1);
}
