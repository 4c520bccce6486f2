//! What a Prometheus text exposition says about one metric.

/// One sample line of an exposition.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name as written, with suffixes such as `_bucket`.
    pub name: String,
    /// The labels as (name, unescaped value), in order.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// The sum of all samples of this name that carry all these labels; `None` when there are none.
///
/// With every label given that is the one sample; with fewer it is the total over the others.
///
/// # Panics
/// When the text is not a Prometheus exposition.
pub fn metric(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let matching = |sample: &Sample| {
        let carries = |(label, value): &(&str, &str)| {
            sample.labels.iter().any(|(have, is)| have == label && is == value)
        };
        sample.name == name && labels.iter().all(carries)
    };
    samples(text).into_iter().filter(matching).map(|sample| sample.value).reduce(|a, b| a + b)
}

/// All samples of a text exposition, in order.
///
/// Format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
///
/// # Panics
/// When a line is neither a comment nor a sample.
pub fn samples(text: &str) -> Vec<Sample> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| parse(line).unwrap_or_else(|| panic!("not a Prometheus sample: {line:?}")))
        .collect()
}

fn parse(line: &str) -> Option<Sample> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => parse_labels(inside)?,
        None => (Vec::new(), rest),
    };
    // A timestamp may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Parses `a="b",c="d"}` and returns what follows the brace.
fn parse_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// Reads up to the closing quote; the escapes are `\\`, `\"` and `\n`.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="weather",status="200"} 7
requests_total{route="weather",status="429"} 2 1700000000000
requests_total{route="ndvi",status="200"} 1
request_seconds_bucket{le="+Inf"} 10
odd{path="C:\\x{\"a\",b}\n"} 1.5e3
up 1
limit +Inf
"#;

    #[test]
    fn all_labels_name_one_sample() {
        let labels = [("status", "429"), ("route", "weather")];
        assert_eq!(metric(TEXT, "requests_total", &labels), Some(2.0));
        assert_eq!(metric(TEXT, "up", &[]), Some(1.0));
        assert_eq!(metric(TEXT, "limit", &[]), Some(f64::INFINITY));
    }

    #[test]
    fn fewer_labels_sum_over_the_others() {
        assert_eq!(metric(TEXT, "requests_total", &[("route", "weather")]), Some(9.0));
        assert_eq!(metric(TEXT, "requests_total", &[]), Some(10.0));
    }

    #[test]
    fn absent_series_is_not_zero() {
        assert_eq!(metric(TEXT, "requests_total", &[("route", "other")]), None);
        assert_eq!(metric(TEXT, "request", &[]), None);
    }

    #[test]
    fn escaped_label_values_are_unescaped() {
        let path = "C:\\x{\"a\",b}\n";
        assert_eq!(metric(TEXT, "odd", &[("path", path)]), Some(1500.0));
    }

    #[test]
    #[should_panic(expected = "not a Prometheus sample: \"<html>\"")]
    fn text_of_another_kind_is_refused() {
        samples("<html>");
    }
}
