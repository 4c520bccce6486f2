//! How do days of weather look? Pure.

use jiff::civil::Date;
use picture::chart::{Chart, ChartError, Height, Marks, Panel, Series, Tone};

use crate::domain::ask::Ask;
use crate::domain::day::Day;

/// Rain and wind that an axis shows at least: a drizzle is not to look like a storm.
const PRECIPITATION_MM_AT_LEAST: (f64, f64) = (0.0, 5.0);
const WIND_MPS_AT_LEAST: (f64, f64) = (0.0, 5.0);

/// Days of weather at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot<'a> {
    pub(super) ask: &'a Ask,
    /// What is known, in any order; the rest is shown as gaps.
    pub(super) days: &'a [Day],
    /// First day.
    pub(super) start: Date,
    /// Last day.
    pub(super) end: Date,
    /// The last day for which the provider should have data.
    pub(super) expected_until: Date,
    /// The credit that the provider's licence asks for.
    pub(super) attribution: &'a str,
}

impl Plot<'_> {
    /// Draws temperatures as lines with the range between them, precipitation as bars, and wind.
    pub(super) fn svg(&self) -> Result<String, ChartError> {
        let dates: Vec<Date> = self
            .start
            .series(jiff::Span::new().days(1))
            .take_while(|day| *day <= self.end)
            .collect();
        let days: Vec<Day> = dates.iter().map(|date| self.day(*date)).collect();
        let (lat, lon) = (self.ask.cell.lat(), self.ask.cell.lon());
        let title = format!("Weather at {}, {}", degrees(lat, 'N', 'S'), degrees(lon, 'E', 'W'));
        let chart = Chart {
            title,
            description: in_words(&days),
            footer: format!("{} ({})", self.attribution, self.ask.provider.as_str()),
            reasons: days.iter().map(|day| self.reason(day)).collect(),
            panels: panels(&days),
            dates,
        };
        chart.svg()
    }

    fn day(&self, date: Date) -> Day {
        let known = self.days.iter().find(|day| day.day == date);
        known.copied().unwrap_or(Day {
            day: date,
            t_min_c: None,
            t_max_c: None,
            precipitation_mm: None,
            wind_speed_max_mps: None,
        })
    }

    fn reason(&self, day: &Day) -> Option<String> {
        let availability = day.availability(self.expected_until);
        day.is_empty().then(|| availability.as_str().replace('_', " "))
    }
}

fn panels(days: &[Day]) -> Vec<Panel> {
    let all = |value: fn(&Day) -> Option<f64>| days.iter().map(value).collect::<Vec<_>>();
    let series = |name: &str, tone, marks| Series { name: name.to_owned(), tone, marks };
    let range = days.iter().map(|day| day.t_min_c.zip(day.t_max_c)).collect();
    vec![
        Panel {
            label: "Temperature, °C".to_owned(),
            height: Height::Tall,
            at_least: None,
            series: vec![
                series("range of the day", Tone::Orange, Marks::Band(range)),
                series("highest", Tone::Red, Marks::Line(all(|day| day.t_max_c))),
                series("lowest", Tone::Blue, Marks::Line(all(|day| day.t_min_c))),
            ],
        },
        Panel {
            label: "Precipitation, mm".to_owned(),
            height: Height::Low,
            at_least: Some(PRECIPITATION_MM_AT_LEAST),
            series: vec![series(
                "precipitation",
                Tone::Blue,
                Marks::Bars(all(|day| day.precipitation_mm)),
            )],
        },
        Panel {
            label: "Wind, m/s".to_owned(),
            height: Height::Low,
            at_least: Some(WIND_MPS_AT_LEAST),
            series: vec![series(
                "strongest wind",
                Tone::Violet,
                Marks::Line(all(|day| day.wind_speed_max_mps)),
            )],
        },
    ]
}

/// Degrees with a hemisphere, as on a map.
fn degrees(value: f64, positive: char, negative: char) -> String {
    let hemisphere = if value < 0.0 { negative } else { positive };
    format!("{:.2}° {hemisphere}", value.abs())
}

/// The plot for those who cannot see it.
fn in_words(days: &[Day]) -> String {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return String::new() };
    let extreme = |value: fn(&Day) -> Option<f64>, pick: fn(f64, f64) -> f64| {
        days.iter().filter_map(value).reduce(pick)
    };
    let known = days.iter().filter(|day| !day.is_empty()).count();
    let rain = days.iter().filter_map(|day| day.precipitation_mm).reduce(|sum, day| sum + day);
    let facts = [
        extreme(|day| day.t_min_c, f64::min)
            .map(|value| format!("lowest temperature {value:.1} °C")),
        extreme(|day| day.t_max_c, f64::max).map(|value| format!("highest {value:.1} °C")),
        rain.map(|value| format!("precipitation {value:.1} mm in all")),
        extreme(|day| day.wind_speed_max_mps, f64::max)
            .map(|value| format!("strongest wind {value:.1} m/s")),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let facts = if facts.is_empty() { "nothing is known".to_owned() } else { facts.join(", ") };
    let (first, last, count) = (first.day, last.day, days.len());
    format!("Daily weather from {first} to {last}, {known} of {count} days known: {facts}.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use jiff::civil::date;
    use roxmltree::Document;

    use super::*;
    use crate::domain::ask::{ProviderName, Question};
    use crate::domain::place::{Cell, Zone};

    fn day(day: i8, values: [Option<f64>; 4]) -> Day {
        let [t_min_c, t_max_c, precipitation_mm, wind_speed_max_mps] = values;
        let day = date(2026, 11, day);
        Day { day, t_min_c, t_max_c, precipitation_mm, wind_speed_max_mps }
    }

    fn svg(days: &[Day]) -> String {
        let (start, end) = (date(2026, 11, 23), date(2026, 11, 25));
        let ask = Ask {
            provider: ProviderName::OpenMeteo,
            question: Question::Daily { start, end },
            cell: Cell::of(-1.29, 36.82),
            zone: Zone::utc(),
        };
        let expected_until = date(2026, 11, 24);
        let plot =
            Plot { ask: &ask, days, start, end, expected_until, attribution: "Data by somebody" };
        plot.svg().unwrap()
    }

    fn texts(svg: &str, tag: &str) -> Vec<String> {
        let document = Document::parse(svg).unwrap();
        let nodes = document.descendants().filter(|node| node.has_tag_name(tag));
        nodes.filter_map(|node| node.text().map(str::to_owned)).collect()
    }

    #[test]
    fn place_source_and_units_are_named() {
        let svg = svg(&[day(23, [Some(14.0), Some(25.5), Some(1.5), Some(6.0)])]);
        let texts = texts(&svg, "text");
        for expected in [
            "Weather at 1.29° S, 36.82° E",
            "Data by somebody (open_meteo)",
            "Temperature, °C",
            "Precipitation, mm",
            "Wind, m/s",
        ] {
            assert!(texts.iter().any(|text| text == expected), "{expected}: {texts:?}");
        }
    }

    #[test]
    fn days_that_are_not_known_are_gaps_with_their_reason() {
        let svg = svg(&[day(23, [Some(14.0), Some(25.5), Some(1.5), Some(6.0)])]);
        let titles = texts(&svg, "title");
        for gap in ["2026-11-24: no data (missing)", "2026-11-25: no data (not yet available)"] {
            // Once in each panel.
            assert_eq!(titles.iter().filter(|title| *title == gap).count(), 3, "{titles:?}");
        }
    }

    #[test]
    fn value_that_is_missing_alone_is_a_gap_of_its_panel_alone() {
        let known = [Some(14.0), Some(25.5), None, Some(6.0)];
        let days = [23, 24, 25].map(|number| day(number, known));
        let titles = texts(&svg(&days), "title");
        let gaps: Vec<_> = titles.iter().filter(|title| title.contains("no data")).collect();
        assert_eq!(gaps, ["2026-11-23 to 2026-11-25: no data"]);
    }

    #[test]
    fn plot_is_told_in_words() {
        let days = [
            day(23, [Some(14.0), Some(25.5), Some(1.5), Some(6.0)]),
            day(24, [Some(13.2), None, Some(0.25), None]),
        ];
        assert_eq!(
            texts(&svg(&days), "desc"),
            ["Daily weather from 2026-11-23 to 2026-11-25, 2 of 3 days known: lowest temperature \
              13.2 °C, highest 25.5 °C, precipitation 1.8 mm in all, strongest wind 6.0 m/s."]
        );
        assert!(
            texts(&svg(&[]), "desc").concat().ends_with("0 of 3 days known: nothing is known.")
        );
    }
}
