//! When does who ask for what?
//!
//! Clients that know nothing of each other come as a Poisson stream: the gaps are exponential, and
//! nobody waits for the answer of another. Pure: the same seed is the same stream.

use std::time::Duration;

/// Numbers that look random (SplitMix64; Steele, Lea and Flood, 2014), the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    /// Those of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, and without, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The gaps of a stream of so many a second, summed up: times from its beginning.
    pub(crate) fn times(&mut self, per_second: f64, until: Duration) -> Vec<Duration> {
        let (mut at, mut times) = (0.0, Vec::new());
        loop {
            at -= (1.0 - self.unit()).ln() / per_second;
            if at >= until.as_secs_f64() {
                return times;
            }
            times.push(Duration::from_secs_f64(at));
        }
    }
}

/// How often which key is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taste {
    /// Each as often as the others.
    Uniform,
    /// The second half as often as the first, the third a third as often, and so on.
    Zipf,
}

/// Keys, drawn by how often they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Up to which part of 1 each key reaches.
    ends: Vec<f64>,
}

impl Keys {
    /// So many.
    pub(crate) fn of(taste: Taste, count: usize) -> Self {
        let weight = |rank: usize| match taste {
            Taste::Uniform => 1.0,
            Taste::Zipf => 1.0 / rank as f64,
        };
        let total: f64 = (1..=count).map(weight).sum();
        let mut end = 0.0;
        let reach = |rank| {
            end += weight(rank) / total;
            end
        };
        Self { ends: (1..=count).map(reach).collect() }
    }

    /// The next one.
    pub(crate) fn draw(&self, draws: &mut Draws) -> usize {
        let unit = draws.unit();
        self.ends.partition_point(|end| *end <= unit).min(self.ends.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn gaps_have_the_mean_and_the_spread_of_a_poisson_stream() {
        let times = Draws::of(7).times(100.0, Duration::from_secs(200));
        let gaps: Vec<f64> = times.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let square = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.0096..0.0104).contains(&mean), "{mean}");
        assert!((0.9..1.1).contains(&(square.sqrt() / mean)), "{square}");
        assert_eq!(times, Draws::of(7).times(100.0, Duration::from_secs(200)));
        assert_ne!(times, Draws::of(8).times(100.0, Duration::from_secs(200)));
    }

    #[test]
    fn keys_are_drawn_as_often_as_their_taste_says() {
        let drawn = |taste| {
            let (keys, mut draws, mut counts) = (Keys::of(taste, 4), Draws::of(1), [0_u32; 4]);
            (0..25_000).for_each(|_| counts[keys.draw(&mut draws)] += 1);
            counts.map(|count| f64::from(count) / 1_000.0)
        };
        let near = |is: [f64; 4], be: [f64; 4]| is.iter().zip(be).all(|(i, b)| (i - b).abs() < 0.4);
        assert!(near(drawn(Taste::Uniform), [6.25; 4]), "{:?}", drawn(Taste::Uniform));
        assert!(near(drawn(Taste::Zipf), [12.0, 6.0, 4.0, 3.0]), "{:?}", drawn(Taste::Zipf));
    }
}
