//! Where is the database, and how much of it may a service take?

use std::fmt;
use std::time::Duration;

use crate::settings::Settings;

/// What a service may take of its database.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Where it is (`<PREFIX>_DATABASE_URL`).
    pub url: DatabaseUrl,
    /// Connections held at most (`<PREFIX>_DATABASE_CONNECTIONS_MAX`).
    pub connections_max: u32,
    /// Callers that may wait for a connection (`<PREFIX>_DATABASE_WAITING_MAX`).
    pub waiting_max: usize,
    /// Longest wait for a connection (`<PREFIX>_DATABASE_ACQUIRE_TIMEOUT_MS`).
    pub acquire_timeout: Duration,
    /// Longest time of one statement, where the server can end it itself
    /// (`<PREFIX>_DATABASE_STATEMENT_TIMEOUT_MS`).
    pub statement_timeout: Duration,
}

impl DatabaseSettings {
    /// Reads the settings whose names begin with `prefix`, such as `NDVI`.
    pub fn read(
        env: &mut Settings,
        prefix: &str,
        url_default: &str,
        connections_default: u32,
    ) -> Self {
        let name = |suffix: &str| format!("{prefix}_DATABASE_{suffix}");
        Self {
            url: DatabaseUrl(env.text(&name("URL"), url_default)),
            connections_max: env.number(&name("CONNECTIONS_MAX"), connections_default, 1..=1_000),
            waiting_max: env.number(&name("WAITING_MAX"), 64, 0..=100_000),
            acquire_timeout: env.duration_ms(&name("ACQUIRE_TIMEOUT_MS"), 1_000, 10..=60_000),
            statement_timeout: env.duration_ms(&name("STATEMENT_TIMEOUT_MS"), 5_000, 10..=600_000),
        }
    }
}

/// The address of a database. It may hold a password, so only its scheme is ever written out.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// An address as it was given.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole address, for the driver.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, such as `sqlite`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:...", self.scheme())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_never_written_out() {
        let url = DatabaseUrl::new("postgres://user:secret@host/ndvi");
        assert_eq!(format!("{url} {url:?}"), "postgres:... DatabaseUrl(postgres:...)");
        assert_eq!(url.scheme(), "postgres");
    }
}
