//! Which tiles does a field need, and which parts of the file hold them?

use std::collections::BTreeSet;
use std::ops::Range;

use crate::domain::footprint::Footprint;
use crate::domain::grid::Grid;

/// Gap between two tiles that is read along: COG writers put 8 bytes of bookkeeping there.
const GAP_BYTES_MAX: u64 = 1_024;

/// Most requests for the tiles of one band of a field that is too long for fewer.
pub const REQUESTS_FAR_MAX: usize = 16;

/// Tile columns and rows of a raster's tiles in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileSize {
    /// Columns of a tile, at least 1.
    pub columns: u32,
    /// Rows of a tile, at least 1.
    pub rows: u32,
}

/// The tiles, by tile row and tile column, that hold the field's pixels.
///
/// The field's pixels are counted on `pixels`; the tiles belong to `raster`, which may have
/// another resolution.
#[must_use]
pub fn tiles(
    footprint: &Footprint,
    pixels: &Grid,
    raster: &Grid,
    size: TileSize,
) -> BTreeSet<(u32, u32)> {
    let tile_of = |column, row| {
        let (column, row) = raster.nearest_cell(pixels.centre_of(column, row));
        (column / size.columns, row / size.rows)
    };
    footprint
        .spans
        .iter()
        .flat_map(|span| {
            let (first, row) = tile_of(span.columns.start, span.row);
            let (last, _) = tile_of(span.columns.end.saturating_sub(1), span.row);
            (first..=last).map(move |column| (row, column))
        })
        .collect()
}

/// Joins ranges: neighbours always, and the smallest gaps first while more than `requests_aim`
/// ranges remain, as long as no more than `beyond_bytes_max` bytes are read along.
///
/// Both bounds hold for a field of usual form. A long one on small tiles cannot keep both: its
/// rows of tiles lie megabytes apart. Then requests are spent, which run side by side, rather
/// than bytes that nobody wants; only beyond [`REQUESTS_FAR_MAX`] are the smallest gaps closed
/// whatever they cost.
#[must_use]
pub fn requests(
    mut ranges: Vec<Range<u64>>,
    requests_aim: usize,
    beyond_bytes_max: u64,
) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut smallest: Vec<(u64, usize)> = gaps(&ranges).zip(1..).collect();
    smallest.sort_unstable();
    let (mut remaining, mut beyond_bytes) = (ranges.len(), 0_u64);
    let mut closed = BTreeSet::new();
    for (gap, before) in smallest {
        let wanted = gap <= GAP_BYTES_MAX || remaining > requests_aim.max(1);
        let cheap = beyond_bytes.saturating_add(gap) <= beyond_bytes_max;
        if !(wanted && cheap || remaining > REQUESTS_FAR_MAX) {
            break;
        }
        beyond_bytes = beyond_bytes.saturating_add(gap);
        remaining -= 1;
        closed.insert(before);
    }
    let mut joined: Vec<Range<u64>> = Vec::new();
    for (at, range) in ranges.into_iter().enumerate() {
        match joined.last_mut() {
            Some(last) if closed.contains(&at) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Bytes between each range and all that come before it, in order.
fn gaps(sorted: &[Range<u64>]) -> impl Iterator<Item = u64> {
    let mut reached = sorted.first().map_or(0, |range| range.end);
    sorted.iter().skip(1).map(move |range| {
        let gap = range.start.saturating_sub(reached);
        reached = reached.max(range.end);
        gap
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "one range is what is expected")]
    use super::*;
    use crate::domain::footprint::{PixelRule, Span};

    const TEN_METRES: Grid = Grid {
        epsg: 32_633,
        west: 0.0,
        north: 10_000.0,
        pixel_width: 10.0,
        pixel_height: 10.0,
        columns: 1_000,
        rows: 1_000,
    };

    fn footprint(spans: &[(u32, Range<u32>)]) -> Footprint {
        let spans: Vec<Span> = spans
            .iter()
            .map(|(row, columns)| Span { row: *row, columns: columns.clone() })
            .collect();
        Footprint { rule: PixelRule::Centre, spans, pixels_inside: 1, pixels_beyond: 0 }
    }

    #[test]
    fn spans_across_tiles_need_both() {
        let size = TileSize { columns: 256, rows: 256 };
        let field = footprint(&[(255, 250..257), (256, 250..256)]);
        let needed = tiles(&field, &TEN_METRES, &TEN_METRES, size);
        assert_eq!(needed, BTreeSet::from([(0, 0), (0, 1), (1, 0)]));
    }

    #[test]
    fn coarser_raster_is_addressed_on_its_own_grid() {
        let twenty =
            Grid { pixel_width: 20.0, pixel_height: 20.0, columns: 500, rows: 500, ..TEN_METRES };
        let size = TileSize { columns: 256, rows: 256 };
        let field = footprint(&[(511, 510..512), (512, 510..514)]);
        let needed = tiles(&field, &TEN_METRES, &twenty, size);
        assert_eq!(needed, BTreeSet::from([(0, 0), (1, 0), (1, 1)]));
    }

    const BEYOND: u64 = 64 * 1024;

    #[test]
    fn neighbouring_tiles_are_one_request() {
        assert_eq!(requests(vec![108..200, 0..100], 3, BEYOND), [0..200]);
        assert_eq!(requests(vec![0..100, 5_000..5_100], 3, BEYOND), [0..100, 5_000..5_100]);
    }

    #[test]
    fn smallest_gaps_are_closed_first() {
        let ranges = vec![0..100, 10_000..10_100, 13_000..13_100, 50_000..50_100];
        assert_eq!(requests(ranges.clone(), 3, BEYOND), [0..100, 10_000..13_100, 50_000..50_100]);
        assert_eq!(requests(ranges.clone(), 2, BEYOND), [0..13_100, 50_000..50_100]);
        assert_eq!(requests(ranges, 1, BEYOND), [0..50_100]);
    }

    #[test]
    fn far_tiles_cost_requests_rather_than_bytes() {
        let far: Vec<Range<u64>> = (0..9).map(|n| n * 50_000..n * 50_000 + 10).collect();
        let planned = requests(far, 2, BEYOND);
        assert_eq!(planned.len(), 8, "one gap fits into the bound, the second does not");
        let read: u64 = planned.iter().map(|range| range.end - range.start).sum();
        assert!(read <= 90 + BEYOND, "{read}");
    }

    #[test]
    fn equal_gaps_are_closed_one_by_one() {
        let ranges: Vec<Range<u64>> = (0..9).map(|n| n * 5_000..n * 5_000 + 10).collect();
        assert_eq!(requests(ranges, 3, BEYOND).len(), 3);
    }

    #[test]
    fn requests_of_the_longest_field_are_bounded() {
        let far: Vec<Range<u64>> = (0..400).map(|n| n * 900_000..n * 900_000 + 10).collect();
        assert_eq!(requests(far, 2, BEYOND).len(), REQUESTS_FAR_MAX);
    }

    #[test]
    fn empty_and_overlapping_ranges_are_harmless() {
        assert_eq!(requests(vec![5..5, 0..100, 20..40], 3, BEYOND), [0..100]);
        assert!(requests(Vec::new(), 3, BEYOND).is_empty());
    }
}
