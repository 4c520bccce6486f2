//! Which tiles does a field need, and which parts of the file hold them?

use std::collections::BTreeSet;
use std::ops::Range;

use crate::domain::footprint::Footprint;
use crate::domain::grid::Grid;

/// Gap between two tiles that is read along: COG writers put 8 bytes of bookkeeping there.
const GAP_BYTES_MAX: u64 = 1_024;

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

/// Joins ranges until at most `requests_max` remain, closing the smallest gaps first.
///
/// A field that lies on many rows of tiles costs bytes between them rather than requests.
#[must_use]
pub fn requests(mut ranges: Vec<Range<u64>>, requests_max: usize) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut gaps: Vec<u64> = gaps(&ranges).collect();
    gaps.sort_unstable();
    let surplus = ranges.len().saturating_sub(requests_max.max(1));
    let close = surplus.checked_sub(1).and_then(|last| gaps.get(last)).copied().unwrap_or(0);
    let gap_max = close.max(GAP_BYTES_MAX);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start.saturating_sub(last.end) <= gap_max => {
                last.end = last.end.max(range.end);
            }
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

    #[test]
    fn neighbouring_tiles_are_one_request() {
        assert_eq!(requests(vec![108..200, 0..100], 3), [0..200]);
        assert_eq!(requests(vec![0..100, 5_000..5_100], 3), [0..100, 5_000..5_100]);
    }

    #[test]
    fn smallest_gaps_are_closed_first() {
        let ranges = vec![0..100, 10_000..10_100, 13_000..13_100, 50_000..50_100];
        assert_eq!(requests(ranges.clone(), 3), [0..100, 10_000..13_100, 50_000..50_100]);
        assert_eq!(requests(ranges.clone(), 2), [0..13_100, 50_000..50_100]);
        assert_eq!(requests(ranges, 1), [0..50_100]);
    }

    #[test]
    fn equal_gaps_never_leave_too_many_requests() {
        let ranges: Vec<Range<u64>> = (0..9).map(|n| n * 5_000..n * 5_000 + 10).collect();
        assert!(requests(ranges, 3).len() <= 3);
    }

    #[test]
    fn empty_and_overlapping_ranges_are_harmless() {
        assert_eq!(requests(vec![5..5, 0..100, 20..40], 3), [0..100]);
        assert!(requests(Vec::new(), 3).is_empty());
    }
}
