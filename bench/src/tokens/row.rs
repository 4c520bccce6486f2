//! What is measured of tokens?

use std::time::Duration;

use super::contender::Which;
use super::report::{COLD, FLOOD, WARM};
use crate::figures::{Column, Run};
use crate::program::Named;
use crate::stream::Pace;

/// One situation, and who is put into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// What happens.
    pub(crate) scene: Scene,
    /// Who is measured, in the order of a round; the gateway is first.
    pub(crate) servers: &'static [Which],
    /// What has to be known to read its figures.
    pub(crate) note: &'static str,
}

impl Named for Row {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// All clients come at once with so many keys that nobody remembers.
    Cold {
        /// How often, each time with other keys; a server that remembers none is slow enough to
        /// be looked at once.
        bursts: usize,
        /// How many keys there are each time.
        keys: usize,
    },
    /// Clients come again and again with a key that was seen before.
    Warm {
        /// How often, for a server that remembers keys.
        pace: Pace,
        /// How often, for one that does not.
        forgetful: Pace,
        /// Whether every core is busy with something else.
        busy: bool,
    },
    /// Somebody sends wrong keys, and an honest client comes with one that nobody remembers.
    Flood,
}

/// The row that has to keep a promise, and the promise.
pub(crate) const PROMISE: (&str, Duration) = ("warm-busy", Duration::from_millis(5));

const ALL: [Which; 3] = [Which::Farmgate, Which::Forgetful, Which::ForgetfulOneThread];
const TWO: [Which; 2] = [Which::Farmgate, Which::Forgetful];

/// 200 tokens a second for 64 clients, where one client asks for one in 295 seconds.
const STEADY: Pace = Pace { connections: 64, per_second: Some(200) };
const FULL: Pace = Pace { connections: 64, per_second: None };
const ONE_BY_ONE: Pace = Pace { connections: 1, per_second: None };

/// All rows, in the order in which they are measured.
pub(crate) const ROWS: [Row; 6] = [
    Row {
        name: "cold-one",
        title: "64 clients at once, one cold key",
        scene: Scene::Cold { bursts: 10, keys: 1 },
        servers: &ALL,
        note: "for farmgate ten times in each round, each time with another key; figures of hashes \
               and CPU are of one time. 64 tokens are handed out at once every 0.15 s, which \
               ordinary requests feel without a hash too: see the last column.",
    },
    Row {
        name: "cold-eight",
        title: "64 clients at once, 8 cold keys",
        scene: Scene::Cold { bursts: 3, keys: 8 },
        servers: &ALL,
        note: "for farmgate three times in each round.",
    },
    Row {
        name: "warm-busy",
        title: "200 tokens a second, every core busy",
        scene: Scene::Warm { pace: STEADY, forgetful: ONE_BY_ONE, busy: true },
        servers: &TWO,
        note: "without a memory 200 a second cannot be had: there, one client asks again and again.",
    },
    Row {
        name: "warm-quiet",
        title: "200 tokens a second",
        scene: Scene::Warm { pace: STEADY, forgetful: ONE_BY_ONE, busy: false },
        servers: &TWO,
        note: "as `warm-busy`, with nothing beside it that the benchmark knows of.",
    },
    Row {
        name: "warm-full",
        title: "64 clients as fast as they can",
        scene: Scene::Warm { pace: FULL, forgetful: FULL, busy: false },
        servers: &TWO,
        note: "latency at full load is mostly waiting for a core.",
    },
    Row {
        name: "flood",
        title: "200 wrong keys at once, and one honest client",
        scene: Scene::Flood,
        servers: &TWO,
        note: "each wrong key is another one, with the prefix and the ending of a right key; 60 \
               failures a minute are allowed to an address. The honest client comes 0.3 s later, \
               from another address, with a cold key.",
    },
];

impl Row {
    /// What a person sees of a run while the benchmark goes on.
    pub(crate) fn told(&self, run: &Run) -> String {
        let told = |column: &Column| column.told(run.get(column.name));
        self.scene.columns().iter().map(told).collect::<Vec<_>>().join("  ")
    }
}

impl Scene {
    /// The columns of its table.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::Cold { .. } => &COLD,
            Self::Warm { .. } => &WARM,
            Self::Flood => &FLOOD,
        }
    }

    /// How many keys a round needs.
    pub(crate) fn keys(self) -> usize {
        match self {
            Self::Cold { bursts, keys } => bursts * keys,
            // As many as clients sign, so that no key reaches its quota either.
            Self::Warm { .. } => 8,
            // One that is attacked, and one of an honest client.
            Self::Flood => 2,
        }
    }

    /// The heading of its table.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Cold { .. } => "Cold keys",
            Self::Warm { .. } => "Warm keys",
            Self::Flood => "Wrong keys",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_one_makes_the_promise() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        assert!(names.contains(PROMISE.0));
    }

    #[test]
    fn each_row_measures_the_gateway_first_and_a_peer() {
        for row in ROWS {
            assert!(matches!(row.servers, [Which::Farmgate, _, ..]), "{}", row.name);
        }
    }
}
