//! For which points is a target fetched before anyone asks?
//!
//! A target such as `/weather?lat={lat}&lon={lon}` stands for one fetch a point. Points come from a
//! file, as CSV with the names in its first line or as JSON, or from the JSON list that a service
//! gives. Pure: texts in, targets out.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Most points of one list, unless the configuration says fewer.
pub const POINTS_MAX: usize = 10_000;

/// What stands in a query as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

/// What a point says, by name.
pub type Point = BTreeMap<String, String>;

/// Why points cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointsError {
    /// The text is not of the form that it should have.
    #[error("{0}")]
    Form(String),
    /// There are too many.
    #[error("has more than {0} points; raise `points_max`, or leave some out")]
    TooMany(usize),
    /// A point lacks what a target asks for.
    #[error("point {number} has no `{name}`; it has {has}")]
    Lacks {
        /// Which point, from 1.
        number: usize,
        /// What it lacks.
        name: String,
        /// What it has.
        has: String,
    },
}

/// Reads the points of a CSV file, whose first line names its columns.
///
/// # Errors
///
/// [`PointsError::Form`] with the line, or [`PointsError::TooMany`].
pub fn of_csv(text: &[u8], points_max: usize) -> Result<Vec<Point>, PointsError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let form = |error: csv::Error| PointsError::Form(format!("is no CSV: {error}"));
    let names = reader.headers().map_err(form)?.clone();
    let mut points = Vec::new();
    for record in reader.records() {
        let record = record.map_err(form)?;
        if points.len() >= points_max {
            return Err(PointsError::TooMany(points_max));
        }
        let pairs = names.iter().zip(record.iter());
        points.push(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    }
    Ok(points)
}

/// Reads the points of a JSON text: of the list at `pointer` (RFC 6901), each an object. Members of
/// objects inside are named with a dot, those of lists by their place: `geometry.coordinates.0`.
///
/// # Errors
///
/// [`PointsError::Form`] or [`PointsError::TooMany`].
pub fn of_json(text: &[u8], pointer: &str, points_max: usize) -> Result<Vec<Point>, PointsError> {
    let whole: Value = serde_json::from_slice(text)
        .map_err(|error| PointsError::Form(format!("is no JSON: {error}")))?;
    let list = whole.pointer(pointer).and_then(Value::as_array);
    let list = list.ok_or_else(|| PointsError::Form(format!("has no list at {pointer:?}")))?;
    if list.len() > points_max {
        return Err(PointsError::TooMany(points_max));
    }
    let point = |value: &Value| {
        let mut point = Point::new();
        flatten("", value, &mut point);
        point
    };
    Ok(list.iter().map(point).collect())
}

/// The targets of all points, each once.
///
/// # Errors
///
/// [`PointsError::Lacks`].
pub fn targets(templates: &[String], points: &[Point]) -> Result<Vec<String>, PointsError> {
    let mut targets = Vec::new();
    for template in templates {
        if !template.contains('{') {
            targets.push(template.clone());
            continue;
        }
        for (index, point) in points.iter().enumerate() {
            let lacks = |name: &str| PointsError::Lacks {
                number: index + 1,
                name: name.to_owned(),
                has: point.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            };
            targets.push(fill(template, |name| point.get(name).ok_or_else(|| lacks(name)))?);
        }
    }
    // Fields that lie in one cell of a grid ask for the same.
    let mut seen = std::collections::HashSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    Ok(targets)
}

fn fill<'a>(
    template: &str,
    value: impl Fn(&str) -> Result<&'a String, PointsError>,
) -> Result<String, PointsError> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = value(name)?;
        if matches!(value.as_str(), "" | "." | "..") {
            // In a path these would lead elsewhere.
            return Err(PointsError::Form(format!("has a point whose `{name}` is {value:?}")));
        }
        filled.push_str(before);
        filled.extend(utf8_percent_encode(value, PLAIN));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn flatten(name: &str, value: &Value, point: &mut Point) {
    let inner = |part: &str| match name {
        "" => part.to_owned(),
        name => format!("{name}.{part}"),
    };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(part, value)| flatten(&inner(part), value, point));
        }
        // A place is two numbers or three; an outline is none.
        Value::Array(items) if items.len() <= 3 => {
            let items = items.iter().enumerate();
            items.for_each(|(part, value)| flatten(&inner(&part.to_string()), value, point));
        }
        Value::String(text) => drop(point.insert(name.to_owned(), text.clone())),
        Value::Number(_) | Value::Bool(_) => drop(point.insert(name.to_owned(), value.to_string())),
        Value::Null | Value::Array(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const TEMPLATE: &str = "/weather?lat={lat}&lon={lon}&name={name}";

    fn templates() -> Vec<String> {
        vec![TEMPLATE.to_owned(), "/plain".to_owned()]
    }

    #[test]
    fn each_point_of_a_table_is_a_target_and_each_target_is_there_once() {
        let text = b"name,lat,lon\nnorth end, -1.29 ,36.82\nb&c,2,3\nb&c,2,3\n";
        let points = of_csv(text, 9).unwrap();
        assert_eq!(
            targets(&templates(), &points).unwrap(),
            [
                "/weather?lat=-1.29&lon=36.82&name=north%20end",
                "/weather?lat=2&lon=3&name=b%26c",
                "/plain"
            ]
        );
    }

    #[test]
    fn members_of_a_service_list_have_names_with_dots() {
        let text = br#"{"data": [
            {"id": 7, "geometry": {"coordinates": [36.8, -1.2], "outline": [1, 2, 3, 4]},
             "x": null, "on": true}
        ]}"#;
        let points = of_json(text, "/data", 9).unwrap();
        let template =
            "/w?lat={geometry.coordinates.1}&lon={geometry.coordinates.0}&f={id}&on={on}";
        let found = targets(&[template.to_owned()], &points).unwrap();
        assert_eq!(found, ["/w?lat=-1.2&lon=36.8&f=7&on=true"]);
        assert!(!points.first().unwrap().keys().any(|name| name.contains("outline")));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let check = |found: Result<Vec<Point>, PointsError>, wanted: &str| {
            let told = found.unwrap_err().to_string();
            assert!(told.contains(wanted), "{told}");
        };
        check(of_csv(b"a,b\n1,2\n3\n", 9), "line: 3");
        check(of_csv(b"a\n1\n2\n3\n", 2), "more than 2");
        check(of_json(b"[1", "", 9), "no JSON");
        check(of_json(b"{\"a\": 1}", "/a", 9), "no list at \"/a\"");
        check(of_json(b"[{}, {}]", "", 1), "more than 1");
        let lacking = of_json(br#"[{"lat": 1}]"#, "", 9).unwrap();
        let told = targets(&templates(), &lacking).unwrap_err().to_string();
        assert_eq!(told, "point 1 has no `lon`; it has lat");
    }
}
