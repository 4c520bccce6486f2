//! How many calls may a pool still take?
//!
//! A provider that is free up to so many calls a minute, an hour, a day counts in windows that
//! nobody else sees. So every call is logged and every window slides: whichever minute is looked at,
//! there are never more calls in it than the budget says. Pure: times are milliseconds of one clock
//! that never goes back, from any beginning.

use std::collections::VecDeque;
use std::time::Duration;

/// Most calls of one window: what the log of calls holds, in 8 bytes each.
pub const CALLS_MAX: u32 = 1_000_000;

/// From here on down, what is left of a budget makes answers last longer.
const STRETCH_FROM: f64 = 0.5;

/// The calls that a pool may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Each window that holds; at least one.
    pub windows: Vec<Window>,
}

/// The calls of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `minute`, `hour` or `day`.
    pub name: &'static str,
    /// How long the window is.
    pub period: Duration,
    /// Most calls in it, wherever it lies.
    pub calls: u32,
}

/// For whom a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A client waits for it.
    Client,
    /// Nobody waits: a tenth of each window stays for those who will.
    Background,
}

/// The calls that were made.
#[derive(Debug, Default)]
pub struct Calls {
    /// When, oldest first.
    made_at_ms: VecDeque<i64>,
}

impl Window {
    /// Most calls for this purpose.
    #[must_use]
    pub fn calls_for(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Client => self.calls,
            Purpose::Background => self.calls - self.calls.div_ceil(10),
        }
    }

    fn period_ms(&self) -> i64 {
        i64::try_from(self.period.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Budget {
    /// How many times as long answers last while so much of the budget is left, as a part of 1: at
    /// least 1, and beyond all bounds when nothing is left.
    #[must_use]
    pub fn stretch(left: f64) -> f64 {
        (STRETCH_FROM / left.max(0.0)).max(1.0)
    }

    fn longest_ms(&self) -> i64 {
        self.windows.iter().map(Window::period_ms).max().unwrap_or_default()
    }
}

impl Calls {
    /// Logs a call, unless a window has no room for one of this purpose; answers the time that it is
    /// logged with.
    ///
    /// # Errors
    ///
    /// How long until all windows have.
    pub fn spend(
        &mut self,
        budget: &Budget,
        purpose: Purpose,
        now_ms: i64,
    ) -> Result<i64, Duration> {
        let now_ms = self.forget(budget, now_ms);
        let waits = budget.windows.iter().map(|window| self.wait_ms(window, purpose, now_ms));
        match waits.max().unwrap_or_default() {
            0 => {
                self.made_at_ms.push_back(now_ms);
                Ok(now_ms)
            }
            wait_ms => Err(Duration::from_millis(wait_ms.unsigned_abs())),
        }
    }

    /// Takes back the call that was logged with this time: it was not made.
    pub fn take_back(&mut self, made_at_ms: i64) {
        if let Ok(index) = self.made_at_ms.binary_search(&made_at_ms) {
            self.made_at_ms.remove(index);
        }
    }

    /// Adds a call that was made earlier, by a process before this one: oldest first.
    pub fn restore(&mut self, made_at_ms: i64) {
        let latest = self.made_at_ms.back().copied().unwrap_or(i64::MIN);
        if self.made_at_ms.len() < CALLS_MAX as usize {
            self.made_at_ms.push_back(made_at_ms.max(latest));
        }
    }

    /// Calls that a window has room for.
    #[must_use]
    pub fn left(&self, window: &Window, now_ms: i64) -> u32 {
        let used = self.made_at_ms.len() - self.first_in(window, now_ms);
        window.calls.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// When the logged calls were made, oldest first, in milliseconds.
    pub fn made_at_ms(&self) -> impl Iterator<Item = i64> {
        self.made_at_ms.iter().copied()
    }

    /// How many calls are logged.
    #[must_use]
    pub fn logged(&self) -> usize {
        self.made_at_ms.len()
    }

    /// Forgets what is in no window any more; answers the time, which does not go back.
    fn forget(&mut self, budget: &Budget, now_ms: i64) -> i64 {
        let now_ms = now_ms.max(self.made_at_ms.back().copied().unwrap_or(i64::MIN));
        let longest_ms = budget.longest_ms();
        while self.made_at_ms.front().is_some_and(|made| made.saturating_add(longest_ms) < now_ms) {
            self.made_at_ms.pop_front();
        }
        now_ms
    }

    /// A call counts for a whole period after its millisecond: late rather than early.
    fn first_in(&self, window: &Window, now_ms: i64) -> usize {
        let period_ms = window.period_ms();
        self.made_at_ms.partition_point(|made| made.saturating_add(period_ms) < now_ms)
    }

    fn wait_ms(&self, window: &Window, purpose: Purpose, now_ms: i64) -> i64 {
        let calls = window.calls_for(purpose) as usize;
        let first = self.first_in(window, now_ms);
        let used = self.made_at_ms.len() - first;
        if used < calls {
            return 0;
        }
        // Room comes when the call leaves that is one too many; where none is ever allowed, look again
        // in a period.
        let leaving = self.made_at_ms.get(first + used - calls);
        let left_at = leaving.map_or(now_ms, |made| *made).saturating_add(window.period_ms());
        (left_at - now_ms + 1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(windows: &[(u64, u32)]) -> Budget {
        let windows = windows.iter().map(|(seconds, calls)| Window {
            name: "minute",
            period: Duration::from_secs(*seconds),
            calls: *calls,
        });
        Budget { windows: windows.collect() }
    }

    #[test]
    fn calls_are_refused_until_the_oldest_has_left_the_window() {
        let (budget, mut calls) = (budget(&[(1, 2)]), Calls::default());
        assert_eq!(calls.spend(&budget, Purpose::Client, 0), Ok(0));
        assert_eq!(calls.spend(&budget, Purpose::Client, 400), Ok(400));
        let wait = calls.spend(&budget, Purpose::Client, 500);
        assert_eq!(wait, Err(Duration::from_millis(501)));
        assert_eq!(calls.spend(&budget, Purpose::Client, 1_000), Err(Duration::from_millis(1)));
        assert_eq!(calls.spend(&budget, Purpose::Client, 1_001), Ok(1_001));
        assert_eq!(calls.spend(&budget, Purpose::Client, 1_002), Err(Duration::from_millis(399)));
    }

    #[test]
    fn the_longest_wait_of_all_windows_is_told() {
        let (budget, mut calls) = (budget(&[(1, 5), (60, 1)]), Calls::default());
        assert_eq!(calls.spend(&budget, Purpose::Client, 0), Ok(0));
        assert_eq!(calls.spend(&budget, Purpose::Client, 0), Err(60 * SECOND + SECOND / 1_000));
    }

    #[test]
    fn a_tenth_is_left_for_clients() {
        let (budget, mut calls) = (budget(&[(60, 20)]), Calls::default());
        for _ in 0..18 {
            assert_eq!(calls.spend(&budget, Purpose::Background, 0), Ok(0));
        }
        assert!(calls.spend(&budget, Purpose::Background, 1).is_err());
        for _ in 0..2 {
            assert_eq!(calls.spend(&budget, Purpose::Client, 1), Ok(1));
        }
        assert!(calls.spend(&budget, Purpose::Client, 2).is_err());
        calls.take_back(1);
        assert_eq!(calls.spend(&budget, Purpose::Client, 2), Ok(2));
    }

    #[test]
    fn a_budget_of_one_call_is_for_clients_alone() {
        let (budget, mut calls) = (budget(&[(1, 1)]), Calls::default());
        assert!(calls.spend(&budget, Purpose::Background, 0).is_err_and(|wait| wait >= SECOND));
        assert_eq!(calls.spend(&budget, Purpose::Client, 0), Ok(0));
    }

    #[test]
    fn answers_last_longer_the_less_is_left() {
        for (left, wanted) in [(1.0, 1.0), (0.5, 1.0), (0.25, 2.0), (0.05, 10.0)] {
            assert!((Budget::stretch(left) - wanted).abs() < 1e-9, "{left}");
        }
        assert!(Budget::stretch(0.0).is_infinite());
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_its_calls(
            gaps in proptest::collection::vec((0_i64..400, any::<bool>()), 1..300),
            calls_short in 1_u32..8,
            calls_long in 1_u32..30,
        ) {
            let budget = budget(&[(1, calls_short), (10, calls_long)]);
            let (mut calls, mut now, mut made) = (Calls::default(), 0, Vec::new());
            for (gap, is_client) in gaps {
                now += gap;
                let purpose = if is_client { Purpose::Client } else { Purpose::Background };
                if calls.spend(&budget, purpose, now).is_ok() {
                    made.push(now);
                }
            }
            for window in &budget.windows {
                for from in &made {
                    let until = from + window.period_ms();
                    let inside = made.iter().filter(|at| *from <= **at && **at <= until).count();
                    prop_assert!(inside <= window.calls as usize);
                }
            }
        }

        #[test]
        fn who_waits_as_long_as_told_may_call(
            times in proptest::collection::vec(0_i64..3_000, 1..40),
            calls_max in 1_u32..6,
        ) {
            let (budget, mut calls) = (budget(&[(1, calls_max), (2, 2 * calls_max)]), Calls::default());
            let mut times = times;
            times.sort_unstable();
            for now in times {
                if let Err(wait) = calls.spend(&budget, Purpose::Client, now) {
                    let later = now + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                    let mut probe = Calls { made_at_ms: calls.made_at_ms.clone() };
                    prop_assert!(probe.spend(&budget, Purpose::Client, later - 1).is_err());
                    prop_assert!(probe.spend(&budget, Purpose::Client, later).is_ok());
                }
            }
        }
    }
}
