//! What does a token cost once its key is remembered?

use std::sync::Arc;
use std::time::Duration;

use super::contender::Contender;
use super::farm::Key;
use super::job::{Mint, check_token};
use crate::client::{Client, now};
use crate::figures::Run;
use crate::stream::{Pace, Stream};

/// Asks for tokens at this pace for so long.
///
/// # Errors
/// When an answer or the number of hashes is not as it should be.
pub(crate) async fn run(
    contender: &Contender,
    keys: &[Key],
    pace: Pace,
    time: Duration,
) -> Result<Run, String> {
    let address = contender.server.address();
    if contender.which.remembers() {
        // Once for each key, so that all are remembered.
        let mut client = Client::connect(address).await.map_err(|error| error.to_string())?;
        for key in keys {
            let answer = client.ask(&key.mint(address, None)).await;
            check_token(&answer.map_err(|error| error.to_string())?)?;
        }
    }
    let (hashes, cpu) = (contender.hashes().await?, contender.cpu_us()?);
    let begin = now();
    let stream = Stream::start(address, pace, Arc::new(Mint::new(address, keys))).await?;
    let mints = stream.run_for(time).await?;
    let seconds = (now() - begin).as_secs_f64();
    let cpu = contender.cpu_us()? - cpu;
    let hashes = contender.hashes().await? - hashes;
    let count = mints.count() as f64;
    let wanted = if contender.which.remembers() { 0 } else { mints.count() as u64 };
    if hashes != wanted || mints.count() == 0 {
        return Err(format!("{hashes} hashes where {wanted} are wanted, for {count} tokens"));
    }
    Ok(Run::default()
        .with("hashes", hashes as f64)
        .with("mints", count)
        .with("mints_per_second", count / seconds)
        .with("mint_p50_ms", mints.percentile_us(50) / 1e3)
        .with("mint_p99_ms", mints.percentile_us(99) / 1e3)
        .with("mint_max_ms", mints.percentile_us(100) / 1e3)
        .with("cpu_us_per_mint", cpu as f64 / count))
}
