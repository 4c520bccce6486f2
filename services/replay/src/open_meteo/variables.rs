//! Which variables does Open-Meteo know, and in which unit does it give them by default?
//!
//! A known variable without a recording is answered with `null`s in this unit; a name outside
//! the lists is refused as the provider refuses it.

/// A block of the answer that takes variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Current,
    Hourly,
    Daily,
}

impl Block {
    /// Its key in the query and in the answer.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
        }
    }

    fn known(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Current | Self::Hourly => INSTANT,
            Self::Daily => DAILY,
        }
    }
}

/// A variable under the name it was asked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// The name as asked, which the answer echoes.
    pub(super) asked: String,
    /// The present name, under which recordings keep it.
    pub(super) name: &'static str,
    /// The default unit.
    pub(super) unit: &'static str,
}

impl Variable {
    /// Looks `asked` up, by its present or its former name.
    pub(super) fn find(block: Block, asked: &str) -> Option<Self> {
        let present =
            FORMER.iter().find(|(former, _)| *former == asked).map_or(asked, |(_, now)| now);
        let (name, unit) = block.known().iter().find(|(name, _)| *name == present)?;
        Some(Self { asked: asked.to_owned(), name, unit })
    }
}

const INSTANT: &[(&str, &str)] = &[
    ("apparent_temperature", "°C"),
    ("cloud_cover", "%"),
    ("dew_point_2m", "°C"),
    ("et0_fao_evapotranspiration", "mm"),
    ("is_day", ""),
    ("precipitation", "mm"),
    ("precipitation_probability", "%"),
    ("pressure_msl", "hPa"),
    ("rain", "mm"),
    ("relative_humidity_2m", "%"),
    ("shortwave_radiation", "W/m²"),
    ("showers", "mm"),
    ("snowfall", "cm"),
    ("surface_pressure", "hPa"),
    ("temperature_2m", "°C"),
    ("weather_code", "wmo code"),
    ("wind_direction_10m", "°"),
    ("wind_gusts_10m", "km/h"),
    ("wind_speed_10m", "km/h"),
];

const DAILY: &[(&str, &str)] = &[
    ("apparent_temperature_max", "°C"),
    ("apparent_temperature_min", "°C"),
    ("et0_fao_evapotranspiration", "mm"),
    ("precipitation_hours", "h"),
    ("precipitation_probability_max", "%"),
    ("precipitation_sum", "mm"),
    ("rain_sum", "mm"),
    ("shortwave_radiation_sum", "MJ/m²"),
    ("sunrise", "iso8601"),
    ("sunset", "iso8601"),
    ("temperature_2m_max", "°C"),
    ("temperature_2m_mean", "°C"),
    ("temperature_2m_min", "°C"),
    ("uv_index_max", ""),
    ("weather_code", "wmo code"),
    ("wind_direction_10m_dominant", "°"),
    ("wind_gusts_10m_max", "km/h"),
    ("wind_speed_10m_max", "km/h"),
];

/// Names the provider still decodes.
const FORMER: &[(&str, &str)] = &[
    ("cloudcover", "cloud_cover"),
    ("relativehumidity_2m", "relative_humidity_2m"),
    ("weathercode", "weather_code"),
    ("winddirection_10m", "wind_direction_10m"),
    ("windgusts_10m", "wind_gusts_10m"),
    ("windgusts_10m_max", "wind_gusts_10m_max"),
    ("windspeed_10m", "wind_speed_10m"),
    ("windspeed_10m_max", "wind_speed_10m_max"),
];
