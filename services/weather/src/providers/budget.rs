//! May this call still be made, or is the provider's allowance used up?
//!
//! Open-Meteo counts weighted calls in windows that end with each minute, hour and day of UTC, and
//! so does the ledger here. What does not fit is not asked, so that the provider never has to say
//! no; if it does, no call is made until the window it named is over. Work that no client waits for
//! leaves a share of each window to clients.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::clock::Now;

use crate::domain::ask::ProviderName;

/// Names and lengths of the windows, in seconds.
const WINDOWS: [(&str, i64); 3] = [("minute", 60), ("hour", 3600), ("day", 86_400)];

/// Slack for sums of weights, which are fractions.
const ROUNDING: f64 = 1e-9;

/// Who a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A client waits for the answer.
    Client,
    /// Nobody waits: an answer is renewed or prepared.
    Background,
}

impl Caller {
    /// The word in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Background => "background",
        }
    }
}

/// Weighted calls that may be made in each window; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetLimits {
    /// From one full minute to the next.
    pub minute: f64,
    /// From one full hour to the next.
    pub hour: f64,
    /// From one midnight of UTC to the next.
    pub day: f64,
    /// Part of each limit, from 0 to 1, that only calls for clients may use.
    pub client_share: f64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    name: &'static str,
    length_s: i64,
    limit: f64,
    started_s: i64,
    spent: f64,
}

impl Window {
    /// What is spent in the window that holds `now_s`. A clock that is set back opens no window
    /// anew.
    fn spent(&self, now_s: i64) -> f64 {
        if self.begin(now_s) > self.started_s { 0.0 } else { self.spent }
    }

    fn begin(&self, now_s: i64) -> i64 {
        now_s - now_s.rem_euclid(self.length_s)
    }

    fn remaining(&self, now_s: i64) -> f64 {
        (self.limit - self.spent(now_s)).max(0.0)
    }

    fn charge(&mut self, weight: f64, now_s: i64) {
        self.spent = self.spent(now_s) + weight;
        self.started_s = self.started_s.max(self.begin(now_s));
    }
}

/// The windows of one provider. Pure: the time is an argument.
#[derive(Debug)]
struct Ledger {
    windows: Vec<Window>,
    client_share: f64,
    closed_until_s: i64,
}

impl Ledger {
    fn new(limits: BudgetLimits) -> Self {
        let windows = WINDOWS
            .into_iter()
            .zip([limits.minute, limits.hour, limits.day])
            .filter(|(_, limit)| *limit > 0.0)
            .map(|((name, length_s), limit)| Window {
                name,
                length_s,
                limit,
                started_s: i64::MIN,
                spent: 0.0,
            });
        Self { windows: windows.collect(), client_share: limits.client_share, closed_until_s: 0 }
    }

    /// The time after which a call of this weight may be made; `None` when it may be made now.
    fn refusal(&self, weight: f64, caller: Caller, now_s: i64) -> Option<Duration> {
        let share = self.share(caller);
        let full =
            |window: &&Window| window.spent(now_s) + weight > window.limit * share + ROUNDING;
        let ends = self
            .windows
            .iter()
            .filter(full)
            .map(|window| window.begin(now_s) + window.length_s)
            .chain((now_s < self.closed_until_s).then_some(self.closed_until_s));
        let until_s = ends.max()?;
        Some(Duration::from_secs(u64::try_from(until_s - now_s).unwrap_or(1)))
    }

    fn largest(&self, caller: Caller) -> f64 {
        let limits = self.windows.iter().map(|window| window.limit * self.share(caller));
        limits.fold(f64::INFINITY, f64::min)
    }

    fn share(&self, caller: Caller) -> f64 {
        match caller {
            Caller::Client => 1.0,
            Caller::Background => 1.0 - self.client_share,
        }
    }

    fn charge(&mut self, weight: f64, now_s: i64) {
        for window in &mut self.windows {
            window.charge(weight, now_s);
        }
    }
}

/// The budget of one provider, shared by all its hosts.
#[derive(Debug)]
pub struct Budget {
    provider: ProviderName,
    ledger: Mutex<Ledger>,
}

impl Budget {
    /// A budget of which nothing is spent.
    #[must_use]
    pub fn new(provider: ProviderName, limits: BudgetLimits) -> Self {
        Self { provider, ledger: Mutex::new(Ledger::new(limits)) }
    }

    /// Whose budget it is.
    #[must_use]
    pub fn provider(&self) -> ProviderName {
        self.provider
    }

    /// Whether a call of this weight would fit now. Nothing is spent.
    ///
    /// # Errors
    /// The time until the window that is full ends.
    pub fn check(&self, weight: f64, caller: Caller, now: Now) -> Result<(), Duration> {
        self.lock().refusal(weight, caller, now.unix_seconds()).map_or(Ok(()), Err)
    }

    /// Spends the weight of one call, if it fits into every window.
    ///
    /// # Errors
    /// The time until the window that is full ends.
    pub fn take(&self, weight: f64, caller: Caller, now: Now) -> Result<(), Duration> {
        let mut ledger = self.lock();
        if let Some(wait) = ledger.refusal(weight, caller, now.unix_seconds()) {
            return Err(wait);
        }
        ledger.charge(weight, now.unix_seconds());
        Ok(())
    }

    /// The heaviest call that would ever fit.
    #[must_use]
    pub fn largest(&self, caller: Caller) -> f64 {
        self.lock().largest(caller)
    }

    /// Lets no call pass for this long, because the provider has said so.
    pub fn close(&self, wait: Duration, now: Now) {
        let wait_s = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let mut ledger = self.lock();
        let until_s = now.unix_seconds().saturating_add(wait_s);
        ledger.closed_until_s = ledger.closed_until_s.max(until_s);
    }

    /// What is left in each window that has a limit, by its name.
    #[must_use]
    pub fn remaining(&self, now: Now) -> Vec<(&'static str, f64)> {
        let ledger = self.lock();
        let now_s = now.unix_seconds();
        ledger.windows.iter().map(|window| (window.name, window.remaining(now_s))).collect()
    }

    /// Sums are replaced in one step, so a panic elsewhere cannot leave them half written.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::time::UNIX_EPOCH;

    /// 23 November 2026, 10:59:50 UTC: ten seconds before a minute and an hour end.
    const BEFORE_ELEVEN_S: u64 = 1_795_431_590;

    fn at(after_s: u64) -> Now {
        Now { wall: UNIX_EPOCH + Duration::from_secs(BEFORE_ELEVEN_S + after_s), ..Now::read() }
    }

    fn budget(minute: f64, hour: f64, day: f64, client_share: f64) -> Budget {
        Budget::new(ProviderName::OpenMeteo, BudgetLimits { minute, hour, day, client_share })
    }

    fn wait_s(seconds: u64) -> Result<(), Duration> {
        Err(Duration::from_secs(seconds))
    }

    #[test]
    fn full_minute_opens_again_with_the_next() {
        let budget = budget(3.0, 0.0, 0.0, 0.0);
        for _ in 0..3 {
            budget.take(1.0, Caller::Client, at(0)).unwrap();
        }
        assert_eq!(budget.take(1.0, Caller::Client, at(4)), wait_s(6));
        assert_eq!(budget.take(1.0, Caller::Client, at(10)), Ok(()));
        assert_eq!(budget.remaining(at(10)), [("minute", 2.0)]);
    }

    #[test]
    fn longest_full_window_tells_when_to_come_back() {
        let budget = budget(2.0, 2.0, 2.0, 0.0);
        budget.take(2.0, Caller::Client, at(0)).unwrap();
        assert_eq!(budget.take(0.5, Caller::Client, at(0)), wait_s(13 * 3600 + 10));
        assert_eq!(budget.remaining(at(0)), [("minute", 0.0), ("hour", 0.0), ("day", 0.0)]);
        assert_eq!(budget.remaining(at(10)), [("minute", 2.0), ("hour", 2.0), ("day", 0.0)]);
    }

    #[test]
    fn heavy_call_that_does_not_fit_spends_nothing() {
        let budget = budget(10.0, 0.0, 0.0, 0.0);
        budget.take(6.0, Caller::Client, at(0)).unwrap();
        assert_eq!(budget.take(6.0, Caller::Client, at(0)), wait_s(10));
        assert_eq!(budget.take(4.0, Caller::Client, at(0)), Ok(()));
    }

    #[test]
    fn share_of_clients_is_kept_from_background_work() {
        let budget = budget(10.0, 0.0, 0.0, 0.3);
        for _ in 0..7 {
            budget.take(1.0, Caller::Background, at(0)).unwrap();
        }
        assert_eq!(budget.take(1.0, Caller::Background, at(0)), wait_s(10));
        for _ in 0..3 {
            budget.take(1.0, Caller::Client, at(0)).unwrap();
        }
        assert_eq!(budget.take(1.0, Caller::Client, at(0)), wait_s(10));
    }

    #[test]
    fn smallest_window_bounds_the_heaviest_call() {
        let budget = budget(100.0, 40.0, 0.0, 0.25);
        assert_eq!([Caller::Client, Caller::Background].map(|c| budget.largest(c)), [40.0, 30.0]);
        let unlimited = Budget::new(ProviderName::NasaPower, BudgetLimits::default());
        assert_eq!(unlimited.largest(Caller::Background), f64::INFINITY);
    }

    #[test]
    fn providers_own_limit_closes_the_budget() {
        let budget = budget(0.0, 0.0, 0.0, 0.0);
        assert_eq!(budget.take(1e6, Caller::Client, at(0)), Ok(()));
        budget.close(Duration::from_secs(10), at(0));
        budget.close(Duration::from_secs(1), at(1));
        assert_eq!(budget.check(1.0, Caller::Client, at(4)), wait_s(6));
        assert_eq!(budget.check(1.0, Caller::Client, at(10)), Ok(()));
    }

    #[test]
    fn clock_that_is_set_back_opens_no_window_anew() {
        let budget = budget(1.0, 0.0, 0.0, 0.0);
        budget.take(1.0, Caller::Client, at(60)).unwrap();
        assert!(budget.take(1.0, Caller::Client, at(0)).is_err());
    }
}
