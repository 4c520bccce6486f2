//! Is every job done once, by one worker at a time, however workers and databases end?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;
use ndvi::domain::field::FieldId;
use ndvi::domain::job::{ATTEMPTS_MAX, Claim, Job, JobDraft, JobId, JobState, Verdict, Work};
use ndvi::store::{Queued, Store, StoreError};

use crate::bench::{Bench, at, at_once, on_each_database};

on_each_database! {
    another_kind_field_or_outline_has_a_cooldown_of_its_own
    attempts_that_fail_each_time_end_the_job
    claim_can_be_extended_until_it_is_lost
    cooldown_counts_from_the_asking_whatever_became_of_the_job
    damaged_job_is_named_and_ends_like_any_other
    different_jobs_queued_at_once_never_pass_the_bound
    ended_jobs_are_forgotten_and_others_are_not
    every_job_is_claimed_once_by_many_workers
    failed_attempt_waits_for_its_time_and_lets_others_pass
    job_comes_back_as_it_was_queued
    job_that_kills_its_workers_is_given_up
    lost_claim_cannot_finish
    oldest_due_job_is_claimed_first
    same_work_queued_at_once_is_one_job
    worker_that_dies_is_followed_when_its_lease_ends
}

const LEASE: Duration = Duration::from_secs(60);
const NO_COOLDOWN: Duration = Duration::ZERO;
const QUARTER: Duration = Duration::from_secs(900);
const MANY: u32 = 1_000;

/// A job of its own for each number.
fn draft(number: u8, seconds: i64) -> JobDraft {
    JobDraft {
        id: JobId::parse(&format!("{number:032x}")).unwrap(),
        field: FieldId::parse(&format!("field-{number}")).unwrap(),
        revision: 3,
        work: Work::Refresh {
            start: date(2021, 6, 1),
            end: date(2021, 6, 30),
            max_cloud_percent: Some(0.1 + 0.2),
        },
        digest: [number; 32],
        at: at(seconds),
    }
}

async fn queue(store: &dyn Store, draft: &JobDraft) -> Job {
    match store.queue(draft, NO_COOLDOWN, MANY).await.unwrap() {
        Queued::New(job) => job,
        other => panic!("not new: {other:?}"),
    }
}

async fn claim(store: &dyn Store, now: Timestamp) -> Claim {
    store.claim(LEASE, now).await.unwrap().expect("a job that is due")
}

async fn is_idle(store: &dyn Store, now: Timestamp) -> bool {
    store.claim(LEASE, now).await.unwrap().is_none()
}

fn again(seconds: i64) -> Verdict {
    Verdict::Again { at: at(seconds), error: "The catalogue is away.".to_owned() }
}

async fn job_comes_back_as_it_was_queued(bench: &impl Bench) {
    let store = bench.open().await;
    let draft = JobDraft {
        work: Work::Raster { date: date(2021, 6, 17), size: 512, max_cloud_percent: None },
        ..draft(1, 0)
    };
    assert_eq!(store.job(&draft.id).await.unwrap(), None);
    let job = queue(&*store, &draft).await;
    assert_eq!((&job.id, &job.field, job.revision), (&draft.id, &draft.field, 3));
    assert_eq!((&job.work, job.state, job.attempts), (&draft.work, JobState::Queued, 0));
    assert_eq!((job.error.as_deref(), job.created_at, job.updated_at), (None, at(0), at(0)));
    assert_eq!(store.job(&draft.id).await.unwrap(), Some(job));
    assert_eq!(store.waiting().await.unwrap(), 1);

    let claim = claim(&*store, at(5)).await;
    assert_eq!((claim.job.state, claim.job.attempts), (JobState::Running, 1));
    assert_eq!(store.job(&draft.id).await.unwrap().as_ref(), Some(&claim.job));
    assert_eq!(store.waiting().await.unwrap(), 1);

    assert!(store.finish(&claim, &Verdict::Done, at(9)).await.unwrap());
    let done = store.job(&draft.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.error.as_deref(), done.updated_at), (JobState::Done, None, at(9)));
    assert_eq!(store.waiting().await.unwrap(), 0);
    assert!(is_idle(&*store, at(1_000_000)).await);
}

async fn same_work_queued_at_once_is_one_job(bench: &impl Bench) {
    let stores = [bench.open().await, bench.open().await];
    let outcomes = at_once((0..32_u8).map(|number| {
        let store = Arc::clone(&stores[usize::from(number) % 2]);
        let draft = JobDraft { digest: [7; 32], ..draft(number, 0) };
        async move { store.queue(&draft, NO_COOLDOWN, MANY).await.unwrap() }
    }))
    .await;
    let mut ids = BTreeSet::new();
    let mut new = 0;
    for outcome in outcomes {
        match outcome {
            Queued::New(job) => {
                new += 1;
                ids.insert(job.id.as_str().to_owned());
            }
            Queued::Already(job) => {
                ids.insert(job.id.as_str().to_owned());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    assert_eq!(stores[0].waiting().await.unwrap(), 1);
}

async fn different_jobs_queued_at_once_never_pass_the_bound(bench: &impl Bench) {
    let stores = [bench.open().await, bench.open().await];
    let outcomes = at_once((0..32_u8).map(|number| {
        let store = Arc::clone(&stores[usize::from(number) % 2]);
        async move { store.queue(&draft(number, 0), NO_COOLDOWN, 10).await.unwrap() }
    }))
    .await;
    let full = outcomes.iter().filter(|outcome| **outcome == Queued::Full).count();
    assert_eq!((full, stores[0].waiting().await.unwrap()), (22, 10));
    // Room is made by an end.
    let claim = claim(&*stores[0], at(1)).await;
    stores[0].finish(&claim, &Verdict::Done, at(2)).await.unwrap();
    assert!(matches!(
        stores[0].queue(&draft(99, 3), NO_COOLDOWN, 10).await.unwrap(),
        Queued::New(_)
    ));
}

async fn cooldown_counts_from_the_asking_whatever_became_of_the_job(bench: &impl Bench) {
    let store = bench.open().await;
    let first = draft(1, 0);
    queue(&*store, &first).await;
    let other_days = JobDraft { digest: [2; 32], id: draft(2, 0).id, ..draft(1, 100) };
    let outcome = store.queue(&other_days, QUARTER, MANY).await.unwrap();
    assert!(matches!(&outcome, Queued::CoolingDown(job) if job.id == first.id), "{outcome:?}");

    let claim = claim(&*store, at(200)).await;
    let failed = Verdict::Failed { error: "No.".to_owned() };
    store.finish(&claim, &failed, at(300)).await.unwrap();
    let same = JobDraft { id: draft(3, 0).id, ..draft(1, 899) };
    match store.queue(&same, QUARTER, MANY).await.unwrap() {
        Queued::CoolingDown(job) => {
            assert_eq!((job.id, job.created_at), (first.id, at(0)));
            assert_eq!((job.state, job.error.as_deref()), (JobState::Failed, Some("No.")));
        }
        other => panic!("{other:?}"),
    }
    let later = JobDraft { at: at(900), ..same };
    assert!(matches!(store.queue(&later, QUARTER, MANY).await.unwrap(), Queued::New(_)));
}

async fn another_kind_field_or_outline_has_a_cooldown_of_its_own(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    let raster = Work::Raster { date: date(2021, 6, 17), size: 512, max_cloud_percent: None };
    for (number, other) in [
        JobDraft { work: raster, ..draft(1, 1) },
        JobDraft { revision: 4, ..draft(1, 1) },
        JobDraft { field: draft(9, 0).field, ..draft(1, 1) },
    ]
    .into_iter()
    .enumerate()
    {
        let number = 10 + u8::try_from(number).unwrap();
        let other = JobDraft { id: draft(number, 0).id, digest: [number; 32], ..other };
        let outcome = store.queue(&other, QUARTER, MANY).await.unwrap();
        assert!(matches!(outcome, Queued::New(_)), "{outcome:?}");
    }
}

async fn oldest_due_job_is_claimed_first(bench: &impl Bench) {
    let store = bench.open().await;
    for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 10), (5, 99)] {
        queue(&*store, &draft(number, seconds)).await;
    }
    let mut order = Vec::new();
    while let Some(claim) = store.claim(LEASE, at(50)).await.unwrap() {
        order.push(claim.job.field.to_string());
    }
    assert_eq!(order, ["field-2", "field-4", "field-3", "field-1"]);
}

async fn failed_attempt_waits_for_its_time_and_lets_others_pass(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    queue(&*store, &draft(2, 20)).await;
    let first = claim(&*store, at(10)).await;
    assert!(store.finish(&first, &again(30), at(11)).await.unwrap());
    let job = store.job(&first.job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Queued, 1));
    assert_eq!(job.error.as_deref(), Some("The catalogue is away."));
    assert!(is_idle(&*store, at(19)).await);
    // Both are due; the one that was due earlier comes first, tried before or not.
    assert_eq!(claim(&*store, at(40)).await.job.field, draft(2, 0).field);
    let again = claim(&*store, at(40)).await;
    assert_eq!((&again.job.id, again.job.attempts), (&first.job.id, 2));
    assert!(again.token > first.token);
}

async fn every_job_is_claimed_once_by_many_workers(bench: &impl Bench) {
    let stores = [bench.open().await, bench.open().await];
    for number in 0..60 {
        queue(&*stores[0], &draft(number, i64::from(number))).await;
    }
    let claims = at_once((0..12_usize).map(|worker| {
        let store = Arc::clone(&stores[worker % 2]);
        async move {
            let mut claims = Vec::new();
            while let Some(claim) = store.claim(LEASE, at(100)).await.unwrap() {
                assert!(store.finish(&claim, &Verdict::Done, at(101)).await.unwrap());
                claims.push(claim.job.id.as_str().to_owned());
            }
            claims
        }
    }))
    .await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in claims.into_iter().flatten() {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), 60, "none is lost");
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

async fn worker_that_dies_is_followed_when_its_lease_ends(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    let lost = claim(&*store, at(10)).await;
    assert!(is_idle(&*store, at(69)).await);
    let next = claim(&*store, at(70)).await;
    assert_eq!((&next.job.id, next.job.attempts), (&lost.job.id, 2));
    assert!(next.token > lost.token);
}

async fn lost_claim_cannot_finish(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    let slow = claim(&*store, at(10)).await;
    let next = claim(&*store, at(70)).await;
    for verdict in [Verdict::Done, again(80), Verdict::Failed { error: "No.".to_owned() }] {
        assert!(!store.finish(&slow, &verdict, at(75)).await.unwrap());
    }
    assert!(!store.extend(&slow, LEASE, at(75)).await.unwrap());
    assert_eq!(store.job(&slow.job.id).await.unwrap().as_ref(), Some(&next.job));
    assert!(store.finish(&next, &Verdict::Done, at(76)).await.unwrap());
    assert!(!store.finish(&next, &again(90), at(77)).await.unwrap(), "it has ended");
    assert_eq!(store.job(&slow.job.id).await.unwrap().unwrap().state, JobState::Done);
}

async fn claim_can_be_extended_until_it_is_lost(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    let held = claim(&*store, at(10)).await;
    assert!(store.extend(&held, LEASE, at(60)).await.unwrap());
    assert!(is_idle(&*store, at(119)).await);
    // Late, but nobody has taken over yet.
    assert!(store.extend(&held, LEASE, at(130)).await.unwrap());
    assert!(is_idle(&*store, at(189)).await);
    claim(&*store, at(190)).await;
    assert!(!store.extend(&held, LEASE, at(191)).await.unwrap());
}

async fn job_that_kills_its_workers_is_given_up(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    queue(&*store, &draft(2, 10_000)).await;
    for attempt in 0..i64::from(ATTEMPTS_MAX) {
        claim(&*store, at(60 * attempt)).await;
    }
    // The claim that finds it takes the next job.
    let next = claim(&*store, at(10_000)).await;
    assert_eq!(next.job.field, draft(2, 0).field);
    let job = store.job(&draft(1, 0).id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Failed, ATTEMPTS_MAX));
    assert_eq!(job.error.as_deref(), Some("The job was given up after 20 attempts."));
    assert_eq!(job.updated_at, at(10_000));
    assert_eq!(store.waiting().await.unwrap(), 1);
    assert_eq!(store.oldest().await.unwrap(), Some(next.job.created_at));
    assert!(is_idle(&*store, at(10_001)).await);
}

async fn attempts_that_fail_each_time_end_the_job(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    for attempt in 0..i64::from(ATTEMPTS_MAX) {
        let claim = claim(&*store, at(60 * attempt)).await;
        assert!(store.finish(&claim, &again(60 * attempt + 30), at(60 * attempt)).await.unwrap());
    }
    let job = store.job(&draft(1, 0).id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Failed, ATTEMPTS_MAX));
    let error = job.error.unwrap();
    assert!(error.contains("after 20 attempts") && error.contains("catalogue is away"), "{error}");
}

async fn ended_jobs_are_forgotten_and_others_are_not(bench: &impl Bench) {
    let store = bench.open().await;
    for number in 0..4 {
        queue(&*store, &draft(number, 0)).await;
    }
    for seconds in [10, 20] {
        let claim = claim(&*store, at(seconds)).await;
        store.finish(&claim, &Verdict::Done, at(seconds)).await.unwrap();
    }
    claim(&*store, at(30)).await;
    assert_eq!(store.forget_jobs(at(10)).await.unwrap(), 0);
    assert_eq!(store.forget_jobs(at(11)).await.unwrap(), 1);
    assert_eq!(store.forget_jobs(at(10_000)).await.unwrap(), 1);
    assert_eq!(store.waiting().await.unwrap(), 2);
    assert_eq!(store.job(&draft(0, 0).id).await.unwrap(), None);
    assert!(store.job(&draft(3, 0).id).await.unwrap().is_some());
}

async fn damaged_job_is_named_and_ends_like_any_other(bench: &impl Bench) {
    let store = bench.open().await;
    queue(&*store, &draft(1, 0)).await;
    bench.run("UPDATE ndvi_jobs SET work = '{\"kind\":\"dream\"}' RETURNING id").await;
    let error = store.job(&draft(1, 0).id).await.unwrap_err();
    assert_eq!(error.to_string(), format!("job {:032x} in the database is damaged", 1));
    for attempt in 0..i64::from(ATTEMPTS_MAX) {
        let claimed = store.claim(LEASE, at(60 * attempt)).await;
        assert!(matches!(claimed, Err(StoreError::Damaged { .. })), "{claimed:?}");
    }
    assert!(is_idle(&*store, at(10_000)).await);
    assert_eq!((store.waiting().await.unwrap(), store.oldest().await.unwrap()), (0, None));
}
