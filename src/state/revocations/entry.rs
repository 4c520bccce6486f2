//! What is one revocation, and how is it written down?

use serde::{Deserialize, Serialize};

/// The longest name or id, in bytes. Longer ones are in no token that is accepted.
pub const NAME_BYTES_MAX: usize = 256;

/// What does not count any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Every token of this client that was issued up to a moment.
    Client(String),
    /// Every token of this subject that was issued up to a moment.
    Subject(String),
    /// The one token with this id (`jti`).
    Token(String),
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What is revoked.
    pub target: Target,
    /// The moment up to which tokens of a client or subject are revoked, in seconds since 1970.
    /// Times of issue are whole seconds, so the second itself counts as before.
    pub before: i64,
    /// When all that is revoked has expired by itself, in seconds since 1970.
    pub expires: i64,
}

/// A text that is no revocation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RevocationError(String);

/// One line of the file, one member in Redis.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<i64>,
    expires: i64,
}

impl Target {
    /// Who or what it is.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Client(name) | Self::Subject(name) | Self::Token(name) => name,
        }
    }

    /// Looks whether the name can be one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), RevocationError> {
        let name = self.name();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let problem = format!(
                "the name to revoke has {} bytes or control characters; a token's has 1 to \
                 {NAME_BYTES_MAX} bytes and none",
                name.len()
            );
            return Err(RevocationError(problem));
        }
        Ok(())
    }
}

impl Revocation {
    /// One line of JSON, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = Line {
            jti: None,
            subject: None,
            client: None,
            before: Some(self.before),
            expires: self.expires,
        };
        match &self.target {
            Target::Client(name) => line.client = Some(name.clone()),
            Target::Subject(name) => line.subject = Some(name.clone()),
            Target::Token(id) => {
                line.jti = Some(id.clone());
                line.before = None;
            }
        }
        // Texts and numbers only: there is nothing in it that JSON cannot say.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// Reads what [`to_line`](Self::to_line) wrote.
    ///
    /// # Errors
    /// The line is no revocation.
    pub fn from_line(text: &str) -> Result<Self, RevocationError> {
        let line: Line =
            serde_json::from_str(text).map_err(|error| RevocationError(error.to_string()))?;
        let target = match (line.jti, line.subject, line.client) {
            (Some(id), None, None) => Target::Token(id),
            (None, Some(name), None) => Target::Subject(name),
            (None, None, Some(name)) => Target::Client(name),
            _ => return Err(RevocationError("it names not exactly one target".to_owned())),
        };
        target.check()?;
        let before = match (&target, line.before) {
            (Target::Token(_), _) => 0,
            (_, Some(before)) => before,
            (_, None) => return Err(RevocationError("\"before\" is missing".to_owned())),
        };
        Ok(Self { target, before, expires: line.expires })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        for (target, before, line) in [
            (Target::Client("nc".into()), 7, r#"{"client":"nc","before":7,"expires":9}"#),
            (Target::Subject("42".into()), 7, r#"{"subject":"42","before":7,"expires":9}"#),
            (Target::Token("a\"b".into()), 0, r#"{"jti":"a\"b","expires":9}"#),
        ] {
            let revocation = Revocation { target, before, expires: 9 };
            assert_eq!(revocation.to_line(), line);
            assert_eq!(Revocation::from_line(line), Ok(revocation));
        }
    }

    #[test]
    fn line_that_says_something_else_is_refused() {
        let long = format!(r#"{{"jti":"{}","expires":9}}"#, "x".repeat(NAME_BYTES_MAX + 1));
        for line in [
            "",
            "{}",
            r#"{"expires":9}"#,
            r#"{"jti":"a"}"#,
            r#"{"jti":"","expires":9}"#,
            r#"{"jti":"a","subject":"b","before":1,"expires":9}"#,
            r#"{"subject":"b","expires":9}"#,
            r#"{"jti":"a","expires":9,"more":1}"#,
            long.as_str(),
        ] {
            assert!(Revocation::from_line(line).is_err(), "{line}");
        }
    }
}
