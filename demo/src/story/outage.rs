//! What do clients get while the provider is down?

use harness::{Reply, Request};

use super::crowd::ELDORET;
use super::{BRIEF_FRESH, Told};
use crate::error::SceneError;
use crate::measure::{Times, written};
use crate::provider::DELAY;
use crate::stage::{Served, Stage, json, served, text_at};

pub(super) const BEFORE: &str =
    "1.5 s of retries, then a 502, for every client whose answer had expired.";

const MOMBASA: &str = "/api/v1/weather/current/?lat=-4.0435&lon=39.6682";

const GARISSA: &str = "/api/v1/weather/current/?lat=-0.4532&lon=39.6461";

/// Clients that ask for what is in the cache.
const CLIENTS: usize = 50;

/// Stale answers for known places, honest errors for unknown ones; then the provider is back.
pub(super) async fn provider_down(stage: &Stage) -> Result<Told, SceneError> {
    // The first answer may be a stale one that starts a refresh; the second is its outcome.
    stage.ask(ELDORET).await?;
    let idle = || async {
        let running = stage.metric("farmgate_refreshes_in_flight").await?;
        Ok((running == 0.0).then_some(()))
    };
    stage.until("the refresh to end", idle).await?;
    let known = stage.ask(ELDORET).await?;
    stage.expire(BRIEF_FRESH).await;
    let told = while_down(stage, &known).await;
    // Whatever happened, the lines after this one count on a provider that works.
    stage.provider.delay(DELAY).await?;
    told
}

async fn while_down(stage: &Stage, known: &Reply) -> Result<Told, SceneError> {
    stage.provider.refuse(503).await?;
    stage.provider.count_anew().await?;
    let stale = sequence(stage, CLIENTS).await?;
    let refused = stage.ask(MOMBASA).await?;
    stage.provider.reset().await?;
    let reset = stage.ask(GARISSA).await?;
    let calls = stage.provider.calls().await?;
    let times = Times::new(stale.iter().map(|reply| reply.elapsed));
    let here = format!(
        "a place that was asked before keeps its answer: {CLIENTS} clients, the slowest {}. A new \
         place gets an honest error: {} {:?} after {} when the provider says 503, {} after {} when \
         it resets the connection. Provider calls in all: {calls}.",
        written(times.slowest()),
        refused.status,
        text_at(&json(&refused), "/message"),
        written(refused.elapsed),
        reset.status,
        written(reset.elapsed)
    );
    let kept = stale.iter().filter(|reply| served(reply) == Served::Stale).count();
    let data = |reply| json(reply).get("data").cloned();
    let same = stale.iter().all(|reply| data(reply) == data(known));
    Ok(Told::figure(written(times.slowest()))
        .here(here)
        .check_statuses(stale.iter().chain([known]), 200)
        .check(kept == CLIENTS, || format!("{kept} of {CLIENTS} answers were stale ones"))
        .check(same, || "a stale answer differs from the stored one".into())
        .check(times.slowest() < DELAY, || "somebody waited".into())
        .check(calls > 0, || "the provider was not even asked".into())
        .check(is_honest(&refused), || format!("for a 503: {} {}", refused.status, refused.text()))
        .check(is_honest(&reset), || format!("for a reset: {} {}", reset.status, reset.text())))
}

/// Clients one after the other, on one connection.
async fn sequence(stage: &Stage, count: usize) -> Result<Vec<Reply>, SceneError> {
    let mut connection = stage.connect().await?;
    let mut replies = Vec::with_capacity(count);
    for number in 0..count {
        let request = Request::get(ELDORET).bearer(&stage.visitor(number));
        let no_answer = |source| SceneError::NoAnswer { request: ELDORET.to_owned(), source };
        replies.push(connection.try_send(request).await.map_err(no_answer)?);
    }
    Ok(replies)
}

/// An envelope that says what failed, with a status that says whose fault it was.
fn is_honest(reply: &Reply) -> bool {
    let body = json(reply);
    matches!(reply.status, 502..=504)
        && text_at(&body, "/status") == "error"
        && !text_at(&body, "/message").is_empty()
        && reply.header("X-Request-ID").is_some()
}
