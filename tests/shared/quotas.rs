//! Do gateways together keep to one limit, and what do they do without Redis?

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farmgate::clock::Now;
use farmgate::ratelimit::{Quota, Remaining};
use farmgate::state::quotas::{Charge, QuotaError, Quotas, WhenGone};
use farmgate::state::redis::{Redis, Use};
use harness::{PATIENCE, RedisServer};
use tokio::time::timeout;

use crate::fixtures::{buckets, connected, rules, two, until_up};

const MINUTE: Duration = Duration::from_secs(60);

fn gateway(redis: &Arc<Redis>, when_gone: WhenGone) -> Quotas {
    Quotas::shared(redis.clone(), when_gone, buckets())
}

fn charge(quota_id: &str, requests: u32) -> Charge<'_> {
    Charge { quota_id, quota: Quota { requests, period: MINUTE }, principal: "jwt:1" }
}

async fn charged(quotas: &Quotas, charges: &[Charge<'_>]) -> Result<Vec<Remaining>, QuotaError> {
    quotas.charge(charges, Now::read()).await
}

#[track_caller]
fn refused(result: Result<Vec<Remaining>, QuotaError>) -> Vec<usize> {
    match result {
        Err(QuotaError::Limited(limited)) => {
            let waits = limited.refused.iter().map(|(_, wait)| wait.0);
            assert_eq!(waits.max(), Some(limited.retry_after.0));
            limited.refused.iter().map(|(index, _)| *index).collect()
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Two gateways, asked by 64 tasks for three periods, and when the server accepted requests.
async fn accepted(requests: u32, period: Duration) -> Vec<u64> {
    let server = RedisServer::start().await;
    let gateways = two(&server).await.map(|redis| Arc::new(gateway(&redis, WhenGone::Local)));
    let times: Arc<Mutex<Vec<u64>>> = Arc::default();
    let enough = 3 * u64::try_from(period.as_micros()).unwrap();
    let quota = Quota { requests, period };
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let (quotas, times) = (gateways[task % 2].clone(), times.clone());
            tokio::spawn(async move {
                let charge = Charge { quota_id: "q", quota, principal: "p" };
                loop {
                    if let Ok(remaining) = charged(&quotas, &[charge]).await {
                        let at = remaining[0].receipt_elsewhere().expect("charged in Redis");
                        let mut times = times.lock().unwrap();
                        times.push(at);
                        if times.iter().min().is_some_and(|first| at - first > enough) {
                            return;
                        }
                    } else {
                        let times = times.lock().unwrap();
                        if times.iter().max()
                            > times.iter().min().map(|first| first + enough).as_ref()
                        {
                            return;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut times = Arc::into_inner(times).unwrap().into_inner().unwrap();
    times.sort_unstable();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_together_never_exceed_the_limit_in_any_window() {
    for requests in [20_u32, 400] {
        let period = Duration::from_millis(500);
        let times = accepted(requests, period).await;
        for window in times.windows(requests as usize + 1) {
            let span = window[window.len() - 1] - window[0];
            assert!(u128::from(span) >= period.as_micros(), "{requests} + 1 within {span} us");
        }
        assert!(times.len() >= 3 * requests as usize, "{} of {requests} x 3", times.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_see_what_the_other_has_charged() {
    let server = RedisServer::start().await;
    let [one, two] = two(&server).await.map(|redis| gateway(&redis, WhenGone::Local));
    let quota = [charge("q", 2)];
    assert_eq!(charged(&one, &quota).await.unwrap()[0].remaining, 1);
    let last = charged(&two, &quota).await.unwrap();
    assert_eq!(last[0].remaining, 0);
    assert!(last[0].reset_after <= MINUTE);
    assert_eq!(refused(charged(&one, &quota).await), [0]);
    // What one gateway gives back, the other may charge.
    two.refund(&quota, last).await;
    assert_eq!(charged(&one, &quota).await.unwrap()[0].remaining, 0);
    assert_eq!(refused(charged(&two, &quota).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_is_charged_to_all_of_its_quotas_or_to_none() {
    let server = RedisServer::start().await;
    let shared = gateway(&connected(rules(&server.url())).await, WhenGone::Local);
    for quotas in [shared, Quotas::embedded(buckets())] {
        let all = [charge("a", 3), charge("b", 1), charge("c", 1)];
        assert!(charged(&quotas, &[]).await.unwrap().is_empty());
        assert_eq!(charged(&quotas, &all).await.unwrap().len(), 3);
        assert_eq!(refused(charged(&quotas, &all).await), [1, 2]);
        assert_eq!(refused(charged(&quotas, &all).await), [1, 2]);
        assert_eq!(charged(&quotas, &all[..1]).await.unwrap()[0].remaining, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_gateway_counts_for_itself_until_it_is_back() {
    let mut server = RedisServer::start().await;
    let both = two(&server).await;
    let [one, two] = both.each_ref().map(|redis| gateway(redis, WhenGone::Local));
    let quota = [charge("q", 2)];
    server.kill().await;
    for quotas in [&one, &two] {
        assert!(charged(quotas, &quota).await.is_ok());
        let last = charged(quotas, &quota).await.unwrap();
        assert_eq!(refused(charged(quotas, &quota).await), [0]);
        quotas.refund(&quota, last).await;
        assert!(charged(quotas, &quota).await.is_ok());
        assert!(quotas.degraded() >= 3);
    }
    server.restart().await;
    until_up(&both, true).await;
    assert!(charged(&one, &quota).await.is_ok());
    assert!(charged(&two, &quota).await.is_ok());
    assert_eq!(refused(charged(&one, &quota).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_everything_or_nothing_passes_where_that_is_chosen() {
    let mut server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let (allow, refuse) = (gateway(&redis, WhenGone::Allow), gateway(&redis, WhenGone::Refuse));
    server.kill().await;
    let quota = [charge("q", 1)];
    for _ in 0..3 {
        let remaining = charged(&allow, &quota).await.unwrap();
        assert_eq!(remaining[0].remaining, 1);
        allow.refund(&quota, remaining).await;
        let refused = charged(&refuse, &quota).await;
        assert!(matches!(refused, Err(QuotaError::Unavailable { .. })), "{refused:?}");
        assert!(charged(&refuse, &[]).await.is_ok());
    }
    server.restart().await;
    until_up(&[redis], true).await;
    assert!(charged(&allow, &quota).await.is_ok());
    assert_eq!(refused(charged(&refuse, &quota).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn script_is_sent_again_to_a_server_that_forgot_it() {
    let server = RedisServer::start().await;
    let redis = connected(rules(&server.url())).await;
    let quotas = gateway(&redis, WhenGone::Refuse);
    for left in [1, 0] {
        assert_eq!(charged(&quotas, &[charge("q", 2)]).await.unwrap()[0].remaining, left);
        assert_eq!(server.ask("SCRIPT FLUSH").await, "+OK");
    }
    assert_eq!(redis.errors(Use::Quotas), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed_during_charges_leaves_nobody_waiting() {
    let mut server = RedisServer::start().await;
    let both = two(&server).await;
    let gateways = both.each_ref().map(|redis| Arc::new(gateway(redis, WhenGone::Local)));
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let quotas = gateways[task % 2].clone();
            tokio::spawn(async move {
                let many = Quota { requests: 1_000_000, period: MINUTE };
                let charge = Charge { quota_id: "q", quota: many, principal: "p" };
                while quotas.degraded() == 0 {
                    charged(&quotas, &[charge]).await.unwrap();
                }
            })
        })
        .collect();
    server.kill().await;
    for task in tasks {
        timeout(PATIENCE, task).await.expect("nobody waits").unwrap();
    }
}
