//! Who is calling, can a call be copied, and what does asking cost?

use harness::{Connection, Reply, Request, nonce, unix_now};

use super::{NAIROBI, NAKURU, Told};
use crate::error::SceneError;
use crate::measure::{Times, written};
use crate::stage::{Stage, json, text_at};

pub(super) const SIGNED_BEFORE: &str = "nonces were kept for 360 s, but a request dated ahead was valid for up to 600 s: it could be \
     replayed. Without Redis each worker had a memory of its own.";

pub(super) const COST_BEFORE: &str = "an API key that was not in the 60 s cache cost a slow hash: 0.60 s idle, 3.1 s with 8 callers at once.";

pub(super) const TOKEN_BEFORE: &str = "6 to 8 s as the operator saw it. Each mint found the key cache cold and computed a slow hash, and \
     whoever waited more than 1.5 s for it began another.";

/// Where tokens are issued.
const TOKEN: &str = "/api/v1/integrations/token/";

/// Clients that fetch a token at the same time.
const MINTS: usize = 64;

/// A token that takes longer than this is none that the story can tell of.
const MINT_MILLIS_MAX: u128 = 1_000;

/// Requests measured for each credential.
const REQUESTS: usize = 100;

/// A hit with a credential that takes longer than this is none that the story can tell of.
const HIT_MILLIS_MAX: u128 = 100;

/// A signed request is taken once.
pub(super) async fn replayed(stage: &Stage) -> Result<Told, SceneError> {
    let client = &stage.credentials.hmac;
    let (timestamp, nonce) = (unix_now(), nonce());
    let signed =
        || Request::to(stage.gateway(), "GET", NAIROBI).signed_at(client, timestamp, &nonce);
    let first = stage.send(signed()).await?;
    let second = stage.send(signed()).await?;
    let reason = text_at(&json(&second), "/errors/reason");
    let here = format!(
        "accepted in {}; the very same request again: {} {:?} ({reason}) in {}. Nonces are kept for \
         660 s, more than twice the 300 s that clocks may differ.",
        written(first.elapsed),
        second.status,
        text_at(&json(&second), "/message"),
        written(second.elapsed)
    );
    Ok(Told::figure(format!("{}, then {}", first.status, second.status))
        .here(here)
        .check_statuses([&first], 200)
        .check_statuses([&second], 403)
        .check(reason == "replay", || format!("the refusal was {}", second.text())))
}

/// Many clients fetch a token at once, each with the same API key and a signature of its own.
pub(super) async fn minted(stage: &Stage) -> Result<Told, SceneError> {
    let (key, client) = (&stage.credentials.api_key, &stage.credentials.hmac);
    let mint = || {
        let request = Request::to(stage.gateway(), "POST", TOKEN).api_key(key);
        stage.send(request.signed_by(client))
    };
    let crowd = harness::burst(MINTS, |_| mint()).await;
    let crowd = crowd.into_iter().collect::<Result<Vec<Reply>, SceneError>>()?;
    let mut alone = Vec::new();
    for _ in 0..REQUESTS {
        alone.push(mint().await?);
    }
    let access = crowd.last().map(|reply| text_at(&json(reply), "/data/access"));
    let whoami = Request::to(stage.gateway(), "GET", "/api/v1/integrations/whoami/");
    let whoami = stage.send(whoami.bearer(&access.unwrap_or_default())).await?;
    let times = |replies: &[Reply]| Times::new(replies.iter().map(|reply| reply.elapsed));
    let (together, apart) = (times(&crowd), times(&alone));
    let slowest = together.slowest();
    let here = format!(
        "{MINTS} at once, the slowest {}; one after the other {} each (median of {REQUESTS}, with \
         a connection each). The token says who it is for: {:?}.",
        written(slowest),
        written(apart.median()),
        text_at(&json(&whoami), "/data/sub"),
    );
    Ok(Told::figure(written(apart.median()))
        .here(here)
        .check_statuses(crowd.iter().chain(&alone).chain([&whoami]), 200)
        .check(slowest.as_millis() < MINT_MILLIS_MAX, || {
            format!("the slowest took {}", written(slowest))
        }))
}

/// Warm requests with each kind of credential, on one connection each.
pub(super) async fn cost(stage: &Stage) -> Result<Told, SceneError> {
    let token = stage.visitor(2);
    let (key, client) = (&stage.credentials.api_key, &stage.credentials.hmac);
    let by_key = warm(stage.connect().await?, |request| request.api_key(key)).await?;
    let by_token = warm(stage.connect().await?, |request| request.bearer(&token)).await?;
    let by_signature = warm(stage.connect().await?, |request| request.signed_by(client)).await?;
    let times = |replies: &[Reply]| Times::new(replies.iter().map(|reply| reply.elapsed));
    let (key, token, signed) = (times(&by_key), times(&by_token), times(&by_signature));
    let here = format!(
        "a warm hit, median of {REQUESTS}: with an API key {}, with a JWT {}, with a signature {}. \
         The first request with the key: {}. A token that was seen before costs one hash and a \
         look-up; keys of the old tables, whose hash is slow, are hashed once and remembered.",
        written(key.median()),
        written(token.median()),
        written(signed.median()),
        by_key.first().map_or("none".to_owned(), |reply| written(reply.elapsed))
    );
    let slowest = key.p99().max(token.p99()).max(signed.p99());
    Ok(Told::figure(written(key.median()))
        .here(here)
        .check_statuses(by_key.iter().chain(&by_token).chain(&by_signature), 200)
        .check(slowest.as_millis() < HIT_MILLIS_MAX, || {
            format!("p99 {} is not under {HIT_MILLIS_MAX} ms", written(slowest))
        }))
}

async fn warm(
    mut connection: Connection,
    with_credential: impl Fn(Request) -> Request,
) -> Result<Vec<Reply>, SceneError> {
    let mut replies = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let request = with_credential(Request::get(NAKURU));
        let no_answer = |source| SceneError::NoAnswer { request: NAKURU.to_owned(), source };
        replies.push(connection.try_send(request).await.map_err(no_answer)?);
    }
    Ok(replies)
}
