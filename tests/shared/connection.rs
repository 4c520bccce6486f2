//! Does a connection come, go and come back as it should, and does nobody wait for a dead one?

use std::time::{Duration, Instant};

use farmgate::state::redis::{Redis, RedisFault, SharedMemory, Use};
use harness::{Authority, RedisServer, Sentinels};

use crate::fixtures::{connected, eventually, rules, until_up};

const TTL: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn value_is_remembered_by_all_until_it_is_forgotten() {
    let server = RedisServer::start().await;
    let here = SharedMemory::new(connected(rules(&server.url())).await, "keys");
    let there = SharedMemory::new(connected(rules(&server.url())).await, "keys");
    let other = SharedMemory::new(connected(rules(&server.url())).await, "else");
    let (key, value) = ([7; 32], [0, 159, 146, 150]);
    assert_eq!(here.get(&key).await, None);
    here.put(&key, &value, TTL).await;
    assert_eq!(there.get(&key).await.as_deref(), Some(&value[..]));
    assert_eq!(other.get(&key).await, None);
    let name = format!("farmgate:memory:keys:{}", "07".repeat(32));
    let ttl_ms = server.ask(&format!("PTTL {name}")).await;
    assert!(ttl_ms.starts_with(":59") || ttl_ms == ":60000", "{ttl_ms}");
    assert!(there.forget(&key).await);
    assert_eq!(here.get(&key).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_is_noticed_and_found_again() {
    let mut server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let memory = SharedMemory::new(redis.clone(), "keys");
    memory.put(&[1; 32], b"x", TTL).await;
    server.kill().await;
    assert_eq!(memory.get(&[1; 32]).await, None);
    assert!(!redis.is_up());
    assert!(redis.problem().is_some());
    assert!(redis.errors(Use::Memory) >= 1);
    assert!(!memory.forget(&[1; 32]).await, "nobody can say that it is forgotten");
    server.restart().await;
    until_up(std::slice::from_ref(&redis), true).await;
    assert!(redis.problem().is_none());
    memory.put(&[1; 32], b"y", TTL).await;
    assert_eq!(memory.get(&[1; 32]).await.as_deref(), Some(&b"y"[..]));
    assert_eq!(redis.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connection_to_a_killed_server_is_noticed_too() {
    let mut server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    server.kill().await;
    until_up(&[redis], false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_late_is_connected_when_it_comes() {
    let mut server = RedisServer::start().await;
    server.kill().await;
    let redis = Redis::new(rules(&server.url())).unwrap();
    tokio::spawn(redis.clone().keep());
    eventually("a first try has failed", async || redis.problem().is_some()).await;
    server.restart().await;
    until_up(&[redis], true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_server_costs_one_time_limit_and_the_others_nothing() {
    let server = RedisServer::start().await;
    let mut rules = rules(&server.url());
    rules.timeout = Duration::from_millis(300);
    let redis = connected(rules.clone()).await;
    let memory = SharedMemory::new(redis.clone(), "keys");
    memory.put(&[1; 32], b"x", TTL).await;
    server.signal("STOP").await;
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(memory.get(&[1; 32]).await, None);
    }
    let spent = start.elapsed();
    assert!(spent >= rules.timeout && spent < rules.timeout * 2, "{spent:?}");
    assert_eq!(redis.errors(Use::Memory), 1_000);
    server.signal("CONT").await;
    until_up(&[redis], true).await;
    assert_eq!(memory.get(&[1; 32]).await.as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn wrong_password_is_told_without_showing_any() {
    let server = RedisServer::launcher().password("the-right-one").start().await;
    let right = connected(rules(&server.url())).await;
    assert!(right.is_up());
    for (login, told) in
        [(":the-wrong-one@", "login: Password authentication failed;"), ("", "NOAUTH")]
    {
        let redis = Redis::new(rules(&format!("redis://{login}{}", server.address()))).unwrap();
        let fault = redis.connect().await.unwrap_err();
        assert!(matches!(fault, RedisFault::Login(_)), "{fault:?}");
        let shown = format!("{fault} {fault:?} {redis:?}");
        assert!(shown.contains(told) && shown.contains("correct user and password"), "{shown}");
        assert!(!shown.contains("the-wrong-one"), "{shown}");
    }
}

#[tokio::test]
async fn server_of_a_known_authority_is_trusted_and_no_other() {
    let authority = Authority::new();
    let server = RedisServer::launcher().tls(&authority).password("secret").start().await;
    let mut trusting = rules(&server.url());
    trusting.ca_pem = Some(authority.pem().into_bytes());
    let memory = SharedMemory::new(connected(trusting).await, "keys");
    memory.put(&[1; 32], b"x", TTL).await;
    assert_eq!(memory.get(&[1; 32]).await.as_deref(), Some(&b"x"[..]));
    let mut other = rules(&server.url());
    other.ca_pem = Some(Authority::new().pem().into_bytes());
    let fault = Redis::new(other).unwrap().connect().await.unwrap_err();
    assert!(matches!(fault, RedisFault::Connection(_)), "{fault:?}");
    assert!(fault.to_string().contains("certificate"), "{fault}");
}

#[tokio::test]
async fn authority_that_is_no_pem_is_refused_at_the_start() {
    let mut broken = rules("rediss://127.0.0.1:1");
    let pem = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    broken.ca_pem = Some(pem.into());
    let fault = Redis::new(broken).unwrap_err();
    assert!(fault.to_string().contains("PEM"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_server_refuses_without_being_given_up() {
    let server = RedisServer::launcher().option("--maxmemory", "1mb").start().await;
    let redis = connected(rules(&server.url())).await;
    let memory = SharedMemory::new(redis.clone(), "keys");
    let value = vec![b'x'; 600_000];
    for number in 0..3 {
        memory.put(&[number; 32], &value, TTL).await;
    }
    assert!(redis.errors(Use::Memory) >= 1);
    assert!(redis.is_up());
    assert_eq!(redis.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_lead_to_the_master_that_took_over() {
    let mut sentinels = Sentinels::start(1).await;
    let redis = connected(rules(&sentinels.url())).await;
    let memory = SharedMemory::new(redis.clone(), "keys");
    memory.put(&[1; 32], b"x", TTL).await;
    let name = format!("farmgate:memory:keys:{}", "01".repeat(32));
    eventually("the replica has it too", async || {
        sentinels.replica.ask(&format!("GET {name}")).await == "x"
    })
    .await;
    sentinels.master.kill().await;
    eventually("a value is written to the new master", async || {
        memory.put(&[2; 32], b"y", TTL).await;
        memory.get(&[2; 32]).await.is_some()
    })
    .await;
    assert!(sentinels.replica.ask("ROLE").await.starts_with("master"));
    assert_eq!(memory.get(&[1; 32]).await.as_deref(), Some(&b"x"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn master_that_was_demoted_alive_is_left() {
    let sentinels = Sentinels::start(1).await;
    let redis = connected(rules(&sentinels.url())).await;
    let memory = SharedMemory::new(redis.clone(), "keys");
    sentinels.fail_over().await;
    let name = format!("farmgate:memory:keys:{}", "03".repeat(32));
    eventually("values go to the new master", async || {
        memory.put(&[3; 32], b"z", TTL).await;
        sentinels.replica.ask(&format!("GET {name}")).await == "z"
    })
    .await;
}

#[tokio::test]
async fn name_that_the_sentinels_do_not_know_is_told() {
    let sentinels = Sentinels::start(1).await;
    let url = sentinels.url().replace(Sentinels::SERVICE, "nobody");
    let fault = Redis::new(rules(&url)).unwrap().connect().await.unwrap_err();
    assert!(fault.to_string().contains("Master with given name not found"), "{fault}");
}
