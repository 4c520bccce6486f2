//! How is a compressed tile unfolded without ever taking more memory than its pixels need?
//!
//! Sentinel-2 bands come deflated; the other methods are what GDAL writes besides when a
//! catalogue's files are copied: LZW is its default, ZSTD the fastest.

use std::io::Read;

use async_tiff::decoder::Decoder;
use async_tiff::error::{AsyncTiffError, AsyncTiffResult};
use async_tiff::tags::{Compression, PhotometricInterpretation};
use bytes::Bytes;
use flate2::bufread::ZlibDecoder;
use weezl::{BitOrder, LzwStatus};

/// A compression whose end is known: a small tile must not unfold into all memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unpack {
    method: Compression,
    bytes_max: usize,
}

impl Unpack {
    /// The methods that can be unfolded.
    pub(super) const METHODS: [Compression; 5] = [
        Compression::None,
        Compression::Deflate,
        Compression::OldDeflate,
        Compression::LZW,
        Compression::ZSTD,
    ];

    /// Unfolds `method` to at most `bytes_max` bytes.
    pub(super) fn new(method: Compression, bytes_max: usize) -> Self {
        Self { method, bytes_max }
    }

    /// The bytes of a tile.
    pub(super) fn unpack(self, compressed: &[u8]) -> AsyncTiffResult<Vec<u8>> {
        let bytes = match self.method {
            Compression::None => compressed.to_vec(),
            Compression::Deflate | Compression::OldDeflate => {
                self.read(ZlibDecoder::new(compressed))?
            }
            Compression::ZSTD => self.read(zstd::Decoder::with_buffer(compressed)?)?,
            Compression::LZW => return self.lzw(compressed),
            other => return Err(general(format!("{other:?} is not supported"))),
        };
        if bytes.len() > self.bytes_max { Err(self.too_long()) } else { Ok(bytes) }
    }

    /// One byte more than allowed tells a tile that goes on from one that ends there.
    fn read(self, stream: impl Read) -> AsyncTiffResult<Vec<u8>> {
        let mut bytes = Vec::new();
        stream.take(self.bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn lzw(self, compressed: &[u8]) -> AsyncTiffResult<Vec<u8>> {
        let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
        // One byte more than allowed, as above.
        let mut bytes = vec![0; self.bytes_max + 1];
        let (mut read, mut written) = (0, 0);
        while let (Some(from), Some(to)) = (compressed.get(read..), bytes.get_mut(written..)) {
            let step = decoder.decode_bytes(from, to);
            read += step.consumed_in;
            written += step.consumed_out;
            match step.status {
                Ok(LzwStatus::Done) => break,
                Err(error) => return Err(general(error.to_string())),
                Ok(_) if step.consumed_in + step.consumed_out > 0 => {}
                // Writers may leave out the code that ends a full tile.
                Ok(_) if written < self.bytes_max => {
                    return Err(general("it breaks off".to_owned()));
                }
                Ok(_) => break,
            }
        }
        if written > self.bytes_max {
            return Err(self.too_long());
        }
        bytes.truncate(written);
        Ok(bytes)
    }

    fn too_long(self) -> AsyncTiffError {
        general(format!("it unfolds to more than {} bytes", self.bytes_max))
    }
}

fn general(text: String) -> AsyncTiffError {
    AsyncTiffError::General(text)
}

impl Decoder for Unpack {
    fn decode_tile(
        &self,
        buffer: Bytes,
        _photometric_interpretation: PhotometricInterpretation,
        _jpeg_tables: Option<&[u8]>,
        _samples_per_pixel: u16,
        _bits_per_sample: u16,
        _lerc_parameters: Option<&[u32]>,
    ) -> AsyncTiffResult<Vec<u8>> {
        self.unpack(&buffer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use std::io::Write;

    use flate2::Compression as Level;
    use flate2::write::ZlibEncoder;

    use super::*;

    const COMPRESSING: [Compression; 3] =
        [Compression::Deflate, Compression::LZW, Compression::ZSTD];

    fn packed(method: Compression, bytes: &[u8]) -> Vec<u8> {
        match method {
            Compression::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Level::best());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::ZSTD => zstd::encode_all(bytes, 3).unwrap(),
            _ => weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
                .encode(bytes)
                .unwrap(),
        }
    }

    #[test]
    fn tile_that_unfolds_too_far_is_refused() {
        for method in COMPRESSING {
            let unpack = Unpack::new(method, 1_000);
            assert_eq!(unpack.unpack(&packed(method, &[7; 1_000])).unwrap(), [7; 1_000]);
            let refused = unpack.unpack(&packed(method, &[7; 1_001])).unwrap_err().to_string();
            assert!(refused.contains("more than 1000 bytes"), "{method:?}: {refused}");
            let bomb = unpack.unpack(&packed(method, &vec![7; 1 << 22])).unwrap_err().to_string();
            assert!(bomb.contains("more than 1000 bytes"), "{method:?}: {bomb}");
        }
    }

    #[test]
    fn cut_tile_is_refused() {
        let numbers: Vec<u8> = (0..200).map(|n: u8| n.wrapping_mul(37)).collect();
        for method in COMPRESSING {
            let whole = packed(method, &numbers);
            let cut = &whole[..whole.len() / 2];
            assert!(Unpack::new(method, 200).unpack(cut).is_err(), "{method:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_packed_are_refused() {
        for method in COMPRESSING {
            assert!(Unpack::new(method, 200).unpack(&[0xfe; 40]).is_err(), "{method:?}");
        }
    }
}
