//! Is one gateway the same over HTTP/1.1 and HTTP/2, and whole whatever passes through it?

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Answer, Authority, Connection, Gateway, Https, Origin, Request, burst};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fixtures::{KEPT, OPEN, conf, gateway, kept, serve, time_passes, wait_for_metric};

/// The name in the gateway's certificate.
const NAME: &str = "farm.example";

/// A route of each kind.
const WRAPPED: &str = "{name: wrapped, path_prefix: /wrapped, pool: service, auth: {anonymous: true}, envelope: true}";
const STREAMED: &str = "{name: streamed, path_prefix: /streamed, pool: service, auth: {anonymous: true}, \
     body_bytes_max: 16MiB}";

/// How much more memory than before a body of [`HUGE_BYTES`] may take.
const EXTRA_KIB_MAX: u64 = 20 * 1024;

/// A body that no buffer of the gateway may hold.
const HUGE_BYTES: usize = 60 << 20;

/// A gateway with a TLS listener beside the plain one, and an authority that its clients trust.
async fn tls(sections: &str, routes: &[&str]) -> (Origin, Gateway, Authority) {
    let (origin, authority) = (Origin::start().await, Authority::new());
    origin.otherwise(Answer::json(r#"{"a":1}"#));
    let listeners = "listeners: [{address: '{listen}'}, {address: '{tls_listen}', \
                     tls: {certificate_file: '{dir}/tls/farm.crt', key_file: '{dir}/tls/farm.key'}}]";
    let conf = conf(sections, routes).replace("listeners: [{address: '{listen}'}]", listeners);
    let launcher = gateway().with(conf).pool("service", origin.address());
    let gw = launcher.certificate("farm", &authority.issue([NAME])).start().await;
    (origin, gw, authority)
}

fn http2(gw: &Gateway, authority: &Authority) -> Https {
    Https::http2(gw.tls_address(), NAME, authority)
}

/// The most memory that the gateway ever held, in KiB.
async fn peak_kib(gw: &Gateway) -> u64 {
    let id = gw.process().id().expect("a running gateway");
    let status = tokio::fs::read_to_string(format!("/proc/{id}/status")).await.expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Reads from a raw connection until what was read ends so.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let work = async {
        while !read.ends_with(end.as_bytes()) {
            let byte = stream.read_u8().await.expect("more bytes");
            read.push(byte);
        }
    };
    timeout(harness::PATIENCE, work).await.expect("an end in time");
    String::from_utf8(read).expect("text")
}

/// A service that asks for the body of each request, as HTTP/1.1 wants it when it is expected.
async fn asking_service() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_until(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
            assert!(head.contains("expect: 100-continue"), "{head}");
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("a client");
            read_until(&mut stream, "seed").await;
            let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(answer).await.expect("a client");
        }
    });
    address
}

/// A client that asks before it sends its body, on this path.
async fn check_expectation(address: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: farm\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a head that is taken");
    let interim = read_until(&mut stream, "\r\n\r\n").await;
    assert!(interim.starts_with("HTTP/1.1 100 "), "{path}: {interim}");
    stream.write_all(b"seed").await.expect("a body that is taken");
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
}

#[tokio::test]
async fn clients_of_both_protocols_share_one_answer() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h"), &[KEPT]).await;
    let over_http2 = http2(&gw, &authority);
    let over_http1 = Https::http1(gw.tls_address(), NAME, &authority);
    let miss = over_http2.send(Request::get("/x?a=1")).await.expect_status(200);
    assert_eq!(miss.version, http::Version::HTTP_2);
    let hit = over_http1.send(Request::get("/x?a=1")).await.expect_status(200);
    assert_eq!((&hit.body, hit.version), (&miss.body, http::Version::HTTP_11));
    assert_eq!(hit.header("etag"), miss.header("etag"));
    assert_eq!(origin.calls("/x"), 1);
    over_http1.send(Request::get("/y")).await.expect_status(200);
    let hit = over_http2.send(Request::get("/y")).await.expect_status(200);
    assert!(hit.header("cache-status").is_some_and(|status| status.starts_with("farmgate; hit")));
    assert_eq!(origin.calls("/y"), 1);
}

#[tokio::test]
async fn answer_to_plain_http_is_not_given_over_tls() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h, share: everyone"), &[KEPT]).await;
    origin.rule("/x", |request, _| {
        Answer::json(format!("{:?}", request.header("x-forwarded-proto").expect("a scheme")))
    });
    let over_tls = http2(&gw, &authority);
    for _ in 0..2 {
        gw.get("/x").host(NAME).send().await.expect_body(r#""http""#);
        over_tls.send(Request::get("/x")).await.expect_body(r#""https""#);
    }
    assert_eq!(origin.calls("/x"), 2);
    let asked = origin.requests("/x");
    let told = asked.iter().filter_map(|request| request.header("x-forwarded-for")).count();
    assert_eq!(told, 0, "it is nobody's in particular");
}

#[tokio::test]
async fn stale_answer_is_refreshed_for_a_client_of_http2() {
    let policy = kept("fresh: 1s, stale_while_revalidate: 1h");
    let (origin, gw, authority) = tls(&policy, &[KEPT]).await;
    origin.script("/x", [Answer::json(r#""old""#), Answer::json(r#""new""#).hold()]);
    let client = http2(&gw, &authority);
    client.send(Request::get("/x")).await.expect_body(r#""old""#);
    time_passes(Duration::from_millis(1_100)).await;
    for reply in burst(50, |_| client.send(Request::get("/x"))).await {
        assert_eq!(reply.version, http::Version::HTTP_2);
        reply.expect_status(200).expect_body(r#""old""#);
    }
    origin.wait_for_calls("/x", 2).await;
    origin.release("/x");
    wait_for_metric(&gw, "farmgate_fills_total", &[("origin", "revalidation")], |n| n == 1.0).await;
    client.send(Request::get("/x")).await.expect_body(r#""new""#);
    let over_http1 = Https::http1(gw.tls_address(), NAME, &authority);
    over_http1.send(Request::get("/x")).await.expect_body(r#""new""#);
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn streams_of_one_connection_wait_for_one_fetch() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h"), &[KEPT]).await;
    origin.on("/x", Answer::json("1").delay(Duration::from_millis(200)));
    let client = http2(&gw, &authority);
    for reply in burst(50, |_| client.send(Request::get("/x"))).await {
        reply.expect_status(200).expect_body("1");
    }
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn conditions_ranges_and_heads_are_answered_over_http2() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h"), &[KEPT]).await;
    origin.on("/x", Answer::status(200).body("0123456789"));
    let client = http2(&gw, &authority);
    let whole = client.send(Request::get("/x")).await.expect_body("0123456789");
    let tag = whole.header("etag").expect("a tag").to_owned();
    let known = Request::get("/x").header("If-None-Match", &tag);
    client.send(known).await.expect_status(304).expect_body("");
    let range = Request::get("/x").header("Range", "bytes=2-4");
    client.send(range).await.expect_status(206).expect_body("234");
    let head = client.send(Request::new("HEAD", "/x")).await.expect_status(200).expect_body("");
    head.expect_header("content-length", "10");
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn answers_of_all_kinds_reach_clients_of_http2() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    let client = http2(&gw, &authority);
    let large = format!("\"{}\"", "x".repeat(5 << 20));
    for route in ["/kept", "/wrapped", "/streamed"] {
        for (n, answer) in [
            Answer::json(large.clone()),
            Answer::json(large.clone()).chunked(),
            Answer::json(large.clone()).until_close(),
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("{route}/large/{n}");
            origin.on(&path, answer);
            let reply = client.send(Request::get(&path)).await.expect_status(200);
            assert!(reply.body == large.as_bytes(), "{path}: {} bytes", reply.body.len());
        }
        origin.on(&format!("{route}/none"), Answer::status(204));
        let none = client.send(Request::get(&format!("{route}/none"))).await;
        none.expect_status(204).expect_body("");
        origin.on(&format!("{route}/chunked"), Answer::json("1").chunked());
        client.send(Request::get(&format!("{route}/chunked"))).await.expect_status(200);
        let post = Request::post(&format!("{route}/post")).body("seed");
        client.send(post).await.expect_status(200);
        assert_eq!(origin.requests(&format!("{route}/post"))[0].body, "seed");
    }
}

#[tokio::test]
async fn service_is_told_how_the_client_came() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    let client = http2(&gw, &authority);
    for path in ["/streamed", "/wrapped", "/kept"] {
        client.send(Request::get(path)).await.expect_status(200);
        let asked = origin.requests(path).remove(0);
        assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"), "{path}");
        // The key of a kept answer leaves the port out, so its fetch does too.
        let port = format!(":{}", gw.tls_address().port());
        let host = format!("{NAME}{}", if path == "/kept" { "" } else { &port });
        assert_eq!(asked.header("host"), Some(&*host), "{path}");
        assert_eq!(asked.header("x-forwarded-host"), Some(&*host), "{path}");
        assert_eq!(asked.header("x-forwarded-proto"), Some("https"), "{path}");
    }
}

#[tokio::test]
async fn large_answer_streams_in_bounded_memory() {
    let (origin, gw) = serve("", &[OPEN]).await;
    gw.get("/small").send().await.expect_status(200);
    let before = peak_kib(&gw).await;
    origin.on("/huge", Answer::status(200).body("x".repeat(HUGE_BYTES)));
    let reply = gw.get("/huge").send().await.expect_status(200);
    assert_eq!(reply.body.len(), HUGE_BYTES);
    let extra = peak_kib(&gw).await - before;
    assert!(extra < EXTRA_KIB_MAX, "{extra} KiB more");
}

#[tokio::test]
async fn answer_too_large_to_collect_passes_in_bounded_memory() {
    for (sections, route, path) in
        [(String::new(), WRAPPED, "/wrapped"), (kept("fresh: 1h"), KEPT, "/kept")]
    {
        let (origin, gw) = serve(&sections, &[route]).await;
        gw.get("/small").send().await;
        let before = peak_kib(&gw).await;
        origin.on(path, Answer::json("1".repeat(HUGE_BYTES)));
        let reply = gw.get(path).send().await.expect_status(200);
        assert_eq!(reply.body.len(), HUGE_BYTES);
        let extra = peak_kib(&gw).await - before;
        assert!(extra < EXTRA_KIB_MAX, "{path}: {extra} KiB more");
    }
}

#[tokio::test]
async fn slow_reader_of_a_large_answer_holds_it_back_at_the_upstream() {
    let (origin, gw) = serve("", &[OPEN, WRAPPED]).await;
    origin.otherwise(Answer::json("1".repeat(HUGE_BYTES)));
    let before = peak_kib(&gw).await;
    let mut idle = Vec::new();
    for path in ["/streamed", "/wrapped"] {
        let mut connection = gw.connect().await;
        connection.write_raw(format!("GET {path} HTTP/1.1\r\nHost: farm\r\n\r\n")).await;
        origin.wait_for_calls(path, 1).await;
        idle.push(connection);
    }
    time_passes(Duration::from_millis(500)).await;
    let extra = peak_kib(&gw).await - before;
    assert!(extra < EXTRA_KIB_MAX, "{extra} KiB more");
    assert_eq!(origin.in_flight(), 2);
}

#[tokio::test]
async fn streamed_answer_arrives_while_the_upstream_still_writes() {
    let (origin, gw) = serve("", &[OPEN]).await;
    origin.on("/x", Answer::status(200).body("firstlast").chunked().stall_after(5));
    let mut stream = TcpStream::connect(gw.address()).await.expect("a connection");
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: farm\r\n\r\n").await.expect("a request");
    read_until(&mut stream, "\r\n5\r\nfirst\r\n").await;
    origin.release("/x");
    read_until(&mut stream, "\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn chunked_upload_reaches_the_service_whole() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    let chunk = "seed".repeat(4_096);
    for path in ["/streamed", "/wrapped", "/kept"] {
        let mut connection = gw.connect().await;
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: farm\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection.write_raw(head).await;
        for _ in 0..20 {
            connection.write_raw(format!("{:x}\r\n{chunk}\r\n", chunk.len())).await;
        }
        connection.write_raw("0\r\n\r\n").await;
        connection.read_reply().await.expect_status(200);
        assert!(origin.requests(path)[0].body == chunk.repeat(20), "{path}");
        connection.send(Request::get(path)).await.expect_status(200);
    }
}

#[tokio::test]
async fn large_upload_streams_in_bounded_memory() {
    let route = "{name: open, path_prefix: /, pool: service, auth: {anonymous: true}, \
                 body_bytes_max: 128MiB}";
    let (origin, gw) = serve("", &[route]).await;
    let before = peak_kib(&gw).await;
    gw.post("/x").body("x".repeat(HUGE_BYTES)).send().await.expect_status(200);
    assert_eq!(origin.requests("/x")[0].body.len(), HUGE_BYTES);
    let extra = peak_kib(&gw).await - before;
    assert!(extra < EXTRA_KIB_MAX, "{extra} KiB more");
}

#[tokio::test]
async fn client_that_asks_before_it_sends_is_told_to_go_on_by_the_gateway() {
    let (_origin, gw) = serve(&kept("fresh: 1h"), &[KEPT, WRAPPED]).await;
    for path in ["/wrapped", "/kept"] {
        check_expectation(gw.address(), path).await;
    }
}

#[tokio::test]
async fn client_that_asks_before_it_sends_is_told_to_go_on_by_the_service() {
    let gw = gateway().with(conf("", &[STREAMED])).pool("service", asking_service().await);
    let gw = gw.start().await;
    check_expectation(gw.address(), "/streamed").await;
}

#[tokio::test]
async fn body_of_a_get_is_not_taken_for_the_next_request() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    origin.on("/kept/next", Answer::json("2"));
    for path in ["/kept", "/kept", "/wrapped", "/streamed"] {
        let mut connection = gw.connect().await;
        let smuggled = "GET /kept/smuggled HTTP/1.1\r\nHost: farm\r\n\r\n";
        let request = Request::get(path).host("farm").header("Content-Length", "43");
        assert_eq!(smuggled.len(), 43);
        connection.send(request.body(smuggled)).await.expect_status(200);
        // The connection may be closed; what it may not do is answer the body.
        if let Ok(next) = connection.try_send(Request::get("/kept/next").host("farm")).await {
            next.expect_status(200).expect_body("2");
        }
    }
    assert_eq!(origin.calls("/kept/smuggled"), 0);
}

#[tokio::test]
async fn streamed_answer_that_breaks_off_is_not_passed_off_as_whole() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let body = Answer::status(200).body("x".repeat(10_000));
    for answer in [body.clone().truncate(5_000), body.clone().chunked().truncate(5_000)] {
        origin.on("/x", answer);
        gw.get("/x").try_send().await.expect_err("an answer that is not whole");
    }
    origin.on("/x", body.reset_after(0));
    gw.get("/x").try_send().await.expect_err("an answer that is not whole");
    // Before its head nothing is lost yet: the gateway can say what happened.
    origin.on("/x", Answer::reset());
    gw.get("/x").send().await.expect_json("/errors/code", "upstream_broken");
}

#[tokio::test]
async fn connection_serves_on_after_each_kind_of_streamed_answer() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let answers = [
        Answer::json("1"),
        Answer::json("1").chunked(),
        Answer::json("1").until_close(),
        Answer::status(200),
        Answer::status(204),
        Answer::status(304).header("ETag", "\"v1\""),
        Answer::status(302).header("Location", "/elsewhere"),
        Answer::status(404).body("no"),
        Answer::status(500).body("no"),
        Answer::status(200).body("x".repeat(1 << 20)),
    ];
    let mut connection = Connection::open(gw.address()).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let target = format!("/{n}");
        origin.on(&target, answer);
        for method in ["GET", "HEAD", "POST", "GET"] {
            let reply = connection.send(Request::new(method, &target)).await;
            assert_ne!(reply.header("connection"), Some("close"), "{}", reply.request);
        }
    }
}

#[tokio::test]
async fn connection_serves_on_after_a_streamed_request_that_failed() {
    let (origin, gw) = serve("", &[OPEN]).await;
    origin.on("/reset", Answer::reset());
    origin.on("/nonsense", Answer::raw("nonsense\r\n\r\n"));
    for target in ["/reset", "/nonsense"] {
        let mut connection = gw.connect().await;
        for method in ["GET", "HEAD", "POST"] {
            connection.send(Request::new(method, target)).await.expect_status(502);
        }
    }
}

#[tokio::test]
async fn connection_is_closed_for_who_wants_it_closed() {
    let (_origin, gw) = serve(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    for path in ["/kept", "/kept", "/wrapped", "/streamed"] {
        let mut connection = gw.connect().await;
        let reply = connection.send(Request::get(path).header("Connection", "close")).await;
        reply.expect_status(200).expect_header("connection", "close");
        assert!(connection.read_until_close().await.is_empty());
    }
}

#[tokio::test]
async fn client_of_http_1_0_gets_no_chunks_and_is_let_go() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    origin.otherwise(Answer::json("1").chunked());
    for path in ["/kept", "/kept", "/wrapped", "/streamed"] {
        let mut connection = gw.connect().await;
        connection.write_raw(format!("GET {path} HTTP/1.0\r\nHost: farm\r\n\r\n")).await;
        let reply = connection.read_until_close().await;
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.starts_with("HTTP/1.1 200 "), "{path}: {reply}");
        assert!(!reply.to_ascii_lowercase().contains("transfer-encoding"), "{path}: {reply}");
    }
}

/// An answer after two interim ones.
fn hinted() -> Answer {
    Answer::raw(
        "HTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n7",
    )
}

/// Everything that is read up to the end of the connection, of one request of this version.
async fn raw(gw: &Gateway, path: &str, version: &str) -> String {
    let mut stream = TcpStream::connect(gw.address()).await.expect("a connection");
    let head = format!("GET {path} HTTP/{version}\r\nHost: farm\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a head that is taken");
    let mut read = Vec::new();
    let work = stream.read_to_end(&mut read);
    timeout(harness::PATIENCE, work).await.expect("an end in time").expect("a whole answer");
    String::from_utf8(read).expect("text")
}

#[tokio::test]
async fn interim_answers_reach_who_causes_a_fetch_and_are_not_kept() {
    let routes = [KEPT, WRAPPED, STREAMED];
    let (origin, gw) = serve(&kept("fresh: 1h"), &routes).await;
    for path in ["/kept", "/wrapped", "/streamed"] {
        origin.on(path, hinted());
        let told = raw(&gw, path, "1.1").await;
        let (_, after) =
            told.split_once("HTTP/1.1 103 ").unwrap_or_else(|| panic!("{path}: {told}"));
        let (hint, last) = after.split_once("\r\n\r\n").expect("a head");
        assert!(hint.to_ascii_lowercase().contains("link: </style.css>"), "{path}: {told}");
        assert!(last.starts_with("HTTP/1.1 200 "), "{path}: {told}");
        let hint = hint.to_ascii_lowercase();
        assert!(!hint.contains("x-hop") && !hint.contains("x-request-id"), "{path}: {told}");
        // HTTP/1.0 knows no such thing.
        let told = raw(&gw, path, "1.0").await;
        assert!(!told.contains(" 103 ") && told.contains(" 200 "), "{path}: {told}");
    }
    let hit = raw(&gw, "/kept", "1.1").await;
    assert!(!hit.contains(" 103 ") && hit.contains("hit; ttl="), "{hit}");
    assert_eq!(origin.calls("/kept"), 1);
}

#[tokio::test]
async fn interim_answers_break_nothing_for_clients_of_http2() {
    let (origin, gw, authority) = tls(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    let client = http2(&gw, &authority);
    for path in ["/kept", "/wrapped", "/streamed"] {
        origin.on(path, hinted());
        let reply = client.send(Request::get(path)).await.expect_status(200);
        assert!(reply.text().contains('7'), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn client_that_was_given_a_hint_gets_a_final_answer_though_the_upstream_breaks() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT, WRAPPED, STREAMED]).await;
    for path in ["/kept", "/wrapped", "/streamed"] {
        origin.on(path, Answer::raw(hint));
        let told = raw(&gw, path, "1.1").await;
        assert!(told.contains("HTTP/1.1 50"), "{path}: {told}");
    }
}
