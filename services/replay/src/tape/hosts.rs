//! Which real host answers a path, and how do its links lead back to replay?

use bytes::Bytes;
use thiserror::Error;

use super::has_placeholder;
use crate::answers::BASE_PLACEHOLDER;

/// Below this lie the files that a catalogue links to: `/assets/<host>/<path>`.
pub(super) const ASSETS_PREFIX: &str = "/assets/";
/// Below this lies the host of past forecasts, whose path is that of the forecasts.
const HISTORICAL_PREFIX: &str = "/historical";
/// Most hosts of files.
const ASSET_HOSTS_MAX: usize = 16;

/// Base addresses of the real providers, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// `/v1/forecast`.
    pub forecast: String,
    /// `/v1/archive`.
    pub archive: String,
    /// `/historical/v1/forecast`.
    pub historical: String,
    /// `/api/temporal/...`.
    pub power: String,
    /// The root of the STAC API: `/search`.
    pub stac: String,
    /// Where the files of scenes lie: `/assets/<host>/...`. Links to other hosts stay.
    pub assets: Vec<String>,
}

impl Default for Hosts {
    /// The public hosts, all without a key.
    fn default() -> Self {
        let of = str::to_owned;
        Self {
            forecast: of("https://api.open-meteo.com"),
            archive: of("https://archive-api.open-meteo.com"),
            historical: of("https://historical-forecast-api.open-meteo.com"),
            power: of("https://power.larc.nasa.gov"),
            stac: of("https://earth-search.aws.element84.com/v1"),
            assets: vec![
                of("https://sentinel-cogs.s3.us-west-2.amazonaws.com"),
                of("https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com"),
            ],
        }
    }
}

/// A base address that cannot be recorded from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostError {
    /// Not an address of a host.
    #[error("{given:?} is not a base address: write it as https://host or http://host:port/path")]
    Address {
        /// What was given.
        given: String,
    },
    /// Too many.
    #[error("{given} hosts of files; at most {max} are possible", max = ASSET_HOSTS_MAX)]
    TooMany {
        /// What was given.
        given: usize,
    },
}

/// Where a path of replay leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'h> {
    /// The base address.
    pub(super) host: &'h str,
    /// The path at that host, after the base address.
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// What an answer has to be to be worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON of a weather provider.
    Weather,
    /// JSON with links.
    Search,
    /// Bytes of a file.
    File,
}

impl Hosts {
    /// The base addresses.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        [&self.forecast, &self.archive, &self.historical, &self.power, &self.stac]
            .into_iter()
            .chain(&self.assets)
    }

    pub(super) fn validate(&self) -> Result<(), HostError> {
        if self.assets.len() > ASSET_HOSTS_MAX {
            return Err(HostError::TooMany { given: self.assets.len() });
        }
        match self.all().find(|base| authority(base).is_none()) {
            Some(given) => Err(HostError::Address { given: given.clone() }),
            None => Ok(()),
        }
    }

    /// The host that answers `path`, if one does.
    pub(super) fn target(&self, path: &str) -> Option<Target<'_>> {
        let at = |host, path: &str, kind| Some(Target { host, path: path.to_owned(), kind });
        if let Some(rest) = path.strip_prefix(ASSETS_PREFIX) {
            let (wanted, rest) = rest.split_once('/')?;
            let host = self.assets.iter().find(|base| authority(base) == Some(wanted))?;
            return at(host, &format!("/{rest}"), Kind::File);
        }
        match path {
            "/v1/forecast" => at(&self.forecast, path, Kind::Weather),
            "/v1/archive" => at(&self.archive, path, Kind::Weather),
            "/search" => at(&self.stac, path, Kind::Search),
            _ if path.starts_with("/api/temporal/") => at(&self.power, path, Kind::Weather),
            _ => {
                let rest = path.strip_prefix(HISTORICAL_PREFIX)?;
                (rest == "/v1/forecast").then_some(())?;
                at(&self.historical, rest, Kind::Weather)
            }
        }
    }

    /// A page of a search as it is kept: links to the hosts that are recorded begin with a
    /// placeholder. Whole texts are compared, so that the rest of the page stays as it came.
    pub(super) fn recorded(&self, page: &str) -> String {
        let mut page = page
            .replace(&format!("\"{}/search", self.stac), &format!("\"{BASE_PLACEHOLDER}/search"));
        for base in &self.assets {
            if let Some(authority) = authority(base) {
                let kept = format!("\"{BASE_PLACEHOLDER}{ASSETS_PREFIX}{authority}/");
                page = page.replace(&format!("\"{base}/"), &kept);
            }
        }
        page
    }
}

/// A recorded body with links that lead to `base`.
pub(super) fn played(body: Bytes, base: &str) -> Bytes {
    if !has_placeholder(&body) {
        return body;
    }
    match std::str::from_utf8(&body) {
        Ok(text) => text.replace(BASE_PLACEHOLDER, base).into(),
        Err(_) => body,
    }
}

/// The host and port of a base address; files have no path before their own.
fn authority(base: &str) -> Option<&str> {
    let rest = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"))?;
    let authority = rest.split('/').next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let usable = !authority.is_empty() && authority.bytes().all(plain) && !base.ends_with('/');
    usable.then_some(authority)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::*;

    #[test]
    fn each_path_leads_to_its_host() {
        let hosts = Hosts::default();
        for (path, host, there) in [
            ("/v1/forecast", &hosts.forecast, "/v1/forecast"),
            ("/v1/archive", &hosts.archive, "/v1/archive"),
            ("/historical/v1/forecast", &hosts.historical, "/v1/forecast"),
            ("/api/temporal/hourly/point", &hosts.power, "/api/temporal/hourly/point"),
            ("/search", &hosts.stac, "/search"),
            (
                "/assets/sentinel-cogs.s3.us-west-2.amazonaws.com/a/B04.tif",
                hosts.assets.first().unwrap(),
                "/a/B04.tif",
            ),
        ] {
            let target = hosts.target(path).unwrap();
            assert_eq!((target.host, target.path.as_str()), (host.as_str(), there), "{path}");
        }
        for path in ["/healthz", "/assets/example.com/a", "/historical/v1/archive", "/s2/a"] {
            assert_eq!(hosts.target(path), None, "{path}");
        }
    }

    #[test]
    fn links_to_recorded_hosts_lead_back_and_others_stay() {
        let hosts = Hosts::default();
        let page = r#"{"a":"https://sentinel-cogs.s3.us-west-2.amazonaws.com/x/B04.tif",
            "b":"https://earth-search.aws.element84.com/v1/search?next=1","c":"s3://other/x"}"#;
        let kept = hosts.recorded(page);
        let played = played(kept.clone().into(), "http://replay.test:1");
        let text = std::str::from_utf8(&played).unwrap();
        assert!(kept.contains(r#""{{BASE}}/search?next=1""#), "{kept}");
        let file =
            r#""http://replay.test:1/assets/sentinel-cogs.s3.us-west-2.amazonaws.com/x/B04.tif""#;
        assert!(text.contains(file), "{text}");
        assert!(text.contains("\"http://replay.test:1/search?next=1\""), "{text}");
        assert!(text.contains("\"s3://other/x\""), "{text}");
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for given in ["api.open-meteo.com", "https://", "https://a/", "ftp://a", "https://u@a"] {
            let hosts = Hosts { power: given.to_owned(), ..Hosts::default() };
            assert_eq!(hosts.validate(), Err(HostError::Address { given: given.to_owned() }));
        }
        assert_eq!(Hosts::default().validate(), Ok(()));
    }
}
