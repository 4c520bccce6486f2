//! Does a revocation reach every gateway, and stay?

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use farmgate::cli::tokens::{self, Places, TokensCommand};
use farmgate::clock::Now;
use farmgate::state::redis::Redis;
use farmgate::state::revocations::{Issued, Revocation, Revocations, RevokeError, Target};
use harness::{Directory, RedisServer};

use crate::fixtures::{connected, eventually, rules, two, until_up};

/// Far enough for every test, in seconds since 1970.
const END: i64 = 4_000_000_000;

fn token(id: &str) -> Revocation {
    Revocation { target: Target::Token(id.to_owned()), before: 0, expires: END }
}

fn at_the_end(now: Now) -> Now {
    now.plus(Duration::from_secs(u64::try_from(END - now.unix_seconds()).unwrap()))
}

fn is_revoked(revocations: &Revocations, id: &str) -> bool {
    revocations.is_revoked(&Issued { id: Some(id), ..Issued::default() })
}

fn gateway(redis: &Arc<Redis>) -> Arc<Revocations> {
    let revocations = Arc::new(Revocations::new(None, Some(redis.clone())));
    let kept = revocations.clone();
    tokio::spawn(async move { kept.keep(Now::read).await });
    revocations
}

#[tokio::test]
async fn command_is_noticed_by_the_running_gateway_and_the_next() {
    let folder = Directory::new();
    let file = || Some(folder.path().join("revocations.jsonl"));
    let (command, running) = (Revocations::new(file(), None), Revocations::new(file(), None));
    let running = Arc::new(running);
    let kept = running.clone();
    tokio::spawn(async move { kept.keep(Now::read).await });
    assert!(!is_revoked(&running, "a"));
    command.revoke(&token("a"), Now::read()).await.unwrap();
    eventually("the gateway knows", async || is_revoked(&running, "a")).await;
    assert!(!is_revoked(&running, "b"));
    let version = running.version();
    command.revoke(&token("b"), Now::read()).await.unwrap();
    eventually("the gateway knows", async || is_revoked(&running, "b")).await;
    assert!(running.version() > version);
    let next = Revocations::new(file(), None);
    assert!(next.poll(Now::read()).await);
    assert!(is_revoked(&next, "a") && is_revoked(&next, "b"));
    assert_eq!(next.list(Now::read()).await.unwrap(), [token("a"), token("b")]);
}

#[tokio::test]
async fn revocation_ends_with_what_it_revokes() {
    let folder = Directory::new();
    let revocations = Revocations::new(Some(folder.path().join("revocations.jsonl")), None);
    let now = Now::read();
    revocations.revoke(&token("a"), now).await.unwrap();
    revocations.poll(now).await;
    assert_eq!(revocations.entries(), 1);
    revocations.poll(at_the_end(now)).await;
    assert_eq!(revocations.entries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_learns_of_a_revocation_through_redis() {
    let server = RedisServer::start().await;
    let [one, two] = two(&server).await.map(|redis| gateway(&redis));
    let command = Revocations::new(None, Some(connected(rules(&server.url())).await));
    for id in ["a", "b"] {
        command.revoke(&token(id), Now::read()).await.unwrap();
        for gateway in [&one, &two] {
            eventually("the gateway knows", async || is_revoked(gateway, id)).await;
        }
    }
    assert_eq!(command.list(Now::read()).await.unwrap(), [token("a"), token("b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_revocations_stay_when_redis_is_gone_or_lost_them() {
    let mut server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let gateway = gateway(&redis);
    for id in ["a", "b", "c"] {
        gateway.revoke(&token(id), Now::read()).await.unwrap();
    }
    eventually("the gateway knows", async || is_revoked(&gateway, "c")).await;
    server.kill().await;
    assert!(!gateway.poll(Now::read()).await);
    assert!(is_revoked(&gateway, "a"));
    server.restart().await;
    until_up(std::slice::from_ref(&redis), true).await;
    gateway.revoke(&token("d"), Now::read()).await.unwrap();
    eventually("the gateway knows", async || is_revoked(&gateway, "d")).await;
    assert!(is_revoked(&gateway, "a"));
    assert_eq!(server.ask("FLUSHALL").await, "+OK");
    gateway.revoke(&token("e"), Now::read()).await.unwrap();
    eventually("the gateway knows", async || is_revoked(&gateway, "e")).await;
    assert_eq!(gateway.entries(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_lost_revocations_is_told_of_them() {
    let mut server = RedisServer::start().await;
    let [one, two] = two(&server).await;
    let running = gateway(&one);
    for target in [
        Target::Token("a".to_owned()),
        Target::Subject("7".to_owned()),
        Target::Client("nextcloud".to_owned()),
    ] {
        let before = if matches!(target, Target::Token(_)) { 0 } else { 1_000 };
        let revocation = Revocation { target, before, expires: END };
        running.revoke(&revocation, Now::read()).await.unwrap();
    }
    eventually("the gateway knows", async || running.entries() == 3).await;
    server.kill().await;
    server.restart().await;
    until_up(&[one, two.clone()], true).await;
    // One that starts now finds in Redis what only the other one knew.
    let started = Revocations::new(None, Some(two));
    eventually("it is told", async || started.poll(Now::read()).await && started.entries() == 3)
        .await;
    assert!(is_revoked(&started, "a"));
    let issued = |at| Issued { subject: Some("7"), at: Some(at), ..Issued::default() };
    assert!(started.is_revoked(&issued(1_000)) && !started.is_revoked(&issued(1_001)));
    // Told once; nobody goes on telling.
    let number = server.ask("GET farmgate:revocations:next").await;
    started.poll(Now::read()).await;
    running.poll(Now::read()).await;
    assert_eq!(server.ask("GET farmgate:revocations:next").await, number);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_that_starts_late_reads_thousands() {
    let server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let command = Revocations::new(None, Some(redis.clone()));
    for id in 0..2_500 {
        command.revoke(&token(&id.to_string()), Now::read()).await.unwrap();
    }
    let late = Revocations::new(None, Some(redis));
    assert!(late.poll(Now::read()).await);
    assert_eq!(late.entries(), 2_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_revocations_leave_redis() {
    let server = RedisServer::start().await;
    let command = Revocations::new(None, Some(connected(rules(&server.url())).await));
    let now = Now::read();
    command.revoke(&token("a"), now).await.unwrap();
    let longer = Revocation { expires: END + 1, ..token("b") };
    command.revoke(&longer, at_the_end(now)).await.unwrap();
    assert_eq!(server.ask("ZCARD farmgate:revocations").await, ":1");
    assert_eq!(server.ask("ZCARD farmgate:revocations:expiry").await, ":1");
}

#[tokio::test]
async fn command_says_which_place_did_not_take_it() {
    let folder = Directory::new();
    let nowhere = Revocations::new(None, None);
    let error = nowhere.revoke(&token("a"), Now::read()).await.unwrap_err();
    assert!(matches!(error, RevokeError::Nowhere), "{error}");
    let file = folder.path().join("no folder/revocations.jsonl");
    let error = Revocations::new(Some(file), None).revoke(&token("a"), Now::read()).await;
    assert!(error.unwrap_err().to_string().contains("no folder/revocations"));
    let mut server = RedisServer::start().await;
    server.kill().await;
    let redis = Redis::new(rules(&server.url())).unwrap();
    let file = folder.path().join("revocations.jsonl");
    let both = Revocations::new(Some(file.clone()), Some(redis));
    let error = both.revoke(&token("a"), Now::read()).await.unwrap_err();
    assert!(error.to_string().contains("run this again"), "{error}");
    let here = Revocations::new(Some(file), None);
    here.poll(Now::read()).await;
    assert!(is_revoked(&here, "a"), "the file has it all the same");
}

#[derive(Debug, clap::Parser)]
struct Program {
    #[command(subcommand)]
    command: TokensCommand,
}

/// What the command line says, or why it fails.
async fn command(words: &str, places: &Places) -> Result<String, String> {
    let words = ["tokens"].into_iter().chain(words.split(' '));
    let command = Program::parse_from(words).command;
    let places = places.clone();
    // It has a runtime of its own.
    let ran = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        let done = tokens::run(command, places, Now::read(), &mut out);
        done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
    });
    ran.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_writes_to_the_file_and_to_redis() {
    let folder = Directory::new();
    let mut server = RedisServer::launcher().password("se-cret").start().await;
    let places = Places {
        file: Some(folder.path().join("revocations.jsonl")),
        redis: Some(rules(&server.url())),
    };
    let elsewhere = Places { file: None, ..places.clone() };
    command("revoke --client nc --expires 1h", &places).await.unwrap();
    for places in [&places, &elsewhere] {
        let listed = command("list", places).await.unwrap();
        assert!(
            listed.contains("\"client\":\"nc\"") && listed.contains("1 revocation(s)"),
            "{listed}"
        );
    }
    server.kill().await;
    let error = command("revoke --jti a", &places).await.unwrap_err();
    assert!(error.contains("connection") && error.contains("run this again"), "{error}");
    assert!(!error.contains("se-cret"), "{error}");
    let here = Places { redis: None, ..places };
    assert!(command("list", &here).await.unwrap().contains("2 revocation(s)"));
}
