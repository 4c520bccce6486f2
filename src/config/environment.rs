//! What is a variable's value: what the process was given, over what an operator's `.env` says?
//!
//! The file is read as dotenv loaders read it, not as a shell does: a value without quotes is taken
//! as it stands, `$`, `&` and all. No message repeats a value, for most of them are secrets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use super::fault::ConfigFault;

/// Variables by name. `Debug` shows only how many there are.
#[derive(Clone, Default)]
pub struct Environment {
    process: BTreeMap<OsString, OsString>,
    file: BTreeMap<String, String>,
}

impl Environment {
    /// The variables that this process was given.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Puts the variables of an env file below those that are there; `file` is only the name that
    /// faults carry.
    ///
    /// Each line is `NAME=VALUE`, after `export` if one likes; blank lines and those that begin
    /// with `#` say nothing. Between single quotes everything is taken as it stands; between
    /// double quotes `\n`, `\"` and `\\` are read; without quotes a comment begins with a `#`
    /// behind white space. A later line wins over an earlier one.
    ///
    /// # Errors
    /// Every line that cannot be read, by its number; or that the file has too many bytes or names.
    pub fn with_file(mut self, file: &Path, text: &str) -> Result<Self, Vec<ConfigFault>> {
        if text.len() > FILE_BYTES_MAX {
            let problem = format!("has more than {FILE_BYTES_MAX} bytes; no env file needs them");
            return Err(vec![ConfigFault::of_file(file, problem)]);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let problem = match variable(line) {
                Ok(None) => continue,
                Ok(Some((name, value))) => {
                    self.file.insert(name.to_owned(), value);
                    if self.file.len() <= NAMES_MAX {
                        continue;
                    }
                    format!("there are more than {NAMES_MAX} names; no env file needs them")
                }
                Err(problem) => problem.to_owned(),
            };
            let (file, path) = (file.to_path_buf(), String::new());
            faults.push(ConfigFault { file, line: index + 1, column: 1, path, problem });
            if self.file.len() > NAMES_MAX || faults.len() >= FAULTS_MAX {
                break;
            }
        }
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// The value of a variable; the process wins over the file.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let given = self.process.get(OsStr::new(name)).map(OsString::as_os_str);
        given.or_else(|| self.file.get(name).map(OsStr::new))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let process = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { process: process.collect(), file: BTreeMap::new() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} + {} names)", self.process.len(), self.file.len())
    }
}

/// What POSIX calls a name (XBD 3.216).
pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What one line says; `None` for one that says nothing.
fn variable(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let Some((name, raw)) = exported.unwrap_or(line).split_once('=') else {
        return Err("this line has no =; write NAME=VALUE, or # before a comment");
    };
    let name = name.trim();
    if !is_variable_name(name) {
        // The name is not repeated: on a line that was broken in two it is the end of a secret.
        return Err("what stands before the = is no name; write letters, digits and _ only");
    }
    Ok(Some((name, value(raw)?)))
}

fn value(raw: &str) -> Result<String, &'static str> {
    let trimmed = raw.trim_start();
    if let Some(inside) = trimmed.strip_prefix('\'') {
        return Ok(up_to_last(inside, '\'')?.to_owned());
    }
    if let Some(inside) = trimmed.strip_prefix('"') {
        return Ok(unescaped(up_to_last(inside, '"')?));
    }
    Ok(before_comment(raw).trim().to_owned())
}

/// What stands before the quote that closes a value: the first one behind which nothing stands but
/// a comment. So a quote inside the value needs no escape.
fn up_to_last(inside: &str, quote: char) -> Result<&str, &'static str> {
    let closing = inside.match_indices(quote).find(|(at, quote)| {
        let before = inside.get(..*at).unwrap_or_default();
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        let escaped = *quote == "\"" && backslashes % 2 == 1;
        let behind = inside.get(at + 1..).unwrap_or_default();
        !escaped && before_comment(behind).trim().is_empty()
    });
    let closing = closing.and_then(|(at, _)| inside.get(..at));
    closing.ok_or("the quote before the value is not closed on its line; close it, or leave it out")
}

/// The text up to a `#` behind white space.
fn before_comment(text: &str) -> &str {
    let mut after_space = false;
    let comment = text.find(|c: char| {
        let begins = c == '#' && after_space;
        after_space = c.is_whitespace();
        begins
    });
    comment.and_then(|at| text.get(..at)).unwrap_or(text)
}

fn unescaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => value.push('\n'),
            Some(quoted @ ('"' | '\\')) => value.push(quoted),
            Some(other) => value.extend(['\\', other]),
            None => value.push('\\'),
        }
    }
    value
}

/// The longest env file.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// The most names in an env file.
const NAMES_MAX: usize = 10_000;
/// The most faults that are told at once.
const FAULTS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Environment, Vec<ConfigFault>> {
        Environment::default().with_file(Path::new(".env"), text)
    }

    fn a(line: &str) -> String {
        let environment = read(line).unwrap();
        environment.get("A").unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn lines_are_read_as_dotenv_loaders_read_them() {
        for (line, value) in [
            ("A=b", "b"),
            ("A=", ""),
            ("A= b c ", "b c"),
            ("  A = b", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("\u{feff}A=b", "b"),
            ("A=b\r", "b"),
            ("A=first\nA=last", "last"),
            ("# A=c\n\nA=b\n   # A=d", "b"),
            ("A=x$y&z(*-_=+)!@%^", "x$y&z(*-_=+)!@%^"),
            ("A=#b#c", "#b#c"),
            ("A=b #c", "b"),
            ("A= #c", ""),
            ("A=b\t# c # d", "b"),
            ("A='{\"nc\": \"c2VjcmV0\"}'", "{\"nc\": \"c2VjcmV0\"}"),
            ("A='b #c'", "b #c"),
            ("A='b' # 'c'", "b"),
            ("A='it's'", "it's"),
            ("A='b\\n\\'", "b\\n\\"),
            ("A=''", ""),
            (r#"A="b\nc\"d\\e\f""#, "b\nc\"d\\e\\f"),
            (r#"A="b # c" # d"#, "b # c"),
            (r#"A="b\\""#, "b\\"),
            ("A=b'c'", "b'c'"),
            ("A=b=c==", "b=c=="),
        ] {
            assert_eq!(a(line), value, "{line}");
        }
    }

    #[test]
    fn a_broken_line_is_named_by_its_number_and_not_repeated() {
        let text = "A=1\nhunter2\nhunter2=\n2hunter2=x\nB='hunter2\nC=\"hunter2\\\"\nD D=hunter2\n\
                    c2VjcmV0/hunter2==\nE='hunter2'x";
        let faults = read(text).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 4, 5, 6, 7, 8, 9]);
        for fault in faults {
            let shown = fault.to_string();
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.starts_with(".env:"), "{shown}");
        }
    }

    #[test]
    fn the_process_wins_over_the_file() {
        let process: Environment = [("A", "process")].into_iter().collect();
        let both = process.with_file(Path::new(".env"), "A=file\nB=file").unwrap();
        assert_eq!(both.get("A"), Some(OsStr::new("process")));
        assert_eq!(both.get("B"), Some(OsStr::new("file")));
        assert_eq!(both.get("C"), None);
        assert_eq!(format!("{both:?}"), "Environment(1 + 2 names)");
        assert!(Environment::of_process().get("PATH").is_some());
    }

    #[test]
    fn size_and_number_of_names_are_bounded() {
        let long = format!("A={}", "x".repeat(FILE_BYTES_MAX));
        assert!(read(&long).unwrap_err().remove(0).problem.contains("more than 1048576 bytes"));
        let many: String = (0..=NAMES_MAX).map(|number| format!("A{number}=\n")).collect();
        let faults = read(&many).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults.iter().all(|fault| fault.line == NAMES_MAX + 1));
        let broken = "x\n".repeat(1_000);
        assert_eq!(read(&broken).unwrap_err().len(), FAULTS_MAX);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_or_shows_up(text in "[A-C'\"\\\\# =\n]{0,40}", raw in any::<String>()) {
            drop(read(&raw));
            if let Err(faults) = read(&text) {
                prop_assert!(faults.iter().all(|fault| fault.line > 0));
            }
        }

        #[test]
        fn a_value_in_single_quotes_comes_back_as_it_was(value in "[ -&(-~]{0,40}") {
            prop_assert_eq!(a(&format!("A='{value}'")), value);
        }
    }
}
