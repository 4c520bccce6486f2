//! What does the gateway answer itself, and who may ask?

use http::Method;

use crate::auth::{Requirement, Scheme};

/// What the gateway answers itself: the part of the operator's integration API that needs nothing
/// but credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Which APIs there are, and where each is described.
    ApiCatalog,
    /// Whether the gateway lives.
    Health,
    /// Whether an API key holds.
    KeyPing,
    /// Whether a signature holds.
    SignedPing,
    /// What the integration API can do.
    Status,
    /// A token for an API key and a signature over the same request.
    Token,
    /// Whose integration token this is.
    Whoami,
}

impl Endpoint {
    /// Which credentials it asks for, or, where everybody may call it, looks at: a bad one is
    /// refused there too.
    #[must_use]
    pub fn requirement(self) -> Requirement {
        match self {
            Self::ApiCatalog | Self::Health => Requirement::Any(vec![Scheme::Jwt, Scheme::ApiKey]),
            Self::KeyPing => Requirement::Any(vec![Scheme::ApiKey]),
            Self::SignedPing => Requirement::Any(vec![Scheme::Signature]),
            Self::Status | Self::Whoami => Requirement::Any(vec![Scheme::Jwt]),
            Self::Token => Requirement::All(vec![Scheme::ApiKey, Scheme::Signature]),
        }
    }

    /// Whether everybody may call it.
    #[must_use]
    pub fn is_public(self) -> bool {
        matches!(self, Self::ApiCatalog | Self::Health)
    }

    /// Whether it takes integration tokens only.
    #[must_use]
    pub fn wants_integration_token(self) -> bool {
        matches!(self, Self::Status | Self::Whoami)
    }

    /// The methods that it takes.
    #[must_use]
    pub fn methods(self) -> Vec<Method> {
        if self == Self::Token {
            vec![Method::POST, Method::OPTIONS]
        } else {
            vec![Method::GET, Method::HEAD, Method::OPTIONS]
        }
    }

    /// Whether it answers whatever the client accepts: the status as the operator's system does, the
    /// catalogue because its type is one that few clients name.
    #[must_use]
    pub fn ignores_accept(self) -> bool {
        matches!(self, Self::ApiCatalog | Self::Status)
    }
}
