//! What is wrong with a configuration file, where, and what to write instead?

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One thing that is wrong with one file.
///
/// `Display` is what an operator reads, and what an editor can jump to:
/// `conf/gateway.yaml:12:5: routes[2].pool: there is no pool "wether"; did you mean "weather"?`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigFault {
    /// The file, as the operator named it.
    pub file: PathBuf,
    /// The line, from 1; 0 when the fault is of the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 when the fault is of the file as a whole.
    pub column: usize,
    /// The way to the value, as `routes[2].pool`; empty for the root.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl ConfigFault {
    /// A fault that has no position in the text, such as a file that cannot be read.
    #[must_use]
    pub fn of_file(file: &Path, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_path_buf(),
            line: 0,
            column: 0,
            path: String::new(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.problem)
    }
}

impl std::error::Error for ConfigFault {}

/// Text of the file as a message shows it: quoted, escaped and of bounded length.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().nth(QUOTED_CHARS_MAX).is_none() {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    format!("{:?}", start + "..")
}

/// A few words as a message lists them: `"a", "b" or "c"`.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => quoted(only),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| quoted(word)).collect();
            format!("{} or {}", first.join(", "), quoted(last))
        }
    }
}

/// The longest piece of the file that a message repeats.
const QUOTED_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_file_position_path_and_problem() {
        let fault = ConfigFault {
            file: "conf/gateway.yaml".into(),
            line: 12,
            column: 5,
            path: "routes[2].pool".into(),
            problem: "there is no pool \"wether\"; did you mean \"weather\"?".into(),
        };
        assert_eq!(
            fault.to_string(),
            "conf/gateway.yaml:12:5: routes[2].pool: there is no pool \"wether\"; did you mean \
             \"weather\"?"
        );
    }

    #[test]
    fn a_fault_of_the_whole_file_shows_no_position() {
        let fault = ConfigFault::of_file(Path::new("a.yaml"), "cannot be read; create it");
        assert_eq!(fault.to_string(), "a.yaml: cannot be read; create it");
    }

    #[test]
    fn long_and_odd_text_is_cut_short_and_escaped() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert_eq!(quoted(&"x".repeat(1000)).len(), QUOTED_CHARS_MAX + 4);
    }

    #[test]
    fn words_are_listed_in_plain_english() {
        assert_eq!(listed(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
        assert_eq!(listed(&["a"]), "\"a\"");
    }
}
