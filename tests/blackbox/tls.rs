//! What a TLS listener needs, and what it offers.

use harness::{Answer, Authority, Finished, Gateway, Https, Leaf, Origin, Request};
use http::Version;

use crate::fixtures::{OPEN, conf_with_tls, gateway};

async fn edge(authority: &Authority) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    let gw = gateway()
        .with(conf_with_tls("", &[OPEN]))
        .certificate("edge", &authority.issue(["edge.example", "other.example"]))
        .pool("service", origin.address());
    (origin, gw.start().await)
}

/// What `farmgate check` says to these files; `None` leaves one out.
async fn check(certificate: Option<&str>, key: Option<&str>) -> Finished {
    let mut launcher = gateway().with(conf_with_tls("", &[OPEN]));
    for (name, contents) in [("tls/edge.crt", certificate), ("tls/edge.key", key)] {
        if let Some(contents) = contents {
            launcher = launcher.file(name, contents);
        }
    }
    launcher.pool("service", "peers: [{address: 127.0.0.1:9}]").finish("check").await
}

/// The one fault stands where the listener's files are named, and says this.
#[track_caller]
fn expect_fault(finished: Finished, words: &str) {
    let finished = finished.expect_code(78);
    let fault = &finished.stderr[0];
    let position = "conf/gateway.yaml:1:";
    assert!(fault.contains(position) && fault.contains("listeners[0].tls"), "{fault}");
    assert!(fault.contains(words), "{fault}");
    assert_eq!(finished.stderr.len(), 2, "{:#?}", finished.stderr);
}

#[tokio::test]
async fn client_gets_the_best_protocol_that_it_offers() {
    let authority = Authority::new();
    let (origin, gw) = edge(&authority).await;
    let address = gw.tls_address();
    let cases = [
        (Https::either(address, "edge.example", &authority), Version::HTTP_2),
        (Https::http2(address, "other.example", &authority), Version::HTTP_2),
        (Https::http1(address, "edge.example", &authority), Version::HTTP_11),
    ];
    for (client, version) in cases {
        for _ in 0..2 {
            let reply = client.send(Request::get("/x")).await.expect_status(200);
            assert_eq!(reply.version, version);
        }
    }
    assert_eq!(origin.calls("/x"), 6);
    // Behind TLS there is no plain HTTP, and behind the plain listener no TLS.
    let mut plain = harness::Connection::open(address).await;
    plain.write_raw("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = plain.read_until_close().await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    gw.get("/x").send().await.expect_status(200);
}

#[tokio::test]
async fn client_that_trusts_another_authority_is_not_deceived() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (origin, gw) = edge(&authority).await;
    let distrusting = Https::http2(gw.tls_address(), "edge.example", &other);
    distrusting.try_send(Request::get("/x")).await.expect_err("an authority that is not trusted");
    let misnamed = Https::http2(gw.tls_address(), "third.example", &authority);
    misnamed.try_send(Request::get("/x")).await.expect_err("a name that is not certified");
    assert_eq!(origin.calls_total(), 0);
}

#[tokio::test]
async fn many_streams_of_one_connection_are_answered() {
    let authority = Authority::new();
    let (origin, gw) = edge(&authority).await;
    let client = Https::http2(gw.tls_address(), "edge.example", &authority);
    for reply in harness::burst(100, |_| client.send(Request::get("/x"))).await {
        reply.expect_status(200).expect_body("1");
    }
    assert_eq!(origin.calls("/x"), 100);
}

#[tokio::test]
async fn body_without_a_length_passes_from_http2_to_the_service() {
    let authority = Authority::new();
    let (origin, gw) = edge(&authority).await;
    let client = Https::http2(gw.tls_address(), "edge.example", &authority);
    let body = "x".repeat(100_000);
    for _ in 0..3 {
        client.send(Request::post("/x").body(body.clone())).await.expect_status(200);
    }
    // The kept connection to the service was never out of step.
    let bodies: Vec<usize> = origin.requests("/x").iter().map(|r| r.body.len()).collect();
    assert_eq!((bodies, origin.connections()), (vec![100_000; 3], 1));
}

#[tokio::test]
async fn check_says_when_key_and_certificate_do_not_belong_together() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(["edge.example"]), authority.issue(["edge.example"]));
    let Leaf { certificate_pem, key_pem } = &one;
    check(Some(certificate_pem), Some(key_pem)).await.expect_code(0);
    expect_fault(check(Some(certificate_pem), Some(&other.key_pem)).await, "is not the key of");
}

#[tokio::test]
async fn check_says_which_file_cannot_be_used() {
    let Leaf { certificate_pem, key_pem } = &Authority::new().issue(["edge.example"]);
    expect_fault(check(None, Some(key_pem)).await, "tls/edge.crt cannot be read");
    expect_fault(check(Some(certificate_pem), None).await, "tls/edge.key cannot be read");
    expect_fault(check(Some("not a PEM"), Some(key_pem)).await, "holds no certificate");
    expect_fault(check(Some(key_pem), Some(key_pem)).await, "holds no certificate");
    expect_fault(check(Some(certificate_pem), Some(certificate_pem)).await, "tls/edge.key");
}
