//! Does the program say what it needs before it starts anything?
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn list_names_each_row_and_starts_nothing() {
    let output = bench(&["--list"]);
    assert!(output.status.success());
    let names: Vec<String> = said(&output)
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    assert!(names.contains(&"hit".to_owned()) && names.contains(&"proxy".to_owned()), "{names:?}");
}

#[test]
fn unknown_row_is_refused_by_name() {
    let output = bench(&["--only", "hot"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("no row \"hot\""), "{}", said(&output));
}

#[test]
fn absent_gateway_is_named_with_its_remedy() {
    let output = bench(&["--gateway", "/nowhere/farmgate"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("cargo build --release -p farmgate"), "{}", said(&output));
}

#[test]
fn absent_load_generator_is_named_with_its_remedy() {
    let any_program = env!("CARGO_BIN_EXE_bench");
    let mut command = Command::new(any_program);
    let output = command.args(["--gateway", any_program]).env("PATH", "").output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("apt-get install wrk"), "{}", said(&output));
}
