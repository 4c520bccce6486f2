//! In which units is the answer given?
//!
//! Recordings hold the provider's defaults (°C, km/h, mm). Another unit is computed from them
//! without rounding, so a client that asks for m/s and one that divides by 3.6 itself agree.

use super::refusal::Refusal;
use crate::params::Params;

/// From the recorded unit to another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversion {
    /// The unit's name in the answer.
    pub(super) unit: &'static str,
    /// The value in it.
    pub(super) apply: fn(f64) -> f64,
}

/// The units that were asked for; `None` keeps the recorded one and its very digits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Units {
    wind: Option<Conversion>,
    temperature: Option<Conversion>,
    precipitation: Option<Conversion>,
}

impl Units {
    /// Reads `wind_speed_unit`, `temperature_unit` and `precipitation_unit`.
    pub(super) fn parse(params: &Params) -> Result<Self, Refusal> {
        let refused = |kind, given: &str| Refusal::Unit { kind, given: given.to_owned() };
        let wind = match params.first("wind_speed_unit").unwrap_or("kmh") {
            "kmh" => None,
            "ms" => Some(Conversion { unit: "m/s", apply: |kmh| kmh / 3.6 }),
            "mph" => Some(Conversion { unit: "mp/h", apply: |kmh| kmh / 1.609_344 }),
            "kn" => Some(Conversion { unit: "kn", apply: |kmh| kmh / 1.852 }),
            other => return Err(refused("WindspeedUnit", other)),
        };
        let temperature = match params.first("temperature_unit").unwrap_or("celsius") {
            "celsius" => None,
            "fahrenheit" => Some(Conversion { unit: "°F", apply: |celsius| celsius * 1.8 + 32.0 }),
            other => return Err(refused("TemperatureUnit", other)),
        };
        let precipitation = match params.first("precipitation_unit").unwrap_or("mm") {
            "mm" => None,
            "inch" => Some(Conversion { unit: "inch", apply: |mm| mm / 25.4 }),
            other => return Err(refused("PrecipitationUnit", other)),
        };
        Ok(Self { wind, temperature, precipitation })
    }

    /// How values recorded in `unit` are to be converted, if at all.
    pub(super) fn conversion(&self, unit: &str) -> Option<Conversion> {
        match unit {
            "km/h" => self.wind,
            "°C" => self.temperature,
            "mm" => self.precipitation,
            _ => None,
        }
    }
}
