//! Where does a raster lie on the ground?

use geo::Coord;

/// Smallest and largest pixel size in metres that a scene may claim.
pub const PIXEL_SIZE_M: std::ops::RangeInclusive<f64> = 1.0..=1_000.0;

/// The pixels of a north-up raster in UTM metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// EPSG code of the coordinates.
    pub epsg: u32,
    /// Easting of the west edge.
    pub west: f64,
    /// Northing of the north edge.
    pub north: f64,
    /// Width of a pixel.
    pub pixel_width: f64,
    /// Height of a pixel, positive.
    pub pixel_height: f64,
    /// Number of columns.
    pub columns: u32,
    /// Number of rows.
    pub rows: u32,
}

impl Grid {
    /// Column and row of a point, with fractions; row 0.0 is the north edge.
    #[must_use]
    pub fn pixel_of(&self, point: Coord<f64>) -> Coord<f64> {
        Coord {
            x: (point.x - self.west) / self.pixel_width,
            y: (self.north - point.y) / self.pixel_height,
        }
    }

    /// Easting and northing of the centre of a pixel.
    #[must_use]
    pub fn centre_of(&self, column: u32, row: u32) -> Coord<f64> {
        Coord {
            x: self.west + (f64::from(column) + 0.5) * self.pixel_width,
            y: self.north - (f64::from(row) + 0.5) * self.pixel_height,
        }
    }

    /// The pixel that contains a point, or the one nearest to it on the raster's edge.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value was brought into the raster"
    )]
    pub fn nearest_cell(&self, point: Coord<f64>) -> (u32, u32) {
        let Coord { x, y } = self.pixel_of(point);
        let within =
            |value: f64, count: u32| value.clamp(0.0, f64::from(count.saturating_sub(1))) as u32;
        (within(x, self.columns), within(y, self.rows))
    }

    /// The pixel that contains a point, if the raster does.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value was checked to lie within the raster"
    )]
    pub fn cell_of(&self, point: Coord<f64>) -> Option<(u32, u32)> {
        let Coord { x, y } = self.pixel_of(point);
        let inside =
            (0.0..f64::from(self.columns)).contains(&x) && (0.0..f64::from(self.rows)).contains(&y);
        inside.then_some((x as u32, y as u32))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const TEN_METRES: Grid = Grid {
        epsg: 32_633,
        west: 1_000.0,
        north: 2_000.0,
        pixel_width: 10.0,
        pixel_height: 10.0,
        columns: 4,
        rows: 4,
    };

    #[test]
    fn north_west_corner_is_pixel_zero() {
        assert_eq!(TEN_METRES.pixel_of(Coord { x: 1_000.0, y: 2_000.0 }), Coord { x: 0.0, y: 0.0 });
        assert_eq!(TEN_METRES.centre_of(0, 0), Coord { x: 1_005.0, y: 1_995.0 });
    }

    #[test]
    fn each_pixel_centre_lies_in_its_own_cell() {
        for (column, row) in [(0, 0), (3, 0), (0, 3), (3, 3)] {
            let centre = TEN_METRES.centre_of(column, row);
            assert_eq!(TEN_METRES.cell_of(centre).unwrap(), (column, row));
        }
    }

    #[test]
    fn points_outside_have_no_cell() {
        for point in [(999.0, 1_995.0), (1_041.0, 1_995.0), (1_005.0, 2_001.0), (1_005.0, 1_959.0)]
        {
            assert_eq!(TEN_METRES.cell_of(point.into()), None, "{point:?}");
        }
    }
}
