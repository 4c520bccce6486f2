//! What does `${NAME}` in a value of the file stand for?
//!
//! Values are expanded once, in the tree, before anything is decoded: so a number or a rate may
//! come from the environment, and what came from there is never expanded again.
//!
//! A fault may repeat a value that is wrong, whatever it came from. So a secret is named by
//! `env:NAME` or `file:PATH`, which no message shows, and never put in by `${NAME}`.

use super::environment::{Environment, is_variable_name};
use super::tree::{Node, TextFault, Value, push_index, push_key};

/// What came of expanding a file.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    /// What is wrong, in the order of the file.
    pub(super) faults: Vec<TextFault>,
    /// Ids of the values that have a fault: they stand for nothing.
    pub(super) broken: Vec<usize>,
    bytes: usize,
}

/// Expands every value below `node`; keys stay as they are.
pub(super) fn expand(node: &mut Node, environment: &Environment) -> Expanded {
    let mut expanded = Expanded::default();
    expanded.node(node, &mut String::new(), environment);
    expanded
}

impl Expanded {
    /// The depth of the tree is bounded where it is built.
    fn node(&mut self, node: &mut Node, path: &mut String, environment: &Environment) {
        let length = path.len();
        match &mut node.value {
            Value::Scalar { text, .. } => {
                if !text.contains("${") {
                    return;
                }
                match self.text(text, environment) {
                    Ok(value) => *text = value,
                    Err(problem) => {
                        let (at, path) = (node.at, path.clone());
                        self.faults.push(TextFault { at, path, problem });
                        self.broken.push(node.id);
                    }
                }
            }
            Value::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    push_index(path, index);
                    self.node(item, path, environment);
                    path.truncate(length);
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    push_key(path, &entry.key);
                    self.node(&mut entry.value, path, environment);
                    path.truncate(length);
                }
            }
        }
    }

    fn text(&mut self, text: &str, environment: &Environment) -> Result<String, String> {
        let mut value = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                value.push_str(before);
                value.push_str("${");
                rest = after;
                continue;
            }
            let Some((inside, behind)) = after.split_once('}') else {
                return Err("a ${ is not closed; write ${NAME}, or $${ for the two signs".into());
            };
            value.push_str(before);
            value.push_str(looked_up(inside, environment)?);
            if value.len() > VALUE_BYTES_MAX {
                return Err(format!(
                    "this expands to more than {VALUE_BYTES_MAX} bytes; shorten it"
                ));
            }
            rest = behind;
        }
        value.push_str(rest);
        self.bytes += value.len();
        if self.bytes > FILE_BYTES_MAX {
            let problem = "expands to more bytes than a file may have; use fewer variables";
            return Err(format!("up to here the file {problem}"));
        }
        Ok(value)
    }
}

/// The value of `NAME`, or of `NAME:-default` when the variable is unset or empty.
fn looked_up<'a>(inside: &'a str, environment: &'a Environment) -> Result<&'a str, String> {
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let default = rest.strip_prefix(":-");
    if !is_variable_name(name) || (default.is_none() && !rest.is_empty()) {
        return Err("write ${NAME} or ${NAME:-default}, or $${ for the two signs".into());
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err("a default cannot hold another ${..}; write the value itself".into());
    }
    let value = match environment.get(name) {
        Some(value) => value.to_str().ok_or_else(|| format!("the variable {name} is not UTF-8"))?,
        None => "",
    };
    match default {
        Some(default) if value.is_empty() => Ok(default),
        None if environment.get(name).is_none() => Err(format!(
            "the environment variable {name} is not set; set it, or write ${{{name}:-..}} with what \
             holds without it"
        )),
        _ => Ok(value),
    }
}

/// The longest value that a variable may make.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes that all expanded values of a file may have together.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Result<String, String> {
        let environment: Environment =
            [("A", "one"), ("B_2", "${A}"), ("EMPTY", "")].into_iter().collect();
        Expanded::default().text(text, &environment)
    }

    #[test]
    fn variables_are_replaced_once() {
        for (given, value) in [
            ("${A}", "one"),
            ("x${A}y${A}z", "xoneyonez"),
            ("${B_2}", "${A}"),
            ("${EMPTY}", ""),
            ("${EMPTY:-two}", "two"),
            ("${UNSET:-127.0.0.1:8080}", "127.0.0.1:8080"),
            ("${UNSET:-}", ""),
            ("${A:-two}", "one"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$A $ {A} a$", "$A $ {A} a$"),
            ("$${", "${"),
        ] {
            assert_eq!(text(given).as_deref(), Ok(value), "{given}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_told_with_what_to_write() {
        for (given, words) in [
            ("${UNSET}", "the environment variable UNSET is not set"),
            ("${A", "is not closed"),
            ("${}", "write ${NAME}"),
            ("${1A}", "write ${NAME}"),
            ("${A-b}", "write ${NAME}"),
            ("${A:b}", "write ${NAME}"),
            ("${A b}", "write ${NAME}"),
            ("${UNSET:-${A}}", "a default cannot hold another"),
        ] {
            let problem = text(given).unwrap_err();
            assert!(problem.contains(words), "{given}: {problem}");
        }
    }

    #[test]
    fn the_length_of_what_comes_out_is_bounded() {
        let long = "x".repeat(VALUE_BYTES_MAX / 2);
        let environment: Environment = [("LONG", &long)].into_iter().collect();
        let mut expanded = Expanded::default();
        assert!(expanded.text("${LONG}${LONG}", &environment).is_ok());
        let problem = expanded.text("${LONG}${LONG}x${LONG}", &environment).unwrap_err();
        assert!(problem.contains("more than 65536 bytes"), "{problem}");
        let all = (0..1_000).find_map(|_| expanded.text("${LONG}", &environment).err());
        assert!(all.unwrap().contains("more bytes than a file may have"));
    }

    proptest! {
        #[test]
        fn no_text_makes_expanding_panic(given in "[${}A:a-]{0,24}") {
            drop(text(&given));
        }

        #[test]
        fn what_has_no_sign_of_a_variable_stays(given in "[^$]{0,24}") {
            prop_assert_eq!(text(&given), Ok(given));
        }
    }
}
