//! Which points does a file list?
//!
//! The form is CSV with the names of its columns in the first line, the same that the gateway
//! reads: `lat` and `lon` in degrees, `tz` if there is one; other columns are left out. Pure but
//! for [`read`].

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::domain::place::{Cell, Zone};
use crate::domain::point::Point;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("WEATHER_WARM_POINTS_FILE={path:?} cannot be used: {why}")]
pub struct SeedsError {
    path: String,
    why: String,
}

/// Reads the points of a file, each once. A point without a zone has `default_zone`.
///
/// # Errors
/// With the line that is wrong, or when there are more than `points_max`.
pub fn read(path: &Path, default_zone: &Zone, points_max: usize) -> Result<Vec<Point>, SeedsError> {
    let error = |why: String| SeedsError { path: path.display().to_string(), why };
    let file = File::open(path).map_err(|cause| error(cause.to_string()))?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|cause| error(cause.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(error(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    parse(&text, default_zone, points_max).map_err(error)
}

fn parse(text: &[u8], default_zone: &Zone, points_max: usize) -> Result<Vec<Point>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = |wanted: &str| names.iter().position(|name| name == wanted);
    let needed =
        |wanted: &str| column(wanted).ok_or_else(|| format!("its first line names no {wanted:?}"));
    let (lat, lon, tz) = (needed("lat")?, needed("lon")?, column("tz"));
    let mut points: Vec<Point> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let degrees = |column: usize, limit: f64| {
            let text = record.get(column).unwrap_or_default();
            let number = text.parse::<f64>().ok().filter(|degrees| degrees.abs() <= limit);
            number.ok_or_else(|| format!("line {line}: {text:?} is no number within ±{limit}"))
        };
        let cell = Cell::of(degrees(lat, 90.0)?, degrees(lon, 180.0)?);
        let zone = match tz.and_then(|tz| record.get(tz)).filter(|name| !name.is_empty()) {
            None => default_zone.clone(),
            Some(name) => {
                Zone::named(name).ok_or_else(|| format!("line {line}: {name:?} is no IANA zone"))?
            }
        };
        let point = Point { cell, zone };
        if points.contains(&point) {
            continue;
        }
        if points.len() >= points_max {
            return Err(format!(
                "line {line}: it has more than {points_max} points; raise WEATHER_WARM_POINTS_MAX"
            ));
        }
        points.push(point);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
    use super::*;

    #[test]
    fn points_are_read_once_by_the_names_of_columns() {
        let text = b"name,lon,lat,tz\nnorth, 36.82, -1.29,\nsouth,36.8201,-1.2901,\n\
                     east,13.42,52.52,europe/berlin\n";
        let points = parse(text, &Zone::utc(), 9).unwrap();
        let zones: Vec<&str> = points.iter().map(|point| point.zone.name()).collect();
        assert_eq!(zones, ["UTC", "Europe/Berlin"]);
        assert_eq!(points[0].cell, Cell::of(-1.29, 36.82));
    }

    #[test]
    fn faults_are_told_with_their_line() {
        for (text, told) in [
            (&b"lat,tz\n1,UTC\n"[..], "names no \"lon\""),
            (b"lat,lon\n1,2\nnan,2\n", "line 3: \"nan\" is no number within ±90"),
            (b"lat,lon\n1,181\n", "line 2: \"181\""),
            (b"lat,lon,tz\n1,2,Mars/Base\n", "line 2: \"Mars/Base\" is no IANA zone"),
            (b"lat,lon\n1,2\n3,4\n5,6\n", "line 4: it has more than 2 points"),
            (b"lat,lon\n1\n", "line: 2"),
        ] {
            let error = parse(text, &Zone::utc(), 2).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
