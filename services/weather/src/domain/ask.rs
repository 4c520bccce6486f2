//! What is asked of a provider: two asks that are equal get one answer.

use std::hash::{Hash, Hasher};

use jiff::civil::Date;

use crate::domain::place::{Cell, Zone};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderName {
    /// open-meteo.com or a server of one's own with the same interface.
    OpenMeteo,
    /// power.larc.nasa.gov: past days, with a lag.
    NasaPower,
}

impl ProviderName {
    /// The name on the wire, in the store and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenMeteo => "open_meteo",
            Self::NasaPower => "nasa_power",
        }
    }

    /// The provider of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::OpenMeteo, Self::NasaPower]
            .into_iter()
            .find(|provider| provider.as_str().eq_ignore_ascii_case(name))
    }
}

/// Which data are asked for. Weeks are not asked for: they are made of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The newest observation.
    Current,
    /// The coming hours, more than any client may ask for.
    Hourly,
    /// The days from `start` to `end`, both included.
    Daily {
        /// First day.
        start: Date,
        /// Last day, not before the first.
        end: Date,
    },
}

impl Question {
    /// The kind of data as it is stored and counted.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Hourly => "hourly",
            Self::Daily { .. } => "daily",
        }
    }

    /// First and last day, where the question has them.
    #[must_use]
    pub fn range(self) -> Option<(Date, Date)> {
        match self {
            Self::Current | Self::Hourly => None,
            Self::Daily { start, end } => Some((start, end)),
        }
    }
}

/// One question about one place to one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who is asked.
    pub provider: ProviderName,
    /// What is asked.
    pub question: Question,
    /// Where.
    pub cell: Cell,
    /// In whose calendar.
    pub zone: Zone,
}

impl Hash for Ask {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.provider.hash(state);
        self.question.hash(state);
        self.cell.hash(state);
        self.zone.name().hash(state);
    }
}
