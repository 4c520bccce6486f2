//! How did values change over time?
//!
//! One axis of time at the bottom, and above it panels, each with values of one unit. A date
//! without a value is never bridged: lines end before it and begin after it, and where a panel
//! has nothing at all to show for a date, it says so in grey.

mod calendar;
mod frame;
mod marks;
mod svg;

use jiff::civil::Date;

pub use svg::Tone;

use crate::ticks::VALUE_MAX;
use frame::{Frame, MARGIN, NO_DATA, Timeline, WIDTH};
use marks::Place;
use svg::{INK, MUTED, Svg, shortened};

/// Most dates of a chart: three years of days.
pub const DATES_MAX: usize = 1_100;

/// Most panels of a chart.
pub const PANELS_MAX: usize = 4;

/// Most series of a panel.
pub const SERIES_MAX: usize = 6;

/// Longest title and footer that are drawn, in characters; the rest is in the description.
const TITLE_CHARACTERS_MAX: usize = 78;
const FOOTER_CHARACTERS_MAX: usize = 120;
const NAME_CHARACTERS_MAX: usize = 40;

/// Longest reason that a tooltip tells.
const REASON_CHARACTERS_MAX: usize = 200;

const TITLE_BASELINE: f64 = 26.0;
const LEGEND_TOP: f64 = 40.0;
const LEGEND_LINE: f64 = 20.0;
/// From the legend to the first panel, and between panels: their units stand there.
const PANEL_MARGIN: f64 = 34.0;
/// Names of days in two lines.
const DAYS_HEIGHT: f64 = 38.0;
const FOOTER_HEIGHT: f64 = 22.0;
/// Of a legend's entry, its sample and what separates it from the next.
const ENTRY_MARGIN: f64 = 24.0 + 18.0;

/// A chart, ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Its name.
    pub title: String,
    /// What it shows, in words, for those who cannot see it.
    pub description: String,
    /// Where the values come from; drawn at the bottom unless empty.
    pub footer: String,
    /// The dates, in order, at least one and at most [`DATES_MAX`].
    pub dates: Vec<Date>,
    /// Why a date has no values, one for each date; empty when nothing is known.
    pub reasons: Vec<Option<String>>,
    /// From top to bottom, at most [`PANELS_MAX`].
    pub panels: Vec<Panel>,
}

/// Values of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What is measured and in which unit.
    pub label: String,
    /// How much room it takes.
    pub height: Height,
    /// Values that the axis shows even if none comes near them.
    pub at_least: Option<(f64, f64)>,
    /// From the back to the front, at most [`SERIES_MAX`].
    pub series: Vec<Series>,
}

/// How much room a panel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Height {
    /// For what a chart is about.
    Tall,
    /// For what accompanies it.
    Low,
}

impl Height {
    fn units(self) -> f64 {
        match self {
            Self::Tall => 220.0,
            Self::Low => 96.0,
        }
    }
}

/// Values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its colour.
    pub tone: Tone,
    /// The values and how they are drawn.
    pub marks: Marks,
}

/// Values, one for each date of the chart. `None` and what is not finite are gaps.
#[derive(Clone, Debug, PartialEq)]
pub enum Marks {
    /// A line that ends at gaps.
    Line(Vec<Option<f64>>),
    /// Points alone.
    Points(Vec<Option<f64>>),
    /// Bars from zero.
    Bars(Vec<Option<f64>>),
    /// An area from the lower to the upper value, which ends at gaps.
    Band(Vec<Option<(f64, f64)>>),
}

/// Why a chart cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// No dates, or more than are drawn.
    #[error("a chart has 1 to {DATES_MAX} dates, not {0}")]
    Dates(usize),
    /// Dates out of order.
    #[error("dates must be in order without repetition: {0} is not after its predecessor")]
    Order(Date),
    /// Too many panels or series.
    #[error("a chart has up to {PANELS_MAX} panels of up to {SERIES_MAX} series")]
    TooMuch,
    /// Not one value for each date.
    #[error("{name} has {found} values for {dates} dates")]
    Length {
        /// The series, or "reasons".
        name: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        dates: usize,
    },
}

impl Series {
    fn len(&self) -> usize {
        match &self.marks {
            Marks::Line(values) | Marks::Points(values) | Marks::Bars(values) => values.len(),
            Marks::Band(values) => values.len(),
        }
    }

    /// Whether a date, by its number, has a value.
    fn has(&self, number: usize) -> bool {
        match &self.marks {
            Marks::Line(values) | Marks::Points(values) | Marks::Bars(values) => {
                values.get(number).is_some_and(Option::is_some)
            }
            Marks::Band(values) => values.get(number).is_some_and(Option::is_some),
        }
    }

    /// The lowest and highest value of each date.
    fn extremes(&self) -> Vec<[f64; 2]> {
        match &self.marks {
            Marks::Line(values) | Marks::Points(values) | Marks::Bars(values) => {
                values.iter().flatten().map(|value| [*value, *value]).collect()
            }
            Marks::Band(values) => {
                values.iter().flatten().map(|(low, high)| [*low, *high]).collect()
            }
        }
    }

    /// The same series without values that cannot be drawn, and with the ends of bands in order.
    fn drawable(&self) -> Self {
        let fits = |value: &f64| value.abs() <= VALUE_MAX;
        let clean =
            |values: &[Option<f64>]| values.iter().map(|value| value.filter(fits)).collect();
        let marks = match &self.marks {
            Marks::Line(values) => Marks::Line(clean(values)),
            Marks::Points(values) => Marks::Points(clean(values)),
            Marks::Bars(values) => Marks::Bars(clean(values)),
            Marks::Band(values) => Marks::Band(
                values
                    .iter()
                    .map(|ends| ends.filter(|(one, other)| fits(one) && fits(other)))
                    .map(|ends| ends.map(|(one, other)| (one.min(other), one.max(other))))
                    .collect(),
            ),
        };
        Self { name: shortened(&self.name, NAME_CHARACTERS_MAX), tone: self.tone, marks }
    }
}

impl Chart {
    /// Draws the chart as SVG. Processor work: some milliseconds at most.
    ///
    /// # Errors
    /// When dates, panels or values are not what the fields of a chart ask for.
    pub fn svg(&self) -> Result<String, ChartError> {
        self.check()?;
        let chart = self.drawable();
        let timeline = Timeline::of(&chart.dates).ok_or(ChartError::Dates(0))?;
        let legend = chart.legend();
        let legend_bottom = legend.last().map_or(LEGEND_TOP, |(_, _, y)| y + LEGEND_LINE / 2.0);
        let mut bottom = legend_bottom;
        let frames: Vec<Frame> = chart
            .panels
            .iter()
            .map(|panel| {
                let frame = Frame::of(panel, bottom + PANEL_MARGIN);
                bottom = frame.bottom;
                frame
            })
            .collect();
        let footer_height = if chart.footer.is_empty() { 0.0 } else { FOOTER_HEIGHT };
        let height = bottom + DAYS_HEIGHT + footer_height;
        let mut svg = Svg::new((WIDTH, height), &self.title, &self.description);
        let title = shortened(&chart.title, TITLE_CHARACTERS_MAX);
        let large = format!("{INK} font-size=\"17\" font-weight=\"600\"");
        svg.text((MARGIN, TITLE_BASELINE), &large, &title);
        draw_legend(&mut svg, &legend);
        timeline.draw(&mut svg, &frames, bottom);
        for (panel, frame) in chart.panels.iter().zip(&frames) {
            frame.draw(&mut svg, &shortened(&panel.label, NAME_CHARACTERS_MAX));
            let place = Place { dates: &chart.dates, timeline: &timeline, frame };
            marks::draw(&mut svg, &chart, panel, place);
        }
        let footer = shortened(&chart.footer, FOOTER_CHARACTERS_MAX);
        if !footer.is_empty() {
            svg.text((MARGIN, height - MARGIN), &format!("{MUTED} font-size=\"11\""), &footer);
        }
        Ok(svg.finish())
    }

    fn check(&self) -> Result<(), ChartError> {
        let dates = self.dates.len();
        if !(1..=DATES_MAX).contains(&dates) {
            return Err(ChartError::Dates(dates));
        }
        let pairs = self.dates.iter().zip(self.dates.iter().skip(1));
        if let Some((_, later)) = pairs.into_iter().find(|(one, next)| one >= next) {
            return Err(ChartError::Order(*later));
        }
        if self.panels.len() > PANELS_MAX
            || self.panels.iter().any(|panel| panel.series.len() > SERIES_MAX)
        {
            return Err(ChartError::TooMuch);
        }
        let reasons = (!self.reasons.is_empty()).then_some(("reasons", self.reasons.len()));
        let series = self.panels.iter().flat_map(|panel| &panel.series);
        let lengths = series.map(|series| (series.name.as_str(), series.len())).chain(reasons);
        match lengths.into_iter().find(|(_, found)| *found != dates) {
            Some((name, found)) => Err(ChartError::Length { name: name.to_owned(), found, dates }),
            None => Ok(()),
        }
    }

    fn drawable(&self) -> Self {
        let panels = self.panels.iter().map(|panel| Panel {
            series: panel.series.iter().map(Series::drawable).collect(),
            ..panel.clone()
        });
        let short = |reason: &String| shortened(reason, REASON_CHARACTERS_MAX);
        let reasons = self.reasons.iter().map(|reason| reason.as_ref().map(short));
        Self { panels: panels.collect(), reasons: reasons.collect(), ..self.clone() }
    }

    /// What the legend explains, and where.
    fn legend(&self) -> Vec<(Entry<'_>, f64, f64)> {
        let series = self.panels.iter().flat_map(|panel| &panel.series).map(Entry::Series);
        let gaps = self.panels.iter().any(|panel| marks::has_gaps(self, panel));
        let (mut x, mut y) = (MARGIN, LEGEND_TOP + LEGEND_LINE / 2.0);
        series
            .chain(gaps.then_some(Entry::Gap))
            .map(|entry| {
                let width = entry.width();
                if x > MARGIN && x + width > WIDTH - MARGIN {
                    (x, y) = (MARGIN, y + LEGEND_LINE);
                }
                let place = (entry, x, y);
                x += width;
                place
            })
            .collect()
    }
}

/// What a legend explains.
#[derive(Clone, Copy, Debug)]
enum Entry<'a> {
    Series(&'a Series),
    Gap,
}

impl Entry<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Series(series) => &series.name,
            Self::Gap => NO_DATA,
        }
    }

    fn width(&self) -> f64 {
        ENTRY_MARGIN + width(self.name())
    }
}

/// About how wide a text is in 12 units of a common font: rather more than less.
fn width(text: &str) -> f64 {
    text.chars()
        .map(|character| match character {
            ' ' | '.' | ',' | ':' | 'i' | 'j' | 'l' | 'f' | 't' | 'r' | 'I' => 4.6,
            'm' | 'w' | 'M' | 'W' | '%' => 11.0,
            character if character.is_ascii_lowercase() || character.is_ascii_digit() => 7.4,
            character if character.is_ascii() => 9.0,
            _ => 12.0,
        })
        .sum()
}

fn draw_legend(svg: &mut Svg, legend: &[(Entry<'_>, f64, f64)]) {
    for (entry, x, y) in legend {
        match entry {
            Entry::Series(series) => marks::draw_sample(svg, series, *x, *y),
            Entry::Gap => marks::draw_gap_sample(svg, *x, *y),
        }
        svg.text((x + 24.0, y + 4.0), INK, entry.name());
    }
}
