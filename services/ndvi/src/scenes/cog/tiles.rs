//! Which values do compressed tiles hold?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_tiff::decoder::DecoderRegistry;
use async_tiff::error::AsyncTiffError;
use async_tiff::tags::Predictor;
use async_tiff::{CompressedBytes, Tile, TypedArray};
use futures::FutureExt;

use super::header::Header;
use super::parts::Parts;
use super::unpack::Unpack;
use crate::domain::band::Band;

/// The tiles of a band as they lie in the file.
#[derive(Debug)]
pub struct RawBand {
    header: Arc<Header>,
    tiles: BTreeSet<(u32, u32)>,
    parts: Parts,
}

impl RawBand {
    pub(super) fn new(header: Arc<Header>, tiles: BTreeSet<(u32, u32)>, parts: Parts) -> Self {
        Self { header, tiles, parts }
    }

    /// Decodes the tiles: processor work, to be kept off async threads.
    ///
    /// # Errors
    /// When a tile is compressed by a method that is not known, is damaged, or has another size
    /// than the header says.
    pub fn decode(&self) -> Result<Band, TileError> {
        let header = &self.header;
        // A tile without bytes is all no-data; reading a pixel of a missing tile says the same.
        let full = self
            .tiles
            .iter()
            .filter(|tile| header.byte_range(**tile).is_some_and(|range| !range.is_empty()));
        let at: Vec<(usize, usize)> =
            full.map(|(row, column)| (*column as usize, *row as usize)).collect();
        let fetched = header.image.fetch_tiles(&at, &self.parts).now_or_never();
        let fetched = fetched.ok_or(TileError::Missing)?.map_err(TileError::broken)?;
        let mut tiles = BTreeMap::new();
        for tile in fetched {
            let place = (u32::try_from(tile.x()), u32::try_from(tile.y()));
            let (Ok(column), Ok(row)) = place else { return Err(TileError::Missing) };
            tiles.insert((column, row), values(tile, header)?);
        }
        let (tile_columns, tile_rows) = (header.tile.columns, header.tile.rows);
        Ok(Band { grid: header.grid, tile_columns, tile_rows, tiles })
    }
}

/// Why a tile could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Its bytes were not read.
    #[error("a tile is missing among the bytes that were read")]
    Missing,
    /// It is damaged or compressed in an unknown way.
    #[error("a tile cannot be decoded: {0}")]
    Broken(String),
}

impl TileError {
    #[expect(clippy::needless_pass_by_value, reason = "map_err hands the error over")]
    fn broken(error: AsyncTiffError) -> Self {
        Self::Broken(error.to_string())
    }
}

fn values(tile: Tile, header: &Header) -> Result<Vec<u16>, TileError> {
    let pixels = header.tile.columns as usize * header.tile.rows as usize;
    let bytes_max = pixels * usize::from(header.bits.div_ceil(8));
    if header.bits != 8 && header.bits != 16 {
        return packed_values(&tile, header, Unpack::new(tile.compression_method(), bytes_max));
    }
    let mut registry = DecoderRegistry::empty();
    let decoders = registry.as_mut();
    for method in Unpack::METHODS {
        decoders.insert(method, Box::new(Unpack::new(method, bytes_max)));
    }
    let array = tile.decode(&registry).map_err(TileError::broken)?;
    match array.into_inner().0 {
        TypedArray::UInt8(values) => Ok(values.into_iter().map(u16::from).collect()),
        TypedArray::UInt16(values) => Ok(values),
        _ => Err(TileError::Broken("its values are not unsigned numbers".to_owned())),
    }
}

/// Values of 9 to 15 bits, which GDAL packs without gaps when told `NBITS`; async-tiff does not
/// unpack them. The catalogue declares 15 bits for Sentinel-2 bands.
fn packed_values(tile: &Tile, header: &Header, unpack: Unpack) -> Result<Vec<u16>, TileError> {
    let unpredicted = matches!(header.image.predictor(), None | Some(Predictor::None));
    let CompressedBytes::Chunky(bytes) = tile.compressed_bytes() else {
        return Err(TileError::Broken("its bands lie apart".to_owned()));
    };
    let packed = unpack.unpack(bytes).map_err(TileError::broken)?;
    let (columns, rows) = (header.tile.columns as usize, header.tile.rows as usize);
    let line_bytes = (columns * usize::from(header.bits)).div_ceil(8);
    if !unpredicted || packed.len() != line_bytes * rows {
        return Err(TileError::Broken(format!("its {} bits are packed unusually", header.bits)));
    }
    Ok(packed
        .chunks(line_bytes)
        .flat_map(|line| values_of(line, header.bits).take(columns))
        .collect())
}

/// The numbers of `bits` bits each in a line, highest bit first.
fn values_of(line: &[u8], bits: u16) -> impl Iterator<Item = u16> {
    let mask = (1_u32 << bits) - 1;
    let (mut held, mut held_bits) = (0_u32, 0_u16);
    line.iter().filter_map(move |byte| {
        // At most 15 bits are held before a byte is added, so 32 bits never overflow.
        held = (held << 8) | u32::from(*byte);
        held_bits += 8;
        let left = held_bits.checked_sub(bits)?;
        let value = (held >> left) & mask;
        held_bits = left;
        held &= (1 << left) - 1;
        u16::try_from(value).ok()
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use super::*;

    #[test]
    fn packed_numbers_are_unpacked_highest_bit_first() {
        for bits in 9..=15_u16 {
            let numbers: Vec<u16> =
                (0..40_u16).map(|n| n.wrapping_mul(2_617) & ((1 << bits) - 1)).collect();
            let text: String = numbers
                .iter()
                .map(|n| format!("{n:0width$b}", width = usize::from(bits)))
                .collect();
            let line: Vec<u8> = text
                .as_bytes()
                .chunks(8)
                .map(|octet| {
                    let octet = std::str::from_utf8(octet).unwrap();
                    u8::from_str_radix(&format!("{octet:0<8}"), 2).unwrap()
                })
                .collect();
            let unpacked: Vec<u16> = values_of(&line, bits).take(numbers.len()).collect();
            assert_eq!(unpacked, numbers, "{bits} bits");
        }
    }
}
