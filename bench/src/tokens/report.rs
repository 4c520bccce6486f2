//! What does a reader see of it?

use std::fmt::Write as _;

use serde::Serialize;

use super::row::{PROMISE, ROWS, Scene};
use crate::figures::{Column, Figures, column};
use crate::machine::Circumstances;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Under which circumstances.
    pub(crate) circumstances: Circumstances,
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
    /// Its servers; the gateway is first.
    pub(crate) servers: Vec<Figures>,
}

/// The columns of cold keys.
pub(crate) const COLD: [Column; 9] = [
    column("hashes", "hashes", 0),
    column("mint_p50_ms", "p50 ms", 0),
    column("mint_max_ms", "slowest ms", 0).with_ratio(),
    column("cpu_s", "CPU s", 2).with_ratio(),
    column("ordinary_before_p50_us", "ordinary before, p50 µs", 0),
    column("ordinary_meanwhile_p50_us", "meanwhile, p50 µs", 0).with_ratio(),
    column("ordinary_before_p99_us", "before, p99 µs", 0),
    column("ordinary_meanwhile_p99_us", "meanwhile, p99 µs", 0).with_ratio(),
    column("ordinary_again_p99_us", "again, warm, p99 µs", 0),
];

/// The columns of warm keys.
pub(crate) const WARM: [Column; 5] = [
    column("mints_per_second", "tokens/s", 1),
    column("mint_p50_ms", "p50 ms", 2).with_ratio(),
    column("mint_p99_ms", "p99 ms", 2),
    column("mint_max_ms", "slowest ms", 2),
    column("cpu_us_per_mint", "CPU µs/token", 0).with_ratio(),
];

/// The columns of wrong keys.
pub(crate) const FLOOD: [Column; 7] = [
    column("hashes", "hashes bought", 0),
    column("limited", "answered 429", 0),
    column("flood_s", "last answer s", 1),
    column("cpu_s", "CPU s", 2).with_ratio(),
    column("honest_ms", "honest client ms", 0).with_ratio(),
    column("ordinary_before_p99_us", "ordinary before, p99 µs", 0),
    column("ordinary_meanwhile_p99_us", "meanwhile, p99 µs", 0).with_ratio(),
];

impl Report {
    /// The report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# What a token costs\n\n");
        text.push_str(&self.tables());
        text.push_str(
            "\nMedians over the rounds; a ratio is farmgate's figure divided by the other server's \
             in the same round, with the smallest and the largest in brackets: less than 1 is \
             better. CPU is user and system time of the server; the database is not in it. \
             Ordinary requests are 1000 a second: before, meanwhile, and for farmgate while the same \
             clients come again at the same times and nothing is hashed. [README](../README.md) says what each server \
             and each row is.\n\n",
        );
        for Measured { row, note, .. } in self.rows.iter().filter(|row| !row.note.is_empty()) {
            // Writing into a string cannot fail.
            let _infallible = writeln!(text, "* `{row}`: {note}");
        }
        text.push_str("\n## Circumstances\n\n");
        text.push_str(&self.circumstances.lines());
        text
    }

    /// The tables, and whether the promise was kept.
    pub(crate) fn tables(&self) -> String {
        let scene = |measured: &Measured| {
            ROWS.iter().find(|row| row.name == measured.row).map(|row| row.scene)
        };
        let mut text = String::new();
        let mut heading = "";
        for measured in &self.rows {
            let Some(scene) = scene(measured) else { continue };
            if heading != scene.heading() {
                heading = scene.heading();
                text.push_str(&head(scene));
            }
            for (place, figures) in measured.servers.iter().enumerate() {
                let (name, title) =
                    if place == 0 { (measured.row, measured.title) } else { ("", "") };
                let cells = cells(scene, figures);
                let _infallible = writeln!(text, "| {name} | {title} | {cells} |");
            }
        }
        if let Some(promise) = self.promise() {
            let _infallible = writeln!(text, "\n{promise}");
        }
        text
    }

    /// Whether the promise was kept, in each round.
    fn promise(&self) -> Option<String> {
        let (name, bound) = PROMISE;
        let measured = self.rows.iter().find(|measured| measured.row == name)?;
        let rounds = &measured.servers.first()?.rounds;
        let bound_ms = bound.as_secs_f64() * 1e3;
        let kept = rounds.iter().filter(|run| run.get("mint_p99_ms") < bound_ms).count();
        let figures: Vec<_> =
            rounds.iter().map(|run| format!("{:.2}", run.get("mint_p99_ms"))).collect();
        let verdict = if kept == rounds.len() { "held" } else { "not held" };
        Some(format!(
            "**Warm p99 under {bound_ms:.0} ms on a busy machine (`{name}`): {verdict}**, in \
             {kept} of {} rounds: {} ms.",
            rounds.len(),
            figures.join(", ")
        ))
    }
}

fn head(scene: Scene) -> String {
    let (mut names, mut lines) = (String::new(), String::new());
    for column in scene.columns() {
        let _infallible = write!(names, " {} |", column.heading);
        lines.push_str("--:|");
    }
    for column in scene.columns().iter().filter(|column| column.has_ratio) {
        let _infallible = write!(names, " ratio, {} |", column.heading);
        lines.push_str("--:|");
    }
    let heading = scene.heading();
    format!("\n## {heading}\n\n| row | what | server |{names}\n|---|---|---|{lines}\n")
}

fn cells(scene: Scene, figures: &Figures) -> String {
    let mut cells = vec![figures.server.to_owned()];
    for Column { name, digits, .. } in scene.columns() {
        let median = figures.figures.get(name).map(|spread| spread.median);
        cells.push(median.map(|median| format!("{median:.digits$}")).unwrap_or_default());
    }
    for Column { name, .. } in scene.columns().iter().filter(|column| column.has_ratio) {
        let ratios = figures.farmgate_against_it.as_ref();
        let ratio = ratios.and_then(|ratios| ratios.get(name)).map(ToString::to_string);
        cells.push(ratio.unwrap_or_default());
    }
    cells.join(" | ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::figures::Run;

    #[test]
    fn promise_is_told_as_it_was_kept() {
        let run = |ms| Run::default().with("mint_p99_ms", ms).with("mint_p50_ms", 1.0);
        for (rounds, told) in [
            (vec![run(4.9), run(1.0)], "held**, in 2 of 2 rounds: 4.90, 1.00 ms"),
            (vec![run(4.9), run(5.0)], "not held**, in 1 of 2 rounds: 4.90, 5.00 ms"),
        ] {
            let peer = Figures::of("no memory", rounds.clone(), Some(&rounds));
            let servers = vec![Figures::of("farmgate", rounds, None), peer];
            let row = Measured { row: "warm-busy", title: "", note: "", servers };
            let circumstances = Circumstances::now(String::new(), "x".as_ref(), true, "".into());
            let tables = Report { circumstances, rows: vec![row] }.tables();
            assert!(tables.contains(told), "{tables}");
            let widths: Vec<_> = tables.lines().filter(|line| line.starts_with('|')).collect();
            let columns = |line: &&str| line.matches('|').count();
            assert!(widths.windows(2).all(|two| columns(&two[0]) == columns(&two[1])), "{tables}");
        }
    }
}
