//! Where on the drawing does a value of a day stand, and what stands around it?

use jiff::civil::Date;

use super::calendar::{days_between, ticks};
use super::svg::{AXIS, GRID, INK, MUTED, Svg};
use super::{Marks, Panel, Series};
use crate::ticks::Ticks;

/// Width of every drawing.
pub(super) const WIDTH: f64 = 800.0;

/// Left and right of everything.
pub(super) const MARGIN: f64 = 8.0;

/// Left of a panel: labels of its axis.
const LEFT: f64 = 60.0;

/// Right of a panel: half of the last day's name.
const RIGHT: f64 = WIDTH - 28.0;

/// What stands for values that are missing.
pub(super) const NO_DATA: &str = "no data";

/// Most named days: a name with its year is up to 60 wide.
const DAYS_NAMED_MAX: usize = 9;

/// Steps of an axis of values for each so many units of its height.
const UNITS_PER_STEP: f64 = 40.0;

/// Half of the width of a day that has no neighbours, in days.
const HALF_SLOT_ALONE_DAYS: f64 = 0.5;

/// The axis of time, shared by all panels.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    first: Date,
    last: Date,
    /// Half of what a date takes of the axis: half of the smallest distance of two dates.
    half_slot_days: f64,
}

impl Timeline {
    /// The axis of dates in order; `None` without any.
    pub(super) fn of(dates: &[Date]) -> Option<Self> {
        let (first, last) = (*dates.first()?, *dates.last()?);
        let distances = dates.iter().zip(dates.iter().skip(1));
        let smallest = distances.map(|(one, next)| days_between(*one, *next)).min();
        let half_slot_days = smallest.map_or(HALF_SLOT_ALONE_DAYS, |days| f64::from(days) / 2.0);
        Some(Self { first, last, half_slot_days })
    }

    /// Where the middle of a date is.
    pub(super) fn x(&self, date: Date) -> f64 {
        let days = f64::from(days_between(self.first, date)) + self.half_slot_days;
        LEFT + days * self.units_per_day()
    }

    /// Half of the width of a date.
    pub(super) fn half_slot(&self) -> f64 {
        self.half_slot_days * self.units_per_day()
    }

    fn units_per_day(&self) -> f64 {
        let span = f64::from(days_between(self.first, self.last)) + 2.0 * self.half_slot_days;
        (RIGHT - LEFT) / span
    }

    /// Names days below `bottom` and draws a line through the panels for each.
    pub(super) fn draw(&self, svg: &mut Svg, panels: &[Frame], bottom: f64) {
        for tick in ticks(self.first, self.last, DAYS_NAMED_MAX) {
            let x = self.x(tick.day);
            for Frame { top, bottom, .. } in panels {
                svg.add(&format!(
                    "<line {GRID} x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>"
                ));
            }
            svg.text((x, bottom + 16.0), &format!("{INK} text-anchor=\"middle\""), &tick.label);
            if let Some(below) = tick.below {
                svg.text((x, bottom + 31.0), &format!("{MUTED} text-anchor=\"middle\""), &below);
            }
        }
    }
}

/// The axis of values of one panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) top: f64,
    pub(super) bottom: f64,
    ticks: Ticks,
    /// Whether the axis means anything.
    is_numbered: bool,
    is_empty: bool,
}

impl Frame {
    pub(super) fn of(panel: &Panel, top: f64) -> Self {
        let bottom = top + panel.height.units();
        let is_empty = panel.series.iter().all(|series| series.extremes().is_empty());
        let is_numbered = !is_empty || panel.at_least.is_some();
        let (low, high) = range(panel);
        let ticks = Ticks::around(low, high, steps(bottom - top));
        Self { top, bottom, ticks, is_numbered, is_empty }
    }

    /// Where a value is.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value - self.ticks.low()) / (self.ticks.high() - self.ticks.low());
        self.bottom - share * (self.bottom - self.top)
    }

    /// Where bars stand: at zero, which every panel with bars shows.
    pub(super) fn base(&self) -> f64 {
        self.y(0.0_f64.clamp(self.ticks.low(), self.ticks.high()))
    }

    /// Lines across the panel with their values, and what they mean.
    pub(super) fn draw(&self, svg: &mut Svg, label: &str) {
        svg.text((MARGIN, self.top - 14.0), MUTED, label);
        if self.is_empty {
            let middle = ((LEFT + RIGHT) / 2.0, (self.top + self.bottom) / 2.0 + 4.0);
            svg.text(middle, &format!("{MUTED} text-anchor=\"middle\""), NO_DATA);
        }
        for value in self.ticks.values().filter(|_| self.is_numbered) {
            let (y, is_axis) = (self.y(value), value == self.ticks.low() || value == 0.0);
            let line = if is_axis { AXIS } else { GRID };
            svg.add(&format!(
                "<line {line} x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>"
            ));
            let label = self.ticks.label(value);
            svg.text((LEFT - 8.0, y + 4.0), &format!("{MUTED} text-anchor=\"end\""), &label);
        }
    }
}

/// The values that a panel has to show.
fn range(panel: &Panel) -> (f64, f64) {
    let with_zero = panel.series.iter().any(|series| matches!(series.marks, Marks::Bars(_)));
    let wanted = panel.at_least.map(|(low, high)| [low, high]);
    let zero = with_zero.then_some([0.0, 0.0]);
    let shown = panel.series.iter().flat_map(Series::extremes).chain(wanted).chain(zero);
    let range =
        shown.reduce(|[low, high], [next_low, next_high]| [low.min(next_low), high.max(next_high)]);
    match range {
        None => (0.0, 1.0),
        Some([low, high]) if low < high => (low, high),
        // A line in the middle rather than on an edge.
        Some([value, _]) => {
            let margin = (value.abs() * 0.1).max(1.0);
            (value - margin, value + margin)
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few steps; a float cast saturates"
)]
fn steps(height: f64) -> u32 {
    (height / UNITS_PER_STEP) as u32
}
