//! What do wrong keys buy, and who else pays for them?

use std::time::Duration;

use futures::future::try_join_all;

use super::cold::{QUIET, ordinary};
use super::contender::Contender;
use super::farm::Key;
use super::job::check_token;
use crate::client::{Client, now};
use crate::figures::Run;

/// Requests with a wrong key.
const WRONG: u32 = 200;

/// How many of them one address may send in a minute, as the gateway is set up.
const FAILURES_MAX: u64 = 60;

/// When an honest client comes with a key that nobody remembers.
const HONEST_AFTER: Duration = Duration::from_millis(300);

/// The address of the honest client.
const HONEST_FROM: &str = "192.0.2.1";

/// Sends many wrong keys at once from one address, each of them another key with the prefix and
/// the ending of a right one.
///
/// # Errors
/// When an answer or the number of hashes is not as it should be.
pub(crate) async fn run(
    contender: &Contender,
    keys: (&Key, &Key),
    from: &str,
) -> Result<Run, String> {
    let (attacked, honest) = keys;
    let quiet = ordinary(contender).await?.run_for(QUIET).await?;
    let (before, cpu) = (contender.hashes().await?, contender.cpu_us()?);
    let beside = ordinary(contender).await?;
    let begin = now();
    let (statuses, honest) =
        tokio::try_join!(wrong(contender, attacked, from), cold(contender, honest))?;
    let seconds = (now() - begin).as_secs_f64();
    let beside = beside.stop().await?;
    let cpu = contender.cpu_us()? - cpu;
    // The honest client's own hash is not the flood's.
    let hashes = (contender.hashes().await? - before).saturating_sub(1);
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count() as u64;
    let (refused, limited) = (count(401), count(429));
    let bought_max = if contender.which.remembers() { FAILURES_MAX } else { u64::from(WRONG) };
    let is_right =
        hashes == refused && hashes <= bought_max && refused + limited == u64::from(WRONG);
    if !is_right {
        let wrong = "wrong keys bought";
        return Err(format!("{wrong} {hashes} hashes, {refused} times 401, {limited} times 429"));
    }
    Ok(Run::default()
        .with("hashes", hashes as f64)
        .with("limited", limited as f64)
        .with("flood_s", seconds)
        .with("honest_ms", honest.as_secs_f64() * 1e3)
        .with("cpu_s", cpu as f64 / 1e6)
        .with_ordinary(&quiet, &beside))
}

async fn wrong(contender: &Contender, key: &Key, from: &str) -> Result<Vec<u16>, String> {
    let address = contender.server.address();
    let mut ready = Vec::new();
    for number in 0..WRONG {
        let client = Client::connect(address).await.map_err(|error| error.to_string())?;
        ready.push((client, key.wrong(number).mint(address, Some(from))));
    }
    let all = ready.into_iter().map(|(mut client, request)| async move {
        client.ask(&request).await.map(|answer| answer.status).map_err(|error| error.to_string())
    });
    try_join_all(all).await
}

/// How long an honest client waits for its first token in the middle of it.
async fn cold(contender: &Contender, key: &Key) -> Result<Duration, String> {
    tokio::time::sleep(HONEST_AFTER).await;
    let address = contender.server.address();
    let mut client = Client::connect(address).await.map_err(|error| error.to_string())?;
    let begin = now();
    let answer = client.ask(&key.mint(address, Some(HONEST_FROM))).await;
    let answer = answer.map_err(|error| error.to_string())?;
    check_token(&answer)?;
    Ok(answer.at - begin)
}
