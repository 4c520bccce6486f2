//! How are the figures written down?

use serde::Serialize;

use super::play::Told;
use crate::machine::Circumstances;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) circumstances: Circumstances,
    pub(super) rows: Vec<Row>,
}

/// One stream to one gateway.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) warmth: &'static str,
    pub(super) round: u64,
    #[serde(flatten)]
    pub(super) told: Told,
    pub(super) calls_min: usize,
    pub(super) calls_ratio: f64,
}

impl Row {
    /// One line for who watches.
    pub(super) fn told(&self) -> String {
        let Self { warmth, round, told, calls_min, calls_ratio } = self;
        let Told { clients, misses, stale, slowest_ms, calls } = told;
        format!(
            "round {round} {warmth:22}: {clients} clients, {misses} misses, {stale} stale, slowest \
             {slowest_ms:.1} ms; {calls} calls, {calls_min} at least ({calls_ratio:.2})"
        )
    }
}

impl Report {
    /// The figures for people.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "# Does anybody wait for a hot answer?\n\n\
             A Poisson stream of clients, for ten times as long as an answer is fresh, and once that \
             long before for the warm-up, in which nobody is counted but calls are. The fewest calls \
             are those of a schedule that knows all clients beforehand.\n\n\
             | kept warm by | round | clients | misses | stale | slowest, ms | calls | fewest | ratio |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for Row { warmth, round, told, calls_min, calls_ratio } in &self.rows {
            let Told { clients, misses, stale, slowest_ms, calls } = told;
            text += &format!(
                "| `{warmth}` | {round} | {clients} | {misses} | {stale} | {slowest_ms:.1} | {calls} \
                 | {calls_min} | {calls_ratio:.2} |\n"
            );
        }
        let Circumstances { date, command, revision, cores, cpu, load_average, .. } =
            &self.circumstances;
        text += &format!(
            "\n## Circumstances\n\n{date}, `{command}`, revision {revision}, {cores} cores, {cpu}, load \
             {load_average} before.\n"
        );
        text
    }
}
