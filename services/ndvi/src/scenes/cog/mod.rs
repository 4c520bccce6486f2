//! What does a band's file, a cloud-optimised GeoTIFF, hold where the field is?
//!
//! Reading takes two steps over HTTP and two on the processor, so that decoding never runs on an
//! async thread: the header's bytes, its meaning, the tiles' bytes, their values. Headers never
//! change for one state of a file, so they are kept; the entity tag tells whether it is that state.

mod directory;
mod header;
mod parts;
mod tiles;
mod unpack;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

pub use header::{Header, HeaderError};
pub use tiles::{RawBand, TileError};

use super::compute::{Compute, ComputeError};
use super::plan;
use super::ranges::{Part, RangeError, RangeReader};
use crate::domain::footprint::Footprint;
use crate::domain::grid::Grid;

/// Requests for one band of one field, the header's included, where its tiles lie near enough.
pub const REQUESTS_AIM: usize = 3;

/// Bytes of one band of one field that are read besides its tiles: header and gaps.
pub const BEYOND_BYTES_MAX: u64 = 64 * 1024;

/// Bytes asked for first: more than the header of a Sentinel-2 band needs.
pub const HEADER_BYTES: u64 = 16 * 1024;

/// Bytes after which a header counts as "not at the start of the file".
pub const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// Most pixels decoded for one band of one field: 32 MiB of memory.
const DECODED_PIXELS_MAX: u64 = 16 << 20;

/// Reads bands by HTTP ranges.
#[derive(Debug)]
pub struct CogReader {
    ranges: RangeReader,
    compute: Compute,
    headers: Mutex<LruCache<String, Arc<Header>>>,
    band_bytes_max: u64,
}

/// A header, and what it took to read it.
#[derive(Clone, Debug)]
pub struct FoundHeader {
    /// The header.
    pub header: Arc<Header>,
    requests: usize,
    bytes: u64,
}

impl CogReader {
    /// A reader that keeps at most `headers_max` headers and reads at most `band_bytes_max` bytes
    /// of tiles for one band of one field.
    #[must_use]
    pub fn new(
        ranges: RangeReader,
        compute: Compute,
        headers_max: NonZeroUsize,
        band_bytes_max: u64,
    ) -> Self {
        Self { ranges, compute, headers: Mutex::new(LruCache::new(headers_max)), band_bytes_max }
    }

    /// The header of the file at `url`, without a request when it is known.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a tiled GeoTIFF of one band with its header at the
    /// start.
    pub async fn header(&self, url: &str) -> Result<FoundHeader, CogError> {
        if let Some(header) = self.known(url) {
            return Ok(FoundHeader { header, requests: 0, bytes: 0 });
        }
        let first = self.ranges.read(url, 0..HEADER_BYTES, None).await?;
        let (header, requests, bytes) = match self.parse(first.clone()).await? {
            Ok(header) => (header, 1, first.bytes.len()),
            Err(HeaderError::Incomplete) if first.version.length > HEADER_BYTES => {
                let range = HEADER_BYTES..HEADER_BYTES_MAX.min(first.version.length);
                let rest = self.ranges.read(url, range, Some(&first.version)).await?;
                let whole = parts::join(&first, &rest);
                let bytes = whole.bytes.len();
                (self.parse(whole).await??, 2, bytes)
            }
            Err(error) => return Err(error.into()),
        };
        let header = Arc::new(header);
        self.lock().put(url.to_owned(), Arc::clone(&header));
        Ok(FoundHeader { header, requests, bytes: bytes as u64 })
    }

    /// The tiles that hold the field's pixels, still compressed. `pixels` is the grid that the
    /// footprint counts on.
    ///
    /// # Errors
    /// When the tiles cannot be read, would be more than allowed, or the file has changed since
    /// its header was read.
    pub async fn tiles(
        &self,
        url: &str,
        found: &FoundHeader,
        footprint: &Footprint,
        pixels: &Grid,
    ) -> Result<RawBand, CogError> {
        let header = &found.header;
        let tiles = plan::tiles(footprint, pixels, &header.grid, header.tile);
        let pixels = u64::from(header.tile.columns) * u64::from(header.tile.rows);
        let decoded = pixels.saturating_mul(tiles.len() as u64);
        if decoded > DECODED_PIXELS_MAX {
            return Err(CogError::TooManyPixels { decoded });
        }
        let wanted = header.byte_ranges(&tiles)?;
        let requests_aim = REQUESTS_AIM.saturating_sub(found.requests);
        let beyond_bytes_max = BEYOND_BYTES_MAX.saturating_sub(found.bytes);
        let requests = plan::requests(wanted, requests_aim, beyond_bytes_max);
        let bytes = requests.iter().map(|range| range.end - range.start).sum();
        if bytes > self.band_bytes_max {
            return Err(CogError::TooManyBytes { bytes, bytes_max: self.band_bytes_max });
        }
        let reads = requests.into_iter().map(|range| self.tile_part(url, header, range));
        let parts = futures::future::try_join_all(reads).await?;
        Ok(RawBand::new(Arc::clone(header), tiles, parts::Parts::new(parts)))
    }

    /// Forgets the header of a file that is no longer the same.
    pub fn forget(&self, url: &str) {
        self.lock().pop(url);
    }

    async fn tile_part(
        &self,
        url: &str,
        header: &Header,
        range: Range<u64>,
    ) -> Result<Part, CogError> {
        let end = range.end;
        let part = self.ranges.read(url, range, Some(&header.version)).await?;
        if part.start + part.bytes.len() as u64 == end {
            Ok(part)
        } else {
            Err(CogError::Truncated)
        }
    }

    async fn parse(&self, start: Part) -> Result<Result<Header, HeaderError>, CogError> {
        Ok(self.compute.run(move || Header::parse(start)).await?)
    }

    fn known(&self, url: &str) -> Option<Arc<Header>> {
        let header = self.lock().get(url).map(Arc::clone);
        // Without an entity tag nothing tells whether the file is still the same.
        header.filter(|header| header.version.etag.is_some())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<String, Arc<Header>>> {
        // No code panics while it holds the lock, and a cache is never wrong, only incomplete.
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a band could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CogError {
    /// Its bytes could not be read.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Its header cannot be used.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A tile cannot be decoded.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A decoder gave up.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The file ends before a tile does.
    #[error("the file ends before its last tile")]
    Truncated,
    /// The field lies on too many tiles.
    #[error("the field lies on {decoded} pixels of tiles, more than {DECODED_PIXELS_MAX}")]
    TooManyPixels {
        /// Pixels that would have to be decoded.
        decoded: u64,
    },
    /// The tiles are too large.
    #[error("the tiles under the field have {bytes} bytes, more than {bytes_max}")]
    TooManyBytes {
        /// Bytes that would have to be read.
        bytes: u64,
        /// Most bytes allowed.
        bytes_max: u64,
    },
}

impl CogError {
    /// Whether the file was replaced during the read, so that a fresh start may succeed.
    #[must_use]
    pub fn is_changed_file(&self) -> bool {
        matches!(self, Self::Range(RangeError::Changed))
    }
}
