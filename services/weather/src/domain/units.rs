//! In which unit is a number, and what is it in ours?
//!
//! Providers name units as text. A unit that is not known here is refused: a wrong factor looks
//! like weather.

/// Decimals kept after a conversion; below what any provider measures.
const DECIMALS: f64 = 1e6;

/// A conversion from a provider's unit to the published one: `value * factor + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    factor: f64,
    offset: f64,
}

impl Conversion {
    const IDENTITY: Self = Self { factor: 1.0, offset: 0.0 };

    const fn factor(factor: f64) -> Self {
        Self { factor, offset: 0.0 }
    }

    /// The value in the published unit; a missing value stays missing.
    #[must_use]
    pub fn apply(self, value: Option<f64>) -> Option<f64> {
        if self == Self::IDENTITY {
            return value;
        }
        value.map(|value| rounded(value * self.factor + self.offset))
    }
}

/// To degrees Celsius. NASA POWER leaves the ring out.
#[must_use]
pub fn to_celsius(unit: &str) -> Option<Conversion> {
    match unit {
        "°C" | "C" => Some(Conversion::IDENTITY),
        "°F" => Some(Conversion { factor: 5.0 / 9.0, offset: -160.0 / 9.0 }),
        _ => None,
    }
}

/// To metres per second. Open-Meteo writes miles per hour as `mp/h`.
#[must_use]
pub fn to_metres_per_second(unit: &str) -> Option<Conversion> {
    match unit {
        "m/s" => Some(Conversion::IDENTITY),
        "km/h" => Some(Conversion::factor(1.0 / 3.6)),
        "mp/h" | "mph" => Some(Conversion::factor(0.447_04)),
        "kn" => Some(Conversion::factor(1852.0 / 3600.0)),
        _ => None,
    }
}

/// To millimetres.
#[must_use]
pub fn to_millimetres(unit: &str) -> Option<Conversion> {
    match unit {
        "mm" => Some(Conversion::IDENTITY),
        "inch" => Some(Conversion::factor(25.4)),
        _ => None,
    }
}

/// From a rate over a day to the sum of that day, in millimetres.
#[must_use]
pub fn to_millimetres_a_day(unit: &str) -> Option<Conversion> {
    matches!(unit, "mm/day" | "mm").then_some(Conversion::IDENTITY)
}

/// From a rate over an hour to the sum of that hour, in millimetres.
#[must_use]
pub fn to_millimetres_an_hour(unit: &str) -> Option<Conversion> {
    matches!(unit, "mm/hour" | "mm/hr" | "mm/h" | "mm").then_some(Conversion::IDENTITY)
}

/// To percent.
#[must_use]
pub fn to_percent(unit: &str) -> Option<Conversion> {
    (unit == "%").then_some(Conversion::IDENTITY)
}

/// Cuts the noise of binary fractions, so that 1.4400000000000002 is published as 1.44.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    (value * DECIMALS).round() / DECIMALS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn w1_wind_is_metres_per_second() {
        for (unit, value, expected) in [
            ("m/s", 5.3, 5.3),
            ("km/h", 5.3, 1.472_222),
            ("mp/h", 10.0, 4.4704),
            ("kn", 10.0, 5.144_444),
        ] {
            let converted = to_metres_per_second(unit).unwrap().apply(Some(value));
            assert_eq!(converted, Some(expected), "{unit}");
        }
    }

    #[test]
    fn temperature_and_rain_are_converted() {
        assert_eq!(to_celsius("°F").unwrap().apply(Some(212.0)), Some(100.0));
        assert_eq!(to_celsius("°F").unwrap().apply(Some(-40.0)), Some(-40.0));
        assert_eq!(to_millimetres("inch").unwrap().apply(Some(1.0)), Some(25.4));
    }

    #[test]
    fn rate_is_summed_over_its_own_time_only() {
        assert_eq!(to_millimetres_a_day("mm/day").unwrap().apply(Some(24.58)), Some(24.58));
        assert_eq!(to_millimetres_an_hour("mm/hour").unwrap().apply(Some(0.5)), Some(0.5));
        assert_eq!(
            (to_millimetres_a_day("mm/hour"), to_millimetres_an_hour("mm/day")),
            (None, None)
        );
        assert_eq!(to_celsius("C").unwrap().apply(Some(5.68)), Some(5.68));
    }

    #[test]
    fn missing_value_stays_missing() {
        assert_eq!(to_metres_per_second("km/h").unwrap().apply(None), None);
    }

    #[test]
    fn unknown_unit_is_refused() {
        assert_eq!(to_metres_per_second("Beaufort"), None);
        assert_eq!(to_celsius("K"), None);
        assert_eq!(to_millimetres("cm"), None);
        assert_eq!(to_percent(""), None);
    }
}
