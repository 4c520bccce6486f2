//! What do 200 clients wait for who all want the same at once?

use std::time::Duration;

use harness::Reply;

use super::{BRIEF_FRESH, Told};
use crate::error::SceneError;
use crate::measure::{Times, written};
use crate::provider::DELAY;
use crate::stage::{Served, Stage, json, served};

pub(super) const EXPIRED_BEFORE: &str =
    "all who came after the expiry waited 2.2 s, and each sent a call of its own to the provider.";

pub(super) const COLD_BEFORE: &str =
    "each client sent a provider call of its own, queued behind two workers.";

/// Hourly weather of Eldoret, on the route whose answers expire after two seconds.
pub(super) const ELDORET: &str = "/api/v1/weather/hourly/?lat=0.5143&lon=35.2698&hours=24";

const KISUMU: &str = "/api/v1/weather/hourly/?lat=-0.0917&lon=34.7680&hours=24";

/// Clients at once.
const CROWD: usize = 200;

/// What the gateway may add to the provider's time with this many clients.
const COLD_ADDS_MAX: Duration = Duration::from_secs(3);

/// The stale answer is served to all; one refresh runs.
pub(super) async fn expired(stage: &Stage) -> Result<Told, SceneError> {
    let first = stage.ask(ELDORET).await?;
    stage.expire(BRIEF_FRESH).await;
    stage.provider.count_anew().await?;
    let replies = crowd(stage, ELDORET).await?;
    let refreshed = || async {
        let running = stage.metric("farmgate_refreshes_in_flight").await?;
        let calls = stage.provider.calls().await?;
        Ok((running == 0.0 && calls > 0).then_some(()))
    };
    stage.until("the refresh to end", refreshed).await?;
    let after = stage.ask(ELDORET).await?;
    let calls = stage.provider.calls().await?;
    let times = Times::new(replies.iter().map(|reply| reply.elapsed));
    let here = format!(
        "nobody waits for the provider: all get the stale answer, the slowest of them in {} \
         (median {}). Provider calls: {calls}, in the background; the next client gets the new answer.",
        written(times.slowest()),
        written(times.median())
    );
    let stale = replies.iter().filter(|reply| served(reply) == Served::Stale).count();
    Ok(Told::figure(written(times.slowest()))
        .here(here)
        .check_statuses(replies.iter().chain([&first, &after]), 200)
        .check(stale == CROWD, || format!("{stale} of {CROWD} answers were stale ones"))
        .check(same_data(&replies, &first), || "the answers differ from the stored one".into())
        .check(times.slowest() < DELAY, || "somebody waited".into())
        .check(calls == 1, || format!("the provider was called {calls} times, not once"))
        .check(served(&after) == Served::Fresh, || "the refresh brought no fresh answer".into()))
}

/// One fetch serves all who wait.
pub(super) async fn cold(stage: &Stage) -> Result<Told, SceneError> {
    stage.provider.count_anew().await?;
    let replies = crowd(stage, KISUMU).await?;
    let calls = stage.provider.calls().await?;
    let times = Times::new(replies.iter().map(|reply| reply.elapsed));
    let here = format!(
        "{} answers out of {calls} provider call. All wait for that one: the slowest {}, the \
         provider alone {}.",
        replies.len(),
        written(times.slowest()),
        written(DELAY)
    );
    let same = replies.first().is_some_and(|first| same_data(&replies, first));
    Ok(Told::figure(written(times.slowest()))
        .here(here)
        .check_statuses(&replies, 200)
        .check(same, || "the answers differ".into())
        .check(calls == 1, || format!("the provider was called {calls} times, not once"))
        .check(times.slowest() < DELAY + COLD_ADDS_MAX, || "that is too slow for one call".into()))
}

/// 200 users, each with a token and a connection of its own, ask at once.
async fn crowd(stage: &Stage, target: &str) -> Result<Vec<Reply>, SceneError> {
    let tokens: Vec<String> = (0..CROWD).map(|number| stage.visitor(number)).collect();
    let mut tokens = tokens.iter();
    let replies = harness::burst(CROWD, |_| {
        let token = tokens.next().map(String::as_str).unwrap_or_default();
        stage.ask_as(token, target)
    });
    replies.await.into_iter().collect()
}

fn same_data(replies: &[Reply], first: &Reply) -> bool {
    let data = json(first).get("data").cloned();
    data.is_some() && replies.iter().all(|reply| json(reply).get("data").cloned() == data)
}
