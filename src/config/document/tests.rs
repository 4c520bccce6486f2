//! Whole files in, values and faults out.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::num::NonZeroU32;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::config::scalar::{
    ByteSize, HostName, ListenAddress, PathPrefix, Period, Rate, SecretRef,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    listeners: Vec<Listener>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    pools: BTreeMap<String, Pool>,
    #[serde(default)]
    routes: Vec<Route>,
    jwt: Option<Jwt>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    address: ListenAddress,
    #[serde(default)]
    http2: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    body_bytes_max: ByteSize,
    in_flight_max: u16,
    ratio: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: ByteSize::from(1024), in_flight_max: 7, ratio: 0.5 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    peers: Vec<String>,
    #[serde(default)]
    balance: Balance,
    weight: Option<NonZeroU32>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Balance {
    #[default]
    RoundRobin,
    LeastLoaded,
    Hash(HashBy),
    Sticky {
        cookie: String,
        #[serde(default = "Period::zero", deserialize_with = "Period::or_zero")]
        linger: Period,
    },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct HashBy {
    header: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    path: PathPrefix,
    pool: String,
    #[serde(default)]
    hosts: Vec<HostName>,
    quota: Option<Rate>,
    timeout: Period,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwt {
    secret: SecretRef,
}

fn parse(text: &str) -> Document {
    Document::parse(Path::new("gateway.yaml"), text).unwrap()
}

fn faults_of<T: serde::de::DeserializeOwned>(text: &str) -> (Option<T>, Vec<String>) {
    let (value, faults) = parse(text).decode();
    (value, faults.iter().map(ToString::to_string).collect())
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let (value, faults) = faults_of(text);
    assert_eq!(faults, Vec::<String>::new());
    value.unwrap()
}

/// The one problem of a text, without its position.
fn problem<T: serde::de::DeserializeOwned + Debug>(text: &str) -> String {
    let (_, faults) = parse(text).decode::<T>();
    let [fault] = faults.as_slice() else { panic!("not one fault: {faults:?}") };
    fault.problem.clone()
}

fn refusal(text: &str) -> String {
    Document::parse(Path::new("gateway.yaml"), text).unwrap_err().to_string()
}

const GOOD: &str = "\
listeners:
  - address: 127.0.0.1:8080
    http2: true
limits:
pools:
  weather:
    peers: [10.0.0.3:8090, \"10.0.0.4:8090\"]
    balance: {hash: {header: x-user}}
    weight: 3
  ndvi:
    peers: []
    balance: least_loaded
  maps:
    peers:
      - 8090
    balance:
      sticky: {cookie: lb, linger: 0s}
routes:
  - path: /weather
    pool: weather
    hosts: [API.example.org]
    timeout: 2s
    quota: 10/s
jwt:
  secret: env:JWT
";

fn expanded(text: &str) -> (Option<Gateway>, Vec<String>) {
    let variables = [("PORT", "8080"), ("RATIO", "0.25"), ("EMPTY", ""), ("KEY", "in_flight_max")];
    let mut document = parse(text);
    document.expand(&variables.into_iter().collect());
    let (value, faults) = document.decode();
    (value, faults.iter().map(ToString::to_string).collect())
}

#[test]
fn variables_stand_for_values_of_every_kind() {
    let (gateway, faults) = expanded(
        "listeners:\n  - address: 127.0.0.1:${PORT}\n    http2: ${UNSET:-true}\n\
         limits:\n  ratio: ${RATIO}\n  in_flight_max: ${EMPTY}\n  body_bytes_max: ${UNSET:-2KiB}\n\
         pools:\n  a: {peers: [&p '${UNSET:-}', *p, '$${PORT}'], weight: }\n",
    );
    assert!(faults.is_empty(), "{faults:?}");
    let gateway = gateway.unwrap();
    assert_eq!(gateway.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert!(gateway.listeners[0].http2);
    assert_eq!((gateway.limits.ratio, gateway.limits.in_flight_max), (0.25, 7));
    assert_eq!(gateway.limits.body_bytes_max, ByteSize::from(2048));
    assert_eq!(gateway.pools["a"].peers, ["", "", "${PORT}"]);
}

#[test]
fn unset_variables_are_told_once_each_with_their_place() {
    let (_, faults) = expanded(
        "listeners:\n  - address: ${ADDRESS}\n    http2: ${PORT}\n\
         limits:\n  ${KEY}: 1\n  ratio: ${A.B}\n",
    );
    let expected = [
        "gateway.yaml:2:14: listeners[0].address: the environment variable ADDRESS is not set",
        "gateway.yaml:3:12: listeners[0].http2: write true or false, without quotes, not \"8080\"",
        "gateway.yaml:5:3: limits.${KEY}: unknown key",
        "gateway.yaml:6:10: limits.ratio: write ${NAME}",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(expected) {
        assert!(fault.starts_with(start), "{fault}");
    }
}

#[test]
fn a_good_file_is_decoded_whole() {
    let gateway: Gateway = decode(GOOD);
    assert_eq!(gateway.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert!(gateway.listeners[0].http2);
    assert_eq!(gateway.limits.in_flight_max, 7);
    assert_eq!(gateway.limits.body_bytes_max.bytes(), 1024);
    assert!((gateway.limits.ratio - 0.5).abs() < f64::EPSILON);
    assert_eq!(gateway.pools["weather"].weight, NonZeroU32::new(3));
    let by_user = HashBy { header: "x-user".to_owned() };
    assert_eq!(gateway.pools["weather"].balance, Balance::Hash(by_user));
    assert_eq!(gateway.pools["ndvi"].balance, Balance::LeastLoaded);
    assert_eq!(gateway.pools["maps"].peers, ["8090"]);
    let sticky = Balance::Sticky { cookie: "lb".to_owned(), linger: Period::zero() };
    assert_eq!(gateway.pools["maps"].balance, sticky);
    let route = &gateway.routes[0];
    assert_eq!((route.path.as_str(), route.pool.as_str()), ("/weather", "weather"));
    assert_eq!(route.hosts[0].as_str(), "api.example.org");
    assert_eq!(route.timeout.duration().as_secs(), 2);
    assert_eq!(route.quota.unwrap().count(), 10);
    assert!(gateway.jwt.unwrap().secret.resolve(Path::new("."), &Environment::default()).is_err());
}

const BAD: &str = "\
listeners:
  - address: 10.0.0.300:80
    http2: yes
limits:
  in_flight_max: 70000
  ratio: \"0.5\"
  boddy_bytes_max: 1MiB
pools:
  weather:
    peers: [a]
    balance: least_loded
  ndvi:
    balance: {hsh: {header: x}}
    weight: 0
routes:
  - path: weather
    pool: weather
    quota: 10/sek
  - path: /ndvi
    pool: {name: ndvi}
    timeout: 5
jwt:
  secret: hunter2
plugins: [a]
";

#[test]
fn every_fault_is_told_at_once_with_its_position() {
    let (gateway, faults) = faults_of::<Gateway>(BAD);
    assert_eq!(
        faults,
        [
            "gateway.yaml:2:14: listeners[0].address: \"10.0.0.300:80\" is not ip:port; write an \
             address such as 127.0.0.1:8080 or [::1]:8080",
            "gateway.yaml:3:12: listeners[0].http2: write true or false, without quotes, not \
             \"yes\"",
            "gateway.yaml:5:18: limits.in_flight_max: write a whole number from 0 to 65535, not \
             \"70000\"",
            "gateway.yaml:6:10: limits.ratio: write the number without quotes: 0.5",
            "gateway.yaml:7:3: limits.boddy_bytes_max: unknown key \"boddy_bytes_max\"; did you \
             mean \"body_bytes_max\"?",
            "gateway.yaml:11:14: pools.weather.balance: unknown value \"least_loded\"; did you \
             mean \"least_loaded\"?",
            "gateway.yaml:13:5: pools.ndvi: the key \"peers\" is missing; add it here",
            "gateway.yaml:13:15: pools.ndvi.balance.hsh: unknown value \"hsh\"; did you mean \
             \"hash\"?",
            "gateway.yaml:14:13: pools.ndvi.weight: write a nonzero u32, not integer `0`",
            "gateway.yaml:16:5: routes[0]: the key \"timeout\" is missing; add it here",
            "gateway.yaml:16:11: routes[0].path: \"weather\" does not start with /; write an \
             absolute path such as /v1/weather",
            "gateway.yaml:18:12: routes[0].quota: \"10/sek\" is not a rate; write a number and \
             /s, /min, /hour or /day, such as 100/min",
            "gateway.yaml:20:11: routes[1].pool: write a text, not a mapping",
            "gateway.yaml:21:14: routes[1].timeout: \"5\" has no unit; write 5s or 5ms",
            "gateway.yaml:23:11: jwt.secret: a secret cannot stand in this file; write env:NAME \
             or file:PATH to say where it is",
            "gateway.yaml:24:1: plugins: unknown key \"plugins\"; write \"listeners\", \"limits\", \
             \"pools\", \"routes\" or \"jwt\"",
        ]
    );
    let gateway = gateway.unwrap();
    assert!(gateway.listeners.is_empty() && gateway.routes.is_empty() && gateway.jwt.is_none());
    assert_eq!(gateway.pools.keys().collect::<Vec<_>>(), ["weather"]);
    assert_eq!(gateway.pools["weather"].balance, Balance::RoundRobin);
}

#[test]
fn all_missing_keys_of_a_section_are_told() {
    let (gateway, faults) = faults_of::<Gateway>("listeners: []\nroutes:\n  - hosts: [a]\n");
    assert_eq!(
        faults,
        [
            "gateway.yaml:3:5: routes[0]: the key \"path\" is missing; add it here",
            "gateway.yaml:3:5: routes[0]: the key \"pool\" is missing; add it here",
            "gateway.yaml:3:5: routes[0]: the key \"timeout\" is missing; add it here",
        ]
    );
    assert!(gateway.unwrap().routes.is_empty());
}

#[test]
fn a_required_key_without_a_value_is_told_at_the_key() {
    let (_, faults) = faults_of::<Gateway>("jwt:\n  secret:\nlisteners: []\n");
    assert_eq!(
        faults,
        ["gateway.yaml:2:3: jwt.secret: \"secret\" has no value; write one, for it is required"]
    );
}

#[test]
fn a_missing_root_section_does_not_hide_what_is_left() {
    let mut document = parse("pools: {a: {peers: [x], balans: hash}}\n");
    let (gateway, faults) = document.decode::<Gateway>();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(faults[0].problem, "the key \"listeners\" is missing; add it here");
    assert_eq!((faults[1].line, faults[1].column), (1, 25));
    assert_eq!(gateway.unwrap().pools["a"].peers, ["x"]);
    assert!(document.was_cut("listeners") && document.was_cut("listeners[0].address"));
    assert!(!document.is_whole("listeners"));
    assert!(!document.was_cut("pools"));
}

#[test]
fn a_root_of_the_wrong_kind_leaves_nothing() {
    let (gateway, faults) = faults_of::<Gateway>("- a\n");
    assert!(gateway.is_none());
    assert_eq!(
        faults,
        ["gateway.yaml:1:1: write a mapping with the keys \"listeners\", \"limits\", \"pools\", \
          \"routes\" and \"jwt\", not a list"]
    );
}

#[test]
fn duplicate_keys_are_told_and_the_first_counts() {
    let (limits, faults) = faults_of::<Limits>(
        "in_flight_max: 1\nratio: 1\nin_flight_max: 2\nratio: [a, {b: c}]\n\"ratio\": 3\n",
    );
    assert_eq!(
        faults,
        [
            "gateway.yaml:3:1: in_flight_max: the key \"in_flight_max\" stands in line 1 already; \
             remove one",
            "gateway.yaml:4:1: ratio: the key \"ratio\" stands in line 2 already; remove one",
            "gateway.yaml:5:1: ratio: the key \"ratio\" stands in line 2 already; remove one",
        ]
    );
    assert_eq!(limits.unwrap().in_flight_max, 1);
}

#[test]
fn duplicates_deep_in_the_file_carry_their_path() {
    let (_, faults) = faults_of::<Gateway>(
        "listeners: []\npools:\n  a:\n    peers: [x]\n    weight: 1\n    weight: 2\n  a: {}\n",
    );
    assert_eq!(
        faults,
        [
            "gateway.yaml:6:5: pools.a.weight: the key \"weight\" stands in line 5 already; \
             remove one",
            "gateway.yaml:7:3: pools.a: the key \"a\" stands in line 3 already; remove one",
        ]
    );
}

#[test]
fn a_later_fault_is_placed_at_its_value() {
    let mut document = parse(GOOD);
    document.decode::<Gateway>();
    let fault = document.fault("routes[0].pool", "there is no pool \"wether\"; remove it");
    assert_eq!(
        fault.to_string(),
        "gateway.yaml:20:11: routes[0].pool: there is no pool \"wether\"; remove it"
    );
    let places = [
        ("pools.weather", 7, 5),
        ("pools.weather.peers[1]", 7, 28),
        ("pools.weather.peers[9].x", 7, 12),
        ("pools.nowhere.peers", 6, 3),
        ("limits", 4, 1),
        ("", 1, 1),
    ];
    for (path, line, column) in places {
        let fault = document.fault(path, "");
        assert_eq!((fault.line, fault.column, fault.path.as_str()), (line, column, path));
    }
}

#[test]
fn a_key_with_dots_is_found_by_its_path() {
    let document = parse("hosts:\n  api.example.org:\n    pool: a\n  api: b\n");
    let fault = document.fault("hosts.api.example.org.pool", "");
    assert_eq!((fault.line, fault.column), (3, 11));
    let fault = document.fault("hosts.api.nothing", "");
    assert_eq!((fault.line, fault.path.as_str()), (4, "hosts.api.nothing"));
}

#[test]
fn numbers_in_a_path_count_what_was_decoded() {
    let mut document = parse(
        "listeners: []\nroutes:\n  - {path: x, pool: a, timeout: 1s}\n  - {path: /b, pool: b, \
         timeout: 1s}\n",
    );
    let (gateway, faults) = document.decode::<Gateway>();
    assert_eq!(faults.len(), 1);
    assert_eq!(gateway.unwrap().routes[0].pool, "b");
    let fault = document.fault("routes[0].pool", "");
    assert_eq!((fault.line, fault.column, fault.path.as_str()), (4, 22, "routes[1].pool"));
    assert!(!document.was_cut("routes[0]"));
    assert!(!document.is_whole("routes"));
}

#[test]
fn what_was_cut_can_be_asked_for() {
    let mut document = parse(
        "listeners: []\npools:\n  weather: {peer: [a]}\n  ndvi: {peers: [a], weight: x}\n  maps: \
         {peers: []}\n",
    );
    let (gateway, _) = document.decode::<Gateway>();
    assert_eq!(gateway.unwrap().pools.keys().collect::<Vec<_>>(), ["maps", "ndvi"]);
    assert!(document.was_cut("pools.weather") && document.was_cut("pools.weather.peers"));
    assert!(!document.was_cut("pools.ndvi") && document.was_cut("pools.ndvi.weight"));
    assert!(!document.is_whole("pools.ndvi") && !document.is_whole("pools"));
    assert!(document.is_whole("pools.maps"));
    assert!(!document.was_cut("pools.nowhere") && document.is_whole("pools.nowhere"));
}

#[test]
fn more_faults_than_the_bound_end_with_a_word_about_it() {
    let lines: String = (0..150).map(|n| format!("- x{n}\n")).collect();
    let (numbers, faults) = faults_of::<Vec<u8>>(&lines);
    assert!(numbers.is_none());
    assert_eq!(faults.len(), FAULTS_MAX + 1);
    assert_eq!(
        faults[FAULTS_MAX],
        "gateway.yaml: there are more faults; mend those above, then check again"
    );
    let (numbers, faults) = faults_of::<Vec<u8>>(&lines[..lines.find("- x100\n").unwrap()]);
    assert_eq!((numbers, faults.len()), (Some(Vec::new()), FAULTS_MAX));
}

#[test]
fn secrets_are_never_repeated() {
    for secret in ["hunter2", "'hunter2'", "[hunter2]", "{value: hunter2}", "|\n    hunter2"] {
        let text = format!("listeners: []\njwt:\n  secret: {secret}\n");
        let (_, faults) = faults_of::<Gateway>(&text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
        assert!(faults[0].contains("jwt.secret: ") && faults[0].contains("write "), "{faults:?}");
    }
    let (_, faults) = faults_of::<Gateway>("listeners: []\njwt: hunter2\n");
    assert_eq!(
        faults,
        ["gateway.yaml:2:6: jwt: write a mapping with the keys \"secret\", not a single value"]
    );
}

#[test]
fn scalars_follow_the_core_schema() {
    assert_eq!(decode::<Vec<u8>>("[0, 255, 0x1f, 0o17, +7, 010]"), [0, 255, 31, 15, 7, 10]);
    assert_eq!(decode::<Vec<i64>>("[-1, 9223372036854775807]"), [-1, i64::MAX]);
    assert_eq!(decode::<Vec<f64>>("[1, -.5, 2., 1e3]"), [1.0, -0.5, 2.0, 1000.0]);
    assert_eq!(decode::<Vec<bool>>("[true, False, TRUE]"), [true, false, true]);
    assert_eq!(decode::<Vec<String>>("[1h, 8080, true, 'null', a b]")[3], "null");
    assert_eq!(decode::<Vec<Option<u8>>>("[1, ~, null, ]"), [Some(1), None, None]);
    assert_eq!(decode::<(u8, String)>("[1, a]"), (1, "a".to_owned()));
    assert_eq!(decode::<BTreeMap<u16, char>>("{80: a}"), BTreeMap::from([(80, 'a')]));
    let json = serde_json::json!([1, -1, 0.5, "a", true, null, {"k": "1"}]);
    assert_eq!(decode::<serde_json::Value>("[1, -1, 0.5, a, true, ~, {k: '1'}]"), json);
}

#[test]
fn scalars_of_another_kind_are_refused() {
    assert_eq!(problem::<Vec<u16>>("['8080']"), "write the number without quotes: 8080");
    for text in ["[1.0]", "[1e3]", "[1_000]", "[0x]", "[0x-1]", "[-1]", "[65536]", "[~]"] {
        let problem = problem::<Vec<u16>>(text);
        assert!(problem.starts_with("write a whole number from 0 to 65535, not "), "{problem}");
    }
    for text in ["[.inf]", "[nan]", "[infinity]", "[1e999]", "[x]"] {
        assert!(problem::<Vec<f64>>(text).starts_with("write a number, such as 0.5"), "{text}");
    }
    for text in ["[yes]", "['true']", "[1]", "[~]"] {
        assert!(problem::<Vec<bool>>(text).starts_with("write true or false"), "{text}");
    }
    assert_eq!(problem::<Vec<usize>>("[x]"), "write a whole number, 0 or more, not \"x\"");
    assert_eq!(problem::<Vec<i64>>("[x]"), "write a whole number, not \"x\"");
    assert_eq!(problem::<Vec<String>>("[~]"), "write a text, not nothing");
    assert_eq!(problem::<Vec<char>>("[ab]"), "write a single character, not \"ab\"");
    assert_eq!(problem::<(u8, u8)>("[1]"), "write a list of 2 values, not of 1");
    assert_eq!(problem::<Vec<u8>>("a: 1"), "write a list, each item after \"- \", not a mapping");
    let map = problem::<BTreeMap<String, u8>>("[1]");
    assert_eq!(map, "write a mapping, \"key: value\", not a list");
}

#[test]
fn enums_are_written_as_a_word_or_as_one_key() {
    let balance = |text| decode::<BTreeMap<String, Balance>>(text).remove("b").unwrap();
    assert_eq!(balance("b: round_robin"), Balance::RoundRobin);
    assert_eq!(balance("b: {round_robin: }"), Balance::RoundRobin);
    let refused = |text| problem::<BTreeMap<String, Balance>>(text);
    assert_eq!(
        refused("b: hash"),
        "\"hash\" does not stand alone; write \"hash: ..\" with what it needs"
    );
    assert_eq!(refused("b: {round_robin: 1}"), "\"round_robin\" takes nothing; write it alone");
    assert_eq!(
        refused("b: {hash: {header: a}, least_loaded: }"),
        "write exactly one of \"round_robin\", \"least_loaded\", \"hash\" or \"sticky\", not a \
         mapping"
    );
    assert!(refused("b: ").starts_with("write \"round_robin\", \"least_loaded\""));
    assert!(refused("b: [hash]").ends_with("not a list"));
    assert_eq!(refused("b: {hash: {header: []}}"), "write a text, not a list");
    assert_eq!(refused("b: {sticky: {}}"), "the key \"cookie\" is missing; add it here");
}

#[test]
fn what_only_follows_from_a_fault_is_not_told() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "[u8; 2]")]
    struct Pair;
    impl TryFrom<[u8; 2]> for Pair {
        type Error = String;
        fn try_from(pair: [u8; 2]) -> Result<Self, String> {
            if pair[0] < pair[1] { Ok(Self) } else { Err("write the smaller first".to_owned()) }
        }
    }
    let (_, faults) = faults_of::<Vec<Pair>>("[[0, 1], [2, 1]]");
    assert_eq!(faults, ["gateway.yaml:1:10: [1]: write the smaller first"]);
    let (_, faults) = faults_of::<Vec<Pair>>("[[x, 1]]");
    assert_eq!(faults, ["gateway.yaml:1:3: [0][0]: write a whole number from 0 to 255, not \"x\""]);
}

#[test]
fn a_key_that_cannot_be_made_up_is_told_once() {
    #[derive(Debug)]
    struct Stubborn;
    impl<'de> Deserialize<'de> for Stubborn {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::missing_field("size"))
        }
    }
    let (_, faults) = faults_of::<BTreeMap<String, Stubborn>>("a: {size: 1}\nb: {}\n");
    assert_eq!(faults, ["gateway.yaml:2:4: b: the key \"size\" is missing; add it here"]);
}

#[test]
fn aliases_repeat_a_value_with_faults_of_their_own() {
    let (limits, faults) =
        faults_of::<Vec<Limits>>("- &a\n  in_flight_max: 1\n  ratio: x\n- *a\n- {ratio: 2}\n");
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("gateway.yaml:3:10: [0].ratio: "), "{faults:?}");
    assert!(faults[1].starts_with("gateway.yaml:3:10: [1].ratio: "), "{faults:?}");
    let numbers: Vec<_> = limits.unwrap().iter().map(|limits| limits.in_flight_max).collect();
    assert_eq!(numbers, [1, 1, 7]);
}

#[test]
fn aliases_cannot_grow_without_bound() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
    }
    assert!(refusal(&text).contains("more than 100000 values"), "{}", refusal(&text));
    assert_eq!(
        refusal("a: &a [*a]\n"),
        "gateway.yaml:1:8: a[0]: an alias cannot stand inside the value that it repeats"
    );
    assert!(refusal("a: &a x\n*a : b\n").contains("a key cannot be an alias"));
    assert!(refusal("a: *b\n").contains("this is not YAML"));
}

#[test]
fn nesting_is_bounded_before_it_costs_anything() {
    let nested = |depth: usize| format!("{}x\n", "- ".repeat(depth));
    decode::<serde_json::Value>(&nested(64));
    assert!(refusal(&nested(65)).contains("nested more than 64 deep"));
    assert!(refusal(&nested(200_000)).contains("nested more than 64 deep"));
    let flow = "[".repeat(65) + &"]".repeat(65);
    assert!(refusal(&flow).contains("nested more than 64 deep"));
    assert!(refusal(&"[".repeat(100_000)).contains("recursion limit"));
    let mut aliases = "- &a0 [x]\n".to_owned();
    for n in 1..70 {
        aliases.push_str(&format!("- &a{n} [*a{}]\n", n - 1));
    }
    assert!(refusal(&aliases).contains("nested more than 64 deep"));
}

#[test]
fn a_file_too_large_is_not_read() {
    let fault = refusal(&"#".repeat(1024 * 1024 + 1));
    assert!(fault.starts_with("gateway.yaml:1:1: the file has 1048577 bytes; keep it under"));
}

#[test]
fn text_that_is_not_yaml_is_told_where_it_breaks() {
    let fault = refusal("listeners:\n  - address: \"127.0.0.1:8080\n");
    assert!(fault.contains("this is not YAML: "), "{fault}");
    let fault = refusal("a: b\n c: d\n");
    assert!(fault.starts_with("gateway.yaml:2:3: "), "{fault}");
    for text in ["", "# only a comment\n", "---\n", "~\n"] {
        assert_eq!(refusal(text), "gateway.yaml:1:1: the file says nothing; write its keys here");
    }
    assert!(refusal("a: b\n---\nc: d\n").contains("gateway.yaml:2:1: a second document"));
    assert!(refusal("[a]: b\n").contains("a key cannot be a list or a mapping"));
}

#[test]
fn tags_and_merge_keys_have_no_meaning() {
    let (_, faults) = faults_of::<BTreeMap<String, String>>("a: !!str 1\nb: !x y\n");
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("gateway.yaml:1:4: a: remove the tag"), "{faults:?}");
    assert!(problem::<Limits>("<<: {ratio: 1}\n").starts_with("unknown key \"<<\"; write "));
}

#[test]
fn a_byte_order_mark_does_not_shift_positions() {
    assert_eq!(parse("\u{feff}a: b\n").fault("a", "").column, 4);
}

#[test]
fn decoding_twice_starts_anew() {
    let mut document = parse("in_flight_max: x\n");
    assert_eq!(document.decode::<Limits>().1.len(), 1);
    let (map, faults) = document.decode::<BTreeMap<String, String>>();
    assert_eq!((map.unwrap()["in_flight_max"].as_str(), faults.len()), ("x", 0));
    assert!(!document.was_cut("in_flight_max"));
}

/// A good file with some of its characters dropped, doubled or replaced.
fn damaged() -> impl Strategy<Value = String> {
    let edit = (
        0..GOOD.len(),
        prop::sample::select(vec![
            "", "\n", " ", "- ", ":", "[", "{", "}", "&a ", "*a", "!", "'", "x",
        ]),
    );
    prop::collection::vec(edit, 1..8).prop_map(|edits| {
        let mut text = GOOD.to_owned();
        for (at, with) in edits {
            let at = at.min(text.len().saturating_sub(1));
            text.replace_range(at..=at, with);
        }
        text
    })
}

fn check_any_text(text: &str) -> Result<(), TestCaseError> {
    let Ok(mut document) = Document::parse(Path::new("a.yaml"), text) else { return Ok(()) };
    let (gateway, faults) = document.decode::<Gateway>();
    prop_assert!(gateway.is_some() || !faults.is_empty());
    for fault in faults.iter().filter(|fault| fault.line > 0) {
        prop_assert!(fault.line <= text.lines().count() + 1, "{fault}");
        prop_assert!(fault.column > 0 && !fault.problem.is_empty(), "{fault}");
    }
    document.decode::<serde_json::Value>();
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,80}|([-a-z0-9:\\[\\]{}&*!|>'\"#%@, ]{0,12}\n){0,8}") {
        check_any_text(&text)?;
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_loader_panic(text in damaged()) {
        check_any_text(&text)?;
    }

    #[test]
    fn no_path_makes_a_fault_panic(path in "[a-z0-9.\\[\\]ä]{0,12}|routes\\[[0-9]{1,30}\\].*") {
        let mut document = parse(GOOD);
        document.decode::<Gateway>();
        let fault = document.fault(&path, "x");
        prop_assert!(fault.line > 0);
        prop_assert!(!document.was_cut(&path) && document.is_whole(&path));
    }
}
