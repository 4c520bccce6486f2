//! Why did a round of decoding stop, and at which node?

use std::fmt;

use serde::de::{self, Unexpected};

use super::fault::{listed, quoted};
use super::suggest::closest;

/// Why a round of decoding stopped.
#[derive(Debug)]
pub(super) struct DecodeError {
    pub(super) kind: Kind,
    pub(super) site: Option<Site>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// A required key is not there.
    MissingKey(&'static str),
    /// Anything else, in words for the operator.
    Problem(String),
}

/// What is at fault; by node id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site {
    /// The node itself.
    Node(usize),
    /// The key before this node.
    Key(usize),
    /// A feigned key of this mapping.
    Feigned(usize),
}

impl DecodeError {
    pub(super) fn problem(problem: impl Into<String>) -> Self {
        Self { kind: Kind::Problem(problem.into()), site: None }
    }

    /// Names the site, unless something further in did.
    pub(super) fn at(mut self, site: Site) -> Self {
        self.site.get_or_insert(site);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::MissingKey(key) => write!(f, "the key {} is missing; add it", quoted(key)),
            Kind::Problem(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::problem(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::problem(format!("write {wanted}, not {}", in_words(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::problem(format!("write {wanted}, not {}", in_words(found)))
    }

    fn invalid_length(found: usize, wanted: &dyn de::Expected) -> Self {
        Self::problem(format!("write {wanted}, not {found} values"))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::problem(unknown("value", found, known))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::problem(unknown("key", found, known))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: Kind::MissingKey(field), site: None }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::problem(format!("{} is given twice, under two names; remove one", quoted(field)))
    }
}

fn unknown(what: &str, found: &str, known: &'static [&'static str]) -> String {
    let found = quoted(found);
    match (closest(found.trim_matches('"'), known.iter().copied()), known) {
        (Some(meant), _) => format!("unknown {what} {found}; did you mean {}?", quoted(meant)),
        (None, []) => format!("unknown {what} {found}; nothing is known here, so remove it"),
        (None, known) => format!("unknown {what} {found}; write {}", listed(known)),
    }
}

/// What was found, without the text itself: it may be a secret in the wrong place.
fn in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a text".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        other => other.to_string(),
    }
}
