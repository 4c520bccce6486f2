//! What does a reader see of it?

use std::fmt::Write as _;

use serde::Serialize;

use super::contender::{ACQUIRE_TIMEOUT_MS, STATEMENT_TIMEOUT_MS};
use crate::figures::{Column, Figures, Run, column};
use crate::machine::Circumstances;

/// How much slower what needs no connection may become.
const RATIO_MAX: f64 = 2.0;

/// Longest time after which somebody who is sent away knows it: a wait for a connection, and a
/// statement that its server ends; the rest is for the machine.
const REFUSED_MS_MAX: f64 = (ACQUIRE_TIMEOUT_MS + STATEMENT_TIMEOUT_MS) as f64 + 500.0;

/// The columns.
pub(crate) const COLUMNS: [Column; 10] = [
    column("idle_p50_us", "idle p50 µs", 0),
    column("locked_p50_us", "locked p50 µs", 0),
    column("p50_ratio", "ratio", 2),
    column("idle_p99_us", "idle p99 µs", 0),
    column("locked_p99_us", "locked p99 µs", 0),
    column("p99_ratio", "ratio", 2),
    column("refused", "503", 0),
    column("refused_p50_ms", "503 after, p50 ms", 0),
    column("refused_max_ms", "slowest 503 ms", 0),
    column("answered", "200", 0),
];

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Under which circumstances.
    pub(crate) circumstances: Circumstances,
    /// Whether the machine had other work.
    pub(crate) idle: &'static str,
    /// The services; the one that has to keep the promise is first.
    pub(crate) servers: Vec<Figures>,
}

impl Report {
    /// The report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Who waits when a database has stopped\n\n");
        text.push_str(&self.table());
        text.push_str(
            "\n200 clients ask for a table of Postgres that somebody has locked, over five \
             connections; whoever is sent away comes back after a second, as the answer says. \
             Meanwhile 200 requests a second ask for `/healthz`, `/api/v1/` and `/metrics`, which \
             need no connection. Medians over the rounds; `pools.json` has each. Without bounds \
             everybody may wait for a connection for 30 s.\n\n## Circumstances\n\n",
        );
        text.push_str(&self.circumstances.lines());
        // Writing into a string cannot fail.
        let _infallible = writeln!(text, "* {}", self.idle);
        text
    }

    /// The table, and whether the promise was kept.
    pub(crate) fn table(&self) -> String {
        let names: String = COLUMNS.iter().map(|column| format!(" {} |", column.heading)).collect();
        let mut text = format!("| service |{names}\n|---|{}\n", "--:|".repeat(COLUMNS.len()));
        for figures in &self.servers {
            let cell = |column: &Column| {
                let median = figures.figures.get(column.name).map(|spread| spread.median);
                format!(" {:.*} |", column.digits, median.unwrap_or_default())
            };
            let cells: String = COLUMNS.iter().map(cell).collect();
            let _infallible = writeln!(text, "| {} |{cells}", figures.server);
        }
        let verdict =
            self.broken().map_or_else(|| "held.".to_owned(), |it| format!("not held: {it}."));
        let _infallible = writeln!(
            text,
            "\n**At most {RATIO_MAX} times the idle median for what needs no connection, and a 503 \
             within {REFUSED_MS_MAX} ms for whoever is sent away: {verdict}**"
        );
        text
    }

    /// What was not kept, in words.
    pub(crate) fn broken(&self) -> Option<String> {
        let kept = self.servers.first()?;
        let median = kept.figures.get("p50_ratio")?.median;
        if median > RATIO_MAX {
            return Some(format!("what needs no connection took {median:.2} times as long"));
        }
        let slowest = |run: &Run| run.get("refused_max_ms") > REFUSED_MS_MAX;
        let slow = kept.rounds.iter().filter(|run| slowest(run)).count();
        (slow > 0).then(|| format!("a 503 came late in {slow} rounds"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    fn report(ratio: f64, slowest_ms: f64) -> Report {
        let run = Run::default().with("p50_ratio", ratio).with("refused_max_ms", slowest_ms);
        let circumstances = Circumstances::now(String::new(), "x".as_ref(), true, "".into());
        let servers = vec![Figures::of("ndvi", vec![run], None)];
        Report { circumstances, idle: "", servers }
    }

    #[test]
    fn promise_is_about_the_ratio_and_the_slowest_refusal() {
        assert_eq!(report(1.9, 900.0).broken(), None);
        assert!(report(2.1, 900.0).broken().is_some_and(|why| why.contains("2.10 times")));
        assert!(report(1.0, 9_000.0).broken().is_some_and(|why| why.contains("late")));
        let lines = report(1.0, 1.0).table();
        let lines: Vec<_> = lines.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(lines[0].matches('|').count(), lines[2].matches('|').count());
    }
}
