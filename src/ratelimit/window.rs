//! May one more request be accepted now?
//!
//! A sliding log: the times of the accepted requests of the last `period`. It is chosen over GCRA
//! (ITU-T I.371), which fits in one timestamp but with a burst of N and a refill of N per period
//! accepts up to 2N - 1 in a window that begins just before the burst. The operator's system
//! keeps a sliding log too, so limits and waiting times stay what its clients know.
//!
//! Memory is bounded whatever the quota. Up to [`RESOLUTION`] requests per period are logged one
//! by one. For larger quotas time is cut into cells of `period / RESOLUTION`, and the requests of
//! one cell share the time of the latest of them. So a request can be freed late, never early: the
//! limit holds in every window, and at full use at most one part in `RESOLUTION` (0.5 %) of the
//! quota is lost.

use std::collections::VecDeque;
use std::time::Duration;

/// Log entries per period, and the reciprocal of what a large quota may lose.
const RESOLUTION: u32 = 200;

/// At most this many requests in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most requests in one period; 0 refuses every request.
    pub requests: u32,
    /// The length of the sliding window.
    pub period: Duration,
}

impl Quota {
    fn period_ns(self) -> u64 {
        nanoseconds(self.period)
    }

    /// Which cell of the log a time falls into: its own for a small quota.
    fn cell(self, at_ns: u64) -> u64 {
        if self.requests <= RESOLUTION {
            return at_ns;
        }
        at_ns / (self.period_ns() / u64::from(RESOLUTION)).max(1)
    }
}

/// What is left of a quota after an accepted request.
///
/// Not `Clone`: it is also the receipt with which the one charge can be given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a charge for a request that is then refused must be given back"]
pub struct Remaining {
    /// The quota's requests per period.
    pub limit: u32,
    /// How many more requests would be accepted at this moment.
    pub remaining: u32,
    /// How long until `remaining` grows again: when the oldest logged request leaves the window.
    pub reset_after: Duration,
    receipt: Receipt,
}

/// Which log holds a charge, and under which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receipt {
    /// A window of this process.
    Here {
        /// The time of the charge.
        at_ns: u64,
    },
    /// A log that processes share, with the receipt that it gave.
    Elsewhere(u64),
    /// None: the request was let through uncounted.
    Nowhere,
}

impl Remaining {
    /// What is left after a charge to a log that is not of this process. Such a charge is given
    /// back there, with the receipt that it gave.
    pub fn elsewhere(quota: Quota, remaining: u32, reset_after: Duration, receipt: u64) -> Self {
        let receipt = Receipt::Elsewhere(receipt);
        Self { limit: quota.requests, remaining, reset_after, receipt }
    }

    /// What is left where nobody could count.
    pub fn uncounted(quota: Quota) -> Self {
        Self {
            limit: quota.requests,
            remaining: quota.requests,
            reset_after: quota.period,
            receipt: Receipt::Nowhere,
        }
    }

    /// The receipt of a charge that was made [`elsewhere`](Self::elsewhere).
    #[must_use]
    pub fn receipt_elsewhere(&self) -> Option<u64> {
        match self.receipt {
            Receipt::Elsewhere(receipt) => Some(receipt),
            Receipt::Here { .. } | Receipt::Nowhere => None,
        }
    }
}

/// The quota is used up; how long until one request is free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quota is used up for another {0:?}")]
pub struct RetryAfter(pub Duration);

/// The accepted requests of one principal under one quota.
///
/// Times are nanoseconds since any fixed moment. A time before the latest accepted one counts as
/// that: readings of two threads may arrive here in the other order, and both were taken before
/// either decision.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Oldest first.
    log: VecDeque<Entry>,
    /// The sum of the log's counts.
    used: u32,
}

#[derive(Debug)]
struct Entry {
    latest_ns: u64,
    count: u32,
}

impl Window {
    /// Accepts and charges one request, or refuses it and charges nothing.
    ///
    /// # Errors
    /// [`RetryAfter`] when `quota.requests` are logged within the last period.
    pub(super) fn charge(&mut self, quota: Quota, now_ns: u64) -> Result<Remaining, RetryAfter> {
        let at_ns = self.log.back().map_or(now_ns, |newest| now_ns.max(newest.latest_ns));
        self.expire(quota, at_ns);
        if self.used >= quota.requests {
            return Err(RetryAfter(self.wait(quota, at_ns)));
        }
        self.record(quota, at_ns);
        let oldest_ns = self.log.front().map_or(at_ns, |oldest| oldest.latest_ns);
        Ok(Remaining {
            limit: quota.requests,
            remaining: quota.requests - self.used,
            reset_after: left_in_window(quota, oldest_ns, at_ns),
            receipt: Receipt::Here { at_ns },
        })
    }

    /// Takes a charge back, as if its request had never been made. Does nothing when the charge
    /// has left the window by itself, or was made elsewhere.
    pub(super) fn refund(&mut self, quota: Quota, charge: Remaining) {
        let Receipt::Here { at_ns } = charge.receipt else { return };
        let index = self.log.partition_point(|entry| entry.latest_ns < at_ns);
        let Some(entry) = self.log.get_mut(index) else { return };
        if quota.cell(entry.latest_ns) != quota.cell(at_ns) {
            return;
        }
        entry.count -= 1;
        self.used -= 1;
        if entry.count == 0 {
            self.log.remove(index);
        }
    }

    fn expire(&mut self, quota: Quota, at_ns: u64) {
        let period_ns = quota.period_ns();
        while let Some(left) =
            self.log.pop_front_if(|oldest| oldest.latest_ns.saturating_add(period_ns) <= at_ns)
        {
            self.used -= left.count;
        }
    }

    fn record(&mut self, quota: Quota, at_ns: u64) {
        self.used += 1;
        match self.log.back_mut() {
            Some(newest) if quota.cell(newest.latest_ns) == quota.cell(at_ns) => {
                newest.latest_ns = at_ns;
                newest.count += 1;
            }
            _ => self.log.push_back(Entry { latest_ns: at_ns, count: 1 }),
        }
    }

    /// How long until enough of the log has expired for one more request. More than one entry
    /// has to go when a reload has made the quota smaller.
    fn wait(&self, quota: Quota, at_ns: u64) -> Duration {
        let mut used = self.used;
        for entry in &self.log {
            used -= entry.count;
            if used < quota.requests {
                return left_in_window(quota, entry.latest_ns, at_ns);
            }
        }
        quota.period
    }
}

/// How long a request logged at `logged_ns` stays in the window that ends at `at_ns`.
fn left_in_window(quota: Quota, logged_ns: u64, at_ns: u64) -> Duration {
    Duration::from_nanos(logged_ns.saturating_add(quota.period_ns()).saturating_sub(at_ns))
}

/// Nanoseconds, saturating after 584 years.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const MINUTE_NS: u64 = 60_000_000_000;

    fn quota(requests: u32) -> Quota {
        Quota { requests, period: MINUTE }
    }

    /// The times of the accepted requests among `arrivals`.
    fn accepted(window: &mut Window, quota: Quota, arrivals: &[u64]) -> Vec<u64> {
        arrivals.iter().copied().filter(|&at| window.charge(quota, at).is_ok()).collect()
    }

    #[track_caller]
    fn assert_never_more_than_the_quota(quota: Quota, accepted: &[u64]) {
        let period_ns = nanoseconds(quota.period);
        for pair in accepted.windows(quota.requests as usize + 1) {
            let span = pair[pair.len() - 1] - pair[0];
            assert!(span >= period_ns, "{} requests within {span} ns", pair.len());
        }
    }

    #[test]
    fn full_quota_is_free_again_after_one_period() {
        let mut window = Window::default();
        for left in (0..3).rev() {
            assert_eq!(window.charge(quota(3), 5).unwrap().remaining, left);
        }
        assert_eq!(window.charge(quota(3), 5), Err(RetryAfter(MINUTE)));
        let last = MINUTE_NS + 4;
        assert_eq!(window.charge(quota(3), last), Err(RetryAfter(Duration::from_nanos(1))));
        assert_eq!(window.charge(quota(3), last + 1).unwrap().remaining, 2);
    }

    /// GCRA's virtual scheduling with a burst of N: the choice that was not made.
    fn accepted_by_gcra(quota: Quota, arrivals: &[u64]) -> usize {
        let increment = quota.period_ns() / u64::from(quota.requests);
        let mut expected_ns = 0;
        let conforms = |&&at: &&u64| {
            let conforming = expected_ns <= at + quota.period_ns() - increment;
            if conforming {
                expected_ns = expected_ns.max(at) + increment;
            }
            conforming
        };
        arrivals.iter().filter(conforms).count()
    }

    #[test]
    fn burst_and_refill_do_not_add_up() {
        let burst = [MINUTE_NS; 100].into_iter();
        let refill = (1..100).map(|n| MINUTE_NS + n * MINUTE_NS / 100);
        let arrivals = burst.chain(refill).collect::<Vec<_>>();
        assert_eq!(accepted_by_gcra(quota(100), &arrivals), 199);
        assert_eq!(accepted(&mut Window::default(), quota(100), &arrivals).len(), 100);
    }

    #[test]
    fn reset_names_the_moment_of_the_next_free_request() {
        let mut window = Window::default();
        assert_eq!(window.charge(quota(2), 0).unwrap().reset_after, MINUTE);
        let second = window.charge(quota(2), MINUTE_NS / 4).unwrap();
        assert_eq!(second.reset_after, Duration::from_secs(45));
        assert_eq!(
            window.charge(quota(2), MINUTE_NS / 2),
            Err(RetryAfter(Duration::from_secs(30)))
        );
    }

    #[test]
    fn quota_of_zero_refuses_every_request() {
        assert_eq!(Window::default().charge(quota(0), 7), Err(RetryAfter(MINUTE)));
    }

    #[test]
    fn earlier_reading_counts_as_the_latest_accepted_time() {
        let mut window = Window::default();
        assert!(window.charge(quota(2), 1_000).is_ok());
        assert!(window.charge(quota(2), 10).is_ok());
        assert_eq!(window.charge(quota(2), MINUTE_NS + 999).unwrap_err().0.as_nanos(), 1);
    }

    #[test]
    fn smaller_quota_after_a_reload_waits_for_enough_to_expire() {
        let mut window = Window::default();
        for second in 0..5 {
            assert!(window.charge(quota(5), second * 1_000_000_000).is_ok());
        }
        let refused = window.charge(quota(2), 5_000_000_000).unwrap_err();
        assert_eq!(refused.0, Duration::from_secs(58));
    }

    #[test]
    fn refunded_charge_is_free_again() {
        for requests in [1, 5_000] {
            let mut window = Window::default();
            let mut last = None;
            for _ in 0..requests {
                last = window.charge(quota(requests), 9).ok();
            }
            assert!(window.charge(quota(requests), 10).is_err());
            window.refund(quota(requests), last.unwrap());
            assert_eq!(window.charge(quota(requests), 10).unwrap().remaining, 0);
            assert!(window.charge(quota(requests), 11).is_err());
        }
    }

    #[test]
    fn refund_after_the_window_changes_nothing() {
        let mut window = Window::default();
        let old = window.charge(quota(1), 0).unwrap();
        assert!(window.charge(quota(1), MINUTE_NS).is_ok());
        window.refund(quota(1), old);
        assert!(window.charge(quota(1), MINUTE_NS + 1).is_err());
    }

    #[test]
    fn memory_is_bounded_for_any_quota() {
        let mut window = Window::default();
        for n in 0..400_000_u64 {
            assert!(window.charge(quota(u32::MAX), n * MINUTE_NS / 100_000).is_ok());
        }
        assert!(window.log.len() <= RESOLUTION as usize + 1, "{} entries", window.log.len());
    }

    #[test]
    fn saturating_client_gets_at_least_99_percent() {
        for requests in [1_u32, 7, 200, 201, 1_000, 10_000] {
            // Three windows of a client that calls five times as often as it may.
            let calls = u64::from(requests) * 15;
            let arrivals = (0..calls).map(|n| n * 3 * MINUTE_NS / calls).collect::<Vec<_>>();
            let accepted = accepted(&mut Window::default(), quota(requests), &arrivals);
            assert_never_more_than_the_quota(quota(requests), &accepted);
            let least = u64::from(requests) * 3 * 99 / 100;
            assert!(accepted.len() as u64 >= least, "{} of {requests} x 3", accepted.len());
        }
    }

    /// Bursts, paced calls and pauses. A gap is made from one number, which is much quicker to
    /// generate than a choice of strategies.
    fn arrivals() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(any::<u32>(), 0..700).prop_map(|gaps| {
            gaps.into_iter()
                .map(|gap| {
                    u64::from(gap >> 4) % [1, 1_000, 1_000_000, 20_000_000][gap as usize % 4]
                })
                .scan(0, |at, gap| {
                    *at += gap;
                    Some(*at)
                })
                .collect()
        })
    }

    fn any_quota() -> impl Strategy<Value = Quota> {
        let requests = prop_oneof![1_u32..20, 190_u32..210, 210_u32..600];
        (requests, 1_u64..2_000_000_000)
            .prop_map(|(requests, ns)| Quota { requests, period: Duration::from_nanos(ns) })
    }

    proptest! {
        #[test]
        fn no_sliding_window_ever_holds_more_than_the_quota(
            quota in any_quota(),
            arrivals in arrivals(),
        ) {
            let accepted = accepted(&mut Window::default(), quota, &arrivals);
            assert_never_more_than_the_quota(quota, &accepted);
        }

        #[test]
        fn refused_calls_change_nothing(quota in any_quota(), arrivals in arrivals()) {
            let with_refused = accepted(&mut Window::default(), quota, &arrivals);
            let alone = accepted(&mut Window::default(), quota, &with_refused);
            prop_assert_eq!(alone, with_refused);
        }

        #[test]
        fn waiting_as_told_is_always_enough(quota in any_quota(), arrivals in arrivals()) {
            let mut window = Window::default();
            let mut at = 0;
            for arrival in arrivals {
                at = at.max(arrival);
                if let Err(RetryAfter(wait)) = window.charge(quota, at) {
                    prop_assert!(wait <= quota.period);
                    at += nanoseconds(wait);
                    prop_assert!(window.charge(quota, at).is_ok());
                }
            }
        }

        #[test]
        fn small_quotas_decide_as_a_plain_log(
            requests in 1_usize..20,
            period in 1_u64..2_000_000,
            arrivals in arrivals(),
        ) {
            let quota =
                Quota { requests: requests as u32, period: Duration::from_nanos(period) };
            let mut plain: Vec<u64> = Vec::new();
            for &at in &arrivals {
                if plain.iter().rev().take_while(|&&kept| kept + period > at).count() < requests {
                    plain.push(at);
                }
            }
            prop_assert_eq!(accepted(&mut Window::default(), quota, &arrivals), plain);
        }

        #[test]
        fn refund_leaves_what_was_there_before(quota in any_quota(), arrivals in arrivals()) {
            let (mut charged, mut plain) = (Window::default(), Window::default());
            for at in arrivals {
                // A charge that is given back at once, before each call that counts.
                if let Ok(charge) = charged.charge(quota, at) {
                    charged.refund(quota, charge);
                }
                let (left, right) = (charged.charge(quota, at), plain.charge(quota, at));
                prop_assert_eq!(left.map(|ok| ok.remaining), right.map(|ok| ok.remaining));
            }
        }
    }
}
