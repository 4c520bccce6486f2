//! Which figures does a run have, and what do several runs say together?

use std::collections::BTreeMap;

use serde::Serialize;

use crate::latency::Latencies;
use crate::stats::Spread;

/// The figures of one server in one round, by name; units are in the names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Run(BTreeMap<&'static str, f64>);

impl Run {
    /// With one more figure.
    pub(crate) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.0.insert(name, value);
        self
    }

    /// With how ordinary requests fared before and meanwhile.
    pub(crate) fn with_ordinary(self, before: &Latencies, meanwhile: &Latencies) -> Self {
        self.with("ordinary_before_p50_us", before.percentile_us(50))
            .with("ordinary_before_p99_us", before.percentile_us(99))
            .with("ordinary_meanwhile", meanwhile.count() as f64)
            .with("ordinary_meanwhile_p50_us", meanwhile.percentile_us(50))
            .with("ordinary_meanwhile_p99_us", meanwhile.percentile_us(99))
    }

    /// A figure; zero when the run has none of this name.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// A figure that a table shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its name in a run.
    pub(crate) name: &'static str,
    /// What stands above it.
    pub(crate) heading: &'static str,
    /// Digits behind the point.
    pub(crate) digits: usize,
    /// Whether the gateway's is divided by the others'.
    pub(crate) has_ratio: bool,
}

/// A column without a ratio.
pub(crate) const fn column(name: &'static str, heading: &'static str, digits: usize) -> Column {
    Column { name, heading, digits, has_ratio: false }
}

impl Column {
    /// With a ratio.
    pub(crate) const fn with_ratio(self) -> Self {
        Self { has_ratio: true, ..self }
    }

    /// A value with what it is.
    pub(crate) fn told(&self, value: f64) -> String {
        format!("{} {value:.*}", self.heading, self.digits)
    }
}

/// One server's figures in a row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Which server.
    pub(crate) server: &'static str,
    /// Each figure over the rounds.
    pub(crate) figures: BTreeMap<&'static str, Spread>,
    /// Each of the gateway's figures divided by this server's in the same round; the gateway
    /// itself has none.
    pub(crate) farmgate_against_it: Option<BTreeMap<&'static str, Spread>>,
    /// Round by round.
    pub(crate) rounds: Vec<Run>,
}

impl Figures {
    /// Of these rounds; `ours` are the gateway's, for any other server.
    pub(crate) fn of(server: &'static str, rounds: Vec<Run>, ours: Option<&[Run]>) -> Self {
        let names = || rounds.first().map(|run| run.0.keys().copied()).into_iter().flatten();
        let series = |runs: &[Run], name| runs.iter().map(|run| run.get(name)).collect::<Vec<_>>();
        let figures = names().map(|name| (name, Spread::of(series(&rounds, name)))).collect();
        let farmgate_against_it = ours.map(|ours| {
            // A figure that is zero, as that of no hashes, has no ratio.
            let has_ratio = |name: &&str| rounds.iter().all(|run| run.get(name) != 0.0);
            let ratio =
                |name| (name, Spread::of_ratios(&series(ours, name), &series(&rounds, name)));
            names().filter(has_ratio).map(ratio).collect()
        });
        Self { server, figures, farmgate_against_it, rounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_by_round_and_none_is_of_nothing() {
        let run = |mints, hashes| Run::default().with("mints", mints).with("hashes", hashes);
        let ours = [run(10.0, 1.0), run(20.0, 1.0)];
        let figures = Figures::of("peer", vec![run(5.0, 0.0), run(10.0, 0.0)], Some(&ours));
        let ratios = figures.farmgate_against_it.unwrap_or_default();
        assert_eq!(ratios.keys().copied().collect::<Vec<_>>(), ["mints"]);
        assert_eq!(ratios.get("mints").map(|spread| spread.median), Some(2.0));
        assert_eq!(figures.figures.get("mints").map(|spread| spread.median), Some(7.5));
    }
}
