//! What happens when all clients come at once with keys that nobody remembers?

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::sleep_until;

use super::contender::Contender;
use super::farm::Key;
use super::job::{Ordinary, check_token};
use crate::client::{Client, now};
use crate::figures::Run;
use crate::latency::Latencies;
use crate::stream::{Pace, Stream};

/// Clients that come at once.
pub(crate) const CLIENTS: usize = 64;

/// The ordinary requests beside it. Over a few connections, so that one that waits is not alone.
pub(crate) const ORDINARY: Pace = Pace { connections: 16, per_second: Some(1_000) };

/// How long the ordinary requests run with nothing beside them.
pub(crate) const QUIET: Duration = Duration::from_secs(2);

/// Lets all clients come once for each group of keys, and looks at ordinary requests before and
/// meanwhile.
///
/// # Errors
/// When an answer or the number of hashes is not as it should be.
pub(crate) async fn run(contender: &Contender, groups: &[Vec<Key>]) -> Result<Run, String> {
    let quiet = ordinary(contender).await?.run_for(QUIET).await?;
    let (mut mints, mut hashes, mut gaps) = (Vec::new(), 0, Vec::new());
    let beside = ordinary(contender).await?;
    let cpu = contender.cpu_us()?;
    for keys in groups {
        let (begin, before) = (now(), contender.hashes().await?);
        mints.extend(burst(contender, keys).await?);
        let computed = contender.hashes().await? - before;
        let wanted = if contender.which.remembers() { keys.len() } else { CLIENTS };
        if computed != wanted as u64 {
            return Err(format!("{computed} hashes where {wanted} are wanted"));
        }
        hashes += computed;
        gaps.push(now() - begin);
    }
    let cpu = contender.cpu_us()? - cpu;
    let beside = beside.stop().await?;
    let (mints, bursts) = (Latencies::of(mints), groups.len() as f64);
    let mut run = Run::default();
    if contender.which.remembers() {
        let again = again(contender, groups, &gaps).await?;
        run = run.with("ordinary_again_p99_us", again.percentile_us(99));
    }
    Ok(run
        .with("hashes", hashes as f64 / bursts)
        .with("mint_p50_ms", mints.percentile_us(50) / 1e3)
        .with("mint_max_ms", mints.percentile_us(100) / 1e3)
        .with("cpu_s", cpu as f64 / 1e6 / bursts)
        .with_ordinary(&quiet, &beside))
}

/// The same once more, at the same times, now that the keys are remembered: what becomes of ordinary
/// requests when 64 clients come at once and nothing is hashed.
async fn again(
    contender: &Contender,
    groups: &[Vec<Key>],
    gaps: &[Duration],
) -> Result<Latencies, String> {
    let before = contender.hashes().await?;
    let beside = ordinary(contender).await?;
    for (keys, gap) in groups.iter().zip(gaps) {
        let next = now() + *gap;
        burst(contender, keys).await?;
        sleep_until(next.into()).await;
    }
    let beside = beside.stop().await?;
    match contender.hashes().await? - before {
        0 => Ok(beside),
        some => Err(format!("{some} hashes of keys that should be remembered")),
    }
}

/// The stream of ordinary requests.
///
/// # Errors
/// When the server cannot be reached.
pub(crate) async fn ordinary(contender: &Contender) -> Result<Stream, String> {
    let address = contender.server.address();
    Stream::start(address, ORDINARY, Arc::new(Ordinary::new(address))).await
}

async fn burst(contender: &Contender, keys: &[Key]) -> Result<Vec<Duration>, String> {
    let address = contender.server.address();
    let mut ready = Vec::new();
    for key in keys.iter().cycle().take(CLIENTS) {
        let client = Client::connect(address).await.map_err(|error| error.to_string())?;
        ready.push((client, key.mint(address, None)));
    }
    let begin = now();
    let all = ready.into_iter().map(|(mut client, request)| async move {
        let answer = client.ask(&request).await.map_err(|error| error.to_string())?;
        check_token(&answer)?;
        Ok::<_, String>(answer.at - begin)
    });
    try_join_all(all).await
}
