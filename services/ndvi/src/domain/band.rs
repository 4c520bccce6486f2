//! What does a band hold at a pixel, when only some of its tiles were read?

use std::collections::BTreeMap;

use super::grid::Grid;

/// The tiles of a raster that were read, each row by row. Values are digital numbers.
#[derive(Clone, Debug)]
pub struct Band {
    /// Where the raster lies.
    pub grid: Grid,
    /// Columns of a tile, at least 1.
    pub tile_columns: u32,
    /// Rows of a tile, at least 1.
    pub tile_rows: u32,
    /// Tiles by tile column and tile row; each holds `tile_columns * tile_rows` values.
    pub tiles: BTreeMap<(u32, u32), Vec<u16>>,
}

impl Band {
    /// The value of a pixel; `None` when its tile was not read.
    #[must_use]
    pub fn at(&self, column: u32, row: u32) -> Option<u16> {
        let tile = self.tiles.get(&(column / self.tile_columns, row / self.tile_rows))?;
        let (x, y) = (column % self.tile_columns, row % self.tile_rows);
        tile.get(u64::from(y * self.tile_columns + x).try_into().unwrap_or(usize::MAX)).copied()
    }

    /// Every pixel of the tiles that were read, as column, row and value, without the padding of
    /// tiles that reach beyond the raster.
    pub fn pixels(&self) -> impl Iterator<Item = (u32, u32, u16)> {
        self.tiles
            .iter()
            .flat_map(move |(&(tile_x, tile_y), values)| {
                let (west, north) = (tile_x * self.tile_columns, tile_y * self.tile_rows);
                (north..).zip(values.chunks(self.tile_columns as usize)).flat_map(
                    move |(row, line)| {
                        (west..).zip(line).map(move |(column, value)| (column, row, *value))
                    },
                )
            })
            .filter(|(column, row, _)| *column < self.grid.columns && *row < self.grid.rows)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A band of one tile of the given width, whose raster is `columns` wide.
    pub(crate) fn one_tile(values: &[u16], tile_columns: u32, columns: u32) -> Band {
        let rows = u32::try_from(values.len()).unwrap_or(0) / tile_columns;
        Band {
            grid: Grid {
                epsg: 32_633,
                west: 0.0,
                north: f64::from(rows) * 10.0,
                pixel_width: 10.0,
                pixel_height: 10.0,
                columns,
                rows,
            },
            tile_columns,
            tile_rows: rows,
            tiles: BTreeMap::from([((0, 0), values.to_vec())]),
        }
    }

    #[test]
    fn values_are_found_row_by_row() {
        let band = one_tile(&[1, 2, 3, 4, 5, 6], 3, 3);
        assert_eq!(band.at(0, 1), Some(4));
        assert_eq!(band.at(2, 0), Some(3));
    }

    #[test]
    fn tile_that_was_not_read_has_no_value() {
        assert_eq!(one_tile(&[1, 2], 2, 4).at(2, 0), None);
    }

    #[test]
    fn padding_is_not_a_pixel() {
        let band = one_tile(&[1, 2, 9, 3, 4, 9], 3, 2);
        let values: Vec<u16> = band.pixels().map(|(_, _, value)| value).collect();
        assert_eq!(values, [1, 2, 3, 4]);
    }
}
