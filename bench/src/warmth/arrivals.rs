//! Who comes when, and how few calls could serve them all?

use std::time::Duration;

/// One client: when it comes, and which key it asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) at: Duration,
    pub(super) key: usize,
}

/// A Poisson stream of so many clients a second over `keys`, each as likely as another. The same seed
/// gives the same stream.
pub(super) fn poisson(seed: u64, rate: f64, keys: usize, lasting: Duration) -> Vec<Arrival> {
    let (mut state, mut at, mut arrivals) = (seed | 1, 0.0, Vec::new());
    loop {
        at += -draw(&mut state).ln() / rate;
        if at > lasting.as_secs_f64() {
            return arrivals;
        }
        let key = (draw(&mut state) * keys as f64) as usize % keys;
        arrivals.push(Arrival { at: Duration::from_secs_f64(at), key });
    }
}

/// The fewest calls with which nobody misses or gets a stale answer: those of a schedule that knows who
/// will come, and has each answer fetched just before the first client that the last copy is too old
/// for.
pub(super) fn calls_min(arrivals: &[Arrival], keys: usize, fresh: Duration) -> usize {
    let mut fresh_until = vec![None; keys];
    let mut calls = 0;
    for Arrival { at, key } in arrivals {
        let Some(until) = fresh_until.get_mut(*key) else { continue };
        if until.is_none_or(|until| *at >= until) {
            calls += 1;
            *until = Some(*at + fresh);
        }
    }
    calls
}

/// A number above 0 and below 1: xorshift64* (Vigna, 2016).
fn draw(state: &mut u64) -> f64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let bits = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
    (bits as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_has_its_rate_and_asks_for_every_key() {
        let arrivals = poisson(7, 1_000.0, 50, Duration::from_secs(100));
        assert!((98_000..102_000).contains(&arrivals.len()), "{}", arrivals.len());
        let of_one = arrivals.iter().filter(|arrival| arrival.key == 13).count();
        assert!((1_800..2_200).contains(&of_one), "{of_one}");
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
    }

    #[test]
    fn the_fewest_calls_are_one_for_each_time_that_is_over_when_a_client_comes() {
        let at = |seconds, key| Arrival { at: Duration::from_secs(seconds), key };
        let arrivals = [at(0, 0), at(1, 0), at(2, 0), at(2, 1), at(9, 0), at(10, 0)];
        assert_eq!(calls_min(&arrivals, 2, Duration::from_secs(2)), 4);
        assert_eq!(calls_min(&arrivals, 2, Duration::from_secs(60)), 2);
        assert_eq!(calls_min(&[], 2, Duration::from_secs(2)), 0);
    }
}
