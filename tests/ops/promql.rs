//! Which series and labels does a PromQL expression name?

/// What a PromQL expression names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    /// Series, each with its matchers as (label, value).
    pub(crate) selectors: Vec<(String, Vec<(String, String)>)>,
    /// Labels in `by`, `on` and their like.
    pub(crate) grouping: Vec<String>,
}

impl Query {
    /// Reads as much of PromQL as it takes to tell names of series from all other words.
    pub(crate) fn parse(expression: &str) -> Self {
        const GROUPING: [&str; 6] =
            ["by", "without", "on", "ignoring", "group_left", "group_right"];
        const WORDS: [&str; 10] =
            ["and", "or", "unless", "bool", "offset", "sum", "min", "max", "avg", "count"];
        let mut query = Self::default();
        let mut rest = expression;
        while let Some(first) = rest.chars().next() {
            let word_end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (word, after) = rest.split_at(word_end);
            let next = after.trim_start();
            if first == '"' || first == '[' {
                let close = if first == '"' { '"' } else { ']' };
                rest = rest[1..].split_once(close).expect("closed").1;
            } else if word.is_empty() {
                rest = &rest[first.len_utf8()..];
            } else if GROUPING.contains(&word) && next.starts_with('(') {
                let (labels, beyond) = next[1..].split_once(')').expect("closed");
                let labels = labels.split(',').map(|label| label.trim().to_owned());
                query.grouping.extend(labels.filter(|label| !label.is_empty()));
                rest = beyond;
            } else if first.is_ascii_digit() || WORDS.contains(&word) || next.starts_with('(') {
                rest = after;
            } else {
                let matchers = after.strip_prefix('{').map(matchers);
                let (matchers, beyond) = matchers.unwrap_or((Vec::new(), after));
                query.selectors.push((word.to_owned(), matchers));
                rest = beyond;
            }
        }
        query
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.selectors.iter().map(|(name, _)| name.as_str())
    }
}

/// Reads `label="value", ..}`; returns the matchers and what follows them.
fn matchers(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut matchers = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\n']);
        if let Some(beyond) = rest.strip_prefix('}') {
            return (matchers, beyond);
        }
        let (label, quoted) = rest.split_once(['=', '!']).expect("an operator");
        let (_, quoted) = quoted.split_once('"').expect("a value");
        let (value, beyond) = quoted.split_once('"').expect("a value's end");
        matchers.push((label.trim().to_owned(), value.to_owned()));
        rest = beyond;
    }
}

/// Labels named in `{{label}}` and `{{ $labels.label }}`.
pub(crate) fn templated(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|piece| {
        let inside = piece.split("}}").next()?.trim();
        let label = inside.strip_prefix("$labels.").unwrap_or(inside);
        (!label.starts_with('$')).then(|| label.split(' ').next()).flatten()
    })
}

#[test]
fn promql_is_read_for_its_names() {
    let query = Query::parse(
        r#"histogram_quantile(0.99, sum by (le, route) (rate(a_bucket{job=~"$job", x!="y"}[5m]))) / on (i) group_left () b > 2.5 or absent(c offset 1h)"#,
    );
    let pair = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    let named = vec![pair("job", "$job"), pair("x", "y")];
    let selectors = [("a_bucket", named), ("b", vec![]), ("c", vec![])];
    assert_eq!(query.selectors, selectors.map(|(name, named)| (name.to_owned(), named)));
    assert_eq!(query.grouping, ["le", "route", "i"]);
    assert_eq!(templated("{{a}} {{ $labels.b }} {{ $value | f }}").collect::<Vec<_>>(), ["a", "b"]);
}
