//! Where is an issuer's set of keys fetched, and how often?
//!
//! The text of the configuration only. The fetching is in `state`, behind [`KeySetSource`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::key_set::LiveKeySet;

/// The shortest and the longest time between two refreshes.
const REFRESH: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(24 * 60 * 60)];
/// The shortest and the longest time between two fetches for the sake of unknown keys.
const COOLDOWN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60 * 60)];
/// The shortest and the longest time that one fetch may take.
const TIMEOUT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];
/// The longest address, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// A set of keys that is fetched over HTTP. Two that are equal are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeySet {
    /// Where it is: `https`, or `http` to a loopback host.
    pub url: String,
    /// How long until it is fetched again in the background.
    pub refresh: Duration,
    /// The least time between two fetches because of a key that is not known.
    pub cooldown: Duration,
    /// The longest that one fetch may take, from the connection to the last byte.
    pub timeout: Duration,
    /// Certificates of authorities to trust beside the system's, as PEM.
    pub authorities_pem: Option<Arc<[u8]>>,
}

impl RemoteKeySet {
    /// The set at `url`, with the usual times: a refresh every 10 minutes, a cooldown of 30 s, and
    /// 5 s for a fetch.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            refresh: Duration::from_secs(600),
            cooldown: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            authorities_pem: None,
        }
    }

    /// Checks what can be checked without a network.
    ///
    /// # Errors
    ///
    /// [`RemoteFault`] with the first thing that is wrong.
    pub fn check(&self) -> Result<(), RemoteFault> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\@#<>\"`{}|^".contains(&byte);
        // Two parsers read the address, here and in the client; they agree on plain ones.
        if self.url.len() > URL_BYTES_MAX || !self.url.bytes().all(is_plain) {
            return Err(RemoteFault::Url);
        }
        let uri: Uri = self.url.parse().map_err(|_| RemoteFault::Url)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(RemoteFault::Url)?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback(host) => {}
            Some("http") => return Err(RemoteFault::Plain),
            _ => return Err(RemoteFault::Url),
        }
        let bounded = [
            ("refresh", self.refresh, REFRESH),
            ("cooldown", self.cooldown, COOLDOWN),
            ("timeout", self.timeout, TIMEOUT),
        ];
        for (what, given, [min, max]) in bounded {
            if !(min..=max).contains(&given) {
                return Err(RemoteFault::Time { what, min, max });
            }
        }
        Ok(())
    }

    /// Whether the address is one of this machine: it is reached without a proxy.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback))
    }

    /// The address without its query, which may hold a secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why a set of keys cannot be fetched from where it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFault {
    /// The address is none.
    #[error(
        "the address of the key set is not https://host/path, in plain ASCII without user name"
    )]
    Url,
    /// Whoever stands between could put in keys of their own.
    #[error("the address of the key set is not encrypted; use https")]
    Plain,
    /// A time is too short or too long.
    #[error("the {what} of the key set is out of bounds; use {min:?} to {max:?}")]
    Time {
        /// Which one.
        what: &'static str,
        /// The shortest it may be.
        min: Duration,
        /// The longest it may be.
        max: Duration,
    },
    /// The authorities cannot be read.
    #[error("the authorities of the key set are no certificates in PEM; write the file anew")]
    Authorities,
    /// There are more sets than issuers.
    #[error("there are more than {count_max} key sets; leave out what no issuer needs")]
    TooMany {
        /// The most there may be.
        count_max: usize,
    },
    /// The HTTP client could not be built.
    #[error("TLS for the key set cannot be set up: {0}; check its authorities and the system's")]
    Client(String),
}

/// Whoever fetches sets of keys and keeps them fresh.
pub trait KeySetSource {
    /// The place where the keys of `wanted` are published. The same set has the same place, for as
    /// long as somebody holds it, so that a new configuration finds the keys of the old one.
    ///
    /// # Errors
    ///
    /// [`RemoteFault`] when the set could never be fetched.
    fn key_set(&self, wanted: &RemoteKeySet) -> Result<Arc<LiveKeySet>, RemoteFault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_encrypted_or_from_this_machine() {
        for good in [
            "https://id.example/jwks",
            "https://id.example:8443/realms/a/certs?v=1",
            "http://127.0.0.1:8080/jwks",
            "http://localhost/jwks",
            "http://[::1]:1/jwks",
        ] {
            assert_eq!(RemoteKeySet::at(good).check(), Ok(()), "{good}");
        }
        for (bad, told) in [
            ("http://id.example/jwks", RemoteFault::Plain),
            ("http://10.0.0.1/jwks", RemoteFault::Plain),
            ("http://localhost.example/jwks", RemoteFault::Plain),
            ("http://127.0.0.1.example/jwks", RemoteFault::Plain),
            ("ftp://id.example/jwks", RemoteFault::Url),
            ("file:///etc/passwd", RemoteFault::Url),
            ("https://user:secret@id.example/jwks", RemoteFault::Url),
            ("http://127.0.0.1\\@id.example/jwks", RemoteFault::Url),
            ("https://id.example/jwks#fragment", RemoteFault::Url),
            ("https://id.example/a b", RemoteFault::Url),
            ("https:///jwks", RemoteFault::Url),
            ("/jwks", RemoteFault::Url),
            ("", RemoteFault::Url),
        ] {
            assert_eq!(RemoteKeySet::at(bad).check(), Err(told), "{bad}");
        }
    }

    #[test]
    fn times_are_bounded() {
        let usual = || RemoteKeySet::at("https://id.example/jwks");
        for set in [
            RemoteKeySet { refresh: Duration::ZERO, ..usual() },
            RemoteKeySet { cooldown: Duration::ZERO, ..usual() },
            RemoteKeySet { timeout: Duration::ZERO, ..usual() },
            RemoteKeySet { refresh: Duration::MAX, ..usual() },
            RemoteKeySet { timeout: Duration::from_secs(61), ..usual() },
        ] {
            assert!(matches!(set.check(), Err(RemoteFault::Time { .. })), "{set:?}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let set = RemoteKeySet::at("https://id.example/jwks?secret=1");
        assert_eq!((set.shown(), set.is_local()), ("https://id.example/jwks", false));
    }
}
