//! How much does a process grow whose store sees ten million answers?

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use farmgate::cache::store::Store;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::answer::{answer, key};
use super::trace::scattered;
use crate::error::{BenchError, Trying};
use crate::say;

/// How often the process is looked at.
const LOOK_EVERY: u64 = 100_000;

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resident {
    /// The store's budget.
    pub(crate) budget_bytes: u64,
    /// What the store says that its answers cost, at the end.
    pub(crate) counted_bytes: u64,
    /// Answers in it, at the end.
    pub(crate) objects: u64,
    /// How much more memory the process had at most than before the store was made.
    pub(crate) growth_max_bytes: u64,
    /// The same at the end.
    pub(crate) growth_bytes: u64,
    /// Answers that were put.
    pub(crate) put: u64,
}

impl Resident {
    /// The largest growth, as a share of the budget in percent.
    pub(crate) fn percent(&self) -> f64 {
        100.0 * self.growth_max_bytes as f64 / self.budget_bytes as f64
    }

    pub(crate) fn told(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "{} answers of their own through {:.0} MiB: the process grew by {:.1} MiB at most \
             ({:.0} % of the budget), {:.1} MiB at the end; {} answers were left, counted as {:.1} MiB",
            self.put,
            mib(self.budget_bytes),
            mib(self.growth_max_bytes),
            self.percent(),
            mib(self.growth_bytes),
            self.objects,
            mib(self.counted_bytes),
        )
    }
}

/// Measures in a process of its own.
pub(crate) fn measure(program: &Path, answers: u64) -> Result<Resident, BenchError> {
    let output = Command::new(program)
        .args(["--answers", &answers.to_string(), "resident"])
        .output()
        .trying(|| "start this program again".into())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said).map_err(|_| BenchError::NoReport { said })
}

/// What that process does. A tenth of the answers is asked for again, which moves entries about.
pub(crate) fn run(answers: u64, budget: usize) -> Result<(), BenchError> {
    let nobody = HeaderMap::new();
    let before = resident_bytes()?;
    let store = Store::new(budget);
    let mut growth_max = 0;
    for number in 0..answers {
        let bytes = 1_024 + usize::try_from(scattered(number) % 2_048).unwrap_or_default();
        if let Some(answer) = answer(number, bytes, UNIX_EPOCH) {
            store.put(&key(number), Arc::new(answer));
        }
        if number.is_multiple_of(10) {
            let _found = store.select(&key(number.saturating_sub(5_000)), &nobody);
        }
        if number.is_multiple_of(LOOK_EVERY) {
            growth_max = growth_max.max(resident_bytes()?.saturating_sub(before));
        }
    }
    let growth_bytes = resident_bytes()?.saturating_sub(before);
    let found = Resident {
        budget_bytes: budget as u64,
        counted_bytes: store.bytes() as u64,
        objects: store.objects() as u64,
        growth_max_bytes: growth_max.max(growth_bytes),
        growth_bytes,
        put: answers,
    };
    say(&serde_json::to_string(&found).unwrap_or_default());
    Ok(())
}

fn resident_bytes() -> Result<u64, BenchError> {
    let path = Path::new("/proc/self/status");
    let status = fs::read_to_string(path).trying(|| "read /proc/self/status".into())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.ok_or_else(|| BenchError::Proc(path.to_owned()))? * 1_024)
}
