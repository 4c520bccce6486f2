//! Where is a point on the UTM grid of a scene?

use geo::{Coord, LineString, MapCoords, MultiPolygon};
use proj4rs::Proj;

/// Projection from WGS84 longitude and latitude to one UTM zone, by proj4rs.
pub struct Utm {
    geographic: Proj,
    projected: Proj,
    epsg: u32,
}

impl Utm {
    /// The zone with this EPSG code: 32601 to 32660 north, 32701 to 32760 south.
    ///
    /// # Errors
    /// [`UtmError::NotUtm`] for any other code.
    pub fn new(epsg: u32) -> Result<Self, UtmError> {
        let (zone, south) = match epsg {
            32_601..=32_660 => (epsg - 32_600, ""),
            32_701..=32_760 => (epsg - 32_700, " +south"),
            _ => return Err(UtmError::NotUtm { epsg }),
        };
        let define = |definition: &str| {
            Proj::from_proj_string(definition)
                .map_err(|why| UtmError::Definition { epsg, why: why.to_string() })
        };
        Ok(Self {
            geographic: define("+proj=longlat +datum=WGS84 +no_defs")?,
            projected: define(&format!(
                "+proj=utm +zone={zone}{south} +datum=WGS84 +units=m +no_defs"
            ))?,
            epsg,
        })
    }

    /// Easting and northing in metres of a longitude and latitude in degrees.
    ///
    /// # Errors
    /// [`UtmError::OutOfReach`] for a point too far from the zone.
    pub fn project(&self, degrees: Coord<f64>) -> Result<Coord<f64>, UtmError> {
        let mut point = (degrees.x.to_radians(), degrees.y.to_radians(), 0.0);
        let done = proj4rs::transform::transform(&self.geographic, &self.projected, &mut point);
        let (x, y, _) = point;
        if done.is_err() || !x.is_finite() || !y.is_finite() {
            return Err(UtmError::OutOfReach { epsg: self.epsg, lon: degrees.x, lat: degrees.y });
        }
        Ok(Coord { x, y })
    }

    /// Every vertex projected; edges are not densified, as GDAL does it.
    ///
    /// # Errors
    /// [`UtmError::OutOfReach`] when a vertex is too far from the zone.
    pub fn project_shape(&self, shape: &MultiPolygon<f64>) -> Result<MultiPolygon<f64>, UtmError> {
        shape.try_map_coords(|coord| self.project(coord))
    }
}

impl std::fmt::Debug for Utm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Utm({})", self.epsg)
    }
}

/// Every edge of every ring, as pairs of vertices.
pub(crate) fn edges(shape: &MultiPolygon<f64>) -> impl Iterator<Item = (Coord<f64>, Coord<f64>)> {
    shape
        .iter()
        .flat_map(|part| std::iter::once(part.exterior()).chain(part.interiors()))
        .flat_map(LineString::lines)
        .map(|line| (line.start, line.end))
}

/// Why a point has no place on the grid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UtmError {
    /// Not a UTM zone on WGS84.
    #[error("EPSG:{epsg} is not a UTM zone on WGS84 (32601-32660, 32701-32760)")]
    NotUtm {
        /// The code of the scene.
        epsg: u32,
    },
    /// The projection library does not know the zone.
    #[error("EPSG:{epsg} cannot be set up: {why}")]
    Definition {
        /// The code of the scene.
        epsg: u32,
        /// What the library said.
        why: String,
    },
    /// Too far from the zone's meridian.
    #[error("longitude {lon}, latitude {lat} is out of reach of EPSG:{epsg}")]
    OutOfReach {
        /// The code of the scene.
        epsg: u32,
        /// Longitude in degrees.
        lon: f64,
        /// Latitude in degrees.
        lat: f64,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn only_utm_zones_are_accepted() {
        assert!(Utm::new(32_633).is_ok());
        assert!(Utm::new(32_737).is_ok());
        for epsg in [4326, 3857, 32_600, 32_661, 32_761] {
            assert_eq!(Utm::new(epsg).unwrap_err(), UtmError::NotUtm { epsg });
        }
    }

    #[test]
    fn central_meridian_lies_at_500_km() {
        let point = Utm::new(32_633).unwrap().project(Coord { x: 15.0, y: 0.0 }).unwrap();
        assert!((point.x - 500_000.0).abs() < 1e-6 && point.y.abs() < 1e-6, "{point:?}");
    }
}
