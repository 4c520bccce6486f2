//! Does a parsed chart show the values it was drawn from?
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use picture::chart::{
    Chart, ChartError, DATES_MAX, Height, Marks, PANELS_MAX, Panel, SERIES_MAX, Series, Tone,
};
use roxmltree::{Document, Node};

const HOSTILE: &str = "</title><script>alert('x')</script>&amp;\"\u{0}\u{1b}";

fn days(first: Date, count: usize, step_days: i32) -> Vec<Date> {
    (0..count)
        .map(|number| {
            first.checked_add((i32::try_from(number).unwrap() * step_days).days()).unwrap()
        })
        .collect()
}

fn series(name: &str, marks: Marks) -> Series {
    Series { name: name.to_owned(), tone: Tone::Green, marks }
}

/// A chart of one panel of days from 1 June 2021.
fn chart(at_least: Option<(f64, f64)>, shown: Vec<Series>, count: usize) -> Chart {
    Chart {
        title: "Field".to_owned(),
        description: "What it shows".to_owned(),
        footer: "Source".to_owned(),
        dates: days(date(2021, 6, 1), count, 1),
        reasons: Vec::new(),
        panels: vec![Panel {
            label: "Value".to_owned(),
            height: Height::Tall,
            at_least,
            series: shown,
        }],
    }
}

fn line(values: &[Option<f64>]) -> Chart {
    chart(None, vec![series("line", Marks::Line(values.to_vec()))], values.len())
}

/// The elements of a name.
fn all<'a, 'input>(document: &'a Document<'input>, name: &str) -> Vec<Node<'a, 'input>> {
    document.descendants().filter(|node| node.has_tag_name(name)).collect()
}

#[track_caller]
fn number(node: &Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

/// What a pointer resting on an element is told.
fn tooltip<'a>(node: &Node<'a, '_>) -> Option<&'a str> {
    node.children().find(|child| child.has_tag_name("title"))?.text()
}

/// The points of each path that is a line of data: the legend's samples have none.
fn lines(document: &Document<'_>) -> Vec<Vec<(f64, f64)>> {
    all(document, "path")
        .into_iter()
        .filter_map(|path| path.attribute("d"))
        .filter(|d| !d.ends_with('Z') && d.contains('L'))
        .map(points)
        .collect()
}

fn points(d: &str) -> Vec<(f64, f64)> {
    d.trim_end_matches('Z')
        .trim_start_matches('M')
        .split('L')
        .map(|pair| {
            let (x, y) = pair.split_once(' ').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect()
}

/// Reads values off the drawing as a person would: between the numbers of the axis.
struct Ruler {
    low: (f64, f64),
    high: (f64, f64),
}

impl Ruler {
    fn of(document: &Document<'_>) -> Self {
        let mut numbers: Vec<(f64, f64)> = all(document, "text")
            .into_iter()
            .filter(|text| text.attribute("text-anchor") == Some("end"))
            .map(|text| (number(&text, "y") - 4.0, text.text().unwrap().parse().unwrap()))
            .collect();
        numbers.sort_by(|one, other| one.1.total_cmp(&other.1));
        Self { low: numbers[0], high: numbers[numbers.len() - 1] }
    }

    fn value(&self, y: f64) -> f64 {
        let ((low_y, low), (high_y, high)) = (self.low, self.high);
        low + (y - low_y) / (high_y - low_y) * (high - low)
    }

    #[track_caller]
    fn assert(&self, y: f64, expected: f64) {
        let tolerance = (self.high.1 - self.low.1) / 200.0;
        let value = self.value(y);
        assert!((value - expected).abs() <= tolerance, "{value} is drawn for {expected}");
    }
}

#[test]
fn line_ends_at_gaps_and_passes_through_every_value() {
    let values =
        [Some(3.0), Some(5.5), None, Some(-2.0), None, None, Some(4.0), Some(0.5), Some(9.0)];
    let svg = line(&values).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let (lines, ruler) = (lines(&document), Ruler::of(&document));
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3]);
    let drawn = [3.0, 5.5, 4.0, 0.5, 9.0];
    for ((_, y), value) in lines.iter().flatten().zip(drawn) {
        ruler.assert(*y, value);
    }
    let marked: Vec<_> = all(&document, "circle").iter().filter_map(tooltip).collect();
    assert_eq!(marked.len(), 6, "every value has its point: {marked:?}");
    assert!(marked.contains(&"line, 2021-06-04: -2.00"), "{marked:?}");
}

#[test]
fn time_is_even_on_the_axis() {
    let mut chart = line(&[Some(1.0), Some(2.0), Some(3.0)]);
    chart.dates = vec![date(2021, 6, 1), date(2021, 6, 11), date(2021, 7, 11)];
    let svg = chart.svg().unwrap();
    let lines = lines(&Document::parse(&svg).unwrap());
    let [one, two, three] = [0, 1, 2].map(|number| lines[0][number].0);
    assert!((three - two - 3.0 * (two - one)).abs() < 0.3, "{one} {two} {three}");
}

#[test]
fn value_between_gaps_is_seen_in_a_chart_of_many() {
    let values: Vec<_> = (0..365).map(|day| (day != 99 && day != 101).then_some(1.0)).collect();
    let svg = line(&values).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    assert_eq!(lines(&document).iter().map(Vec::len).collect::<Vec<_>>(), [99, 263]);
    let marked: Vec<_> = all(&document, "circle").iter().filter_map(tooltip).collect();
    assert_eq!(marked, ["line, 2021-09-09: 1.00"]);
}

#[test]
fn bars_stand_on_zero_and_a_measured_zero_is_not_a_gap() {
    let values = vec![Some(2.4), Some(0.0), None, Some(-3.0)];
    let svg = chart(None, vec![series("rain", Marks::Bars(values))], 4).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let ruler = Ruler::of(&document);
    let rects = all(&document, "rect");
    let bar = |day: &str| {
        let text = format!("rain, 2021-06-{day}");
        rects
            .iter()
            .find(|rect| tooltip(rect).is_some_and(|title| title.starts_with(&text)))
            .map(|rect| (number(rect, "y"), number(rect, "height")))
    };
    let (top, height) = bar("01").unwrap();
    ruler.assert(top, 2.4);
    ruler.assert(top + height, 0.0);
    let (top, height) = bar("02").unwrap();
    ruler.assert(top + height, 0.0);
    assert!((height - 1.0).abs() < 1e-9, "{height}");
    assert_eq!(bar("03"), None);
    let (top, height) = bar("04").unwrap();
    ruler.assert(top, 0.0);
    ruler.assert(top + height, -3.0);
}

#[test]
fn band_encloses_its_values_and_ends_at_gaps() {
    let values = vec![Some((1.0, 3.0)), Some((2.0, 5.0)), None, Some((4.0, 2.0)), None];
    let svg = chart(None, vec![series("range", Marks::Band(values))], 5).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let ruler = Ruler::of(&document);
    let areas: Vec<_> = all(&document, "path")
        .into_iter()
        .filter_map(|path| path.attribute("d").filter(|d| d.ends_with('Z')))
        .map(points)
        .collect();
    assert_eq!(areas.iter().map(Vec::len).collect::<Vec<_>>(), [4]);
    for ((_, y), value) in areas[0].iter().zip([3.0, 5.0, 2.0, 1.0]) {
        ruler.assert(*y, value);
    }
    let alone: Vec<_> =
        all(&document, "line").into_iter().filter(|it| tooltip(it).is_some()).collect();
    assert_eq!(alone.len(), 1);
    ruler.assert(number(&alone[0], "y1"), 4.0);
    ruler.assert(number(&alone[0], "y2"), 2.0);
}

#[test]
fn gaps_are_grey_for_exactly_their_days_and_say_why() {
    let values = [Some(1.0), None, None, None, Some(1.0), Some(2.0)];
    let mut chart = line(&values);
    let reason = |text: &str| Some(text.to_owned());
    chart.reasons = vec![None, reason("cloud"), reason("cloud"), reason("no scene"), None, None];
    let svg = chart.svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let xs: Vec<_> = all(&document, "circle")
        .iter()
        .filter(|circle| tooltip(circle).is_some())
        .map(|circle| number(circle, "cx"))
        .collect();
    let day = xs[2] - xs[1];
    let gaps: Vec<_> = all(&document, "rect")
        .into_iter()
        .filter_map(|rect| Some((tooltip(&rect)?, number(&rect, "x"), number(&rect, "width"))))
        .collect();
    assert_eq!(
        gaps.iter().map(|gap| gap.0).collect::<Vec<_>>(),
        ["2021-06-02 to 2021-06-03: no data (cloud)", "2021-06-04: no data (no scene)"]
    );
    assert!((gaps[0].2 - 2.0 * day).abs() < 0.3 && (gaps[1].2 - day).abs() < 0.3, "{gaps:?}");
    assert!((gaps[0].1 - (xs[0] + day / 2.0)).abs() < 0.3, "{gaps:?}");
    let legend: Vec<_> = all(&document, "text").iter().filter_map(Node::text).collect();
    assert!(legend.contains(&"no data"), "{legend:?}");
}

#[test]
fn panel_shows_a_gap_only_where_all_its_series_have_one() {
    let shown = vec![
        series("one", Marks::Line(vec![Some(1.0), None, None])),
        series("other", Marks::Line(vec![None, Some(1.0), None])),
    ];
    let svg = chart(None, shown, 3).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let gaps: Vec<_> = all(&document, "rect").iter().filter_map(tooltip).collect();
    assert_eq!(gaps, ["2021-06-03: no data"]);
}

#[test]
fn numbers_that_cannot_be_drawn_are_gaps() {
    let values = [Some(f64::NAN), Some(1.0), Some(f64::INFINITY), Some(2.0), Some(1e300)];
    let svg = line(&values).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let gaps: Vec<_> = all(&document, "rect").iter().filter_map(tooltip).collect();
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn text_from_outside_cannot_become_markup() {
    let mut chart = line(&[Some(1.0), None]);
    chart.title = HOSTILE.to_owned();
    chart.description = HOSTILE.to_owned();
    chart.footer = HOSTILE.to_owned();
    chart.reasons = vec![None, Some(HOSTILE.to_owned())];
    chart.panels[0].label = HOSTILE.to_owned();
    chart.panels[0].series[0].name = HOSTILE.to_owned();
    let svg = chart.svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let title = document.root_element().first_element_child().unwrap();
    assert_eq!(
        title.text().unwrap(),
        HOSTILE.replace(['\u{0}', '\u{1b}'], "\u{fffd}"),
        "the whole title is kept as text"
    );
    assert!(all(&document, "script").is_empty());
}

#[test]
fn drawing_names_itself_and_needs_nothing_from_elsewhere() {
    let svg = line(&[Some(1.0), Some(2.0)]).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let root = document.root_element();
    assert_eq!((root.tag_name().name(), root.attribute("role")), ("svg", Some("img")));
    let first: Vec<_> = root.children().filter(Node::is_element).take(2).collect();
    assert!(first[0].has_tag_name("title") && first[1].has_tag_name("desc"));
    assert_eq!((first[0].text(), first[1].text()), (Some("Field"), Some("What it shows")));
    assert!(root.attribute("viewBox").unwrap().starts_with("0 0 800 "));
    for word in ["<script", "href", "url(", "@import", "@font-face", " id=", " on"] {
        assert!(!svg.contains(word), "{word}");
    }
    assert!(svg.contains("prefers-color-scheme: dark"));
}

/// Left and right edge of a text, wider rather than narrower than browsers draw it.
fn extent(text: &Node<'_, '_>) -> (f64, f64) {
    let size: f64 = text.attribute("font-size").map_or(12.0, |size| size.parse().unwrap());
    let width = text.text().unwrap().chars().count() as f64 * size * 0.6;
    let x = number(text, "x");
    match text.attribute("text-anchor") {
        Some("middle") => (x - width / 2.0, x + width / 2.0),
        Some("end") => (x - width, x),
        _ => (x, x + width),
    }
}

#[track_caller]
fn assert_readable(svg: &str, what: &str) {
    let document = Document::parse(svg).unwrap();
    let height = number(&document.root_element(), "height");
    let texts = all(&document, "text");
    for text in &texts {
        let ((left, right), y) = (extent(text), number(text, "y"));
        let inside = left >= 0.0 && right <= 800.0 && y >= 10.0 && y <= height;
        assert!(inside, "{what}: {:?} is cut off: {left} to {right}", text.text());
    }
    for (number_of, one) in texts.iter().enumerate() {
        for other in &texts[number_of + 1..] {
            let far = (number(one, "y") - number(other, "y")).abs() >= 11.0;
            let ((left, right), (other_left, other_right)) = (extent(one), extent(other));
            assert!(
                far || right <= other_left || other_right <= left,
                "{what}: {:?} overlaps {:?}",
                one.text(),
                other.text()
            );
        }
    }
    for circle in all(&document, "circle") {
        let (x, y) = (number(&circle, "cx"), number(&circle, "cy"));
        assert!((0.0..=800.0).contains(&x) && (0.0..=height).contains(&y), "{what}: {x}, {y}");
    }
}

#[test]
fn labels_are_whole_and_apart_whatever_the_span() {
    for count in (1..=40).chain([60, 90, 128, 200, 366, 700, DATES_MAX]) {
        for step_days in [1, 5, 30] {
            let mut chart = line(&vec![Some(1.0); count]);
            chart.dates = days(date(2019, 12, 29), count, step_days);
            assert_readable(&chart.svg().unwrap(), &format!("{count} dates by {step_days}"));
        }
    }
}

#[test]
fn labels_are_whole_and_apart_whatever_the_values() {
    let cases: [&[Option<f64>]; 10] = [
        &[Some(0.0); 4],
        &[Some(-40.5); 4],
        &[None; 4],
        &[Some(0.301), Some(0.302), Some(0.303), None],
        &[Some(-0.69), None, Some(0.94), None],
        &[Some(-123_456.0), Some(123_456.0), None, None],
        &[Some(1e-9), Some(0.0), None, None],
        &[Some(1e12), Some(-1e12), None, None],
        &[Some(999_999.0), Some(999_999.5), None, None],
        &[Some(1e11), Some(1e11 + 1.0), None, None],
    ];
    for values in cases {
        let svg = line(values).svg().unwrap();
        assert_readable(&svg, &format!("{values:?}"));
        assert!(!svg.contains("-0.0<") && !svg.contains("NaN"), "{values:?}");
    }
}

#[test]
fn constant_series_lies_within_its_axis() {
    let svg = line(&[Some(21.5); 3]).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let ruler = Ruler::of(&document);
    assert!(ruler.low.1 < 21.5 && ruler.high.1 > 21.5);
    ruler.assert(lines(&document)[0][0].1, 21.5);
}

#[test]
fn axis_shows_at_least_what_it_should() {
    let shown = vec![series("line", Marks::Line(vec![Some(0.42), Some(0.44)]))];
    let svg = chart(Some((0.0, 1.0)), shown, 2).svg().unwrap();
    let ruler = Ruler::of(&Document::parse(&svg).unwrap());
    assert!(ruler.low.1.abs() < 1e-9 && (ruler.high.1 - 1.0).abs() < 1e-9);
}

#[test]
fn axis_without_values_has_no_numbers() {
    let svg = line(&[None, None]).svg().unwrap();
    let document = Document::parse(&svg).unwrap();
    let numbers = all(&document, "text")
        .into_iter()
        .filter(|text| text.attribute("text-anchor") == Some("end"));
    assert_eq!(numbers.count(), 0);
}

#[test]
fn largest_chart_is_small_enough_to_send() {
    let one = |number: usize| {
        let marks = Marks::Bars((0..DATES_MAX).map(|day| Some((day * number) as f64)).collect());
        series("a name of a series", marks)
    };
    let mut largest = chart(None, (0..SERIES_MAX).map(one).collect(), DATES_MAX);
    largest.panels = vec![largest.panels[0].clone(); PANELS_MAX];
    let bytes = largest.svg().unwrap().len();
    assert!(bytes < 5 << 20, "{bytes}");
}

#[test]
fn chart_that_contradicts_itself_is_refused() {
    let good = line(&[Some(1.0), Some(2.0)]);
    assert_eq!(line(&[]).svg(), Err(ChartError::Dates(0)));
    assert_eq!(line(&vec![None; DATES_MAX + 1]).svg(), Err(ChartError::Dates(DATES_MAX + 1)));
    let mut twice = good.clone();
    twice.dates[1] = twice.dates[0];
    assert_eq!(twice.svg(), Err(ChartError::Order(date(2021, 6, 1))));
    let mut short = good.clone();
    short.dates.push(date(2021, 6, 3));
    let refused = short.svg().unwrap_err();
    assert_eq!(refused.to_string(), "line has 2 values for 3 dates");
    let mut reasons = good.clone();
    reasons.reasons = vec![None];
    assert_eq!(reasons.svg().unwrap_err().to_string(), "reasons has 1 values for 2 dates");
    let mut crowded = good.clone();
    crowded.panels = vec![good.panels[0].clone(); PANELS_MAX + 1];
    assert_eq!(crowded.svg(), Err(ChartError::TooMuch));
    let mut crowded = good.clone();
    crowded.panels[0].series = vec![good.panels[0].series[0].clone(); SERIES_MAX + 1];
    assert_eq!(crowded.svg(), Err(ChartError::TooMuch));
}

#[test]
fn same_values_make_the_same_bytes() {
    let chart = line(&[Some(1.0), None, Some(3.0)]);
    assert_eq!(chart.svg(), chart.svg());
}
