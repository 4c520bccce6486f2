//! What happens to a client that asks far too often, and to the others?

use harness::{Reply, Request};

use super::{NAKURU, QUOTA_REQUESTS, Told};
use crate::error::SceneError;
use crate::measure::{Times, written};
use crate::stage::{Stage, json, text_at};

pub(super) const BEFORE: &str = "one bucket of 100 a minute for everybody's traffic in the service behind: one busy client \
     locked out all, the metrics too.";

/// Connections of the client that asks too often.
const CONNECTIONS: usize = 12;

/// Requests on each of them: more than the quota in all.
const REQUESTS_EACH: usize = 100;

/// A time to come back that the quota's minute allows.
const RETRY_AFTER_MAX: u64 = 60;

/// One user sends 1,200 requests, another one.
pub(super) async fn burst(stage: &Stage) -> Result<Told, SceneError> {
    let token = stage.credentials.token("runaway-script");
    let replies = harness::burst(CONNECTIONS, |_| many(stage, &token));
    let replies: Result<Vec<Vec<Reply>>, SceneError> = replies.await.into_iter().collect();
    let replies = replies?.concat();
    let other = stage.ask_as(&stage.visitor(1), NAKURU).await?;
    let (accepted, refused): (Vec<&Reply>, Vec<&Reply>) =
        replies.iter().partition(|reply| reply.status == 200);
    let times = Times::new(refused.iter().map(|reply| reply.elapsed));
    let waits: Vec<u64> = refused.iter().filter_map(|reply| retry_after(reply)).collect();
    let longest = waits.iter().max().copied().unwrap_or(0);
    let here = format!(
        "its quota is {QUOTA_REQUESTS} a minute. Of {} requests {} were accepted and {} refused \
         with 429 and Retry-After {longest} (median {}). Another user meanwhile: {} in {}.",
        replies.len(),
        accepted.len(),
        refused.len(),
        written(times.median()),
        other.status,
        written(other.elapsed)
    );
    let enveloped =
        refused.iter().all(|reply| text_at(&json(reply), "/errors/code") == "quota_exceeded");
    let may_wait = waits.iter().all(|wait| (1..=RETRY_AFTER_MAX).contains(wait));
    Ok(Told::figure(format!("{} × 200, {} × 429", accepted.len(), refused.len()))
        .here(here)
        .check_statuses(accepted.iter().copied().chain([&other]), 200)
        .check_statuses(refused.iter().copied(), 429)
        .check(accepted.len() == QUOTA_REQUESTS, || {
            format!("{} were accepted, not exactly {QUOTA_REQUESTS}", accepted.len())
        })
        .check(waits.len() == refused.len() && may_wait, || "a 429 has no good Retry-After".into())
        .check(enveloped, || "a 429 has no envelope with the code quota_exceeded".into()))
}

async fn many(stage: &Stage, token: &str) -> Result<Vec<Reply>, SceneError> {
    let mut connection = stage.connect().await?;
    let mut replies = Vec::with_capacity(REQUESTS_EACH);
    for _ in 0..REQUESTS_EACH {
        let request = Request::get(NAKURU).bearer(token);
        let no_answer = |source| SceneError::NoAnswer { request: NAKURU.to_owned(), source };
        replies.push(connection.try_send(request).await.map_err(no_answer)?);
    }
    Ok(replies)
}

fn retry_after(reply: &Reply) -> Option<u64> {
    reply.header("Retry-After")?.parse().ok()
}
