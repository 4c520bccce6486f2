//! What does the header of a GeoTIFF say, and can this service use it?

use std::collections::BTreeSet;
use std::ops::Range;

use async_tiff::ImageFileDirectory;
use async_tiff::error::AsyncTiffError;
use async_tiff::metadata::TiffMetadataReader;
use async_tiff::tags::SampleFormat;
use futures::FutureExt;

use super::directory;
use super::parts::Parts;
use crate::domain::grid::{Grid, PIXEL_SIZE_M};
use crate::scenes::plan::TileSize;
use crate::scenes::ranges::{Part, Version};

/// Sizes of a tile in pixels that are believed.
const TILE_SIDE: std::ops::RangeInclusive<u32> = 16..=4_096;

/// Most rows or columns of a raster.
const RASTER_SIDE_MAX: u32 = 65_536;

/// GeoTIFF's `PixelIsPoint`: the tie point names the centre of the first pixel.
const PIXEL_IS_POINT: u16 = 2;

/// The first image of a GeoTIFF, checked for everything that later code relies on.
#[derive(Debug)]
pub struct Header {
    /// Where the raster lies.
    pub grid: Grid,
    /// Size of its tiles.
    pub tile: TileSize,
    /// The file that the header belongs to.
    pub version: Version,
    pub(super) bits: u16,
    pub(super) image: ImageFileDirectory,
    tiles_across: u32,
}

impl Header {
    /// Reads the header from the beginning of a file.
    ///
    /// # Errors
    /// [`HeaderError::Incomplete`] when more bytes are needed, else what is wrong.
    pub fn parse(start: Part) -> Result<Self, HeaderError> {
        let version = start.version.clone();
        directory::check(&start.bytes).map_err(|why| HeaderError::Broken(why.to_owned()))?;
        let image = first_image(&Parts::new(vec![start]))?;
        let tile = tile_size(&image)?;
        let grid = grid(&image)?;
        let bits = bits(&image)?;
        let tiles_across = grid.columns.div_ceil(tile.columns);
        let tiles = u64::from(tiles_across) * u64::from(grid.rows.div_ceil(tile.rows));
        let has_all =
            |table: Option<&[u64]>| table.is_some_and(|table| table.len() as u64 == tiles);
        if !has_all(image.tile_offsets()) || !has_all(image.tile_byte_counts()) {
            return Err(HeaderError::Layout("its tile tables do not fit its size"));
        }
        Ok(Self { grid, tile, version, bits, image, tiles_across })
    }

    /// Where the tiles, given by row and column, lie in the file; a tile without bytes is all
    /// no-data and lies nowhere.
    pub(super) fn byte_ranges(
        &self,
        tiles: &BTreeSet<(u32, u32)>,
    ) -> Result<Vec<Range<u64>>, HeaderError> {
        let outside = || HeaderError::Layout("a tile lies outside the file");
        tiles
            .iter()
            .map(|tile| {
                let range = self.byte_range(*tile).ok_or_else(outside)?;
                if range.end <= self.version.length { Ok(range) } else { Err(outside()) }
            })
            .collect()
    }

    /// Where a tile lies in the file; empty for a tile that is all no-data.
    pub(super) fn byte_range(&self, (row, column): (u32, u32)) -> Option<Range<u64>> {
        let index = u64::from(row) * u64::from(self.tiles_across) + u64::from(column);
        let index = usize::try_from(index).ok()?;
        let start = *self.image.tile_offsets()?.get(index)?;
        let length = *self.image.tile_byte_counts()?.get(index)?;
        Some(start..start.checked_add(length)?)
    }
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// More bytes are needed.
    #[error("the header is not at the start of the file: it is not a cloud-optimised GeoTIFF")]
    Incomplete,
    /// Not a TIFF, or a broken one.
    #[error("the file is not a usable TIFF: {0}")]
    Broken(String),
    /// A TIFF of another kind than Sentinel-2 bands come in.
    #[error("the GeoTIFF cannot be used: {0}")]
    Layout(&'static str),
}

fn first_image(parts: &Parts) -> Result<ImageFileDirectory, HeaderError> {
    let reading = async {
        let mut reader = TiffMetadataReader::try_open(parts).await?;
        reader.read_next_ifd(parts).await
    };
    match reading.now_or_never() {
        Some(Ok(Some(image))) => Ok(image),
        Some(Err(AsyncTiffError::EndOfFile(..))) => Err(HeaderError::Incomplete),
        Some(Err(error)) => Err(HeaderError::Broken(error.to_string())),
        Some(Ok(None)) | None => Err(HeaderError::Broken("it has no image".to_owned())),
    }
}

fn tile_size(image: &ImageFileDirectory) -> Result<TileSize, HeaderError> {
    let (Some(columns), Some(rows)) = (image.tile_width(), image.tile_height()) else {
        return Err(HeaderError::Layout("it is not tiled"));
    };
    if TILE_SIDE.contains(&columns) && TILE_SIDE.contains(&rows) {
        Ok(TileSize { columns, rows })
    } else {
        Err(HeaderError::Layout("its tiles have an unusual size"))
    }
}

fn bits(image: &ImageFileDirectory) -> Result<u16, HeaderError> {
    let one_band = image.samples_per_pixel() == 1;
    let unsigned = image.sample_format().iter().all(|format| *format == SampleFormat::Uint);
    match image.bits_per_sample() {
        [bits] if one_band && unsigned && (8..=16).contains(bits) => Ok(*bits),
        _ => Err(HeaderError::Layout("it is not one band of 8 to 16 unsigned bits")),
    }
}

fn grid(image: &ImageFileDirectory) -> Result<Grid, HeaderError> {
    let keys = image.geo_key_directory();
    let epsg = keys.and_then(async_tiff::geo::GeoKeyDirectory::epsg_code);
    let epsg = epsg.ok_or(HeaderError::Layout("it names no coordinate system"))?;
    if image.model_transformation().is_some() {
        return Err(HeaderError::Layout("it is not north-up"));
    }
    let (Some(&[pixel_width, pixel_height, ..]), Some(&[column, row, _, x, y, ..])) =
        (image.model_pixel_scale(), image.model_tiepoint())
    else {
        return Err(HeaderError::Layout("it is not georeferenced"));
    };
    if !PIXEL_SIZE_M.contains(&pixel_width) || !PIXEL_SIZE_M.contains(&pixel_height) {
        return Err(HeaderError::Layout("its pixels have an unusual size"));
    }
    let is_point = keys.is_some_and(|keys| keys.raster_type == Some(PIXEL_IS_POINT));
    let half = if is_point { 0.5 } else { 0.0 };
    let west = x - (column + half) * pixel_width;
    let north = y + (row + half) * pixel_height;
    let (columns, rows) = (image.image_width(), image.image_height());
    let sides = 1..=RASTER_SIDE_MAX;
    if !sides.contains(&columns) || !sides.contains(&rows) || !(west + north).is_finite() {
        return Err(HeaderError::Layout("it has an unusual extent"));
    }
    Ok(Grid { epsg: u32::from(epsg), west, north, pixel_width, pixel_height, columns, rows })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use super::*;

    const SCL: &[u8] = include_bytes!("../../../tests/data/scl/S2A_29RKH_20200219_0_L2A_SCL.tif");

    fn part(bytes: &'static [u8]) -> Part {
        let version = Version { etag: None, length: bytes.len() as u64 };
        Part { start: 0, bytes: bytes.into(), version }
    }

    #[test]
    fn real_header_is_understood() {
        let header = Header::parse(part(SCL)).unwrap();
        assert_eq!(header.grid.epsg, 32_629);
        assert_eq!((header.grid.west, header.grid.north), (199_980.0, 2_800_020.0));
        assert_eq!((header.grid.columns, header.grid.pixel_width), (549, 200.0));
        assert_eq!(header.tile, TileSize { columns: 512, rows: 512 });
        assert_eq!(header.byte_ranges(&BTreeSet::from([(0, 0), (1, 1)])).unwrap().len(), 2);
    }

    #[test]
    fn cut_header_asks_for_more() {
        for length in [1, 8, 100, 300] {
            let parsed = Header::parse(part(&SCL[..length])).map(|header| header.grid);
            assert_eq!(parsed, Err(HeaderError::Incomplete), "{length} bytes");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let parsed = Header::parse(part(b"\x89PNG\r\n\x1a\n")).map(|header| header.grid);
        assert!(matches!(parsed, Err(HeaderError::Broken(_))), "{parsed:?}");
    }

    #[test]
    fn tile_beyond_the_end_of_the_file_is_refused() {
        let cut: &'static [u8] = &SCL[..2_000];
        let header = Header::parse(part(cut)).unwrap();
        let refused = header.byte_ranges(&BTreeSet::from([(1, 1)])).unwrap_err();
        assert_eq!(refused, HeaderError::Layout("a tile lies outside the file"));
    }
}
