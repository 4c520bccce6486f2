//! How is what the gateway answered shown to people?

use serde_json::Value;

use super::arguments::CacheCommand;

/// What a command found, as lines.
pub(super) fn told(command: &CacheCommand, answer: &Value) -> String {
    match command {
        CacheCommand::Top(_) => top(answer),
        CacheCommand::Show(_) => show(answer),
        CacheCommand::Why(_) => why(answer),
        CacheCommand::Purge(_) => purge(answer),
        CacheCommand::Warm(_) => warm(answer),
    }
}

fn top(answer: &Value) -> String {
    let mut lines =
        vec![["HITS", "BYTES", "STATE", "AGE", "ROUTE", "URL"].map(str::to_owned).to_vec()];
    for entry in list(answer, "entries") {
        let age = format!("{}s", text(entry, "age_seconds"));
        let cells = ["hits", "bytes", "state"].map(|name| text(entry, name));
        let mut line = cells.to_vec();
        line.extend([age, text(entry, "route"), url(entry)]);
        lines.push(line);
    }
    let (objects, bytes) = (text(answer, "objects"), text(answer, "bytes"));
    format!("{}\n{objects} answers of {bytes} bytes are kept", aligned(&lines))
}

/// Each answer as a list of what is known of it.
fn show(answer: &Value) -> String {
    const PLAIN: [&str; 10] = [
        "state",
        "why",
        "route",
        "status",
        "upstream_status",
        "stored_at",
        "fresh_until",
        "stale_until",
        "error_until",
        "age_seconds",
    ];
    let one = |entry: &Value| {
        let mut lines = vec![vec!["url".to_owned(), url(entry)]];
        let known = PLAIN.iter().filter(|name| !entry[**name].is_null());
        lines.extend(known.map(|name| vec![name.replace('_', " "), text(entry, name)]));
        for name in ["vary", "tags"] {
            let members: Vec<&str> = list(entry, name).filter_map(Value::as_str).collect();
            if !members.is_empty() {
                lines.push(vec![name.to_owned(), members.join(", ")]);
            }
        }
        lines.extend(["bytes", "hits"].map(|name| vec![name.to_owned(), text(entry, name)]));
        lines.push(vec!["last refresh".to_owned(), refresh(&entry["last_refresh"])]);
        aligned(&lines)
    };
    list(answer, "entries").map(one).collect::<Vec<_>>().join("\n\n")
}

fn refresh(refresh: &Value) -> String {
    let [ended, at, took] = ["ended", "asked_at", "took_ms"].map(|name| text(refresh, name));
    let failed = if refresh["failed_since"] == true {
        let again = text(refresh, "not_again_before");
        format!("; since then one brought nothing, and none is tried before {again}")
    } else {
        String::new()
    };
    format!("{ended} at {at} in {took} ms{failed}")
}

fn why(answer: &Value) -> String {
    let mut lines = vec![["AT", "WHY", "DETAIL", "ENDED"].map(str::to_owned).to_vec()];
    for miss in list(answer, "misses") {
        lines.push(["at", "why", "detail", "ended"].map(|name| text(miss, name)).to_vec());
    }
    aligned(&lines)
}

fn purge(answer: &Value) -> String {
    let [by, name, applied, missing, refilling] =
        ["by", "name", "applied_by", "missing", "refilling"].map(|name| text(answer, name));
    let how = if answer["soft"] == true { "stale from now on" } else { "purged" };
    let what = if name.is_empty() { "everything".to_owned() } else { format!("{by} {name}") };
    let mut told = format!("{what}: {how}, on {applied} gateway(s)");
    if missing != "0" {
        told.push_str(&format!("; {missing} more did not confirm it in time"));
    }
    if answer["waits_for_redis"] == true {
        told.push_str("; Redis is gone, the other gateways are told when it is back");
    }
    if refilling != "0" {
        told.push_str(&format!("; {refilling} target(s) are fetched anew"));
    }
    told
}

fn warm(answer: &Value) -> String {
    let mut lines = vec![["ENDED", "URL"].map(str::to_owned).to_vec()];
    for warmed in list(answer, "warmed") {
        lines.push(["ended", "url"].map(|name| text(warmed, name)).to_vec());
    }
    aligned(&lines)
}

fn url(entry: &Value) -> String {
    let [host, path, query] = ["host", "path", "query"].map(|name| text(entry, name));
    if query.is_empty() { format!("{host}{path}") } else { format!("{host}{path}?{query}") }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// A member as it stands in a table. What clients chose is shown without what moves the cursor.
fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.chars().filter(|char| !char.is_control()).collect(),
        Some(other) => other.to_string(),
    }
}

/// Puts each column at its place; nothing follows the last one.
fn aligned(lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    text.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let answer = json!({
            "objects": 2, "bytes": 3000,
            "entries": [
                {"hits": 12, "bytes": 900, "state": "fresh", "age_seconds": 3, "route": "a",
                 "host": "h", "path": "/x", "query": "q=1"},
                {"hits": 1, "bytes": 2100, "state": "invalid", "age_seconds": 40, "route": "long",
                 "host": "h", "path": "/\u{1b}[2J", "query": ""},
            ],
        });
        let wanted = "HITS  BYTES  STATE    AGE  ROUTE  URL\n\
                      12    900    fresh    3s   a      h/x?q=1\n\
                      1     2100   invalid  40s  long   h/[2J\n\
                      2 answers of 3000 bytes are kept";
        assert_eq!(top(&answer), wanted);
    }

    #[test]
    fn purge_says_who_does_not_know_of_it() {
        let mut answer = json!({
            "by": "tag", "name": "t", "soft": false, "refilling": 0, "applied_by": 2, "missing": 0,
            "waits_for_redis": false,
        });
        assert_eq!(purge(&answer), "tag t: purged, on 2 gateway(s)");
        if let Some(members) = answer.as_object_mut() {
            members.extend([("missing".to_owned(), json!(1)), ("refilling".to_owned(), json!(7))]);
        }
        let wanted = "tag t: purged, on 2 gateway(s); 1 more did not confirm it in time; 7 target(s) \
                      are fetched anew";
        assert_eq!(purge(&answer), wanted);
    }
}
