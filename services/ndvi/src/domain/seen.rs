//! What was seen of a field, and when did somebody look?

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::observation::Observation;

/// What one scene showed of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The scene's identifier in the catalogue.
    pub scene_id: String,
    /// When it was acquired.
    pub acquired_at: Timestamp,
    /// Cloud cover of the whole scene in percent.
    pub scene_cloud_cover_percent: Option<f64>,
    /// The numbers.
    pub observation: Observation,
}

/// An interval whose scenes were all looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// First day, UTC.
    pub start: Date,
    /// Last day, UTC.
    pub end: Date,
    /// Largest cloud cover of the scenes that were looked at, in percent; `None` for all.
    pub max_cloud_percent: Option<f64>,
    /// When the catalogue was asked.
    pub at: Timestamp,
    /// Scenes that exist and could not be read.
    pub unread_count: u32,
}

impl Seen {
    /// The UTC day of the acquisition.
    #[must_use]
    pub fn day(&self) -> Date {
        self.acquired_at.to_zoned(TimeZone::UTC).date()
    }

    /// Whether at least one pixel of the field shows the ground.
    #[must_use]
    pub fn has_value(&self) -> bool {
        self.observation.ndvi.summary().is_some()
    }

    /// Whether the whole scene is not cloudier than `max_cloud_percent`. A scene that does not say
    /// how cloudy it is passes, as it does in the catalogue.
    #[must_use]
    pub fn is_within(&self, max_cloud_percent: Option<f64>) -> bool {
        match (self.scene_cloud_cover_percent, max_cloud_percent) {
            (Some(cover), Some(max)) => cover <= max,
            _ => true,
        }
    }

    /// How much of the field is hidden by cloud, from 0 to 1: what the classification says of the
    /// field itself, else of the whole scene; all of it when nobody says.
    #[must_use]
    pub fn cloud(&self) -> f64 {
        let scene = self.scene_cloud_cover_percent.map(|percent| percent / 100.0);
        self.observation.cloud_fraction.or(scene).unwrap_or(1.0)
    }
}
