//! Which calls were made to pools that have a budget?
//!
//! Each gateway logs its own calls, in a file too: a restart does not hand out a fresh budget. Where
//! gateways share a Redis they also count together, so that the budget is that of all of them; while
//! it is gone each keeps to the budget by itself.
//!
//! A record is a call's wall time, in milliseconds since 1970, in 8 bytes. It is in the hands of the
//! kernel (`write(2)`) before the call is made; there is no `fsync`. What is left of a torn record
//! is cut off when the file is opened.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::quotas::{Charge, QuotaError, Quotas};
use crate::clock::Now;
use crate::ratelimit::Quota;
use crate::upstream::{Budget, CALLS_MAX, Calls, Pool, Purpose, Window};

/// Bytes of one record.
const RECORD_BYTES: usize = 8;

/// Fewest records that a file is rewritten for.
const REWRITE_AT_MIN: usize = 4_096;

/// Most pools whose calls are held in memory.
const LEDGERS_MAX: usize = 1_024;

/// How long it is believed what all gateways together have left.
const SHARED_FOR: Duration = Duration::from_secs(5);

/// The calls to all pools that have a budget.
#[derive(Debug)]
pub struct CallLog {
    folder: Option<PathBuf>,
    /// Where gateways count together.
    shared: Option<Arc<Quotas>>,
    by_pool: Mutex<HashMap<String, Arc<Ledger>>>,
    write_failures: AtomicU64,
}

/// The calls to one pool.
#[derive(Debug)]
struct Ledger {
    /// The moment from which times are counted.
    began: Now,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    calls: Calls,
    file: Option<Writer>,
    /// What all gateways had left at a moment, by window.
    shared_left: Option<(Now, Vec<u32>)>,
}

#[derive(Debug)]
struct Writer {
    path: PathBuf,
    file: File,
    records: usize,
}

impl CallLog {
    /// A log with files in `folder`, if there is one; `shared` counts for all gateways.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, shared: Option<Arc<Quotas>>) -> Self {
        let by_pool = Mutex::default();
        Self { folder, shared, by_pool, write_failures: AtomicU64::new(0) }
    }

    /// Logs a call to a pool before it is made; a pool without a budget takes any.
    ///
    /// # Errors
    ///
    /// How long until there is room for one of this purpose.
    pub async fn spend(&self, pool: &Pool, purpose: Purpose, now: Now) -> Result<(), Duration> {
        let Some(budget) = &pool.budget else { return Ok(()) };
        let ledger = self.ledger(&pool.name, budget, now);
        let made_at_ms = ledger.lock().calls.spend(budget, purpose, ledger.at_ms(now))?;
        if let Some(quotas) = &self.shared
            && let Err(wait) = self.spend_shared(quotas, &ledger, pool, budget, purpose).await
        {
            ledger.lock().calls.take_back(made_at_ms);
            return Err(wait);
        }
        if let Err(error) = ledger.lock().write(now) {
            self.write_failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(pool = pool.name, %error, "a call could not be logged");
        }
        Ok(())
    }

    /// What is left of each window of a pool's budget.
    #[must_use]
    pub fn left(&self, pool: &Pool, now: Now) -> Vec<(Window, u32)> {
        let Some(budget) = &pool.budget else { return Vec::new() };
        let ledger = self.ledger(&pool.name, budget, now);
        let kept = ledger.lock();
        let shared = kept
            .shared_left
            .as_ref()
            .filter(|(at, _)| now.instant.saturating_duration_since(at.instant) < SHARED_FOR);
        let left = |(index, window): (usize, &Window)| {
            let own = kept.calls.left(window, ledger.at_ms(now));
            let all = shared.and_then(|(_, left)| left.get(index)).copied().unwrap_or(own);
            (*window, own.min(all))
        };
        budget.windows.iter().enumerate().map(left).collect()
    }

    /// How many times as long a pool's answers last, to keep to its budget: 1 while there is enough.
    #[must_use]
    pub fn stretch(&self, pool: &Pool, now: Now) -> f64 {
        let parts = self.left(pool, now);
        let parts = parts.iter().map(|(window, left)| f64::from(*left) / f64::from(window.calls));
        Budget::stretch(parts.fold(1.0, f64::min))
    }

    /// Calls that could not be written down.
    #[must_use]
    pub fn write_failures(&self) -> u64 {
        self.write_failures.load(Ordering::Relaxed)
    }

    async fn spend_shared(
        &self,
        quotas: &Quotas,
        ledger: &Ledger,
        pool: &Pool,
        budget: &Budget,
        purpose: Purpose,
    ) -> Result<(), Duration> {
        let names: Vec<String> =
            budget.windows.iter().map(|window| format!("budget-{}", window.name)).collect();
        let charges: Vec<Charge<'_>> = (names.iter().zip(&budget.windows))
            .map(|(name, window)| Charge {
                quota_id: name,
                quota: Quota { requests: window.calls_for(purpose), period: window.period },
                principal: &pool.name,
            })
            .collect();
        match quotas.charge_firmly(&charges, Now::read()).await {
            Ok(remaining) => {
                let reserved = |window: &Window| window.calls - window.calls_for(purpose);
                let left = remaining.iter().zip(&budget.windows);
                let left = left.map(|(remaining, window)| remaining.remaining + reserved(window));
                ledger.lock().shared_left = Some((Now::read(), left.collect()));
                Ok(())
            }
            Err(QuotaError::Limited(limited)) => Err(limited.retry_after.0),
            Err(QuotaError::Unavailable { retry_after }) => Err(retry_after),
        }
    }

    fn ledger(&self, pool: &str, budget: &Budget, now: Now) -> Arc<Ledger> {
        let mut by_pool = self.by_pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = by_pool.get(pool) {
            return ledger.clone();
        }
        if by_pool.len() >= LEDGERS_MAX {
            // What is dropped is read again when it is asked for.
            by_pool.clear();
        }
        let path = self.folder.as_ref().map(|folder| folder.join(format!("{pool}.calls")));
        let opened = path.map(|path| Kept::open(&path, budget, now));
        let kept = match opened.transpose() {
            Ok(kept) => kept.unwrap_or_else(Kept::in_memory),
            Err(error) => {
                self.write_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(pool, %error, "the log of calls cannot be used; the budget begins anew");
                Kept::in_memory()
            }
        };
        let ledger = Arc::new(Ledger { began: now, kept: Mutex::new(kept) });
        by_pool.insert(pool.to_owned(), ledger.clone());
        ledger
    }
}

impl Ledger {
    fn at_ms(&self, now: Now) -> i64 {
        let since = now.instant.saturating_duration_since(self.began.instant);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn in_memory() -> Self {
        Self { calls: Calls::default(), file: None, shared_left: None }
    }

    /// Reads what an earlier process called. A time that is still to come is that of a clock that was
    /// set back: it counts as made now, for the budget's sake.
    fn open(path: &Path, budget: &Budget, now: Now) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (records, _torn) = bytes.as_chunks::<RECORD_BYTES>();
        let from = records.len().saturating_sub(CALLS_MAX as usize);
        let longest = budget.windows.iter().map(|window| window.period).max().unwrap_or_default();
        let (wall_ms, longest_ms) = (wall_ms(now), millis(longest));
        let mut calls = Calls::default();
        for record in records.iter().skip(from) {
            let age_ms = wall_ms.saturating_sub(i64::from_le_bytes(*record)).max(0);
            if age_ms <= longest_ms {
                calls.restore(-age_ms);
            }
        }
        let times: Vec<i64> = calls.made_at_ms().map(|ago| wall_ms + ago).collect();
        let file = Some(Writer::replace(path, &times)?);
        Ok(Self { calls, file, shared_left: None })
    }

    /// Writes down that a call is made now; a file that is mostly of the past is written anew.
    fn write(&mut self, now: Now) -> io::Result<()> {
        let Self { calls, file: Some(writer), .. } = self else { return Ok(()) };
        if let Err(error) = writer.file.write_all(&wall_ms(now).to_le_bytes()) {
            // What is torn or missing is mended by writing all anew, as soon as that works.
            writer.records = usize::MAX / 2;
            return Err(error);
        }
        writer.records += 1;
        if writer.records < REWRITE_AT_MIN.max(2 * calls.logged()) {
            return Ok(());
        }
        // The latest was logged just now, whatever its clock reads.
        let latest = calls.made_at_ms().last().unwrap_or_default();
        let times: Vec<i64> =
            calls.made_at_ms().map(|made| wall_ms(now) - (latest - made)).collect();
        *writer = Writer::replace(&writer.path, &times)?;
        Ok(())
    }
}

impl Writer {
    /// Writes a file that replaces the one that is there, whole or not at all.
    fn replace(path: &Path, times_ms: &[i64]) -> io::Result<Self> {
        let beside = path.with_extension("calls.new");
        let bytes: Vec<u8> = times_ms.iter().flat_map(|at| at.to_le_bytes()).collect();
        fs::write(&beside, bytes)?;
        fs::rename(&beside, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, records: times_ms.len() })
    }
}

fn wall_ms(now: Now) -> i64 {
    millis(now.wall.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
