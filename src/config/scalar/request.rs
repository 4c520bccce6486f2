//! Which host, which path, which method?

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Method;

use super::{ScalarError, read_from_text};
use crate::config::fault::{listed, quoted};
use crate::config::suggest::closest;

/// A request method, in capitals as HTTP has it (RFC 9110, 9.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MethodName(Method);

impl MethodName {
    /// The method as `http` has it.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.0
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MethodName {
    type Err = ScalarError;

    /// Only methods that are known pass, or a typo would make a route that nothing can reach.
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let known = METHODS.contains(&text).then(|| Method::from_bytes(text.as_bytes()).ok());
        known.flatten().map(Self).ok_or_else(|| {
            let what = match closest(text, METHODS) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("write {}", listed(&METHODS)),
            };
            ScalarError::new(format!("{} is not a method; {what}", quoted(text)))
        })
    }
}

/// The start of a path: `/`, or `/` and whole segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// The prefix as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PathPrefix {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let quoted = quoted(text);
        let problem = if !text.starts_with('/') {
            format!("{quoted} does not start with /; write an absolute path such as /v1/weather")
        } else if text.contains(['?', '#', '*']) {
            format!("{quoted} is more than a path; leave out everything from ?, # or * on")
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            format!("{quoted} has bytes that no path has; write them as %XX")
        } else if text.contains("//") || text.split('/').any(|part| part == "." || part == "..") {
            format!("{quoted} has empty or dotted segments; write it without //, /./ and /../")
        } else if text.len() > PATH_BYTES_MAX {
            format!("{quoted} is too long; write {PATH_BYTES_MAX} bytes at most")
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(ScalarError::new(problem))
    }
}

/// A host as requests name it, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let is_address = text.parse::<Ipv4Addr>().is_ok() || is_bracketed_address(text);
        if is_address || is_host_name(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let host = text.split_once("://").map_or(text, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or(host);
        Err(ScalarError::new(if host != text && is_host_name(host) {
            format!("{} is more than a host; write {host}", quoted(text))
        } else {
            format!("{} is not a host; write a name such as api.example.org", quoted(text))
        }))
    }
}

fn is_bracketed_address(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Whether a text is a name as DNS has them (RFC 1123, 2.1), or one with `_` as containers have
/// them. A name that ends in a number is an address mistyped.
pub(super) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let ends_in_number =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label) && !ends_in_number
}

read_from_text! {
    MethodName: "GET",
    PathPrefix: "/",
    HostName: "localhost",
}

/// The methods of RFC 9110 and RFC 5789 that a gateway passes on, and those of WebDAV.
const METHODS: [&str; 16] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "REPORT",
    "SEARCH",
    "UNLOCK",
];
/// The longest prefix of a path.
const PATH_BYTES_MAX: usize = 1024;
/// The longest name in DNS (RFC 1035, 2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// The longest label of a name in DNS (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn problem<T: FromStr<Err = ScalarError> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn a_method_is_written_in_capitals() {
        assert_eq!("GET".parse::<MethodName>().unwrap().method(), Method::GET);
        assert_eq!("PROPFIND".parse::<MethodName>().unwrap().to_string(), "PROPFIND");
        assert_eq!(problem::<MethodName>("get"), "\"get\" is not a method; did you mean GET?");
        assert_eq!(
            problem::<MethodName>("DELTE"),
            "\"DELTE\" is not a method; did you mean DELETE?"
        );
        assert!(problem::<MethodName>("FROBNICATE").contains("write \"GET\", \"HEAD\""));
    }

    #[test]
    fn a_path_prefix_starts_at_the_root() {
        for text in ["/", "/v1/weather", "/v1/", "/a%20b", "/.well-known"] {
            assert_eq!(text.parse::<PathPrefix>().unwrap().as_str(), text);
        }
        assert!(problem::<PathPrefix>("v1/weather").contains("does not start with /"));
        assert!(problem::<PathPrefix>("/v1?x=1").contains("more than a path"));
        assert!(problem::<PathPrefix>("/v1/*").contains("more than a path"));
        assert!(problem::<PathPrefix>("/a b").contains("%XX"));
        assert!(problem::<PathPrefix>("/ä").contains("%XX"));
        assert!(problem::<PathPrefix>("/a//b").contains("without //"));
        assert!(problem::<PathPrefix>("/a/../b").contains("without //"));
        assert!(problem::<PathPrefix>(&format!("/{}", "a".repeat(1024))).contains("too long"));
    }

    #[test]
    fn a_host_is_lowered_and_has_no_port() {
        for (text, host) in [
            ("API.Example.org", "api.example.org"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("weather_db", "weather_db"),
        ] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), host);
        }
        assert_eq!(
            problem::<HostName>("api.example.org:8080"),
            "\"api.example.org:8080\" is more than a host; write api.example.org"
        );
        assert!(problem::<HostName>("https://api.example.org/v1").ends_with("api.example.org"));
        for text in ["", "*.example.org", "a..b", "-a.org", "10.0.0.300", "a b", "::1"] {
            assert!(problem::<HostName>(text).contains("is not a host; write"), "{text}");
        }
    }
}
