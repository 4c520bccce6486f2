//! Do the files that run and watch farmgate speak of what exists?
//!
//! The dashboard, the alerts, the units and the image are read by other programs, which take a
//! misspelt metric or path without a word. Where `promtool` and `systemd-analyze` are installed
//! they judge the files as well; where they are not, a test says so and the others still run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "a test that leaves a part out says which")]

mod image;
mod promql;
mod series;
mod units;
mod watching;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use farmgate::config::Document;
use serde_json::Value;

/// The programs: each has a unit and an image.
const PROGRAMS: [&str; 3] = ["farmgate", "weather", "ndvi"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    let mut document = Document::parse(Path::new(path), &text(path)).expect("YAML");
    let (value, faults) = document.decode();
    assert!(faults.is_empty(), "{path}: {faults:?}");
    value.unwrap()
}

/// Every Rust source below a folder, one after the other.
fn sources(folder: &str) -> String {
    let mut all = String::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

/// Runs a program of the machine; `None`, with a word about it, where it is not installed.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("left out: {} is not installed", command.get_program().display());
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}
