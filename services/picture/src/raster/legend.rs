//! How does a reader know which value a colour means?
//!
//! A bar beside the field with numbers on it, on a light ground of its own, so that it can be read
//! whatever the picture is laid over.

use super::canvas::{Area, Canvas, Rgba, opaque};
use super::font;
use super::ramp::colour;
use super::stretch::Range;
use crate::ticks::Ticks;

const TITLE: &str = "NDVI";
const GROUND: Rgba = [247, 247, 247, u8::MAX];
const INK: Rgba = [34, 34, 34, u8::MAX];

/// Most numbers on the bar, less one.
const STEPS_MAX: u32 = 4;

/// Longest side of a field, in pixels, for each step of the legend's size.
const PIXELS_PER_SCALE: usize = 384;

// All in dots, of which each is `scale` pixels wide.
const MARGIN: usize = 5;
const BAR_WIDTH: usize = 12;
const TICK_WIDTH: usize = 3;
/// Wide enough that a tick is not read as a minus.
const GAP: usize = 4;
const HEIGHT_MIN: usize = 84;

/// A legend, measured but not yet painted.
#[derive(Debug)]
pub(super) struct Legend {
    range: Range,
    scale: usize,
    /// Values and their labels.
    numbers: Vec<(f64, String)>,
    labels_width: usize,
    pub(super) width: usize,
    pub(super) height_min: usize,
}

impl Legend {
    /// The legend of a picture whose longer side has `size` pixels.
    pub(super) fn new(range: Range, size: usize) -> Self {
        let scale = 1 + size / PIXELS_PER_SCALE;
        let ticks = Ticks::within(range.low, range.high, STEPS_MAX);
        let numbers: Vec<_> = ticks.values().map(|value| (value, ticks.label(value))).collect();
        let labels_width = numbers.iter().map(|(_, label)| font::width(label)).max().unwrap_or(0);
        let beside = BAR_WIDTH + TICK_WIDTH + GAP + labels_width;
        let width = (MARGIN + beside.max(font::width(TITLE)) + MARGIN) * scale;
        Self { range, scale, numbers, labels_width, width, height_min: HEIGHT_MIN * scale }
    }

    /// Paints it from the top of the canvas down.
    pub(super) fn paint(&self, canvas: &mut Canvas, x: usize, height: usize) {
        let dots = |count: usize| count * self.scale;
        canvas.fill(Area { x, y: 0, width: self.width, height }, GROUND);
        let left = x + dots(MARGIN);
        font::write(canvas, (left, dots(MARGIN)), TITLE, self.scale, INK);
        let top = dots(MARGIN + font::ROWS + MARGIN);
        // The lowest label may stand half a line below the end of the bar.
        let bottom = height.saturating_sub(dots(MARGIN + font::ROWS / 2));
        let bar =
            Area { x: left, y: top, width: dots(BAR_WIDTH), height: bottom - top.min(bottom) };
        self.paint_bar(canvas, bar);
        self.paint_numbers(canvas, bar);
    }

    fn paint_bar(&self, canvas: &mut Canvas, bar: Area) {
        for row in 0..bar.height {
            let share = 1.0 - (real(row) + 0.5) / real(bar.height);
            let line = Area { y: bar.y + row, height: 1, ..bar };
            canvas.fill(line, opaque(colour(share)));
        }
    }

    fn paint_numbers(&self, canvas: &mut Canvas, bar: Area) {
        let x = bar.x + bar.width;
        for (value, label) in &self.numbers {
            let y = bar.y + whole((1.0 - self.range.share(*value)) * real(bar.height));
            let y = y.min(bar.y + bar.height.saturating_sub(self.scale));
            let tick = Area { x, y, width: TICK_WIDTH * self.scale, height: self.scale };
            canvas.fill(tick, INK);
            let right = TICK_WIDTH + GAP + self.labels_width;
            let left = x + (right - font::width(label)) * self.scale;
            let at = (left, y.saturating_sub(font::ROWS / 2 * self.scale));
            font::write(canvas, at, label, self.scale, INK);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels of a picture are few")]
fn real(pixels: usize) -> f64 {
    pixels as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place on a bar; a float cast saturates"
)]
fn whole(value: f64) -> usize {
    value as usize
}
