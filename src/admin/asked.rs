//! What of the cache is meant?

use http::{Method, Uri};
use serde::Deserialize;
use url::form_urlencoded;

use crate::cache::key::TargetKey;
use crate::cache::labels::{Labels, TAGS_BYTES_MAX};
use crate::cache::note::{PREFIX_BYTES_MAX, Scope};
use crate::config::closest;
use crate::route::Match;
use crate::snapshot::Snapshot;

/// What a request to purge says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PurgeBody {
    url: Option<String>,
    prefix: Option<String>,
    tag: Option<String>,
    route: Option<String>,
    all: bool,
    host: Option<String>,
    /// Whether what is purged counts as stale, in place of being used no more.
    pub(super) soft: bool,
    /// Whether what was asked for most of it is fetched anew.
    pub(super) refill: bool,
}

/// What a request to warm says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WarmBody {
    pub(super) url: Option<String>,
    pub(super) urls: Vec<String>,
    pub(super) host: Option<String>,
}

/// A host and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) path: String,
    /// `None` for every query.
    pub(super) query: Option<String>,
}

/// Which answers are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Place(Place),
    Prefix { host: Option<String>, path: String },
    Tag(String),
    Route(String),
    All,
}

impl Place {
    /// Reads `https://host/path?query`, or `/path?query` of a host that is named beside it.
    pub(super) fn read(url: &str, host: Option<&str>) -> Result<Self, String> {
        let (host, path, query) = split(url, host)?;
        let host = host.ok_or("name the host: write https://host/path, or `host` beside a path")?;
        Ok(Self { host, path, query })
    }

    /// Reads `url` and `host` of a query.
    pub(super) fn of_query(query: &str) -> Result<Self, String> {
        let (mut url, mut host) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "url" => url = Some(value),
                "host" => host = Some(value),
                other => {
                    return Err(format!("there is no parameter {other:?}; write url and host"));
                }
            }
        }
        Self::read(&url.ok_or("say which: ?url=https://host/path")?, host.as_deref())
    }

    /// The same place with the query that stands for its own in the cache: a route's policy may say
    /// that several ask for the same.
    pub(super) fn canonical(&self, snapshot: &Snapshot) -> Self {
        let canonical = || {
            let Match::Found(route) = snapshot.routes.find(&self.host, &self.path, &Method::GET)
            else {
                return None;
            };
            let target = self.target().parse::<Uri>().ok()?;
            let target = route.cache.as_ref()?.query.canonical(&target)?;
            Some(target.query().unwrap_or_default().to_owned())
        };
        let query = self.query.as_ref().map(|query| canonical().unwrap_or_else(|| query.clone()));
        Self { query, ..self.clone() }
    }

    /// Path and query, as a request has them.
    pub(super) fn target(&self) -> String {
        match self.query.as_deref() {
            None | Some("") => self.path.clone(),
            Some(query) => format!("{}?{query}", self.path),
        }
    }

    /// Whether an answer is for this place.
    pub(super) fn is_of(&self, labels: &Labels) -> bool {
        labels.host == self.host
            && labels.path == self.path
            && self.query.as_ref().is_none_or(|query| *query == labels.query)
    }
}

impl Meant {
    /// Reads a request to purge, which names one thing.
    pub(super) fn read(body: &PurgeBody, snapshot: &Snapshot) -> Result<Self, String> {
        let host = body.host.as_deref();
        let named: Vec<Result<Self, String>> = [
            body.url.as_ref().map(|url| {
                Place::read(url, host).map(|place| Self::Place(place.canonical(snapshot)))
            }),
            body.prefix.as_ref().map(|prefix| Self::prefix(prefix, host)),
            body.tag.as_ref().map(|tag| Self::tag(tag)),
            body.route.as_ref().map(|route| Self::route(route, snapshot)),
            body.all.then_some(Ok(Self::All)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let takes_host = body.url.is_some() || body.prefix.is_some();
        if host.is_some() && !takes_host {
            return Err("a host narrows a url or a prefix only; remove it".to_owned());
        }
        let count = named.len();
        match named.into_iter().next() {
            Some(meant) if count == 1 => meant,
            _ => Err("name one of url, prefix, tag, route, or all: true".to_owned()),
        }
    }

    fn prefix(prefix: &str, host: Option<&str>) -> Result<Self, String> {
        match split(prefix, host)? {
            (.., Some(_)) => Err("a prefix is of the path, and has no query".to_owned()),
            (_, path, _) if path.len() > PREFIX_BYTES_MAX => {
                Err(format!("a prefix may have {PREFIX_BYTES_MAX} bytes"))
            }
            (host, path, None) => Ok(Self::Prefix { host, path }),
        }
    }

    fn tag(tag: &str) -> Result<Self, String> {
        let tag = tag.trim();
        if tag.is_empty() || tag.len() > TAGS_BYTES_MAX {
            return Err(format!("a tag has 1 to {TAGS_BYTES_MAX} bytes"));
        }
        Ok(Self::Tag(tag.to_owned()))
    }

    fn route(name: &str, snapshot: &Snapshot) -> Result<Self, String> {
        let mut names = snapshot.routes.iter().map(|route| route.name.as_str());
        if names.any(|known| known == name) {
            return Ok(Self::Route(name.to_owned()));
        }
        let names = snapshot.routes.iter().map(|route| route.name.as_str());
        let hint = closest(name, names).map(|close| format!("; did you mean {close:?}?"));
        Err(format!("there is no route {name:?}{}", hint.unwrap_or_default()))
    }

    /// The scope of the purge.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Place(Place { host, path, query: None }) => {
                Scope::Target(TargetKey::new(host, path))
            }
            Self::Place(Place { host, path, query: Some(query) }) => {
                Scope::Exact(TargetKey::exact(host, path, query))
            }
            Self::Prefix { host, path } => Scope::Prefix { host: host.clone(), path: path.clone() },
            Self::Tag(tag) => Scope::Tag(TargetKey::tag(tag)),
            Self::Route(route) => Scope::Route(TargetKey::route(route)),
            Self::All => Scope::All,
        }
    }

    /// The word for it, and what it names.
    pub(super) fn told(&self) -> (&'static str, String) {
        match self {
            Self::Place(place) => ("url", format!("{}{}", place.host, place.target())),
            Self::Prefix { host: Some(host), path } => ("prefix", format!("{host}{path}")),
            Self::Prefix { host: None, path } => ("prefix", path.clone()),
            Self::Tag(tag) => ("tag", tag.clone()),
            Self::Route(route) => ("route", route.clone()),
            Self::All => ("all", String::new()),
        }
    }

    /// Whether an answer is meant.
    pub(super) fn covers(&self, labels: &Labels) -> bool {
        match self {
            Self::Place(place) => place.is_of(labels),
            Self::Prefix { host, path } => {
                host.as_ref().is_none_or(|host| *host == labels.host)
                    && labels.path.starts_with(path)
            }
            Self::Tag(tag) => labels.tags.contains(tag),
            Self::Route(route) => labels.route == *route,
            Self::All => true,
        }
    }
}

/// Host, path and query of a URL, or of a path and the host beside it.
fn split(
    url: &str,
    host: Option<&str>,
) -> Result<(Option<String>, String, Option<String>), String> {
    let wrong = || format!("{url:?} is no URL; write https://host/path, or a path and a host");
    let uri: Uri = url.trim().parse().map_err(|_| wrong())?;
    let own = uri.host().map(str::to_ascii_lowercase);
    if uri.scheme().is_none() && !url.trim().starts_with('/') {
        return Err(wrong());
    }
    let beside = host.map(|host| without_port(host.trim()).to_ascii_lowercase());
    let beside = beside.filter(|host| !host.is_empty());
    if own.is_some() && beside.is_some() && own != beside {
        return Err("the URL names another host than `host`; write one of them".to_owned());
    }
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    Ok((own.or(beside), path.to_owned(), uri.query().map(str::to_owned)))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn place(host: &str, path: &str, query: Option<&str>) -> Place {
        Place { host: host.into(), path: path.into(), query: query.map(str::to_owned) }
    }

    #[test]
    fn a_place_is_a_url_or_a_path_and_its_host() {
        for (url, host, wanted) in [
            ("https://A.example:8443/x/y?q=1", None, place("a.example", "/x/y", Some("q=1"))),
            ("/x", Some("A.example:80"), place("a.example", "/x", None)),
            ("/x?", Some("a"), place("a", "/x", Some(""))),
            ("http://a", None, place("a", "/", None)),
            ("http://a/", Some("a"), place("a", "/", None)),
            ("/x", Some("[::1]:80"), place("[::1]", "/x", None)),
            ("/x", Some("[::1]"), place("[::1]", "/x", None)),
        ] {
            assert_eq!(Place::read(url, host), Ok(wanted), "{url}");
        }
        for (url, host) in [
            ("/x", None),
            ("/x", Some("")),
            ("x", Some("a")),
            ("", None),
            ("http://a/x", Some("b")),
        ] {
            assert!(Place::read(url, host).is_err(), "{url} {host:?}");
        }
    }

    #[test]
    fn what_is_covered_is_what_the_scope_names() {
        let labels = Labels {
            route: "r".into(),
            host: "h".into(),
            path: "/a/b".into(),
            query: "q=1".into(),
            tags: vec!["t".into()],
        };
        let prefix = |host: Option<&str>, path: &str| Meant::Prefix {
            host: host.map(str::to_owned),
            path: path.into(),
        };
        for (meant, wanted) in [
            (Meant::Place(place("h", "/a/b", None)), true),
            (Meant::Place(place("h", "/a/b", Some("q=1"))), true),
            (Meant::Place(place("h", "/a/b", Some(""))), false),
            (Meant::Place(place("i", "/a/b", None)), false),
            (prefix(None, "/a"), true),
            (prefix(Some("i"), "/a"), false),
            (Meant::Tag("t".into()), true),
            (Meant::Tag("u".into()), false),
            (Meant::Route("r".into()), true),
            (Meant::All, true),
        ] {
            assert_eq!(meant.covers(&labels), wanted, "{meant:?}");
        }
    }
}
