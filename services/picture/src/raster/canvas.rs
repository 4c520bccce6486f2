//! How do pixels become a PNG?

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

/// Red, green, blue and opacity.
pub(super) type Rgba = [u8; 4];

/// What nothing was painted on.
pub(super) const TRANSPARENT: Rgba = [0; 4];

/// A colour without transparency.
pub(super) fn opaque([red, green, blue]: [u8; 3]) -> Rgba {
    [red, green, blue, u8::MAX]
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Pixels to paint on, transparent at first.
#[derive(Debug)]
pub(super) struct Canvas {
    width: u32,
    height: u32,
    stride: usize,
    pixels: Vec<Rgba>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        Self {
            width: side(width),
            height: side(height),
            stride: width,
            pixels: vec![TRANSPARENT; width * height],
        }
    }

    /// The pixels of a row from `x` on, at most `width` of them; empty beyond the canvas.
    pub(super) fn line(&mut self, x: usize, y: usize, width: usize) -> &mut [Rgba] {
        let end = (x + width).min(self.stride);
        let row = self.pixels.chunks_exact_mut(self.stride.max(1)).nth(y);
        row.and_then(|row| row.get_mut(x..end)).unwrap_or_default()
    }

    /// Paints a rectangle; what lies beyond the canvas is cut off.
    pub(super) fn fill(&mut self, area: Area, colour: Rgba) {
        for y in area.y..area.y + area.height {
            self.line(area.x, y, area.width).fill(colour);
        }
    }

    /// The picture as a file.
    pub(super) fn png(&self) -> Result<Vec<u8>, EncodingError> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(ColorType::Rgba);
        encoder.set_depth(BitDepth::Eight);
        // A picture is painted once and sent often: half the bytes for half as long again.
        encoder.set_compression(Compression::Balanced);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        Ok(file)
    }
}
