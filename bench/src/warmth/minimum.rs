//! How few calls could it have been, and how many fell into one window?
//!
//! Pure: times are durations from any beginning.

use std::time::Duration;

/// Fewest calls for one key by which each of these arrivals, earliest first, finds a fresh copy,
/// when one lasts `fresh` and the one that is there lasts until `fresh_until`.
///
/// Who knows all arrivals has a copy ready at the first arrival that would find none fresh, and no
/// earlier: a copy that comes sooner ends sooner and covers no arrival more. So the greedy choice
/// is the best one (points covered by the fewest intervals of one length). That its fetch takes
/// time costs nothing: it begins that much sooner.
pub(crate) fn fewest_calls(
    arrivals: impl IntoIterator<Item = Duration>,
    mut fresh_until: Duration,
    fresh: Duration,
) -> u32 {
    let mut calls = 0;
    for arrival in arrivals {
        if arrival >= fresh_until {
            calls += 1;
            fresh_until = arrival + fresh;
        }
    }
    calls
}

/// Most of these times, earliest first, that lie in one window of this length, wherever it lies.
pub(crate) fn most_in_window(times: &[Duration], window: Duration) -> usize {
    let mut first = times.iter().peekable();
    let (mut inside, mut most) = (0_usize, 0);
    for time in times {
        inside += 1;
        while first.next_if(|first| **first + window <= *time).is_some() {
            inside -= 1;
        }
        most = most.max(inside);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    fn fewest(arrivals: &[u64], fresh_until: u64, fresh: u64) -> u32 {
        let of = Duration::from_millis;
        fewest_calls(ms(arrivals), of(fresh_until), of(fresh))
    }

    #[test]
    fn copy_covers_all_arrivals_of_its_time_and_is_fetched_for_nobody_else() {
        assert_eq!(fewest(&[], 0, 10), 0);
        assert_eq!(fewest(&[1, 2, 9], 10, 10), 0, "the copy that is there");
        assert_eq!(fewest(&[10], 10, 10), 1, "it has ended");
        assert_eq!(fewest(&[1, 5, 10, 11, 20, 21], 0, 10), 3, "at 1, 11 and 21");
        assert_eq!(fewest(&[1, 1_000], 0, 10), 2);
    }

    #[test]
    fn no_choice_of_times_needs_fewer() {
        // All choices of begins on a grid of eight, against arrivals of every pattern.
        for pattern in 0_u32..256 {
            let arrivals: Vec<u64> = (0..8).filter(|bit| pattern >> bit & 1 == 1).collect();
            let covers = |begins: u32| {
                let begun =
                    |at: &u64| (0..8).any(|b| begins >> b & 1 == 1 && (b..b + 3).contains(at));
                arrivals.iter().all(begun)
            };
            let best = (0_u32..256).filter(|begins| covers(*begins)).map(u32::count_ones).min();
            assert_eq!(Some(fewest(&arrivals, 0, 3)), best, "{arrivals:?}");
        }
    }

    #[test]
    fn window_slides() {
        let window = Duration::from_millis(10);
        assert_eq!(most_in_window(&ms(&[0, 1, 9, 10, 11, 30]), window), 3);
        assert_eq!(most_in_window(&ms(&[0, 5, 9, 12, 14]), window), 4, "from 5 to 14");
        assert_eq!(most_in_window(&[], window), 0);
    }
}
