//! Is a signed request accepted once: by all gateways together, and across every restart?

use std::collections::HashMap;
use std::net::SocketAddr;

use harness::{Connection, Gateway, RedisServer, Reply, Request, launch};

use super::{Once, launcher, origin, over, two};
use crate::fixtures::wait_for_metric;

const KILLS: usize = 5;
const CLIENTS: usize = 12;
/// How many requests are answered, at least, before each kill.
const CALLS_BEFORE_A_KILL: usize = 60;

/// The short form has the short time limit, which a busy machine may miss: then the answer is 503.
async fn spent_sooner_or_later(gw: &Gateway) -> Once {
    loop {
        // A claim without an answer may have been made all the same: another signature each time.
        let once = Once::new();
        let reply = once.to(gw).send().await;
        if reply.status != 503 {
            reply.expect_status(200);
            return once;
        }
        wait_for_metric(gw, super::UP, &[], |up| up == 1.0).await;
    }
}

async fn answer_sooner_or_later(gw: &Gateway, once: &Once) -> Reply {
    loop {
        let reply = once.to(gw).send().await;
        if reply.status != 503 {
            return reply;
        }
        wait_for_metric(gw, super::UP, &[], |up| up == 1.0).await;
    }
}

#[tokio::test]
async fn gateways_of_one_redis_refuse_each_others_nonces() {
    let (server, origin) = (RedisServer::start().await, origin().await);
    let [one, other] = two(&origin, &over(&server, &[])).await;
    for (here, there) in [(&one, &other), (&other, &one)] {
        let once = Once::spent(here).await;
        once.is_refused_by(there).await;
        once.is_refused_by(here).await;
    }
    assert_eq!(origin.calls("/signed"), 2);
}

#[tokio::test]
async fn short_form_of_a_redis_is_the_same_redis() {
    let (server, origin) = (RedisServer::start().await, origin().await);
    // By its variable, as most operators write it, and as it stands.
    let short = launcher(&origin, "env:REDIS_URL").env("REDIS_URL", &server.url());
    let plain = launcher(&origin, &server.url());
    let long = launcher(&origin, &over(&server, &[]));
    let (short, plain, long) = tokio::join!(short.start(), plain.start(), long.start());
    let once = spent_sooner_or_later(&short).await;
    once.is_refused_by(&long).await;
    let replayed = answer_sooner_or_later(&plain, &once).await;
    replayed.expect_status(403).expect_json("/errors/reason", "replay");
    // Found by its default prefix.
    assert!(server.ask("KEYS farmgate:nonce:nextcloud:*").await.contains(":nonce:"));
}

#[tokio::test]
async fn prefix_keeps_two_fleets_apart() {
    let (server, origin) = (RedisServer::start().await, origin().await);
    let state = over(&server, &["prefix: 'north:'"]);
    let (north, south) = (launcher(&origin, &state), launcher(&origin, &over(&server, &[])));
    let (north, south) = tokio::join!(north.start(), south.start());
    let once = Once::spent(&north).await;
    once.to(&south).send().await.expect_status(200);
    once.is_refused_by(&north).await;
    once.is_refused_by(&south).await;
    let mut keys: Vec<String> =
        server.ask("KEYS *nonce:*").await.split(' ').map(str::to_owned).collect();
    keys.sort_unstable();
    let [farmgate, north] = &keys[..] else { panic!("{keys:?}") };
    assert!(farmgate.starts_with("farmgate:nonce:") && north.starts_with("north:nonce:"));
}

#[tokio::test]
async fn nonces_are_shared_with_django_in_its_own_form() {
    let (server, origin) = (RedisServer::start().await, origin().await);
    let gw = launcher(&origin, &over(&server, &["django_nonces: true"])).start().await;
    let once = Once::spent(&gw).await;
    let key = format!(":1:nc_hmac:nextcloud:{}", once.nonce);
    assert_eq!(server.ask("KEYS *nextcloud*").await, key);
    assert_eq!(server.ask(&format!("GET {key}")).await, "1");
    let seconds: u64 = server.ask(&format!("TTL {key}")).await[1..].parse().unwrap();
    // Twice the skew, and a minute less for what a busy machine takes.
    assert!((600..=660).contains(&seconds), "{seconds}");
    once.is_refused_by(&gw).await;
    // What Django's `cache.add` does with the nonce of a request that it takes.
    let theirs = Once::new();
    let add = format!("SET :1:nc_hmac:nextcloud:{} 1 NX EX 360", theirs.nonce);
    assert_eq!(server.ask(&add).await, "+OK");
    theirs.is_refused_by(&gw).await;
    assert_eq!(origin.calls("/signed"), 1);
}

#[tokio::test]
async fn restarts_forget_no_nonce() {
    let (server, origin) = (RedisServer::start().await, origin().await);
    for state in ["{dir: '{dir}/var'}", &over(&server, &[])] {
        let mut gw = launcher(&origin, state).start().await;
        let first = Once::spent(&gw).await;
        assert_eq!(gw.stop().await.code(), Some(0));
        let mut gw = gw.restart().await;
        first.is_refused_by(&gw).await;
        let second = Once::spent(&gw).await;
        gw.kill().await;
        let gw = gw.restart().await;
        first.is_refused_by(&gw).await;
        second.is_refused_by(&gw).await;
        Once::spent(&gw).await;
    }
}

/// Sends signed requests until the connection ends: those that were answered, and the one that
/// was not.
async fn sign_until_killed(gateway: SocketAddr) -> (Vec<Once>, Once) {
    let mut connection = Connection::try_open(gateway).await;
    let mut answered = Vec::new();
    loop {
        let once = Once::new();
        let Ok(open) = &mut connection else { return (answered, once) };
        match open.try_send(once.sign(Request::get("/signed"))).await {
            Ok(reply) => drop(reply.expect_status(200)),
            Err(_) => return (answered, once),
        }
        answered.push(once);
    }
}

#[tokio::test]
async fn nonces_accepted_under_load_are_refused_after_each_kill() {
    let origin = origin().await;
    let mut gw = launcher(&origin, "{dir: '{dir}/var'}").start().await;
    for _ in 0..KILLS {
        let (address, before) = (gw.address(), origin.calls("/signed"));
        let clients = launch(CLIENTS, move |_| sign_until_killed(address));
        origin.wait_for_calls("/signed", before + CALLS_BEFORE_A_KILL).await;
        gw.kill().await;
        let clients = clients.await.unwrap();
        gw = gw.restart().await;
        for (answered, cut_off) in clients {
            for once in &answered {
                once.is_refused_by(&gw).await;
            }
            // Nobody knows how this one went; what must not be is that it passes twice.
            let status = cut_off.to(&gw).send().await.status;
            assert!([200, 403].contains(&status), "{status}");
        }
    }
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for request in origin.requests("/signed") {
        let nonce = request.header("x-nc-nonce").expect("a signed request").to_owned();
        *arrived.entry(nonce).or_default() += 1;
    }
    assert!(arrived.len() >= KILLS * CALLS_BEFORE_A_KILL, "{}", arrived.len());
    let twice: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "accepted more than once: {twice:?}");
}
