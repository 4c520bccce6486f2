//! How does a field look to people?
//!
//! Glue between the numbers of this service and [`picture`], which draws without knowing what a
//! field is. Processor work, to be kept off async threads.

use jiff::civil::Date;
use picture::chart::{Chart, ChartError, Height, Marks, Panel, Series, Tone};
use picture::raster::{Cells, RasterError, Style};

use crate::domain::raster::NdviGrid;
use crate::domain::statistics::Summary;

/// The notice that the licence of Sentinel data asks for.
pub const COPERNICUS: &str = "Contains modified Copernicus Sentinel data";

/// Bare ground to dense vegetation: an axis that shows less makes small changes look large.
const NDVI_AT_LEAST: (f64, f64) = (0.0, 1.0);

/// Paints a field from above as PNG with transparency. The same grid and style make the same
/// bytes.
///
/// # Errors
/// [`RasterError::Empty`] for a field that the scene does not reach.
pub fn raster_png(grid: &NdviGrid, style: Style) -> Result<Vec<u8>, RasterError> {
    let NdviGrid { columns, rows, values } = grid;
    picture::raster::png(&Cells { columns: *columns, rows: *rows, values }, style)
}

/// NDVI of a field on one date.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPoint {
    /// The date of the observation or of its bucket.
    pub date: Date,
    /// What was seen; `None` is shown as a gap.
    pub value: Option<SeriesValue>,
    /// Why nothing was seen, such as "cloud"; shown with the gap.
    pub reason: Option<String>,
}

/// What was seen on a date.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesValue {
    /// The mean.
    pub mean: f64,
    /// The lower end of the spread.
    pub low: f64,
    /// The upper end of the spread.
    pub high: f64,
}

impl From<&Summary> for SeriesValue {
    /// The mean and the 10th and 90th percentile.
    fn from(summary: &Summary) -> Self {
        Self { mean: summary.mean, low: summary.p10, high: summary.p90 }
    }
}

/// What the ends of the spread are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The 10th and 90th percentile of a field's pixels.
    Percentiles,
    /// Their smallest and largest value.
    Extremes,
}

impl Spread {
    fn name(self) -> &'static str {
        match self {
            Self::Percentiles => "10th to 90th percentile",
            Self::Extremes => "smallest to largest",
        }
    }
}

/// A field's NDVI over time.
#[derive(Clone, Copy, Debug)]
pub struct Timeseries<'a> {
    /// The chart's name.
    pub title: &'a str,
    /// Where the values come from, such as [`COPERNICUS`]; may be empty.
    pub source: &'a str,
    /// What the spread of the values is.
    pub spread: Spread,
    /// In order of their dates, none of them twice.
    pub points: &'a [SeriesPoint],
}

/// Draws NDVI over time as SVG: the mean as a line that ends at gaps, the spread as a band.
///
/// # Errors
/// When there are no points or more than [`picture::chart::DATES_MAX`], or they are not in order.
pub fn timeseries_svg(series: &Timeseries<'_>) -> Result<String, ChartError> {
    let Timeseries { title, source, spread, points } = *series;
    let value = |point: &SeriesPoint| point.value;
    let mean = points.iter().map(value).map(|seen| seen.map(|seen| seen.mean));
    let ends = points.iter().map(value).map(|seen| seen.map(|seen| (seen.low, seen.high)));
    let series = vec![
        Series {
            name: spread.name().to_owned(),
            tone: Tone::Green,
            marks: Marks::Band(ends.collect()),
        },
        Series { name: "mean".to_owned(), tone: Tone::Green, marks: Marks::Line(mean.collect()) },
    ];
    let panel = Panel {
        label: "NDVI".to_owned(),
        height: Height::Tall,
        at_least: Some(NDVI_AT_LEAST),
        series,
    };
    let chart = Chart {
        title: title.to_owned(),
        description: in_words(points),
        footer: source.to_owned(),
        dates: points.iter().map(|point| point.date).collect(),
        reasons: points.iter().map(|point| point.reason.clone()).collect(),
        panels: vec![panel],
    };
    chart.svg()
}

/// The chart for those who cannot see it.
fn in_words(points: &[SeriesPoint]) -> String {
    let seen = || points.iter().filter_map(|point| Some((point.date, point.value?.mean)));
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let dates = format!("Mean NDVI from {} to {}", first.date, last.date);
    let by_mean = |one: &(Date, f64), other: &(Date, f64)| one.1.total_cmp(&other.1);
    match (seen().min_by(by_mean), seen().max_by(by_mean)) {
        (Some((low_date, low)), Some((high_date, high))) => format!(
            "{dates}: {} of {} dates have a value. Lowest {low:.2} on {low_date}, highest \
             {high:.2} on {high_date}.",
            seen().count(),
            points.len(),
        ),
        _ => format!("{dates}: none of {} dates has a value.", points.len()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;
    use roxmltree::{Document, Node};

    use super::*;

    fn point(day: i8, mean: Option<f64>) -> SeriesPoint {
        SeriesPoint {
            date: date(2021, 6, day),
            value: mean.map(|mean| SeriesValue { mean, low: mean - 0.1, high: mean + 0.1 }),
            reason: mean.is_none().then(|| "cloud".to_owned()),
        }
    }

    fn svg(points: &[SeriesPoint]) -> String {
        let series = Timeseries {
            title: "Field <7>",
            source: COPERNICUS,
            spread: Spread::Percentiles,
            points,
        };
        timeseries_svg(&series).unwrap()
    }

    fn texts(document: &Document<'_>, tag: &str) -> Vec<String> {
        let nodes = document.descendants().filter(|node| node.has_tag_name(tag));
        nodes.filter_map(|node| Node::text(&node)).map(str::to_owned).collect()
    }

    #[test]
    fn clouded_date_is_a_gap_with_its_reason() {
        let points = [point(1, Some(0.5)), point(6, None), point(11, Some(0.7))];
        let svg = svg(&points);
        let document = Document::parse(&svg).unwrap();
        let titles = texts(&document, "title");
        assert!(titles.contains(&"2021-06-06: no data (cloud)".to_owned()), "{titles:?}");
        assert!(titles.contains(&"mean, 2021-06-11: 0.70".to_owned()), "{titles:?}");
        // Two values with a gap between them are two points and no line.
        let means = titles.iter().filter(|title| title.starts_with("mean, "));
        assert_eq!(means.count(), 2);
        let lines = document.descendants().filter(|node| {
            node.has_tag_name("path") && node.attribute("d").is_some_and(|d| d.contains('L'))
        });
        assert_eq!(lines.count(), 0);
    }

    #[test]
    fn chart_tells_itself_in_words_and_names_its_source() {
        let svg = svg(&[point(1, Some(0.5)), point(6, None), point(11, Some(0.7))]);
        let document = Document::parse(&svg).unwrap();
        assert_eq!(texts(&document, "title").first().unwrap(), "Field <7>");
        assert_eq!(
            texts(&document, "desc"),
            ["Mean NDVI from 2021-06-01 to 2021-06-11: 2 of 3 dates have a value. Lowest 0.50 on \
              2021-06-01, highest 0.70 on 2021-06-11."]
        );
        assert!(texts(&document, "text").contains(&COPERNICUS.to_owned()));
    }

    #[test]
    fn series_of_gaps_alone_is_drawn() {
        let svg = svg(&[point(1, None), point(6, None)]);
        let document = Document::parse(&svg).unwrap();
        assert!(
            texts(&document, "desc").first().unwrap().ends_with("none of 2 dates has a value.")
        );
        let gap = "2021-06-01 to 2021-06-06: no data (cloud)".to_owned();
        assert!(texts(&document, "title").contains(&gap));
    }

    #[test]
    fn series_without_points_is_an_error() {
        let series = Timeseries { title: "", source: "", spread: Spread::Extremes, points: &[] };
        assert_eq!(timeseries_svg(&series), Err(ChartError::Dates(0)));
    }
}
