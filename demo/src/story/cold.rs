//! What does one client wait for: a miss, hits, and an answer fetched before it asked.

use std::time::Duration;

use harness::Request;

use super::{NAIROBI, NAKURU, Told};
use crate::error::SceneError;
use crate::measure::{Times, written};
use crate::provider::DELAY;
use crate::stage::{Served, Stage, json, served};

pub(super) const MISS_BEFORE: &str = "the first visitor waits 2.2 s for the provider, and so does a Django worker, which serves nobody \
     else meanwhile.";

pub(super) const HIT_BEFORE: &str = "a hit went through Django as well: 39 ms.";

pub(super) const WARM_BEFORE: &str = "the first visitor after each expiry waited. The article's remedy was a Celery job every 55 minutes.";

/// Hits that are measured.
const HITS: usize = 200;

/// A hit that takes longer than this is none that the story can tell of.
const HIT_TIME_MAX: Duration = Duration::from_millis(100);

/// One answer that came in less than this did not wait for the provider.
const NO_WAIT: Duration = Duration::from_millis(550);

/// What the gateway may add to the provider's time.
const MISS_ADDS_MAX: Duration = Duration::from_millis(1_500);

/// A first visitor pays the provider's delay, once.
pub(super) async fn miss(stage: &Stage) -> Result<Told, SceneError> {
    stage.provider.count_anew().await?;
    let reply = stage.ask_as(&stage.visitor(0), NAKURU).await?;
    let calls = stage.provider.calls().await?;
    let temperature = json(&reply).pointer("/data/temperature_c").and_then(|value| value.as_f64());
    let took = reply.elapsed;
    let degrees =
        temperature.map_or("no temperature".to_owned(), |degrees| format!("{degrees} °C"));
    let here = format!(
        "the first visitor waits {}, once; {calls} provider call; the answer ({degrees}) is kept \
         for an hour. No thread waits with it.",
        written(took)
    );
    Ok(Told::figure(written(took))
        .here(here)
        .check_statuses([&reply], 200)
        .check(served(&reply) == Served::Miss, || "the answer was in the cache already".into())
        .check(temperature.is_some(), || format!("the answer was {}", reply.text()))
        .check(calls == 1, || format!("the provider was called {calls} times"))
        .check(took >= DELAY && took < DELAY + MISS_ADDS_MAX, || {
            format!("{} is not the provider's {}", written(took), written(DELAY))
        }))
}

/// The same key again and again, on one connection.
pub(super) async fn hits(stage: &Stage) -> Result<Told, SceneError> {
    stage.provider.count_anew().await?;
    let token = stage.visitor(0);
    let mut connection = stage.connect().await?;
    let mut replies = Vec::with_capacity(HITS);
    for _ in 0..HITS {
        let request = Request::get(NAKURU).bearer(&token);
        let no_answer = |source| SceneError::NoAnswer { request: NAKURU.to_owned(), source };
        replies.push(connection.try_send(request).await.map_err(no_answer)?);
    }
    let calls = stage.provider.calls().await?;
    let times = Times::new(replies.iter().map(|reply| reply.elapsed));
    let here = format!(
        "{} hits in a row on one connection: median {}, p99 {}; {calls} provider calls. The \
         envelope was written once, before the cache.",
        times.count(),
        written(times.median()),
        written(times.p99())
    );
    let hits = replies.iter().filter(|reply| served(reply) == Served::Fresh).count();
    Ok(Told::figure(written(times.median()))
        .here(here)
        .check_statuses(&replies, 200)
        .check(hits == HITS, || format!("{hits} of {HITS} answers were fresh hits"))
        .check(calls == 0, || format!("the provider was called {calls} times"))
        .check(times.p99() < HIT_TIME_MAX, || {
            format!("p99 is not under {}", written(HIT_TIME_MAX))
        }))
}

/// The place that the gateway fetched before it said that it was ready.
pub(super) async fn prewarmed(stage: &Stage, ready: Duration) -> Result<Told, SceneError> {
    let reply = stage.ask_as(&stage.visitor(0), NAIROBI).await?;
    let here = format!(
        "the very first client gets a hit, in {}: the gateway fetched Nairobi before it reported \
         ready (it took {} for that) and does so again every 55 minutes.",
        written(reply.elapsed),
        written(ready)
    );
    Ok(Told::figure(written(reply.elapsed))
        .here(here)
        .check_statuses([&reply], 200)
        .check(served(&reply) == Served::Fresh, || {
            format!("Cache-Status was {:?}", reply.header("Cache-Status"))
        })
        .check(reply.elapsed < NO_WAIT, || "the first client waited".into()))
}
