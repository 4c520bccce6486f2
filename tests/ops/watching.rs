//! Do the dashboard and the alerts ask for what exists, and does each alert do its work?

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use farmgate::metrics::NAMES;
use serde_json::Value;

use crate::promql::{Query, templated};
use crate::series::catalogue;
use crate::{root, run, said, sources, text, yaml};

/// Labels that Prometheus adds to every series when it scrapes.
const SCRAPED: [&str; 2] = ["instance", "job"];

/// Labels whose values are words of the programs, not names that an operator chooses.
const CLOSED: [&str; 5] = ["cache", "code", "origin", "outcome", "result"];

/// An expression of a file, with the texts around it that name its labels.
#[derive(Debug)]
struct Asked {
    place: String,
    expression: String,
    templates: String,
}

fn asked_by_dashboard() -> Vec<Asked> {
    let board = dashboard();
    let mut asked = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            asked.push(Asked {
                place: format!("panel {}", panel["title"]),
                expression: target["expr"].as_str().unwrap().to_owned(),
                templates: target["legendFormat"].as_str().unwrap().to_owned(),
            });
        }
    }
    for variable in board["templating"]["list"].as_array().unwrap() {
        let Some(definition) = variable["definition"].as_str() else { continue };
        let inside = definition.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (series, label) = inside.rsplit_once(", ").unwrap();
        asked.push(Asked {
            place: format!("variable {}", variable["name"]),
            expression: format!("sum by ({label}) ({series})"),
            templates: String::new(),
        });
    }
    for annotation in board["annotations"]["list"].as_array().unwrap() {
        asked.push(Asked {
            place: format!("annotation {}", annotation["name"]),
            expression: annotation["expr"].as_str().unwrap().to_owned(),
            templates: annotation["textFormat"].as_str().unwrap().to_owned(),
        });
    }
    asked
}

fn asked_by_rules() -> Vec<Asked> {
    let asked = rules().into_iter().map(|rule| Asked {
        place: rule["alert"].to_string(),
        expression: rule["expr"].as_str().unwrap().to_owned(),
        templates: format!(
            "{} {}",
            rule["annotations"]["summary"], rule["annotations"]["description"]
        ),
    });
    asked.collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("conf/grafana/farmgate.json")).expect("JSON")
}

fn rules() -> Vec<Value> {
    let file = yaml("conf/prometheus/farmgate.rules.yml");
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn every_query_asks_for_series_and_labels_that_exist() {
    let catalogue = catalogue();
    for Asked { place, expression, templates } in
        asked_by_dashboard().into_iter().chain(asked_by_rules())
    {
        let query = Query::parse(&expression);
        assert!(!query.selectors.is_empty(), "{place} asks for nothing: {expression}");
        let mut all: BTreeSet<&str> = SCRAPED.into();
        for (name, matchers) in &query.selectors {
            let labels = catalogue.get(name).unwrap_or_else(|| panic!("{place}: no series {name}"));
            all.extend(labels.iter().map(String::as_str));
            for (label, _) in matchers {
                let known = labels.contains(label) || SCRAPED.contains(&label.as_str());
                assert!(known, "{place}: {name} has no label {label}");
            }
        }
        for label in query.grouping.iter().map(String::as_str).chain(templated(&templates)) {
            assert!(all.contains(label), "{place}: no series in it has the label {label}");
        }
    }
}

#[test]
fn every_compared_word_is_a_word_of_the_programs() {
    let (gateway, services) = (sources("src"), sources("services"));
    let jobs = text("conf/prometheus/prometheus.yml");
    for Asked { place, expression, .. } in asked_by_dashboard().into_iter().chain(asked_by_rules())
    {
        for (name, matchers) in Query::parse(&expression).selectors {
            let source = if name.starts_with("farmgate_") { &gateway } else { &services };
            for (label, value) in matchers {
                for word in value.split('|').filter(|word| !word.starts_with('$')) {
                    let known = match label.as_str() {
                        "job" => jobs.contains(&format!("job_name: {word}\n")),
                        label if CLOSED.contains(&label) => source.contains(&format!("\"{word}\"")),
                        _ => true,
                    };
                    assert!(known, "{place}: {name} never has {label}={word}");
                }
            }
        }
    }
}

#[test]
fn every_series_of_the_gateway_is_on_the_dashboard() {
    let asked = asked_by_dashboard();
    let queries: Vec<Query> = asked.iter().map(|asked| Query::parse(&asked.expression)).collect();
    for name in NAMES {
        let shown = queries.iter().flat_map(Query::names).any(|asked| {
            asked == name || asked.strip_prefix(name).is_some_and(|suffix| suffix == "_bucket")
        });
        assert!(shown, "{name} is on no panel");
    }
}

#[test]
fn no_panel_lies_on_another() {
    let board = dashboard();
    let panels = board["panels"].as_array().unwrap();
    let place = |panel: &Value| {
        ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_i64().expect("a number"))
    };
    for (index, one) in panels.iter().enumerate() {
        for other in panels.iter().skip(index + 1) {
            let ([x, y, w, h], [x2, y2, w2, h2]) = (place(one), place(other));
            let overlap = x < x2 + w2 && x2 < x + w && y < y2 + h2 && y2 < y + h;
            assert!(!overlap, "{} lies on {}", one["title"], other["title"]);
            assert_ne!(one["id"], other["id"], "{} and {}", one["title"], other["title"]);
        }
    }
}

#[test]
fn every_quoted_phrase_of_an_alert_can_be_found() {
    let board = dashboard();
    let titles: Vec<&str> = board["panels"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|panel| panel["title"].as_str())
        .collect();
    let programs: String = ["src", "crates", "services"].map(sources).concat();
    for rule in rules() {
        let description = rule["annotations"]["description"].as_str().unwrap();
        for phrase in description.split('"').skip(1).step_by(2) {
            let found = titles.contains(&phrase) || programs.contains(&format!("\"{phrase}\""));
            assert!(found, "{}: neither a panel nor a log line is {phrase:?}", rule["alert"]);
        }
    }
}

#[test]
fn every_alert_says_how_urgent_it_is_and_is_seen_firing() {
    let tests = text("conf/prometheus/farmgate.test.yml");
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        assert!(
            ["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()),
            "{alert}"
        );
        assert!(rule["annotations"]["summary"].is_string(), "{alert}");
        let fires = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"");
        assert!(tests.contains(&fires), "farmgate.test.yml never sees {alert} firing");
    }
}

#[test]
fn scraped_addresses_are_those_of_the_shipped_configuration() {
    let peer = |pool: &str| yaml(&format!("upstreams/{pool}.yaml"))["peers"][0]["address"].clone();
    let expected = BTreeMap::from([
        ("farmgate".to_owned(), yaml("conf/gateway.yaml")["admin"]["address"].clone()),
        ("weather_service".to_owned(), peer("weather")),
        ("ndvi-service".to_owned(), peer("ndvi")),
    ]);
    let file = yaml("conf/prometheus/prometheus.yml");
    let jobs = file["scrape_configs"].as_array().unwrap().iter().map(|job| {
        let target = job["static_configs"][0]["targets"][0].clone();
        (job["job_name"].as_str().unwrap().to_owned(), target)
    });
    assert_eq!(jobs.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn promtool_accepts_the_scrape_config_and_every_rule_test() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "farmgate.rules.yml"],
        ["test", "rules", "farmgate.test.yml"],
    ] {
        let folder = root().join("conf/prometheus");
        let Some(output) = run(Command::new("promtool").args(arguments).current_dir(folder)) else {
            return;
        };
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
}
