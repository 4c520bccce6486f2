//! Where in a field is which NDVI, as a picture needs it?

use super::cloud::ClassSet;
use super::footprint::Footprint;
use super::observation::{Bands, offset_of, readings};
use super::offset::OffsetFacts;

/// Most cells of a grid. A field of the largest area that is compact has a sixteenth of it; parts
/// that lie far apart reach it, since the grid holds what is between them.
pub const CELLS_MAX: u64 = 4 << 20;

/// NDVI on the smallest rectangle of pixels that holds a field, north up.
#[derive(Clone, Debug, PartialEq)]
pub struct NdviGrid {
    /// Number of columns, west to east; 0 when the scene does not reach the field.
    pub columns: u32,
    /// Number of rows, north to south.
    pub rows: u32,
    /// Row by row. `None` outside the field, and inside it where nothing was seen: no data, or a
    /// class that does not count. Values are not clipped.
    pub values: Vec<Option<f32>>,
}

impl NdviGrid {
    /// Number of cells with a value.
    #[must_use]
    pub fn valid_count(&self) -> usize {
        self.values.iter().flatten().count()
    }
}

/// The field's parts lie too far apart for one grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field spans {columns} by {rows} pixels, more than {CELLS_MAX}: send its parts alone")]
pub struct TooWide {
    /// Columns that it would take.
    pub columns: u32,
    /// Rows that it would take.
    pub rows: u32,
}

/// The NDVI of each pixel that [`observe`](super::observation::observe) counts, at its place:
/// processor work, to be kept off async threads.
///
/// # Errors
/// [`TooWide`] when the grid would have more than [`CELLS_MAX`] cells.
pub fn raster_of(
    bands: &Bands,
    footprint: &Footprint,
    facts: &OffsetFacts,
    masked: ClassSet,
) -> Result<NdviGrid, TooWide> {
    let extent = Extent::of(footprint);
    let mut values = vec![None; extent.cells()?];
    let offset = offset_of(bands, facts);
    for reading in readings(bands, footprint, offset.dn, masked) {
        let cell = extent.cell(reading.column, reading.row).and_then(|cell| values.get_mut(cell));
        if let Some(cell) = cell {
            *cell = reading.ndvi.map(single);
        }
    }
    Ok(NdviGrid { columns: extent.columns, rows: extent.rows, values })
}

/// The rectangle of a raster that holds a field.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    west: u32,
    north: u32,
    columns: u32,
    rows: u32,
}

impl Extent {
    fn of(footprint: &Footprint) -> Self {
        let spans = &footprint.spans;
        let west = spans.iter().map(|span| span.columns.start).min().unwrap_or(0);
        let east = spans.iter().map(|span| span.columns.end).max().unwrap_or(0);
        let north = spans.iter().map(|span| span.row).min().unwrap_or(0);
        let past_south = spans.iter().map(|span| span.row + 1).max().unwrap_or(0);
        Self { west, north, columns: east - west, rows: past_south - north }
    }

    fn cells(&self) -> Result<usize, TooWide> {
        let too_wide = TooWide { columns: self.columns, rows: self.rows };
        let cells = u64::from(self.columns) * u64::from(self.rows);
        let cells = Some(cells).filter(|cells| *cells <= CELLS_MAX).ok_or(too_wide)?;
        usize::try_from(cells).map_err(|_| too_wide)
    }

    fn cell(&self, column: u32, row: u32) -> Option<usize> {
        let (x, y) = (column.checked_sub(self.west)?, row.checked_sub(self.north)?);
        usize::try_from(u64::from(y) * u64::from(self.columns) + u64::from(x)).ok()
    }
}

/// A picture has 256 steps; half of the memory is more than precise enough.
#[expect(clippy::cast_possible_truncation, reason = "a ratio of small whole numbers")]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::footprint::{PixelRule, Span};
    use super::super::observation::observe;
    use super::super::observation::tests::{bands, facts};
    use super::super::statistics::ndvi;
    use super::*;

    /// An L of five pixels whose rectangle begins at column 1 and row 1.
    fn corner() -> Footprint {
        Footprint {
            rule: PixelRule::Centre,
            spans: vec![
                Span { row: 1, columns: 1..2 },
                Span { row: 2, columns: 1..2 },
                Span { row: 3, columns: 1..4 },
            ],
            pixels_inside: 5,
            pixels_beyond: 0,
        }
    }

    fn red_dn(value: f32) -> u16 {
        // The near infrared of the test bands is 3200 everywhere.
        (1..=16)
            .map(|number| number * 100)
            .find(|red| single(ndvi(*red, 3_200, 0).unwrap()).to_bits() == value.to_bits())
            .unwrap()
    }

    #[test]
    fn values_stand_at_their_place_with_north_up() {
        let grid = raster_of(&bands([4; 4]), &corner(), &facts(), ClassSet::default()).unwrap();
        assert_eq!((grid.columns, grid.rows), (3, 3));
        let red: Vec<_> = grid.values.iter().map(|value| value.map(red_dn)).collect();
        let expected = [
            [Some(600), None, None],
            [Some(1_000), None, None],
            [Some(1_400), Some(1_500), Some(1_600)],
        ];
        assert_eq!(red, expected.concat());
    }

    #[test]
    fn masked_pixels_are_empty_and_the_rest_is_what_statistics_count() {
        let bands = bands([4, 4, 9, 4]);
        let grid = raster_of(&bands, &corner(), &facts(), ClassSet::default()).unwrap();
        let seen = observe(&bands, &corner(), &facts(), ClassSet::default());
        assert_eq!((grid.valid_count() as u64, seen.valid_count), (3, 3));
        assert_eq!(grid.values.get(3), Some(&None));
    }

    #[test]
    fn field_that_the_scene_does_not_reach_has_no_cells() {
        let outside = Footprint { spans: Vec::new(), pixels_inside: 0, ..corner() };
        let grid = raster_of(&bands([4; 4]), &outside, &facts(), ClassSet::default()).unwrap();
        assert_eq!(grid, NdviGrid { columns: 0, rows: 0, values: Vec::new() });
    }

    #[test]
    fn parts_far_apart_are_refused_before_anything_is_allocated() {
        let spans =
            vec![Span { row: 0, columns: 0..1 }, Span { row: 10_979, columns: 10_979..10_980 }];
        let apart = Footprint { spans, pixels_inside: 2, ..corner() };
        let refused = raster_of(&bands([4; 4]), &apart, &facts(), ClassSet::default());
        assert_eq!(refused, Err(TooWide { columns: 10_980, rows: 10_980 }));
    }
}
