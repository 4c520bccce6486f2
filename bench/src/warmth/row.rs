//! What is measured of warmth?

use std::time::Duration;

use super::arrivals::Taste;
use super::contender::{Setting, Which};
use super::options::Options;
use super::{burst, overload};
use crate::figures::{Column, Run, column};
use crate::program::Named;

/// One situation, and who is put into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// What happens.
    pub(crate) scene: Scene,
    /// Who is measured; the gateway as it has to keep its promise is first.
    pub(crate) servers: &'static [Which],
    /// What has to be known to read its figures.
    pub(crate) note: &'static str,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Clients come all the time.
    Steady(Taste),
    /// Very many stale answers are asked for at once.
    Burst,
    /// Ten times as much is asked for as may be fetched.
    Overload,
}

/// Most calls for each one of the minimum with `refresh_ahead`.
pub(crate) const RATIO_MAX: f64 = 1.3;

const ALL: [Which; 4] = [Which::Ahead, Which::Revalidate, Which::Plain, Which::Nginx];

/// All rows, in the order in which they are measured.
pub(crate) const ROWS: [Row; 4] = [
    Row {
        name: "uniform",
        title: "50 answers, each asked for as often as the others",
        scene: Scene::Steady(Taste::Uniform),
        servers: &ALL,
        note: "all servers get each request at the same moment, in turns first.",
    },
    Row {
        name: "zipf",
        title: "50 answers, the n-th asked for an n-th as often as the first",
        scene: Scene::Steady(Taste::Zipf),
        servers: &ALL,
        note: "as `uniform`.",
    },
    Row {
        name: "stale-burst",
        title: "1,000 stale answers, asked for at once",
        scene: Scene::Burst,
        servers: &[Which::Revalidate, Which::Nginx],
        note: "the pool has `refreshes_max: 32`; nginx bounds its background updates by nothing. \
               The clients are connected before.",
    },
    Row {
        name: "overload",
        title: "1,200 requests a minute, half of them for what nobody has seen; 120 calls may be made",
        scene: Scene::Overload,
        servers: &[Which::Ahead],
        note: "70 seconds, once, whatever `--rounds` says. The other half is for 20 answers that \
               are fresh for 2 seconds and may be stale for an hour when their service fails.",
    },
];

const STEADY: [Column; 9] = [
    column("requests", "requests", 0),
    column("misses", "misses", 0),
    column("stale", "stale", 0),
    column("oldest_ms", "oldest answer ms", 0),
    column("p99_ms", "p99 ms", 2),
    column("slowest_ms", "slowest ms", 1),
    column("calls", "calls", 0),
    column("minimum", "fewest calls", 0),
    column("ratio", "calls/fewest", 2),
];

const BURST: [Column; 7] = [
    column("requests", "requests", 0),
    column("stale", "answered stale", 0),
    column("calls", "calls", 0),
    column("most_in_flight", "most calls at once", 0),
    column("all_fresh_s", "all fresh after s", 1),
    column("p50_ms", "p50 ms", 1),
    column("slowest_ms", "slowest ms", 1),
];

const OVERLOAD: [Column; 9] = [
    column("requests", "requests", 0),
    column("calls", "calls", 0),
    column("calls_in_a_minute", "most in a minute", 0),
    column("answered_200", "answered 200", 0),
    column("answered_503", "answered 503", 0),
    column("stored_percent", "from the store %", 1),
    column("again_200_percent", "known answers 200 %", 1),
    column("p50_ms", "p50 ms", 2),
    column("p99_ms", "p99 ms", 1),
];

impl Named for Row {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }
}

impl Scene {
    /// What its table shows.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::Steady(_) => &STEADY,
            Self::Burst => &BURST,
            Self::Overload => &OVERLOAD,
        }
    }

    /// What stands above its table.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Steady(_) => "Steady clients",
            Self::Burst => "Stale answers at once",
            Self::Overload => "More than the budget",
        }
    }

    /// How often it is run.
    pub(crate) fn rounds(self, options: &Options) -> u64 {
        if self == Self::Overload { 1 } else { options.rounds }
    }

    /// What its servers are set up with.
    pub(crate) fn setting(self, options: &Options) -> Setting {
        match self {
            Self::Steady(_) => Setting { fresh: options.fresh(), policy: "", pool: String::new() },
            Self::Burst => Setting {
                fresh: burst::FRESH,
                policy: "",
                pool: format!("refreshes_max: {}\n", burst::REFRESHES_MAX),
            },
            Self::Overload => Setting {
                fresh: Duration::from_secs(2),
                policy: ", stale_if_error: 1h",
                pool: format!("budget:\n  minute: {}\n", overload::BUDGET),
            },
        }
    }

    /// What the gateway did not keep, in these rounds of the row's first server.
    pub(crate) fn broken(self, rounds: &[Run]) -> Option<String> {
        let most = |name| rounds.iter().map(|run| run.get(name)).fold(0.0, f64::max);
        let ratio = crate::stats::Spread::of(rounds.iter().map(|run| run.get("ratio"))).median;
        match self {
            Self::Steady(_) if most("misses") > 0.0 => {
                Some(format!("{} misses in a round, where there may be none", most("misses")))
            }
            Self::Steady(_) if ratio > RATIO_MAX => {
                Some(format!("{ratio:.2} calls for one of the minimum, more than {RATIO_MAX}"))
            }
            Self::Burst if most("most_in_flight") > burst::REFRESHES_MAX as f64 => {
                Some(format!("{} calls at once, more than the bound", most("most_in_flight")))
            }
            Self::Overload if most("calls_in_a_minute") > f64::from(overload::BUDGET) => {
                Some(format!("{} calls in a minute", most("calls_in_a_minute")))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_miss_and_a_median_above_the_ratio_are_told_and_what_is_kept_is_not() {
        let run = |misses, ratio| Run::default().with("misses", misses).with("ratio", ratio);
        let steady = Scene::Steady(Taste::Zipf);
        let (good, wasteful) = (run(0.0, 1.3), run(0.0, 1.4));
        assert_eq!(steady.broken(&[good.clone(), wasteful.clone(), good.clone()]), None);
        let told = steady.broken(&[good.clone(), wasteful.clone(), wasteful]).unwrap_or_default();
        assert!(told.contains("1.40 calls"), "{told}");
        let told = steady.broken(&[good, run(1.0, 1.0)]).unwrap_or_default();
        assert!(told.contains("1 misses"), "{told}");
    }

    #[test]
    fn bounds_of_the_pool_are_kept_to_the_last_call() {
        for (scene, name, bound) in [
            (Scene::Burst, "most_in_flight", burst::REFRESHES_MAX as f64),
            (Scene::Overload, "calls_in_a_minute", f64::from(overload::BUDGET)),
        ] {
            assert_eq!(scene.broken(&[Run::default().with(name, bound)]), None);
            assert!(scene.broken(&[Run::default().with(name, bound + 1.0)]).is_some());
        }
    }
}
