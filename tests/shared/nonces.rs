//! Is a nonce spent once, whoever took it first and whatever happened since?

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farmgate::auth::{NonceError, UnclaimedNonce};
use farmgate::clock::Now;
use farmgate::state::journal::JournalError;
use farmgate::state::nonces::{Nonces, SharedNonceRules, WhenGone};
use farmgate::state::redis::Redis;
use harness::{Directory, RedisServer};

use crate::fixtures::{connected, eventually, rules, two, until_up};

const KEPT: Duration = Duration::from_secs(660);
const LOCAL: SharedNonceRules =
    SharedNonceRules { when_gone: WhenGone::Local, django_compatible: false };

fn nonce(value: impl ToString) -> UnclaimedNonce {
    UnclaimedNonce::new("nextcloud", &value.to_string(), KEPT)
}

fn gateway(redis: &Arc<Redis>, rules: SharedNonceRules) -> Arc<Nonces> {
    let nonces = Arc::new(Nonces::in_memory(10_000).share(redis.clone(), rules));
    let kept = nonces.clone();
    tokio::spawn(async move { kept.keep(Now::read).await });
    nonces
}

fn journaled(folder: &Path) -> Nonces {
    Nonces::journaled(10_000, folder, Now::read()).unwrap()
}

async fn claim(nonces: &Nonces, value: impl ToString) -> Result<(), NonceError> {
    nonces.claim(&nonce(value), Now::read()).await
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn claimed_nonce_is_on_disk_before_the_claim_is_answered() {
    let folder = Directory::new();
    let nonces = journaled(&folder.path().join("live"));
    for value in 0..20 {
        assert_eq!(claim(&nonces, value).await, Ok(()));
        // What a process that is killed now would leave behind.
        let left = folder.path().join(format!("left-{value}"));
        copy(&folder.path().join("live"), &left);
        let after = journaled(&left);
        for earlier in 0..=value {
            assert_eq!(claim(&after, earlier).await, Err(NonceError::Replay));
        }
        assert_eq!(claim(&after, value + 1).await, Ok(()));
    }
}

#[tokio::test]
async fn restarted_gateway_forgets_nothing_by_itself() {
    let folder = Directory::new();
    let path = folder.path().join("nonces");
    for start in 0..3 {
        let nonces = journaled(&path);
        for earlier in 0..start {
            assert_eq!(claim(&nonces, earlier).await, Err(NonceError::Replay));
        }
        assert_eq!(claim(&nonces, start).await, Ok(()));
        let second = Nonces::journaled(10_000, &path, Now::read());
        assert!(matches!(second, Err(JournalError::InUse(_))), "{second:?}");
    }
}

#[tokio::test]
async fn nonce_is_refused_while_the_disk_takes_none_and_accepted_afterwards() {
    let folder = Directory::new();
    let path = folder.path().join("nonces");
    let nonces = journaled(&path);
    // The first segment is begun with the first claim, and cannot be.
    fs::rename(&path, folder.path().join("away")).unwrap();
    for _ in 0..2 {
        let refused = claim(&nonces, 1).await;
        assert!(matches!(refused, Err(NonceError::Unavailable { .. })), "{refused:?}");
    }
    assert_eq!(nonces.write_failures(), 2);
    assert_eq!(nonces.entries(), 0);
    fs::rename(folder.path().join("away"), &path).unwrap();
    assert_eq!(claim(&nonces, 1).await, Ok(()));
    assert_eq!(claim(&nonces, 1).await, Err(NonceError::Replay));
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_refuse_each_others_nonces() {
    let server = RedisServer::start().await;
    let [one, two] = two(&server).await.map(|redis| gateway(&redis, SharedNonceRules::default()));
    assert_eq!(claim(&one, "a").await, Ok(()));
    assert_eq!(claim(&two, "a").await, Err(NonceError::Replay));
    assert_eq!(claim(&two, "b").await, Ok(()));
    assert_eq!(claim(&one, "b").await, Err(NonceError::Replay));
    let other = UnclaimedNonce::new("other", "a", KEPT);
    assert_eq!(two.claim(&other, Now::read()).await, Ok(()));
    let started_later = gateway(&connected(rules(&server.url())).await, LOCAL);
    assert_eq!(claim(&started_later, "a").await, Err(NonceError::Replay));
    assert_eq!(one.degraded() + two.degraded(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_gateways_at_once_one_gets_the_nonce() {
    let server = RedisServer::start().await;
    let gateways = two(&server).await.map(|redis| gateway(&redis, SharedNonceRules::default()));
    let wins = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64_usize)
        .map(|task| {
            let (nonces, wins) = (gateways[task % 2].clone(), wins.clone());
            tokio::spawn(async move {
                for value in 0..100 {
                    let won = claim(&nonces, value).await.is_ok();
                    wins.fetch_add(usize::from(won), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(wins.load(Ordering::Relaxed), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_expires_with_the_signature() {
    let server = RedisServer::start().await;
    let nonces = gateway(&connected(rules(&server.url())).await, SharedNonceRules::default());
    assert_eq!(claim(&nonces, "a").await, Ok(()));
    let key = format!("farmgate:nonce:nextcloud:{}", hex::encode(nonce("a").digest()));
    let ttl_ms: u64 = server.ask(&format!("PTTL {key}")).await[1..].parse().unwrap();
    assert!((650_000..=660_000).contains(&ttl_ms), "{ttl_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_gateway_and_this_one_refuse_each_others_nonces() {
    let server = RedisServer::start().await;
    let shared = SharedNonceRules { django_compatible: true, ..SharedNonceRules::default() };
    let nonces = gateway(&connected(rules(&server.url())).await, shared);
    assert_eq!(claim(&nonces, "8f7d").await, Ok(()));
    assert_eq!(server.ask("GET :1:nc_hmac:nextcloud:8f7d").await, "1");
    let ttl: u64 = server.ask("TTL :1:nc_hmac:nextcloud:8f7d").await[1..].parse().unwrap();
    assert!((655..=660).contains(&ttl), "{ttl}");
    let theirs = server.ask("SET :1:nc_hmac:nextcloud:8f7d 1 NX EX 360").await;
    assert_eq!(theirs, "$-1");
    assert_eq!(server.ask("SET :1:nc_hmac:nextcloud:00aa 1 NX EX 360").await, "+OK");
    assert_eq!(claim(&nonces, "00aa").await, Err(NonceError::Replay));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_lost_its_data_opens_no_gap() {
    let mut server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let nonces = gateway(&redis, SharedNonceRules::default());
    assert_eq!(claim(&nonces, "a").await, Ok(()));
    server.kill().await;
    server.restart().await;
    eventually("the nonce is refused again", async || {
        claim(&nonces, "a").await == Err(NonceError::Replay)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nonces_are_refused_until_it_is_back() {
    let mut server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let nonces = gateway(&redis, SharedNonceRules::default());
    server.kill().await;
    for _ in 0..3 {
        match claim(&nonces, "a").await {
            Err(NonceError::Unavailable { retry_after }) => {
                assert!(retry_after > Duration::ZERO && retry_after < Duration::from_secs(10));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(nonces.degraded(), 3);
    server.restart().await;
    until_up(&[redis], true).await;
    // What was refused is not spent.
    assert_eq!(claim(&nonces, "a").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_that_went_on_alone_tells_the_others_afterwards() {
    let mut server = RedisServer::start().await;
    let both = two(&server).await;
    let [one, two] = both.each_ref().map(|redis| gateway(redis, LOCAL));
    server.kill().await;
    for value in 0..1_200 {
        assert_eq!(claim(&one, value).await, Ok(()));
    }
    assert_eq!(claim(&one, 7).await, Err(NonceError::Replay));
    assert_eq!(one.untold(), 1_200);
    server.restart().await;
    until_up(&both, true).await;
    eventually("all is told", async || one.untold() == 0).await;
    eventually("the other gateway knows", async || {
        claim(&two, 7).await == Err(NonceError::Replay)
            && claim(&two, 1_199).await == Err(NonceError::Replay)
    })
    .await;
    assert_eq!(claim(&two, "new").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed_during_claims_lets_no_nonce_pass_twice() {
    let mut server = RedisServer::launcher().persistent().start().await;
    let both = two(&server).await;
    let gateways = both.each_ref().map(|redis| gateway(redis, SharedNonceRules::default()));
    let wins: Arc<Vec<AtomicUsize>> = Arc::new((0..64).map(|_| AtomicUsize::new(0)).collect());
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64_usize)
        .map(|task| {
            let gateways = gateways.clone();
            let (wins, done) = (wins.clone(), done.clone());
            tokio::spawn(async move {
                // The same nonces from all sides, again and again, until each is spent for sure.
                for value in (0..64).cycle().skip(task) {
                    match claim(&gateways[task % 2], value).await {
                        Ok(()) => {
                            wins[value].fetch_add(1, Ordering::SeqCst);
                        }
                        Err(NonceError::Replay) => {}
                        Err(_) => tokio::task::yield_now().await,
                    }
                    if done.load(Ordering::SeqCst) == 1 {
                        return;
                    }
                }
            })
        })
        .collect();
    server.kill().await;
    server.restart().await;
    until_up(&both, true).await;
    for value in 0..64 {
        eventually("the nonce is spent", async || {
            claim(&gateways[0], value).await == Err(NonceError::Replay)
        })
        .await;
    }
    done.store(1, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let wins: Vec<usize> = wins.iter().map(|wins| wins.load(Ordering::SeqCst)).collect();
    assert!(wins.iter().all(|wins| *wins <= 1), "{wins:?}");
    assert!(gateways.iter().any(|nonces| nonces.degraded() > 0), "nobody was hit by the kill");
}
