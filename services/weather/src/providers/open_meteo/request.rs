//! Which words does Open-Meteo want for a question, and what will the answer cost?

use crate::domain::ask::Question;
use crate::domain::place::{Cell, Zone};

/// Days of hours asked for, today included. Even at the end of today they hold the 168 hours a
/// client may ask for and the 24 h for which an answer may stand in.
const HOURLY_DAYS: u8 = 9;

/// Variables of the newest observation.
const CURRENT: &str = "temperature_2m,wind_speed_10m";

/// Variables of an hour.
const HOURLY: &str = "temperature_2m,precipitation,wind_speed_10m,cloud_cover";

/// Variables of a day.
const DAILY: &str = "temperature_2m_max,temperature_2m_min,precipitation_sum,wind_speed_10m_max";

/// The query that asks one question about points in one zone; several are answered by an array in
/// their order. All units are named, since the default for wind is km/h.
#[must_use]
pub fn query(question: Question, zone: &Zone, cells: &[Cell]) -> Vec<(&'static str, String)> {
    let list = |degrees: fn(Cell) -> f64| {
        cells.iter().map(|cell| degrees(*cell).to_string()).collect::<Vec<_>>().join(",")
    };
    let mut query = vec![
        ("latitude", list(Cell::lat)),
        ("longitude", list(Cell::lon)),
        ("timezone", zone.name().to_owned()),
        ("temperature_unit", "celsius".to_owned()),
        ("wind_speed_unit", "ms".to_owned()),
        ("precipitation_unit", "mm".to_owned()),
    ];
    match question {
        Question::Current => query.push(("current", CURRENT.to_owned())),
        Question::Hourly => {
            query.push(("hourly", HOURLY.to_owned()));
            query.push(("forecast_days", HOURLY_DAYS.to_string()));
        }
        Question::Daily { start, end } => {
            query.push(("daily", DAILY.to_owned()));
            query.push(("start_date", start.to_string()));
            query.push(("end_date", end.to_string()));
        }
    }
    query
}

/// How many points are asked about, as a factor of the weight.
#[must_use]
pub fn count(cells: &[Cell]) -> f64 {
    cells.iter().fold(0.0, |count, _| count + 1.0)
}

/// What one point costs of the free allowance, in calls: `max(1, v/10, days/14 * v/10)` for `v`
/// variables, as Open-Meteo's rate limiter counts.
#[must_use]
pub fn weight(question: Question) -> f64 {
    let (variables, days) = match question {
        Question::Current => (CURRENT, 1.0),
        Question::Hourly => (HOURLY, f64::from(HOURLY_DAYS)),
        Question::Daily { start, end } => (DAILY, f64::from((end - start).get_days() + 1)),
    };
    let variables = variables.split(',').fold(0.0, |count, _| count + 1.0);
    let tenth: f64 = variables / 10.0;
    tenth.max(days / 14.0 * tenth).max(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use jiff::civil::date;

    fn asked(question: Question) -> Vec<(&'static str, String)> {
        let zone = Zone::named("Africa/Nairobi").unwrap();
        query(question, &zone, &[Cell::of(-1.2861, 36.8)])
    }

    #[test]
    fn w1_metres_per_second_are_asked_for() {
        for question in [Question::Current, Question::Hourly] {
            assert!(asked(question).contains(&("wind_speed_unit", "ms".to_owned())));
        }
    }

    #[test]
    fn w10_the_cell_is_asked_not_the_point() {
        let query = asked(Question::Current);
        assert!(query.contains(&("latitude", "-1.29".to_owned())));
        assert!(query.contains(&("longitude", "36.8".to_owned())));
    }

    #[test]
    fn several_points_are_two_lists() {
        let cells = [Cell::of(1.0, 2.5), Cell::of(-3.0, 4.0)];
        let query = query(Question::Current, &Zone::utc(), &cells);
        assert!(query.contains(&("latitude", "1,-3".to_owned())));
        assert!(query.contains(&("longitude", "2.5,4".to_owned())));
    }

    #[test]
    fn days_are_asked_by_first_and_last() {
        let range = Question::Daily { start: date(2026, 11, 23), end: date(2026, 11, 29) };
        let query = asked(range);
        assert!(query.contains(&("start_date", "2026-11-23".to_owned())));
        assert!(query.contains(&("end_date", "2026-11-29".to_owned())));
    }

    #[test]
    fn long_ranges_cost_more_than_one_call() {
        let days = |end| Question::Daily { start: date(2026, 1, 1), end };
        assert!((weight(days(date(2026, 1, 14))) - 1.0).abs() < 1e-12);
        assert!((weight(days(date(2026, 3, 11))) - 2.0).abs() < 1e-12);
    }
}
