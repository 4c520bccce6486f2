//! Where is Redis, and how does one log in there?

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// Most sentinels of one address.
const NODES_MAX: usize = 16;

/// The address of a Redis or Valkey, read from one text:
///
/// * `redis://[user:password@]host[:port][/db]`
/// * `redis-sentinel://[user:password@]host[:port];host[:port]…[/db]?service_name=NAME`
/// * `rediss://` and `rediss-sentinel://` are the same over TLS.
///
/// A sentinel that wants a password of its own takes `sentinel_password` and `sentinel_username`
/// behind the `?`. User and password may hold any character; `%40` and the like are decoded.
///
/// Neither `Debug` nor `Display` shows user or password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) tls: bool,
    /// One server, or the sentinels.
    pub(super) nodes: Vec<(String, u16)>,
    /// The name by which the sentinels know the master.
    pub(super) service: Option<String>,
    pub(super) db: i64,
    pub(super) login: Login,
    pub(super) sentinel_login: Login,
}

/// A user and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// A text that is no address of Redis: what to write instead. It never repeats the text, which may
/// hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RedisUrlError(String);

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = text.trim().split_once("://").unwrap_or(("", ""));
        let (tls, sentinel) = match scheme {
            "redis" | "valkey" => (false, false),
            "rediss" | "valkeys" => (true, false),
            "redis-sentinel" => (false, true),
            "rediss-sentinel" => (true, true),
            _ => {
                return Err(wrong(
                    "the address does not begin with redis://, rediss://, redis-sentinel:// or \
                     rediss-sentinel://",
                ));
            }
        };
        // The last one: a password may hold it too, and whatever else would end an address.
        let (userinfo, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let mut url = Self {
            tls,
            nodes: nodes(hosts, if sentinel { SENTINEL_PORT } else { SERVER_PORT })?,
            service: None,
            db: database(path)?,
            login: login(userinfo)?,
            sentinel_login: Login::default(),
        };
        for member in query.split('&').filter(|member| !member.is_empty()) {
            url.take(member, sentinel)?;
        }
        match (sentinel, &url.service) {
            (true, None) => Err(wrong(
                "?service_name= is missing; write the name by which the sentinels know the master, \
                 such as ?service_name=mymaster",
            )),
            (false, _) if url.nodes.len() > 1 => Err(wrong(
                "there are several hosts; write redis-sentinel:// for sentinels, or one host",
            )),
            _ => Ok(url),
        }
    }
}

impl RedisUrl {
    /// Whether the way there is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    fn take(&mut self, member: &str, sentinel: bool) -> Result<(), RedisUrlError> {
        let (name, value) = member.split_once('=').unwrap_or((member, ""));
        let value = decoded(value)?;
        match (sentinel, name) {
            (_, "db") => self.db = database(&value)?,
            (true, "service_name") if !value.is_empty() => self.service = Some(value),
            (true, "sentinel_username") => self.sentinel_login.username = Some(value),
            (true, "sentinel_password") => self.sentinel_login.password = Some(value),
            (true, _) => {
                return Err(wrong(
                    "behind the ? only service_name, sentinel_username, sentinel_password and db \
                     may stand, each with a value",
                ));
            }
            (false, _) => {
                return Err(wrong(
                    "behind the ? only db may stand; write user and password before an @",
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let kind = if self.service.is_some() { "-sentinel" } else { "" };
        write!(f, "{scheme}{kind}://")?;
        for (index, (host, port)) in self.nodes.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
            write!(f, "{separator}{open}{host}{close}:{port}")?;
        }
        write!(f, "/{}", self.db)?;
        match &self.service {
            Some(name) => write!(f, "?service_name={name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

fn wrong(problem: impl Into<String>) -> RedisUrlError {
    RedisUrlError(problem.into())
}

fn nodes(hosts: &str, port: u16) -> Result<Vec<(String, u16)>, RedisUrlError> {
    let nodes: Vec<_> =
        hosts.split([';', ',']).map(|host| node(host, port)).collect::<Result<_, _>>()?;
    if nodes.len() > NODES_MAX {
        return Err(wrong(format!("there are more than {NODES_MAX} hosts; a few are enough")));
    }
    Ok(nodes)
}

fn node(text: &str, default_port: u16) -> Result<(String, u16), RedisUrlError> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => inside
            .split_once(']')
            .ok_or_else(|| wrong("a [ has no ]; write an IPv6 address as [::1]:6379"))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
        None if rest.is_empty() => Some(default_port),
        None => None,
    };
    match port {
        _ if host.is_empty() => Err(wrong("a host is missing; write one, such as 127.0.0.1:6379")),
        Some(port) => Ok((host.to_owned(), port)),
        None => Err(wrong("a port is not a number from 1 to 65535")),
    }
}

fn database(text: &str) -> Result<i64, RedisUrlError> {
    match text.trim_matches('/') {
        "" => Ok(0),
        digits => digits
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| wrong("what follows the / is not the number of a database, such as /0")),
    }
}

fn login(userinfo: &str) -> Result<Login, RedisUrlError> {
    let (username, password) = match userinfo.split_once(':') {
        Some((username, password)) => (username, Some(decoded(password)?)),
        None => (userinfo, None),
    };
    let username = Some(decoded(username)?).filter(|name| !name.is_empty());
    Ok(Login { username, password: password.filter(|password| !password.is_empty()) })
}

fn decoded(text: &str) -> Result<String, RedisUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong("an escape such as %C3 is no UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn read(text: &str) -> RedisUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn single_server_has_sensible_defaults() {
        let url = read("redis://localhost");
        assert_eq!((url.tls, url.db, url.service), (false, 0, None));
        assert_eq!(url.nodes, [("localhost".to_owned(), 6379)]);
        assert!(url.login == Login::default());
        let url = read("rediss://[::1]:7000/3");
        assert_eq!((url.tls, url.db), (true, 3));
        assert_eq!(url.nodes, [("::1".to_owned(), 7000)]);
        assert_eq!(url.to_string(), "rediss://[::1]:7000/3");
        assert_eq!(read("valkey://a/"), read("redis://a:6379/0"));
    }

    #[test]
    fn sentinels_are_named_as_the_operator_writes_them() {
        let url = read("redis-sentinel://h1:26379;h2:26379/0?service_name=mymaster");
        assert_eq!(url.service.as_deref(), Some("mymaster"));
        assert_eq!(url.nodes, [("h1".to_owned(), 26379), ("h2".to_owned(), 26379)]);
        let url = read("rediss-sentinel://:p@h1,h2:1/?sentinel_password=a%26b&service_name=m&db=2");
        assert_eq!((url.tls, url.db), (true, 2));
        assert_eq!(url.nodes, [("h1".to_owned(), 26379), ("h2".to_owned(), 1)]);
        assert_eq!(url.sentinel_login.password.as_deref(), Some("a&b"));
    }

    #[test]
    fn password_may_hold_any_character() {
        let url = read("redis://user:p@s/s?w#r%3ad@host:1/2");
        assert_eq!(url.login.username.as_deref(), Some("user"));
        assert_eq!(url.login.password.as_deref(), Some("p@s/s?w#r:d"));
        assert_eq!((url.nodes, url.db), (vec![("host".to_owned(), 1)], 2));
    }

    #[test]
    fn neither_debug_nor_display_shows_the_login() {
        let url = read("redis-sentinel://us-er:pass-word@h/1?service_name=m&sentinel_password=sen");
        for shown in [format!("{url:?}"), url.to_string()] {
            assert!(shown.contains("redis-sentinel://h:26379/1?service_name=m"), "{shown}");
            for secret in ["us-er", "pass-word", "sen="] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn faults_are_told_without_repeating_the_text() {
        let hosts = format!("redis-sentinel://{}?service_name=m", ["h"; 17].join(";"));
        for (text, part) in [
            ("", "begin with"),
            ("http://pass@h", "begin with"),
            ("redis://", "host is missing"),
            ("redis://:pass@:6379", "host is missing"),
            ("redis://pass:word@h:0", "1 to 65535"),
            ("redis://h:pass", "1 to 65535"),
            ("redis://[::1:6379", "no ]"),
            ("redis://[::1]6379", "1 to 65535"),
            ("redis://h/pass", "number of a database"),
            ("redis://h1;h2", "several hosts"),
            ("redis://h?password=pass", "only db"),
            ("redis-sentinel://h", "service_name"),
            ("redis-sentinel://h?service_name=", "each with a value"),
            ("redis-sentinel://h?service_name=m&pass=1", "only service_name"),
            ("redis://:%ff@h", "UTF-8"),
            (&hosts, "more than 16"),
        ] {
            let error = text.parse::<RedisUrl>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("pass@") && !error.contains("pass:word"), "{error}");
        }
    }
}
