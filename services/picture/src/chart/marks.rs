//! How do values become lines, points, bars and bands, and the lack of them a gap?

use jiff::civil::Date;

use super::frame::{Frame, NO_DATA, Timeline};
use super::svg::{GAP, Svg, Tone, tooltip};
use super::{Chart, Marks, Panel, Series};

/// Dates up to which every value is a point of its own, with its number as a tooltip.
const POINTS_MAX: usize = 120;

/// Share of a date's width that a bar takes.
const BAR_SHARE: f64 = 0.62;

/// Widest bar.
const BAR_WIDTH_MAX: f64 = 48.0;

/// Lowest bar: a measured zero is not a gap.
const BAR_HEIGHT_MIN: f64 = 1.0;

/// Where to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) dates: &'a [Date],
    pub(super) timeline: &'a Timeline,
    pub(super) frame: &'a Frame,
}

/// Draws a panel's gaps and then its values over them.
pub(super) fn draw(svg: &mut Svg, chart: &Chart, panel: &Panel, place: Place<'_>) {
    draw_gaps(svg, chart, panel, place);
    for series in &panel.series {
        let tone = series.tone;
        svg.add(&format!(
            "<g class=\"{}\" color=\"{}\" fill=\"none\" stroke=\"none\">",
            tone.class(),
            tone.light()
        ));
        match &series.marks {
            Marks::Line(values) => draw_line(svg, &series.name, values, place),
            Marks::Points(values) => {
                known(place.dates, values).for_each(|(date, value)| {
                    draw_point(svg, &series.name, date, value, place);
                });
            }
            Marks::Bars(values) => draw_bars(svg, &series.name, values, place),
            Marks::Band(values) => draw_band(svg, &series.name, values, place),
        }
        svg.add("</g>");
    }
}

/// Dates on which a panel has no value at all, from the first to the last of each run, with the
/// reason that all of the run share.
fn gaps(chart: &Chart, panel: &Panel) -> Vec<(Date, Date, Option<String>)> {
    let missing = chart.dates.iter().enumerate().map(|(number, date)| {
        let missing = panel.series.iter().all(|series| !series.has(number));
        (*date, missing.then(|| chart.reasons.get(number).cloned().flatten()))
    });
    let mut gaps: Vec<(Date, Date, Option<String>)> = Vec::new();
    let mut open = false;
    for (date, missing) in missing {
        match (missing, gaps.last_mut()) {
            (Some(reason), Some((_, last, known))) if open && *known == reason => *last = date,
            (Some(reason), _) => gaps.push((date, date, reason)),
            (None, _) => {}
        }
        open = gaps.last().is_some_and(|(_, last, _)| *last == date);
    }
    gaps
}

fn draw_gaps(svg: &mut Svg, chart: &Chart, panel: &Panel, place: Place<'_>) {
    let (half, frame) = (place.timeline.half_slot(), place.frame);
    for (first, last, reason) in gaps(chart, panel) {
        let days = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let why = reason.map_or(String::new(), |reason| format!(" ({reason})"));
        let (west, east) = (place.timeline.x(first) - half, place.timeline.x(last) + half);
        svg.add(&format!(
            "<rect {GAP} x=\"{west:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">{}</rect>",
            frame.top,
            east - west,
            frame.bottom - frame.top,
            tooltip(&format!("{days}: {NO_DATA}{why}")),
        ));
    }
}

/// Values that are there, with their dates.
fn known<T: Copy>(dates: &[Date], values: &[Option<T>]) -> impl Iterator<Item = (Date, T)> {
    dates.iter().zip(values).filter_map(|(date, value)| value.map(|value| (*date, value)))
}

/// Runs of values without a gap.
fn runs<T: Copy>(dates: &[Date], values: &[Option<T>]) -> Vec<Vec<(Date, T)>> {
    let dated: Vec<_> = dates.iter().copied().zip(values.iter().copied()).collect();
    dated
        .split(|(_, value)| value.is_none())
        .map(|run| run.iter().filter_map(|(date, value)| Some((*date, (*value)?))).collect())
        .filter(|run: &Vec<_>| !run.is_empty())
        .collect()
}

/// A path through points.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    points
        .enumerate()
        .map(|(number, (x, y))| format!("{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' }))
        .collect()
}

fn draw_line(svg: &mut Svg, name: &str, values: &[Option<f64>], place: Place<'_>) {
    let each_is_a_point = place.dates.len() <= POINTS_MAX;
    for run in runs(place.dates, values) {
        if run.len() > 1 {
            let at = |(date, value): &(Date, f64)| (place.timeline.x(*date), place.frame.y(*value));
            let path = path(run.iter().map(at));
            svg.add(&format!(
                "<path d=\"{path}\" stroke=\"currentColor\" stroke-width=\"2\" \
                 stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
            ));
        }
        // A value between two gaps would be a line without length.
        if each_is_a_point || run.len() == 1 {
            run.iter().for_each(|(date, value)| draw_point(svg, name, *date, *value, place));
        }
    }
}

fn draw_point(svg: &mut Svg, name: &str, date: Date, value: f64, place: Place<'_>) {
    let (x, y) = (place.timeline.x(date), place.frame.y(value));
    let tooltip = tooltip(&format!("{name}, {date}: {value:.2}"));
    svg.add(&format!(
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"currentColor\">{tooltip}</circle>"
    ));
}

fn draw_bars(svg: &mut Svg, name: &str, values: &[Option<f64>], place: Place<'_>) {
    let width = (2.0 * place.timeline.half_slot() * BAR_SHARE).min(BAR_WIDTH_MAX);
    let base = place.frame.base();
    for (date, value) in known(place.dates, values) {
        let (x, y) = (place.timeline.x(date) - width / 2.0, place.frame.y(value));
        let height = (base - y).abs().max(BAR_HEIGHT_MIN);
        let top = if value < 0.0 { base } else { base - height };
        let tooltip = tooltip(&format!("{name}, {date}: {value:.2}"));
        svg.add(&format!(
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"currentColor\">{tooltip}</rect>"
        ));
    }
}

fn draw_band(svg: &mut Svg, name: &str, values: &[Option<(f64, f64)>], place: Place<'_>) {
    let (timeline, frame) = (place.timeline, place.frame);
    for run in runs(place.dates, values) {
        if let [(date, (low, high))] = run.as_slice() {
            // An area needs two dates.
            let (x, top, bottom) = (timeline.x(*date), frame.y(*high), frame.y(*low));
            let tooltip = tooltip(&format!("{name}, {date}: {low:.2} to {high:.2}"));
            svg.add(&format!(
                "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" \
                 stroke=\"currentColor\" stroke-opacity=\"0.35\" stroke-width=\"6\">{tooltip}</line>"
            ));
            continue;
        }
        let above = run.iter().map(|(date, (_, high))| (timeline.x(*date), frame.y(*high)));
        let below = run.iter().rev().map(|(date, (low, _))| (timeline.x(*date), frame.y(*low)));
        let path = path(above.chain(below));
        svg.add(&format!("<path d=\"{path}Z\" fill=\"currentColor\" fill-opacity=\"0.22\"/>"));
    }
}

/// Draws how a series is shown, for the legend, between `x` and `x + 18`.
pub(super) fn draw_sample(svg: &mut Svg, series: &Series, x: f64, y: f64) {
    let Series { tone, marks, .. } = series;
    let middle = x + 9.0;
    let sample = match marks {
        Marks::Line(_) => format!(
            "<path d=\"M{x:.1} {y:.1}H{:.1}\" stroke=\"currentColor\" stroke-width=\"2\"/>\
             <circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"currentColor\"/>",
            x + 18.0
        ),
        Marks::Points(_) => {
            format!("<circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"currentColor\"/>")
        }
        Marks::Bars(_) => format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"11\" fill=\"currentColor\"/>",
            x + 4.0,
            y - 5.5
        ),
        Marks::Band(_) => format!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"18\" height=\"11\" fill=\"currentColor\" \
             fill-opacity=\"0.22\"/>",
            y - 5.5
        ),
    };
    svg.add(&format!("<g {}>{sample}</g>", colour_of(*tone)));
}

/// Draws how a gap is shown, for the legend.
pub(super) fn draw_gap_sample(svg: &mut Svg, x: f64, y: f64) {
    svg.add(&format!("<rect {GAP} x=\"{x:.1}\" y=\"{:.1}\" width=\"18\" height=\"11\"/>", y - 5.5));
}

fn colour_of(tone: Tone) -> String {
    format!("class=\"{}\" color=\"{}\"", tone.class(), tone.light())
}

/// Whether a panel has a date without any value.
pub(super) fn has_gaps(chart: &Chart, panel: &Panel) -> bool {
    (0..chart.dates.len()).any(|number| panel.series.iter().all(|series| !series.has(number)))
}
