//! What is known of a caller once a credential holds.

use std::fmt;
use std::sync::Arc;

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Not at all.
    Anonymous,
    /// A bearer token.
    Jwt,
    /// The `X-API-Key` field.
    ApiKey,
    /// A signature over the request, as Nextcloud makes it.
    Signature,
}

impl Scheme {
    /// The stable word for the scheme, in logs, metrics and quota keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Signature => "signature",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a caller may do, as words that routes can ask for.
pub type Scopes = Arc<[Box<str>]>;

/// Splits a scope text on commas and white space, as the existing clients write it.
#[must_use]
pub fn scopes(text: &str) -> Scopes {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(Box::from)
        .collect()
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// How it was proved.
    pub scheme: Scheme,
    /// The name to count and log by: a token's client or else its subject, a key's configured id,
    /// the signing client's id; empty for an anonymous caller. Holds no control character.
    pub id: Arc<str>,
    /// Whom the caller acts for, where the credential says so: a token's subject. Many subjects
    /// can share one client id, so this is part of the identity even where it is not counted by.
    pub subject: Option<Arc<str>>,
    /// What it may do; empty where the credential says nothing about it.
    pub scopes: Scopes,
}

impl Principal {
    /// The caller that sent no credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            scheme: Scheme::Anonymous,
            id: Arc::default(),
            subject: None,
            scopes: Scopes::default(),
        }
    }

    /// The key to count this principal's requests by, for example `jwt:42`. All anonymous callers
    /// have the key `anonymous:`, so those are to be counted by their address instead.
    #[must_use]
    pub fn quota_key(&self) -> String {
        format!("{}:{}", self.scheme, self.id)
    }

    /// The key that two principals share only if they are the same one and may do the same: id,
    /// subject and scopes all count. For whatever must not be shared between callers, such as
    /// private cache entries.
    #[must_use]
    pub fn identity_key(&self) -> String {
        // No part can hold a control character, so the line feed cannot be forged.
        let subject = self.subject.as_deref().unwrap_or_default();
        let mut scopes: Vec<&str> = self.scopes.iter().map(|scope| &**scope).collect();
        scopes.sort_unstable();
        format!("{}:{}\n{subject}\n{}", self.scheme, self.id, scopes.join(" "))
    }

    /// Whether the credential grants `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| &**granted == scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_split_on_commas_and_spaces() {
        let granted: Vec<&str> = vec!["read", "write", "admin"];
        assert_eq!(
            scopes(" read, write  admin,").iter().map(|s| &**s).collect::<Vec<_>>(),
            granted
        );
    }

    #[test]
    fn subjects_of_one_client_share_the_quota_but_not_the_identity() {
        let one = Principal {
            scheme: Scheme::Jwt,
            id: "nc-1".into(),
            subject: Some("1".into()),
            scopes: Scopes::default(),
        };
        let two = Principal { subject: Some("2".into()), ..one.clone() };
        assert_eq!(one.quota_key(), "jwt:nc-1");
        assert_eq!(one.quota_key(), two.quota_key());
        assert_ne!(one.identity_key(), two.identity_key());
    }
}
