//! Does Redis decide as the windows of this process do?
//!
//! The script is given the times, and [`Buckets`], which are tested on their own, the same ones:
//! what are microseconds there are nanoseconds here, so both count in whole numbers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::num::NonZeroUsize;

use harness::RedisServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::*;
use crate::state::redis::{RedisRules, Use};

/// A time like those of today, in microseconds.
const START: u64 = 1_764_000_000_000_000;

struct Bench {
    runtime: Runtime,
    _server: RedisServer,
    logs: SharedLogs,
    start: Now,
}

/// One call of a script of calls.
#[derive(Clone, Copy, Debug)]
enum Step {
    Charge,
    /// A charge that is given back at once.
    ChargeAndRefund,
    /// An earlier charge, so many before the last, is given back.
    RefundEarlier(usize),
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (server, logs) = runtime.block_on(async {
            let server = RedisServer::start().await;
            let mut rules = RedisRules::new(server.url().parse().unwrap());
            rules.timeout = harness::PATIENCE;
            let redis = Redis::new(rules).unwrap();
            redis.connect().await.unwrap();
            (server, SharedLogs::new(redis))
        });
        Self { runtime, _server: server, logs, start: Now::read() }
    }

    /// Empty counts on both sides.
    fn fresh(&self) -> Quotas {
        let flush: Result<String, _> =
            self.runtime.block_on(self.logs.redis.call(Use::Probe, &redis::cmd("FLUSHALL")));
        flush.unwrap();
        Quotas::embedded(Buckets::new(NonZeroUsize::new(1_000).unwrap(), self.start))
    }

    fn now(&self, at: u64) -> Now {
        self.start.plus(Duration::from_nanos(at))
    }

    fn there(&self, charges: &[Charge<'_>], at: u64) -> Decision {
        self.runtime.block_on(self.logs.charge(charges, Some(at))).unwrap()
    }

    fn refund_there(&self, charges: &[Charge<'_>], remaining: &[Remaining]) {
        let receipts = remaining.iter().map(|one| one.receipt_elsewhere().unwrap());
        let charged: Vec<_> = charges.iter().copied().zip(receipts).collect();
        self.runtime.block_on(self.logs.refund(&charged));
    }

    fn memory(&self, charge: &Charge<'_>) -> usize {
        let mut command = redis::cmd("LLEN");
        let keys = self.logs.redis.key(&log::name(charge));
        command.arg(keys);
        self.runtime.block_on(self.logs.redis.call(Use::Probe, &command)).unwrap()
    }
}

/// A charge as the script sees it, and as the windows do.
fn both<'a>(id: &'a str, requests: u32, period: u64) -> (Charge<'a>, Charge<'a>) {
    let charge =
        |period| Charge { quota_id: id, quota: Quota { requests, period }, principal: "p" };
    (charge(Duration::from_micros(period)), charge(Duration::from_nanos(period)))
}

/// What both sides say, in one unit.
fn figures(remaining: &[Remaining], unit: Duration) -> Vec<(u32, u128)> {
    let unit = unit.as_nanos();
    remaining.iter().map(|one| (one.remaining, one.reset_after.as_nanos() / unit)).collect()
}

fn waits(limited: &Limited, unit: Duration) -> Vec<(usize, u128)> {
    let unit = unit.as_nanos();
    limited.refused.iter().map(|(index, wait)| (*index, wait.0.as_nanos() / unit)).collect()
}

#[track_caller]
fn assert_same(there: &Decision, here: &Result<Vec<Remaining>, Limited>, context: &str) {
    let (micro, nano) = (Duration::from_micros(1), Duration::from_nanos(1));
    match (there, here) {
        (Decision::Charged(there), Ok(here)) => {
            assert_eq!(figures(there, micro), figures(here, nano), "{context}");
        }
        (Decision::Limited(there), Err(here)) => {
            assert_eq!(waits(there, micro), waits(here, nano), "{context}");
        }
        _ => panic!("{context}: {there:?} there, {here:?} here"),
    }
}

/// A coarse grid on which calls, ends of cells and ends of periods often meet exactly.
const GRID: u64 = 10_000_000;

/// Bursts, paced calls and pauses, and a clock that sometimes steps back a little; or, coarsely,
/// calls on a grid.
fn times(gaps: &[u32], coarse: bool) -> Vec<u64> {
    let mut at = START + 1_000_000;
    gaps.iter()
        .map(|gap| {
            if coarse {
                at += u64::from(gap % 4) * GRID;
                return at;
            }
            let scale = [1, 1_000, 1_000_000, 100_000_000][*gap as usize % 4];
            at += u64::from(gap >> 5) % scale;
            if gap & 16 == 0 { at } else { at - u64::from(gap >> 5) % 900 }
        })
        .collect()
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    let step = prop_oneof![
        6 => Just(Step::Charge),
        1 => Just(Step::ChargeAndRefund),
        1 => (0_usize..30).prop_map(Step::RefundEarlier),
    ];
    prop::collection::vec((any::<u32>(), step), 0..400)
}

/// Periods that are long beside the time the test takes, for the server forgets by its own clock.
fn any_period() -> impl Strategy<Value = u64> {
    prop_oneof![60_000_000_u64..2_000_000_000, (6_u64..40).prop_map(|periods| periods * GRID)]
}

fn any_quota() -> impl Strategy<Value = (u32, u64)> {
    let requests = prop_oneof![0_u32..20, 190_u32..210, 210_u32..600];
    (requests, any_period())
}

fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn script_decides_as_the_windows_of_one_process() {
    let bench = Bench::new();
    // A reload in the middle changes how many requests there may be.
    let given = (any_quota(), any_quota(), any::<bool>(), steps());
    check(80, given, |((before, period), (after, _), coarse, steps)| {
        let here = bench.fresh();
        let gaps: Vec<u32> = steps.iter().map(|(gap, _)| *gap).collect();
        let mut charged: Vec<(Vec<Remaining>, Vec<Remaining>)> = Vec::new();
        let half = steps.len() / 2;
        for (place, (at, (_, step))) in times(&gaps, coarse).into_iter().zip(steps).enumerate() {
            let requests = if place < half { before } else { after };
            let (at_redis, at_home) = both("q", requests, period);
            let context = format!("{requests} in {period}, {step:?} at {at}");
            if let Step::RefundEarlier(back) = step {
                if let Some(index) = charged.len().checked_sub(back + 1) {
                    let (there, home) = charged.remove(index);
                    bench.refund_there(&[at_redis], &there);
                    bench.runtime.block_on(here.refund(&[at_home], home));
                }
                continue;
            }
            let there = bench.there(&[at_redis], at);
            let home = here.charge_here(&[at_home], bench.now(at));
            assert_same(&there, &home, &context);
            if let (Decision::Charged(there), Ok(home)) = (there, home) {
                if matches!(step, Step::ChargeAndRefund) {
                    bench.refund_there(&[at_redis], &there);
                    bench.runtime.block_on(here.refund(&[at_home], home));
                } else {
                    charged.push((there, home));
                }
            }
        }
    });
}

#[test]
fn request_under_several_quotas_pays_all_or_none() {
    let bench = Bench::new();
    let quotas = prop::collection::vec((1_u32..15, any_period()), 1..5);
    let calls = prop::collection::vec((any::<u32>(), 1_usize..16), 0..200);
    check(60, (quotas, any::<bool>(), calls), |(quotas, coarse, calls)| {
        let here = bench.fresh();
        let names: Vec<String> = (0..quotas.len()).map(|index| format!("q{index}")).collect();
        let all: Vec<_> = quotas
            .iter()
            .zip(&names)
            .map(|(&(requests, period), name)| both(name, requests, period))
            .collect();
        let gaps: Vec<u32> = calls.iter().map(|(gap, _)| *gap).collect();
        for (at, (_, mask)) in times(&gaps, coarse).into_iter().zip(calls) {
            let chosen = all.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1);
            let (there, home): (Vec<_>, Vec<_>) = chosen.map(|(_, pair)| *pair).unzip();
            if there.is_empty() {
                continue;
            }
            let decided = bench.there(&there, at);
            let at_home = here.charge_here(&home, bench.now(at));
            assert_same(&decided, &at_home, &format!("{quotas:?} {mask:b} at {at}"));
        }
    });
}

#[test]
fn quota_that_is_there_twice_is_paid_twice() {
    let bench = Bench::new();
    bench.fresh();
    let (charge, _) = both("q", 3, 60_000_000);
    let Decision::Charged(remaining) = bench.there(&[charge, charge], START) else {
        panic!("refused");
    };
    assert_eq!(remaining.iter().map(|one| one.remaining).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn large_quota_costs_little_memory_and_its_key_expires() {
    let bench = Bench::new();
    bench.fresh();
    let (charge, _) = both("q", u32::MAX, 60_000_000);
    for n in 0..2_000 {
        assert!(matches!(bench.there(&[charge], START + n * 60_000), Decision::Charged(_)));
    }
    assert!(bench.memory(&charge) <= 201, "{}", bench.memory(&charge));
    let mut command = redis::cmd("PTTL");
    command.arg(bench.logs.redis.key(&log::name(&charge)));
    let ttl_ms: i64 = bench.runtime.block_on(bench.logs.redis.call(Use::Probe, &command)).unwrap();
    assert!((59_000..=60_001).contains(&ttl_ms), "{ttl_ms} ms");
}

#[test]
fn clock_that_was_set_back_locks_nobody_out() {
    let bench = Bench::new();
    bench.fresh();
    let (charge, _) = both("q", 1, 60_000_000);
    let hour = 3_600_000_000;
    assert!(matches!(bench.there(&[charge], START + hour), Decision::Charged(_)));
    assert!(matches!(bench.there(&[charge], START), Decision::Charged(_)));
    assert!(matches!(bench.there(&[charge], START + 1), Decision::Limited(_)));
}

#[test]
fn refused_request_writes_nothing() {
    let bench = Bench::new();
    bench.fresh();
    let (charge, _) = both("q", 1, 60_000_000);
    assert!(matches!(bench.there(&[charge], START), Decision::Charged(_)));
    let written = || -> String {
        let mut command = redis::cmd("INFO");
        command.arg("persistence");
        let told: String =
            bench.runtime.block_on(bench.logs.redis.call(Use::Probe, &command)).unwrap();
        told.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).unwrap().into()
    };
    let before = written();
    for n in 1..50 {
        assert!(matches!(bench.there(&[charge], START + n), Decision::Limited(_)));
    }
    assert_eq!(written(), before);
}

#[test]
fn names_of_quota_and_principal_do_not_run_together() {
    let quota = Quota { requests: 1, period: Duration::from_secs(1) };
    let name = |quota_id, principal| log::name(&Charge { quota_id, quota, principal });
    assert_ne!(name("a", "bc"), name("ab", "c"));
    assert_ne!(name("a:b", "c"), name("a", "b:c"));
    assert!(name("keys", "alice@example.org").starts_with("quota:keys:"));
    assert!(!name("keys", "alice@example.org").contains("alice"));
}

#[test]
fn futures_can_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let check = |quotas: &Quotas, charges: &[Charge<'_>], name: &str| {
        is_send(quotas.charge(charges, Now::read()));
        let quota = Quota { requests: 1, period: Duration::from_secs(1) };
        let own = [Charge { quota_id: name, quota, principal: name }];
        is_send(async {
            let charged = quotas.charge(&own, Now::read()).await;
            quotas.refund(&own, charged.unwrap_or_default()).await;
        });
    };
    let buckets = Buckets::new(NonZeroUsize::MIN, Now::read());
    check(&Quotas::embedded(buckets), &[], "q");
}
