//! How does a test make a scene's file: real pixels read with another decoder's defaults, changed
//! and written again.

use std::io::Write;
use std::ops::Range;

use async_tiff::TypedArray;
use async_tiff::decoder::DecoderRegistry;
use async_tiff::error::AsyncTiffResult;
use async_tiff::metadata::TiffMetadataReader;
use async_tiff::reader::AsyncFileReader;
use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;

const TILE: usize = 256;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const DOUBLE: u16 = 12;

/// An image of one band with its place on the ground.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) values: Vec<u16>,
    pub(crate) epsg: u16,
    pub(crate) west: f64,
    pub(crate) north: f64,
    pub(crate) pixel: f64,
}

#[derive(Debug)]
struct InMemory(Bytes);

#[async_trait]
impl AsyncFileReader for InMemory {
    async fn get_bytes(&self, range: Range<u64>) -> AsyncTiffResult<Bytes> {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        Ok(self.0.slice(range))
    }
}

/// Where the tiles of a file lie, in the file and on the ground.
pub(crate) struct Layout {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) tile_columns: usize,
    pub(crate) tile_rows: usize,
    pub(crate) west: f64,
    pub(crate) north: f64,
    pub(crate) pixel: f64,
    pub(crate) epsg: u16,
    across: usize,
    tiles: Vec<Range<u64>>,
}

impl Layout {
    /// Of the first image of a file, by another reader than the service has.
    pub(crate) async fn of(file: Vec<u8>) -> Self {
        let file = InMemory(file.into());
        let mut reader = TiffMetadataReader::try_open(&file).await.unwrap();
        let image = reader.read_next_ifd(&file).await.unwrap().unwrap();
        let bytes = image.tile_byte_counts().unwrap();
        let starts = image.tile_offsets().unwrap();
        let origin = image.model_tiepoint().unwrap();
        Self {
            columns: image.image_width() as usize,
            rows: image.image_height() as usize,
            tile_columns: image.tile_width().unwrap() as usize,
            tile_rows: image.tile_height().unwrap() as usize,
            west: origin[3],
            north: origin[4],
            pixel: image.model_pixel_scale().unwrap()[0],
            epsg: image.geo_key_directory().unwrap().epsg_code().unwrap(),
            across: image.tile_count().unwrap().0,
            tiles: starts.iter().zip(bytes).map(|(start, bytes)| *start..start + bytes).collect(),
        }
    }

    /// Bytes of a tile.
    pub(crate) fn tile(&self, (column, row): (usize, usize)) -> Range<u64> {
        self.tiles[row * self.across + column].clone()
    }
}

impl Image {
    /// Every pixel of a file.
    pub(crate) async fn read(file: Vec<u8>) -> Self {
        let file = InMemory(file.into());
        let mut reader = TiffMetadataReader::try_open(&file).await.unwrap();
        let image = reader.read_next_ifd(&file).await.unwrap().unwrap();
        let (columns, rows) = (image.image_width() as usize, image.image_height() as usize);
        let (tile_columns, tile_rows) =
            (image.tile_width().unwrap() as usize, image.tile_height().unwrap() as usize);
        let (across, down) = image.tile_count().unwrap();
        let mut values = vec![0; columns * rows];
        for (x, y) in (0..down).flat_map(|y| (0..across).map(move |x| (x, y))) {
            let tile = image.fetch_tile(x, y, &file).await.unwrap();
            let TypedArray::UInt16(tile) =
                tile.decode(&DecoderRegistry::default()).unwrap().into_inner().0
            else {
                panic!("not 16 bits");
            };
            for (row, column) in (0..tile_rows).flat_map(|r| (0..tile_columns).map(move |c| (r, c)))
            {
                let at = (y * tile_rows + row, x * tile_columns + column);
                if at.0 < rows && at.1 < columns {
                    values[at.0 * columns + at.1] = tile[row * tile_columns + column];
                }
            }
        }
        let origin = image.model_tiepoint().unwrap();
        Self {
            columns,
            rows,
            values,
            epsg: image.geo_key_directory().unwrap().epsg_code().unwrap(),
            west: origin[3],
            north: origin[4],
            pixel: image.model_pixel_scale().unwrap()[0],
        }
    }

    /// The same image with every value that is data changed.
    pub(crate) fn map(&self, change: impl Fn(u16) -> u16) -> Self {
        let values = self.values.iter().map(|value| if *value == 0 { 0 } else { change(*value) });
        Self { values: values.collect(), ..self.clone() }
    }

    /// A tiled, deflated GeoTIFF with this many bits a value; fewer than 16 are packed as GDAL
    /// does it with `NBITS`.
    pub(crate) fn write(&self, bits: u16) -> Vec<u8> {
        let (across, down) = (self.columns.div_ceil(TILE), self.rows.div_ceil(TILE));
        let tiles: Vec<Vec<u8>> = (0..down)
            .flat_map(|y| (0..across).map(move |x| (x, y)))
            .map(|(x, y)| self.tile(x, y, bits))
            .collect();
        let lengths: Vec<u32> = tiles.iter().map(|tile| tile.len().try_into().unwrap()).collect();
        // The place of the tiles depends on the length of the header, which their place does not
        // change: offsets are written as 4 bytes each, whatever they are.
        let header = self.header(bits, &vec![0; tiles.len()], &lengths).len();
        let mut end = u32::try_from(header).unwrap();
        let offsets: Vec<u32> = lengths
            .iter()
            .map(|length| {
                end += length;
                end - length
            })
            .collect();
        let mut file = self.header(bits, &offsets, &lengths);
        tiles.iter().for_each(|tile| file.extend(tile));
        file
    }

    fn tile(&self, x: usize, y: usize, bits: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in y * TILE..(y + 1) * TILE {
            let line = (x * TILE..(x + 1) * TILE).map(|column| {
                let inside = row < self.rows && column < self.columns;
                if inside { self.values[row * self.columns + column] } else { 0 }
            });
            if bits == 16 {
                line.for_each(|value| bytes.extend(value.to_le_bytes()));
            } else {
                bytes.extend(packed(line, bits));
            }
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn header(&self, bits: u16, offsets: &[u32], lengths: &[u32]) -> Vec<u8> {
        let short = |value: u16| (SHORT, value.to_le_bytes().to_vec());
        let longs = |values: &[u32]| {
            (LONG, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
        };
        let doubles =
            |values: &[f64]| (DOUBLE, values.iter().flat_map(|v| v.to_le_bytes()).collect());
        let keys = [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, self.epsg];
        let side = u16::try_from(TILE).unwrap();
        let entries: Vec<(u16, (u16, Vec<u8>))> = vec![
            (256, longs(&[self.columns.try_into().unwrap()])),
            (257, longs(&[self.rows.try_into().unwrap()])),
            (258, short(bits)),
            (259, short(8)),
            (262, short(1)),
            (277, short(1)),
            (284, short(1)),
            (322, short(side)),
            (323, short(side)),
            (324, longs(offsets)),
            (325, longs(lengths)),
            (339, short(1)),
            (33550, doubles(&[self.pixel, self.pixel, 0.0])),
            (33922, doubles(&[0.0, 0.0, 0.0, self.west, self.north, 0.0])),
            (34735, (SHORT, keys.iter().flat_map(|key: &u16| key.to_le_bytes()).collect())),
        ];
        let mut beyond = 8 + 2 + entries.len() * 12 + 4;
        let mut directory = u16::try_from(entries.len()).unwrap().to_le_bytes().to_vec();
        let mut values = Vec::new();
        for (tag, (kind, mut bytes)) in entries {
            let size = match kind {
                SHORT => 2,
                LONG => 4,
                _ => 8,
            };
            directory.extend(tag.to_le_bytes());
            directory.extend(kind.to_le_bytes());
            directory.extend(u32::try_from(bytes.len() / size).unwrap().to_le_bytes());
            if bytes.len() <= 4 {
                bytes.resize(4, 0);
                directory.extend(bytes);
            } else {
                directory.extend(u32::try_from(beyond).unwrap().to_le_bytes());
                beyond += bytes.len();
                values.extend(bytes);
            }
        }
        [b"II*\0\x08\0\0\0".to_vec(), directory, vec![0; 4], values].concat()
    }
}

/// Values one after the other, highest bit first, the line filled up to whole bytes.
fn packed(line: impl Iterator<Item = u16>, bits: u16) -> Vec<u8> {
    let bits: Vec<bool> =
        line.flat_map(|value| (0..bits).rev().map(move |bit| value >> bit & 1 == 1)).collect();
    bits.chunks(8)
        .map(|octet| {
            octet.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
        })
        .collect()
}
