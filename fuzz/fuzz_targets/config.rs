//! Is any text that an operator writes read to its end, and answered with what is wrong?
//!
//! Behind a line `%%` the input is an env file, whose variables the YAML may name.
#![no_main]

use std::path::Path;

use farmgate::config::gateway::GatewayConfig;
use farmgate::config::pool::PoolConfig;
use farmgate::config::sources::Source;
use farmgate::config::{ConfigFault, Document, Environment};
use farmgate_fuzz::has_control;
use farmgate_fuzz::sources::{SECRET, compiled};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The most faults that are told of one file, and one that says that there are more.
const FAULTS_MAX: usize = 101;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (yaml, variables) = text.split_once("\n%%\n").unwrap_or((&text, ""));
    let environment = environment(variables);
    read::<PoolConfig>(yaml, &environment);
    read::<Value>(yaml, &environment);
    let Some(gateway) = read::<GatewayConfig>(yaml, &environment) else { return };
    match compiled(gateway) {
        Ok(snapshot) => {
            assert!(!format!("{snapshot:?}").contains(SECRET));
            check(&snapshot.warnings, yaml);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "a refusal says why");
            check(&faults, yaml);
        }
    }
});

/// The variables, or none where the file has faults.
fn environment(text: &str) -> Environment {
    let read = || Environment::default().with_file(Path::new(".env"), text);
    match read() {
        Ok(environment) => environment,
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() < FAULTS_MAX);
            let lines = text.lines().count();
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
            Environment::default()
        }
    }
}

/// Reads a file as the gateway does; a value only where there is nothing wrong with it.
fn read<T: serde::de::DeserializeOwned>(
    yaml: &str,
    environment: &Environment,
) -> Option<Source<T>> {
    let mut document = match Document::parse(Path::new("gateway.yaml"), yaml) {
        Ok(document) => document,
        Err(fault) => {
            check(&[fault], yaml);
            return None;
        }
    };
    document.expand(environment);
    let (value, faults) = document.decode::<T>();
    check(&faults, yaml);
    assert!(value.is_some() || !faults.is_empty(), "what is nowhere wrong has a value");
    let again = document.decode::<T>().1;
    assert_eq!(again, faults, "reading twice finds the same");
    let value = value.filter(|_| faults.is_empty())?;
    Some(Source { value, document })
}

/// Every fault stands somewhere in the file and says something.
fn check(faults: &[ConfigFault], yaml: &str) {
    // For YAML a carriage return ends a line too.
    let lines = yaml.split(['\n', '\r']).count();
    for fault in faults {
        assert!(fault.line <= lines + 1, "{fault:?}");
        assert_eq!(fault.line == 0, fault.column == 0, "{fault:?}");
        assert!(!fault.problem.is_empty() && !has_control(&fault.problem), "{fault:?}");
        assert!(fault.problem.len() < 4096, "{}", fault.problem.len());
    }
    assert!(faults.len() <= FAULTS_MAX);
}
