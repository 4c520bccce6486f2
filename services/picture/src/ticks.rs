//! Where on an axis of values do numbers stand? At round ones: 1, 2 or 5 times a power of ten.

/// Values beyond this have no place on an axis.
pub(crate) const VALUE_MAX: f64 = 1e12;

/// Decimals of the finest axis.
const DECIMALS_MAX: i32 = 9;

/// Longer labels are written with an exponent: that much room there is beside an axis.
const LABEL_CHARACTERS_MAX: usize = 7;

/// How far, in steps, a multiple may miss an end by rounding and still count as within.
const SLACK_STEPS: f64 = 1e-9;

/// Equal steps between round numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    step: f64,
    /// The first number, in steps from zero.
    first: f64,
    count: u32,
    decimals: usize,
}

impl Ticks {
    /// The round numbers from `low` to `high`, at most `count_max` steps apart.
    pub(crate) fn within(low: f64, high: f64, count_max: u32) -> Self {
        let step = round_step(low, high, count_max);
        let first = (low / step - SLACK_STEPS).ceil();
        Self::new(step, first, (high / step + SLACK_STEPS).floor())
    }

    /// The round numbers around `low` and `high`.
    pub(crate) fn around(low: f64, high: f64, count_max: u32) -> Self {
        let step = round_step(low, high, count_max);
        let first = (low / step + SLACK_STEPS).floor();
        Self::new(step, first, (high / step - SLACK_STEPS).ceil())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of few steps; a float cast saturates"
    )]
    fn new(step: f64, first: f64, last: f64) -> Self {
        let decimals = (-step.log10().floor()).clamp(0.0, f64::from(DECIMALS_MAX)) as usize;
        Self { step, first, count: (last - first).max(0.0) as u32 + 1, decimals }
    }

    /// The numbers, in order.
    pub(crate) fn values(self) -> impl Iterator<Item = f64> {
        // A sum of steps would gather rounding errors. Adding zero takes the sign off a zero.
        (0..self.count).map(move |number| (self.first + f64::from(number)) * self.step + 0.0)
    }

    /// The first number.
    pub(crate) fn low(self) -> f64 {
        self.first * self.step + 0.0
    }

    /// The last number.
    pub(crate) fn high(self) -> f64 {
        (self.first + f64::from(self.count - 1)) * self.step + 0.0
    }

    /// A number as it is written beside the axis.
    pub(crate) fn label(self, value: f64) -> String {
        let plain = format!("{value:.*}", self.decimals);
        if plain.len() > LABEL_CHARACTERS_MAX { format!("{value:.1e}") } else { plain }
    }
}

/// The smallest round step that needs at most `count_max` of its kind.
fn round_step(low: f64, high: f64, count_max: u32) -> f64 {
    let raw = (high - low).max(f64::from(10).powi(-DECIMALS_MAX)) / f64::from(count_max.max(1));
    let power = 10_f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw * (1.0 - SLACK_STEPS))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn labels(ticks: Ticks) -> Vec<String> {
        ticks.values().map(|value| ticks.label(value)).collect()
    }

    #[test]
    fn numbers_are_round_and_within() {
        assert_eq!(labels(Ticks::within(-1.0, 1.0, 4)), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(Ticks::within(0.23, 0.71, 5)), ["0.3", "0.4", "0.5", "0.6", "0.7"]);
    }

    #[test]
    fn axis_reaches_round_numbers_around_the_data() {
        assert_eq!(labels(Ticks::around(-3.2, 24.1, 6)), ["-5", "0", "5", "10", "15", "20", "25"]);
        assert_eq!(labels(Ticks::around(0.0, 1.0, 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn steps_do_not_gather_rounding_errors() {
        let ticks = Ticks::around(0.0, 0.3, 3);
        assert_eq!(labels(ticks), ["0.0", "0.1", "0.2", "0.3"]);
        assert!((ticks.high() - 0.3).abs() < 1e-12 && ticks.low().abs() < 1e-12);
    }

    #[test]
    fn axes_of_any_size_have_few_numbers() {
        for high in [1e-12, 1e-3, 1.0, 7.7, 123_456.0, VALUE_MAX] {
            for low in [-VALUE_MAX, -1.0, 0.0] {
                let ticks = Ticks::around(low, high.max(low), 6);
                assert!((1..=8).contains(&ticks.values().count()), "{low} to {high}: {ticks:?}");
                assert!(
                    labels(ticks).iter().all(|label| label.len() <= LABEL_CHARACTERS_MAX),
                    "{:?}",
                    labels(ticks)
                );
            }
        }
    }
}
