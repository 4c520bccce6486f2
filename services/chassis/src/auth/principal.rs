//! What is known of a caller once a credential holds, and what may it do?

use std::sync::Arc;

/// Scopes that let a caller read.
const READ: [&str; 3] = ["read", "write", "admin"];

/// Scopes that let a caller change something.
const WRITE: [&str; 2] = ["write", "admin"];

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By the token that the gateway made for it.
    Internal,
    /// By a user's or an integration's own token.
    Jwt,
    /// By an API key.
    ApiKey,
}

impl Scheme {
    /// The stable word for the scheme, in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It changes nothing.
    Read,
    /// It may change something.
    Write,
}

impl Need {
    /// The scopes one of which is enough.
    pub(crate) fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Read => &READ,
            Self::Write => &WRITE,
        }
    }
}

/// Who is calling; a request extension that handlers may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// How it was proved.
    pub scheme: Scheme,
    /// Whom the caller acts for: a token's subject, a key's owner. No control characters.
    pub subject: Arc<str>,
    /// Through which client it calls: the client of a token, the id of a key.
    pub client_id: Option<Arc<str>>,
    /// What the credential may be used for; `None` where it does not say, which is no limit.
    pub scopes: Option<Arc<[Box<str>]>>,
}

impl Principal {
    pub(crate) fn may(&self, need: Need) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        scopes.iter().any(|scope| need.scopes().contains(&&**scope))
    }
}

/// Splits a scope text on commas and white space, as the existing clients write it.
pub(crate) fn scopes(text: &str) -> Arc<[Box<str>]> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(Box::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scope: Option<&str>) -> Principal {
        let scopes = scope.map(scopes);
        Principal { scheme: Scheme::Jwt, subject: "7".into(), client_id: None, scopes }
    }

    #[test]
    fn scope_limits_what_it_names_and_no_scope_limits_nothing() {
        for (scope, reads, writes) in [
            (None, true, true),
            (Some("read"), true, false),
            (Some("write"), true, true),
            (Some("profile, admin"), true, true),
            (Some("profile email"), false, false),
            (Some("READ"), false, false),
            (Some(""), false, false),
        ] {
            let caller = caller(scope);
            assert_eq!(
                (caller.may(Need::Read), caller.may(Need::Write)),
                (reads, writes),
                "{scope:?}"
            );
        }
    }
}
