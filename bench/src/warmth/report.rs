//! What does a reader see of it?

use std::fmt::Write as _;

use serde::Serialize;

use super::row::{RATIO_MAX, ROWS, Scene};
use crate::figures::{Column, Figures};
use crate::machine::Circumstances;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Under which circumstances.
    pub(crate) circumstances: Circumstances,
    /// Whether the machine had other work.
    pub(crate) idle: &'static str,
    /// The rows.
    pub(crate) rows: Vec<Measured>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) row: &'static str,
    /// What it is.
    pub(crate) title: &'static str,
    /// What has to be known to read it.
    pub(crate) note: &'static str,
    /// What the gateway did not keep.
    pub(crate) broken: Option<String>,
    /// Its servers; the one that has to keep the promise is first.
    pub(crate) servers: Vec<Figures>,
}

impl Report {
    /// The report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# What keeps answers warm\n\n");
        text.push_str(&self.tables());
        text.push_str(
            "\nMedians over the rounds; `warmth.json` has each. A miss is an answer that a client \
             waited for until the origin gave it. An answer's age is told by its body. The fewest \
             calls are those of somebody who knows all arrivals and lets no client miss or see a \
             stale answer; see the [README](../README.md).\n\n",
        );
        for Measured { row, note, .. } in &self.rows {
            // Writing into a string cannot fail.
            let _infallible = writeln!(text, "* `{row}`: {note}");
        }
        text.push_str("\n## Circumstances\n\n");
        text.push_str(&self.circumstances.lines());
        let _infallible = writeln!(text, "* {}", self.idle);
        text
    }

    /// The tables, and what was kept.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        let mut heading = "";
        for measured in &self.rows {
            let Some(scene) = ROWS.iter().find(|row| row.name == measured.row).map(|row| row.scene)
            else {
                continue;
            };
            if heading != scene.heading() {
                heading = scene.heading();
                text.push_str(&head(scene));
            }
            for (place, figures) in measured.servers.iter().enumerate() {
                let row = if place == 0 { measured.row } else { "" };
                let _infallible = writeln!(text, "| {row} | {} |", cells(scene, figures));
            }
        }
        let _infallible = writeln!(
            text,
            "\n**No miss and at most {RATIO_MAX} calls for one of the fewest with `refresh_ahead`, \
             no more calls at once than `refreshes_max`, no more in a minute than the budget: {}**",
            self.verdict()
        );
        text
    }

    /// What was not kept, in words.
    pub(crate) fn broken(&self) -> Option<String> {
        let told =
            |row: &Measured| row.broken.as_ref().map(|broken| format!("{}: {broken}", row.row));
        let broken: Vec<String> = self.rows.iter().filter_map(told).collect();
        (!broken.is_empty()).then(|| broken.join("; "))
    }

    fn verdict(&self) -> String {
        self.broken().map_or_else(|| "held.".to_owned(), |broken| format!("not held: {broken}."))
    }
}

fn head(scene: Scene) -> String {
    let heading = scene.heading();
    let columns = scene.columns();
    let names: String = columns.iter().map(|column| format!(" {} |", column.heading)).collect();
    let lines = "--:|".repeat(columns.len());
    format!("\n## {heading}\n\n| row | server |{names}\n|---|---|{lines}\n")
}

fn cells(scene: Scene, figures: &Figures) -> String {
    let cell = |Column { name, digits, .. }: &Column| {
        let median = figures.figures.get(name).map(|spread| spread.median);
        median.map(|median| format!("{median:.digits$}")).unwrap_or_default()
    };
    let cells = scene.columns().iter().map(cell);
    std::iter::once(figures.server.to_owned()).chain(cells).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;
    use crate::figures::Run;

    #[test]
    fn verdict_names_the_row_that_broke_it_and_tables_are_even() {
        let measured = |broken: Option<&str>| {
            let servers = vec![Figures::of("farmgate", vec![Run::default()], None)];
            let broken = broken.map(str::to_owned);
            Measured { row: "zipf", title: "", note: "", broken, servers }
        };
        for (broken, told) in [(None, ": held.**"), (Some("2 misses"), "not held: zipf: 2 misses.")]
        {
            let circumstances = Circumstances::now(String::new(), "x".as_ref(), true, "".into());
            let rows = vec![measured(broken)];
            let report = Report { circumstances, idle: "", rows };
            let tables = report.tables();
            assert!(tables.contains(told), "{tables}");
            assert_eq!(report.broken().is_some(), broken.is_some());
            let lines: Vec<_> = tables.lines().filter(|line| line.starts_with('|')).collect();
            let columns = |line: &&str| line.matches('|').count();
            assert!(lines.windows(2).all(|two| columns(&two[0]) == columns(&two[1])), "{tables}");
        }
    }
}
