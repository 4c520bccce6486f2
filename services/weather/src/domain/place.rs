//! Where is it: cells of the provider's grid, and the zone whose calendar counts there.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Cells per degree: neighbours within about a kilometre share one answer.
const CELLS_PER_DEGREE: f64 = 100.0;

/// A cell of 0.01 degrees, about 1.1 km: finer than any provider's grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    lat: i32,
    lon: i32,
}

impl Cell {
    /// The cell that holds a point, given in degrees within ±90 and ±180.
    #[must_use]
    pub fn of(lat: f64, lon: f64) -> Self {
        Self { lat: hundredths(lat), lon: hundredths(lon) }
    }

    /// The cell whose centre lies at so many hundredths of a degree.
    #[must_use]
    pub fn of_hundredths(lat: i32, lon: i32) -> Self {
        Self { lat, lon }
    }

    /// Latitude of the cell's centre in hundredths of a degree.
    #[must_use]
    pub fn lat_hundredths(self) -> i32 {
        self.lat
    }

    /// Longitude of the cell's centre in hundredths of a degree.
    #[must_use]
    pub fn lon_hundredths(self) -> i32 {
        self.lon
    }

    /// Latitude of the cell's centre in degrees.
    #[must_use]
    pub fn lat(self) -> f64 {
        f64::from(self.lat) / CELLS_PER_DEGREE
    }

    /// Longitude of the cell's centre in degrees.
    #[must_use]
    pub fn lon(self) -> f64 {
        f64::from(self.lon) / CELLS_PER_DEGREE
    }
}

#[expect(clippy::cast_possible_truncation, reason = "±18,000 fits; a float cast saturates")]
fn hundredths(degrees: f64) -> i32 {
    (degrees * CELLS_PER_DEGREE).round() as i32
}

/// An IANA time zone under its canonical name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// Looks a zone up by its IANA name; `None` when there is no such zone.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let rules = TimeZone::get(name).ok().filter(|rules| !rules.is_unknown())?;
        let name = rules.iana_name()?.to_owned();
        Some(Self { name, rules })
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// The name in the database's own spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The calendar day of an instant in this zone.
    #[must_use]
    pub fn day_of(&self, instant: Timestamp) -> jiff::civil::Date {
        instant.to_zoned(self.rules.clone()).date()
    }

    /// An instant as civil time with its offset, such as `2026-11-23T10:00:00+03:00`.
    #[must_use]
    pub fn write(&self, instant: Timestamp) -> String {
        instant.to_zoned(self.rules.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn w10_neighbours_share_one_cell() {
        assert_eq!(Cell::of(-1.2861, 36.8172), Cell::of(-1.2939, 36.8190));
        assert_ne!(Cell::of(-1.29, 36.82), Cell::of(-1.30, 36.82));
        assert_eq!(Cell::of(-0.001, 0.0), Cell::of(0.001, -0.0));
        assert_eq!(
            (Cell::of(-1.286, 36.817).lat(), Cell::of(-1.286, 36.817).lon()),
            (-1.29, 36.82)
        );
    }

    #[test]
    fn zone_is_known_by_its_canonical_name() {
        assert_eq!(Zone::named("africa/nairobi").unwrap().name(), "Africa/Nairobi");
        for unknown in ["", "Mars/Base", "Etc/Unknown", "+03:00", "local"] {
            assert_eq!(Zone::named(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn instant_is_written_with_its_offset() {
        let zone = Zone::named("Africa/Nairobi").unwrap();
        let instant: Timestamp = "2026-11-23T07:00:00Z".parse().unwrap();
        assert_eq!(zone.write(instant), "2026-11-23T10:00:00+03:00");
    }
}
