//! What does a `Cache-Control` field say?
//!
//! The list of RFC 9111, section 5.2: directives with or without an argument, which may be a token
//! or a quoted string. What cannot be read makes its own directive invalid and leaves the others as
//! they are.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// What stands for any longer time (RFC 9111, section 1.2.2).
const SECONDS_MAX: u64 = 1 << 31;

/// Most directives that are looked at. A field with more says too much to be trusted: it counts as
/// `no-store`.
const DIRECTIVES_MAX: usize = 64;

/// The directives of one message, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives(Vec<Directive>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Directive {
    /// In lower case.
    name: String,
    /// Without its quotes; absent where there is none.
    argument: Option<String>,
}

/// A directive whose argument is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl Directives {
    /// Reads all fields of this name; they are one list (RFC 9110, section 5.3).
    #[must_use]
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut all = Vec::new();
        for value in headers.get_all(name) {
            let text = String::from_utf8_lossy(value.as_bytes());
            all.extend(elements(&text).into_iter().filter_map(Directive::read));
        }
        if all.len() > DIRECTIVES_MAX {
            all = vec![Directive { name: "no-store".to_owned(), argument: None }];
        }
        Self(all)
    }

    /// Directives that were read in another syntax, each with its argument.
    pub(super) fn listed<'a>(all: impl Iterator<Item = (&'a str, Option<String>)>) -> Self {
        let read = |(name, argument): (&str, _)| Directive { name: name.to_owned(), argument };
        Self(all.take(DIRECTIVES_MAX).map(read).collect())
    }

    /// Whether a directive is there, with or without an argument.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether a directive is there without an argument, so that it means the whole answer.
    #[must_use]
    pub fn has_unqualified(&self, name: &str) -> bool {
        self.0.iter().any(|directive| directive.name == name && directive.argument.is_none())
    }

    /// Whether there is no directive at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that a directive names; of several, the first one counts (RFC 9111, section 4.2.1).
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the directive is there and names no whole number of seconds.
    pub fn seconds(&self, name: &str) -> Result<Option<Duration>, Invalid> {
        let Some(directive) = self.find(name) else { return Ok(None) };
        let seconds = delta_seconds(directive.argument.as_deref().unwrap_or_default());
        seconds.map(Some).ok_or(Invalid)
    }

    fn find(&self, name: &str) -> Option<&Directive> {
        self.0.iter().find(|directive| directive.name == name)
    }
}

impl Directive {
    fn read(element: &str) -> Option<Self> {
        let (name, argument) = match element.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (element, None),
        };
        // Whitespace before `=` is no syntax of a directive; what comes of it is invalid, not absent.
        let argument = argument.map(|argument| match unquoted(argument) {
            Some(text) if !name.ends_with([' ', '\t']) => text,
            _ => "?".to_owned(),
        });
        let name = name.trim().to_ascii_lowercase();
        (!name.is_empty()).then_some(Self { name, argument })
    }
}

/// A whole number of seconds, capped where it is longer than can be told (RFC 9111, section 1.2.2).
#[must_use]
pub fn delta_seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only a number that is too large fails here.
    let seconds = text.parse::<u64>().unwrap_or(SECONDS_MAX);
    Some(Duration::from_secs(seconds.min(SECONDS_MAX)))
}

/// The elements of a list, cut at the commas that are in no quoted string.
pub(super) fn elements(text: &str) -> Vec<&str> {
    let (mut from, mut is_quoted, mut is_escaped, mut found) = (0, false, false, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                found.extend(text.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(text.get(from..));
    found.into_iter().map(str::trim).filter(|element| !element.is_empty()).collect()
}

/// A token as it is, a quoted string without its quotes; nothing where a quote is left open.
fn unquoted(argument: &str) -> Option<String> {
    let Some(inside) = argument.strip_prefix('"') else { return Some(argument.to_owned()) };
    let inside = inside.strip_suffix('"')?;
    let (mut text, mut is_escaped) = (String::with_capacity(inside.len()), false);
    for letter in inside.chars() {
        match letter {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return None,
            other => {
                is_escaped = false;
                text.push(other);
            }
        }
    }
    (!is_escaped).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::HeaderValue;
    use http::header::CACHE_CONTROL;
    use proptest::prelude::*;

    use super::*;

    fn directives(fields: &[&'static str]) -> Directives {
        let mut headers = HeaderMap::new();
        for value in fields {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
        }
        Directives::of(&headers, &CACHE_CONTROL)
    }

    #[track_caller]
    fn max_age(field: &'static str, wanted: Result<Option<u64>, Invalid>) {
        let seconds = directives(&[field]).seconds("max-age");
        assert_eq!(seconds.map(|found| found.map(|age| age.as_secs())), wanted, "{field}");
    }

    #[test]
    fn names_are_read_in_either_case_and_through_all_fields() {
        let found = directives(&["Public , MAX-AGE=5,,", "No-Store"]);
        assert!(found.has("public") && found.has("no-store") && !found.has("private"));
        assert_eq!(found.seconds("max-age"), Ok(Some(Duration::from_secs(5))));
        assert!(directives(&[" , "]).is_empty());
    }

    #[test]
    fn seconds_are_digits_and_nothing_else() {
        for (field, wanted) in [
            ("max-age=60", Ok(Some(60))),
            ("max-age=\"60\"", Ok(Some(60))),
            ("max-age=0060", Ok(Some(60))),
            ("max-age=99999999999999999999999", Ok(Some(SECONDS_MAX))),
            ("max-age=4294967297", Ok(Some(SECONDS_MAX))),
            ("public", Ok(None)),
            ("x-max-age=60", Ok(None)),
            ("max-age=60, max-age=5", Ok(Some(60))),
            ("max-age", Err(Invalid)),
            ("max-age=", Err(Invalid)),
            ("max-age=-60", Err(Invalid)),
            ("max-age=6.5", Err(Invalid)),
            ("max-age=60a", Err(Invalid)),
            ("max-age='60'", Err(Invalid)),
            ("max-age=\"60", Err(Invalid)),
            ("max-age= 60", Err(Invalid)),
            ("max-age =60", Err(Invalid)),
        ] {
            max_age(field, wanted);
        }
    }

    #[test]
    fn directive_inside_a_quoted_string_is_none() {
        let found = directives(&[r#"ext="no-store, \" private", max-age=3"#]);
        assert!(!found.has("no-store") && !found.has("private"));
        assert_eq!(found.seconds("max-age"), Ok(Some(Duration::from_secs(3))));
    }

    #[test]
    fn field_that_says_too_much_is_not_trusted() {
        let mut headers = HeaderMap::new();
        let value = format!("max-age=60{}", ", x".repeat(DIRECTIVES_MAX));
        headers.insert(CACHE_CONTROL, HeaderValue::from_str(&value).unwrap());
        assert!(Directives::of(&headers, &CACHE_CONTROL).has("no-store"));
    }

    #[test]
    fn argument_may_be_left_out() {
        let found = directives(&[r#"no-cache="Set-Cookie, x-a", max-stale"#]);
        assert!(found.has("no-cache") && !found.has_unqualified("no-cache"));
        assert!(found.has_unqualified("max-stale"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_panic(text in "[ -~\t]{0,80}") {
            for element in elements(&text) {
                prop_assert!(!element.is_empty());
                let _absent_or_read = Directive::read(element);
            }
        }
    }
}
