//! What does a field look like from above?
//!
//! North is up. Each cell becomes a block of pixels of one colour (nearest neighbour), by the same
//! factor in both directions: a field keeps its shape, and no colour is shown that no cell has.
//! Cells without a value stay fully transparent.

mod canvas;
mod font;
mod legend;
mod ramp;
mod stretch;

pub use stretch::Stretch;

use canvas::{Canvas, Rgba, TRANSPARENT, opaque};
use legend::Legend;
use stretch::Range;

/// Pixels of the longer side of a field's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u16);

impl Size {
    /// The smallest.
    pub const MIN: Self = Self(128);
    /// The largest.
    pub const MAX: Self = Self(1_024);

    /// A size between [`Size::MIN`] and [`Size::MAX`]; `None` for any other.
    #[must_use]
    pub fn new(pixels: u16) -> Option<Self> {
        let size = Self(pixels);
        (Self::MIN.0..=Self::MAX.0).contains(&pixels).then_some(size)
    }

    /// In pixels.
    #[must_use]
    pub fn pixels(self) -> u16 {
        self.0
    }
}

impl Default for Size {
    fn default() -> Self {
        Self(512)
    }
}

/// Values on a grid of square cells.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    /// Columns, west to east.
    pub columns: u32,
    /// Rows, north to south.
    pub rows: u32,
    /// Row by row; what is `None` or not finite has no colour.
    pub values: &'a [Option<f32>],
}

/// How a raster is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// How values are spread over the colours.
    pub stretch: Stretch,
    /// Pixels of the longer side of the field; a legend stands to the right of them.
    pub size: Size,
    /// Whether a legend is painted.
    pub legend: bool,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum RasterError {
    /// Nothing to paint.
    #[error("a raster without cells has no picture")]
    Empty,
    /// The grid contradicts itself.
    #[error("{columns} columns and {rows} rows do not hold {values} values")]
    Shape {
        /// Columns.
        columns: u32,
        /// Rows.
        rows: u32,
        /// Number of values.
        values: usize,
    },
    /// The encoder failed.
    #[error("the picture cannot be encoded: {0}")]
    Encoding(#[from] png::EncodingError),
}

/// Paints values as a PNG with transparency. Processor work: some milliseconds.
///
/// # Errors
/// When there are no cells or another number of values.
pub fn png(cells: &Cells<'_>, style: Style) -> Result<Vec<u8>, RasterError> {
    let (columns, rows) = (index(cells.columns), index(cells.rows));
    if columns.checked_mul(rows) != Some(cells.values.len()) {
        let Cells { columns, rows, values } = *cells;
        return Err(RasterError::Shape { columns, rows, values: values.len() });
    }
    if cells.values.is_empty() {
        return Err(RasterError::Empty);
    }
    let range = Range::of(cells.values, style.stretch);
    let size = usize::from(style.size.pixels());
    let scale = Enlargement { longer: columns.max(rows), size };
    let (width, height) = (scale.pixels(columns), scale.pixels(rows));
    let legend = style.legend.then(|| Legend::new(range, size));
    let (beside, below) = legend.as_ref().map_or((0, 0), |it| (it.width, it.height_min));
    let mut canvas = Canvas::new(width + beside, height.max(below));
    let colours: Vec<Rgba> = cells.values.iter().map(|value| colour(*value, range)).collect();
    for y in 0..height {
        let start = scale.cell(y, rows) * columns;
        let row = colours.get(start..start + columns).unwrap_or_default();
        for (x, pixel) in canvas.line(0, y, width).iter_mut().enumerate() {
            *pixel = row.get(scale.cell(x, columns)).copied().unwrap_or(TRANSPARENT);
        }
    }
    if let Some(legend) = legend {
        legend.paint(&mut canvas, width, height.max(below));
    }
    Ok(canvas.png()?)
}

fn colour(value: Option<f32>, range: Range) -> Rgba {
    let value = value.filter(|value| value.is_finite());
    value.map_or(TRANSPARENT, |value| opaque(ramp::colour(range.share(f64::from(value)))))
}

/// One factor for both directions: `size / longer`.
#[derive(Clone, Copy, Debug)]
struct Enlargement {
    longer: usize,
    size: usize,
}

impl Enlargement {
    /// Pixels of a side of so many cells, at least one.
    fn pixels(self, cells: usize) -> usize {
        ((2 * cells * self.size + self.longer) / (2 * self.longer)).max(1)
    }

    /// The cell under the centre of a pixel.
    fn cell(self, pixel: usize, cells: usize) -> usize {
        // The last pixel of a rounded side may have its centre beyond the last cell.
        ((2 * pixel + 1) * self.longer / (2 * self.size)).min(cells - 1)
    }
}

fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
