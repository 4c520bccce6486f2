//! Are keys fetched when they should be, and only then? Against a real server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures::future::join;
use harness::{Answer, Authority, Leaf, Origin};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::watch;

use super::fixture::{TIME, jwks, now, seconds_later};
use super::*;
use crate::auth::{KEY_SET_BYTES_MAX, KeySet};

const PATH: &str = "/jwks";

/// Far above what a fetch takes, so that no test ends by it that does not mean to.
const TIMEOUT: Duration = Duration::from_secs(20);

fn remote(origin: &Origin) -> RemoteKeySet {
    let url = format!("http://{}{PATH}", origin.address());
    RemoteKeySet { timeout: TIMEOUT, ..RemoteKeySet::at(url) }
}

/// A server, the sets, and the place of the one set that the server publishes.
async fn published(
    answers: impl IntoIterator<Item = Answer>,
) -> (Origin, KeySets, Arc<LiveKeySet>) {
    let origin = Origin::start().await;
    origin.script(PATH, answers);
    let sets = KeySets::new();
    let live = sets.key_set(&remote(&origin)).unwrap();
    (origin, sets, live)
}

fn kids(live: &LiveKeySet) -> Vec<String> {
    let Some(set) = live.current() else { return Vec::new() };
    let kids = |set: &KeySet| set.keys().iter().map(|key| key.kid().unwrap().to_owned()).collect();
    kids(&set)
}

#[tokio::test]
async fn keys_are_fetched_and_replaced_whole() {
    let answers = [Answer::json(jwks(&["a"])), Answer::json(jwks(&["b", "c"]))];
    let (origin, sets, live) = published(answers).await;
    assert_eq!((sets.status()[0].fetched_at, kids(&live).len()), (None, 0));
    sets.refetch(&live, now()).await;
    assert_eq!(kids(&live), ["a"]);
    sets.refetch(&live, seconds_later(30)).await;
    assert_eq!(kids(&live), ["b", "c"]);

    let status = sets.status().remove(0);
    let fetched_at = UNIX_EPOCH + Duration::from_secs(TIME + 30);
    assert_eq!((status.keys, status.fetched_at), (2, Some(fetched_at)));
    assert_eq!((sets.fetched(), sets.failed()), (2, 0));
    let request = origin.requests(PATH).remove(0);
    assert_eq!(request.header("user-agent"), Some("farmgate"));
    assert_eq!(request.header("accept"), Some("application/jwk-set+json, application/json"));
}

#[tokio::test]
async fn the_cooldown_holds_and_ends() {
    let (origin, sets, live) = published([Answer::json(jwks(&["a"]))]).await;
    let start = now();
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    for (seconds, calls) in [(0, 1), (0, 1), (29, 1), (30, 2), (59, 2), (60, 3)] {
        sets.refetch(&live, at(seconds)).await;
        assert_eq!(origin.calls(PATH), calls, "after {seconds} s");
    }
}

#[tokio::test]
async fn who_leaves_does_not_end_the_fetch_for_the_others() {
    let (origin, sets, live) = published([Answer::json(jwks(&["a"])).hold()]).await;
    tokio::select! {
        () = sets.refetch(&live, now()) => panic!("the answer was held"),
        () = origin.wait_for_calls(PATH, 1) => {}
    }
    let other = join(sets.refetch(&live, now()), async { origin.release(PATH) });
    other.await;
    assert_eq!((kids(&live), origin.calls(PATH)), (vec!["a".to_owned()], 1));
}

#[tokio::test]
async fn old_keys_serve_on_when_a_fetch_fails() {
    let long = format!("{}{}", jwks(&["b"]), " ".repeat(KEY_SET_BYTES_MAX));
    let broken = [
        Answer::status(500).body(jwks(&["b"])),
        Answer::status(404),
        Answer::status(204),
        Answer::status(206).body(jwks(&["b"])),
        Answer::reset(),
        Answer::json(jwks(&["b"])).truncate(20),
        Answer::json("<html>sign in</html>"),
        Answer::json(r#"{"keys":[]}"#),
        Answer::json(r#"{"keys":[{"kty":"oct","kid":"b","k":"c2VjcmV0"}]}"#),
        Answer::json(long.clone()),
        Answer::json(long).chunked(),
        Answer::raw("no HTTP at all\r\n\r\n"),
        Answer::raw(""),
    ];
    let failures = broken.len() as u64;
    let answers = [vec![Answer::json(jwks(&["a"]))], broken.to_vec()].concat();
    let (origin, sets, live) = published(answers).await;
    let start = now();
    for round in 0..=failures {
        sets.refetch(&live, start.plus(Duration::from_secs(30 * round))).await;
        assert_eq!(kids(&live), ["a"], "round {round}");
        assert_eq!((sets.fetched(), sets.failed()), (1, round));
    }
    origin.json(PATH, jwks(&["b"]));
    sets.refetch(&live, start.plus(Duration::from_secs(3_600))).await;
    assert_eq!(kids(&live), ["b"], "it recovers");
    let fetched_at = sets.status()[0].fetched_at;
    assert_eq!(fetched_at, Some(UNIX_EPOCH + Duration::from_secs(TIME + 3_600)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let moved = Answer::status(status).header("Location", "/elsewhere");
        let (origin, sets, live) = published([moved]).await;
        origin.json("/elsewhere", jwks(&["a"]));
        sets.refetch(&live, now()).await;
        let calls = (origin.calls(PATH), origin.calls("/elsewhere"));
        assert_eq!((calls, live.current().is_none()), ((1, 0), true), "{status}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_the_timeout() {
    let origin = Origin::start().await;
    origin.on(PATH, Answer::json(jwks(&["a"])).hold());
    let sets = KeySets::new();
    let brief = RemoteKeySet { timeout: Duration::from_millis(100), ..remote(&origin) };
    let live = sets.key_set(&brief).unwrap();
    sets.refetch(&live, now()).await;
    assert!(live.current().is_none());
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_left_out_and_shown() {
    let mut document: serde_json::Value = serde_json::from_str(&jwks(&["a", "b"])).unwrap();
    document["keys"][1]["use"] = "enc".into();
    let (_origin, sets, live) = published([Answer::json(document.to_string())]).await;
    sets.refetch(&live, now()).await;
    let status = sets.status().remove(0);
    assert_eq!((status.keys, status.skipped, kids(&live)), (1, 1, vec!["a".to_owned()]));
}

#[tokio::test]
async fn the_background_fetches_at_once_and_again() {
    let origin = Origin::start().await;
    origin.json(PATH, jwks(&["a"]));
    let sets = Arc::new(KeySets::new());
    let brisk = RemoteKeySet { refresh: Duration::from_millis(10), ..remote(&origin) };
    // Not by `key_set`, whose bounds keep operators from this.
    let live = sets.enter(&brisk).unwrap();
    let (shutdown, stopping) = watch::channel(false);
    let running = {
        let sets = Arc::clone(&sets);
        tokio::spawn(async move { sets.run(stopping).await })
    };
    origin.wait_for_calls(PATH, 3).await;
    assert_eq!(kids(&live), ["a"]);

    // A set that comes while it runs, as after a reload, is fetched as well.
    origin.json("/later", jwks(&["b"]));
    let url = format!("http://{}/later", origin.address());
    let later = sets.key_set(&RemoteKeySet { url, ..remote(&origin) }).unwrap();
    origin.wait_for_calls("/later", 1).await;
    shutdown.send_replace(true);
    running.await.unwrap();
    assert!(!Arc::ptr_eq(&live, &later));
}

#[tokio::test]
async fn a_reload_finds_the_keys_and_drops_what_nobody_names() {
    let (origin, sets, live) = published([Answer::json(jwks(&["a"]))]).await;
    sets.refetch(&live, now()).await;
    let again = sets.key_set(&remote(&origin)).unwrap();
    assert!(Arc::ptr_eq(&live, &again), "the same set");
    let other = RemoteKeySet { cooldown: Duration::from_secs(5), ..remote(&origin) };
    let changed = sets.key_set(&other).unwrap();
    assert!(!Arc::ptr_eq(&live, &changed), "another cooldown makes another set");
    assert_eq!(sets.status().len(), 2);
    drop((live, again));
    let wait = sets.refresh(now());
    assert_eq!((sets.status().len(), wait), (1, LOOK_EVERY), "one was dropped");
}

#[test]
fn the_number_of_sets_is_bounded() {
    let sets = KeySets::new();
    let set = |index: usize| sets.key_set(&RemoteKeySet::at(format!("http://127.0.0.1:1/{index}")));
    let held: Vec<_> = (0..KEY_SETS_MAX).map(|index| set(index).unwrap()).collect();
    let refused = set(KEY_SETS_MAX).unwrap_err();
    assert_eq!(refused, RemoteFault::TooMany { count_max: KEY_SETS_MAX });
    drop(held);
    assert!(set(KEY_SETS_MAX).is_ok(), "those of an old configuration make room");
}

#[test]
fn sets_that_could_never_be_fetched_are_refused() {
    let sets = KeySets::new();
    let plain = RemoteKeySet::at("http://id.example/jwks");
    assert_eq!(sets.key_set(&plain).unwrap_err(), RemoteFault::Plain);
    let trusting = |pem: &str| {
        let authorities_pem = Some(Arc::from(pem.as_bytes()));
        let set = RemoteKeySet { authorities_pem, ..RemoteKeySet::at("https://localhost/jwks") };
        sets.key_set(&set).unwrap_err()
    };
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"] {
        assert_eq!(trusting(pem), RemoteFault::Authorities, "{pem}");
    }
    let hollow = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
    assert!(matches!(trusting(hollow), RemoteFault::Client(_)));
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let leaf = authority.issue(["localhost"]);
    let named: Arc<[u8]> = Arc::from(authority.pem().as_bytes());
    let other: Arc<[u8]> = Arc::from(Authority::new().pem().as_bytes());
    for (authorities_pem, expected) in [(named, vec!["a".to_owned()]), (other, Vec::new())] {
        let port = serve_one_connection(&leaf, jwks(&["a"]));
        let url = format!("https://localhost:{port}/jwks");
        let authorities_pem = Some(authorities_pem);
        let set = RemoteKeySet { authorities_pem, timeout: TIMEOUT, ..RemoteKeySet::at(url) };
        let sets = KeySets::new();
        let live = sets.key_set(&set).unwrap();
        sets.refetch(&live, now()).await;
        assert_eq!(kids(&live), expected);
    }
}

/// Answers one request over TLS, on a thread. A client that does not trust it just leaves.
fn serve_one_connection(leaf: &Leaf, body: String) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind(("localhost", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, tcp);
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"\r\n\r\n") {
            if stream.read_exact(&mut byte).is_err() {
                return;
            }
            seen.push(byte[0]);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    port
}
