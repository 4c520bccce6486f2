//! What does a reader see of it?

use std::fmt::Write as _;

use serde::Serialize;

use super::policy::NAMES;
use super::resident::Resident;
use crate::machine::Circumstances;

/// How far below the best policy the store may be in any trace, in points of the hit ratio.
const BEHIND_MAX: f64 = 2.0;

/// How much of its budget the process may grow by, in percent.
const GROWTH_PERCENT_MAX: f64 = 115.0;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    circumstances: Circumstances,
    /// The policies, in the order of each row.
    policies: Vec<&'static str>,
    rows: Vec<Row>,
    resident: Resident,
}

/// One trace.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    trace: &'static str,
    /// Hit ratio of each policy, in percent.
    hit_percent: Vec<f64>,
    /// How far the store is below the best of the others; negative where it is the best.
    behind_best: f64,
}

impl Row {
    pub(crate) fn new(trace: &'static str, hit_percent: Vec<f64>) -> Self {
        let best = hit_percent.iter().skip(1).copied().fold(f64::NAN, f64::max);
        let behind_best = best - hit_percent.first().copied().unwrap_or(f64::NAN);
        Self { trace, hit_percent, behind_best }
    }

    pub(crate) fn told(&self) -> String {
        let ratios: String = NAMES
            .iter()
            .zip(&self.hit_percent)
            .map(|(name, ratio)| format!(" {name} {ratio:.2}"))
            .collect();
        format!("{}:{ratios}", self.trace)
    }
}

impl Report {
    pub(crate) fn new(circumstances: Circumstances, rows: Vec<Row>, resident: Resident) -> Self {
        Self { circumstances, policies: NAMES.to_vec(), rows, resident }
    }

    /// The report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Which answers the store keeps\n\n| trace |");
        let line = |text: &mut String, cells: &mut dyn Iterator<Item = String>| {
            cells.for_each(|cell| text.push_str(&format!(" {cell} |")));
            text.push('\n');
        };
        line(
            &mut text,
            &mut NAMES.iter().map(|name| (*name).to_owned()).chain(["behind the best".to_owned()]),
        );
        text.push_str("|---|");
        line(&mut text, &mut (0..=NAMES.len()).map(|_| "--:".to_owned()));
        for Row { trace, hit_percent, behind_best } in &self.rows {
            text.push_str(&format!("| {trace} |"));
            let cells = hit_percent.iter().chain([behind_best]);
            line(&mut text, &mut cells.map(|cell| format!("{cell:.2}")));
        }
        let held = |is_held: bool| if is_held { "held" } else { "**not held**" };
        let is_near = self.rows.iter().all(|row| row.behind_best <= BEHIND_MAX);
        let is_small = self.resident.percent() <= GROWTH_PERCENT_MAX;
        let Circumstances { date, command, revision, cores, cpu, load_average, .. } =
            &self.circumstances;
        // Writing into a string cannot fail.
        let _infallible = write!(
            text,
            "\nHit ratios in percent, of the requests whose keys come again. \
             **Within {BEHIND_MAX} points of the best in every trace: {}.** \
             [README](../README.md) says what each trace and each policy is.\n\n\
             ## What memory it takes\n\n{}. \
             **Within {GROWTH_PERCENT_MAX} % of the budget: {}.**\n\n\
             ## Circumstances\n\n{date}, `{command}`, revision {revision}, {cores} cores, {cpu}, \
             load {load_average} before.\n",
            held(is_near),
            self.resident.told(),
            held(is_small),
        );
        text
    }
}
