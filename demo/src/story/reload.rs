//! What happens to clients when an operator loads a broken configuration?

use std::cell::Cell;
use std::time::Duration;

use harness::Request;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{NAKURU, Told};
use crate::error::SceneError;
use crate::measure::written;
use crate::stage::{Stage, json};

pub(super) const BEFORE: &str = "a changed .env took effect with a restart, and one bad entry in it locked out every signed client.";

/// Pause of the client that keeps asking.
const REQUEST_PAUSE: Duration = Duration::from_millis(5);

/// Answers of the old routes that are awaited after the refusal.
const AFTER_REFUSAL: usize = 20;

/// Three mistakes are refused with their places; then the file is mended and loaded.
pub(super) async fn refused(stage: &Stage) -> Result<Told, SceneError> {
    let served = Served::default();
    let reloads = tokio::select! {
        reloads = broken_then_mended(stage, &served) => reloads?,
        stopped = keep_asking(stage, &served) => return Err(stopped),
    };
    let Reloads { mistakes, faults, took, generation } = reloads;
    let (good, bad) = (served.good.get(), served.bad.get());
    let here = format!(
        "refused after {}; /config and the log name each mistake with its place. Meanwhile {good} \
         requests were answered by the old routes, {bad} failed. The mended file then came into \
         force as generation {generation}. What was refused:",
        written(took),
    );
    let placed = faults.iter().filter(|fault| has_position(fault)).count();
    Ok(Told::figure(format!("{} mistakes found", faults.len()))
        .here(here)
        .list(faults.clone())
        .check(faults.len() == mistakes && placed == mistakes, || {
            format!("{mistakes} mistakes were made; {placed} of {} have a position", faults.len())
        })
        .check(good >= AFTER_REFUSAL && bad == 0, || "clients noticed".into())
        .check(generation == 2, || format!("the generation is {generation}, not 2")))
}

/// What the two reloads came to.
struct Reloads {
    mistakes: usize,
    faults: Vec<String>,
    took: Duration,
    generation: u64,
}

/// Answers that a client got meanwhile.
#[derive(Default)]
struct Served {
    good: Cell<usize>,
    bad: Cell<usize>,
}

async fn broken_then_mended(stage: &Stage, served: &Served) -> Result<Reloads, SceneError> {
    let broken = broken(stage, served).await;
    // Whatever happened, the file that the reader finds should be a good one.
    stage.files.mend_gateway()?;
    let broken = broken?;
    stage.hang_up().await?;
    let what = "the good configuration to be in force";
    let mended = stage.until(what, || last_reload(stage, true)).await?;
    let generation = mended.get("generation").and_then(Value::as_u64).unwrap_or(0);
    Ok(Reloads { generation, ..broken })
}

async fn broken(stage: &Stage, served: &Served) -> Result<Reloads, SceneError> {
    let mistakes = stage.files.break_gateway()?;
    let started = Instant::now();
    stage.hang_up().await?;
    let refused = stage.until("the reload to be refused", || last_reload(stage, false)).await?;
    let took = started.elapsed();
    let wanted = served.good.get() + AFTER_REFUSAL;
    let answered = || async { Ok((served.good.get() >= wanted).then_some(())) };
    stage.until("answers of the old routes", answered).await?;
    let faults = refused.get("faults").and_then(Value::as_array).into_iter().flatten();
    let faults = faults.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Reloads { mistakes, faults, took, generation: 0 })
}

/// How the last reload ended, once it ended as wanted.
async fn last_reload(stage: &Stage, success: bool) -> Result<Option<Value>, SceneError> {
    let last = json(&stage.admin("/config").await?);
    let ended = last.get("success").and_then(Value::as_bool);
    Ok((ended == Some(success)).then_some(last))
}

/// Asks for one place over and over, on one connection; returns only when it cannot connect.
async fn keep_asking(stage: &Stage, served: &Served) -> SceneError {
    let token = stage.visitor(3);
    let mut connection = match stage.connect().await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    loop {
        let reply = connection.try_send(Request::get(NAKURU).bearer(&token)).await;
        let count =
            if reply.is_ok_and(|reply| reply.status == 200) { &served.good } else { &served.bad };
        count.set(count.get() + 1);
        // A steady client that stays within its quota.
        sleep(REQUEST_PAUSE).await;
    }
}

/// Whether a fault begins as `file:line:column:`.
fn has_position(fault: &str) -> bool {
    let mut parts = fault.split(':').skip(1);
    let mut is_number = || parts.next().is_some_and(|part| part.parse::<usize>().is_ok());
    is_number() && is_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_a_line_and_a_column() {
        assert!(has_position("conf/gateway.yaml:12:5: routes[2].pool: there is no pool"));
        assert!(!has_position("conf/gateway.yaml: cannot be read"));
    }
}
