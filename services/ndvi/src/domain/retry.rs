//! When is a job that failed tried again?

use std::time::Duration;

/// Longest wait between two attempts.
pub const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// The wait after `attempts` attempts: `first` doubled with each one, up to [`WAIT_MAX`], of which
/// `draw`, a number drawn at random, chooses a point in the upper half. Jobs that failed together
/// come back apart.
#[must_use]
pub fn wait(attempts: u32, first: Duration, draw: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let half = first.saturating_mul(doubled).min(WAIT_MAX) / 2;
    let share = half.as_nanos() * u128::from(draw) / u128::from(u32::MAX);
    half + Duration::from_nanos(u64::try_from(share).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_doubles_up_to_an_hour_and_is_spread() {
        let first = Duration::from_secs(30);
        for (attempts, draw, seconds) in [
            (1, u32::MAX, 30),
            (1, 0, 15),
            (2, u32::MAX, 60),
            (20, u32::MAX, 3_600),
            (u32::MAX, 0, 1_800),
        ] {
            assert_eq!(wait(attempts, first, draw), Duration::from_secs(seconds), "{attempts}");
        }
    }
}
