//! Which scenes does the catalogue have of a place and a time?
//!
//! The protocol is STAC API item search by POST. A page leads to the next by a link whose body
//! has to be sent as it came; a client that drops it gets the first page again or an error.

mod item;

use std::collections::BTreeSet;

use chassis::client::{BodyError, read_bounded};
use jiff::civil::Date;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::outline::Outline;
use crate::domain::scene::{Scene, best_copies};

/// Scenes asked for in one page; an item of Earth Search has about 45 KB.
const PAGE_SCENES: usize = 50;

/// Largest page that is read.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Pages read for one search.
const PAGES_MAX: usize = 20;

/// Longest text of a provider's error that is passed on to the log.
const ERROR_BYTES_MAX: usize = 512;

/// What to look for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Where.
    pub outline: Outline,
    /// First day, UTC.
    pub start: Date,
    /// Last day, UTC.
    pub end: Date,
    /// Largest cloud cover of a whole scene in percent, 0 to 100.
    pub max_cloud_percent: Option<f64>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Scenes that can be read, as listed.
    pub scenes: Vec<Scene>,
    /// Scenes that were listed but cannot be read, by identifier.
    pub unusable: BTreeSet<String>,
}

/// A STAC API.
#[derive(Clone, Debug)]
pub struct Catalogue {
    http: reqwest::Client,
    search_url: String,
    collections: Vec<String>,
    scenes_max: usize,
}

impl Catalogue {
    /// The API at `base_url`, without a slash at its end, asked for `collections`. A search that
    /// finds more than `scenes_max` scenes is refused.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        base_url: &str,
        collections: Vec<String>,
        scenes_max: usize,
    ) -> Self {
        Self { http, search_url: format!("{base_url}/search"), collections, scenes_max }
    }

    /// All scenes that match, over as many pages as there are.
    ///
    /// # Errors
    /// When the catalogue does not answer properly or has too many scenes.
    pub async fn search(&self, search: &Search) -> Result<Found, SearchError> {
        let mut found = Found::default();
        let mut listed = BTreeSet::new();
        let mut next = Some(Link::first(&self.search_url, self.body(search)));
        for _page in 0..PAGES_MAX {
            let Some(link) = next.take() else { return Ok(found) };
            let mut page = self.fetch(&link).await?;
            let ended = page.features.is_empty();
            // A catalogue that changes meanwhile may list an item on two pages.
            page.features.retain(|item| identity(item).is_none_or(|id| listed.insert(id)));
            if page.features.is_empty() && !ended {
                return Err(SearchError::Repeats);
            }
            let last = ended || page.number_matched.is_some_and(|all| listed.len() >= all);
            self.add(&mut found, page.features, search)?;
            if last {
                return Ok(found);
            }
            next = page.links.into_iter().find(Link::is_next).map(|next| next.after(&link));
        }
        if next.is_none() { Ok(found) } else { Err(SearchError::TooManyPages) }
    }

    fn body(&self, search: &Search) -> Map<String, Value> {
        let Search { start, end, .. } = search;
        let mut body = Map::new();
        body.insert("collections".to_owned(), json!(self.collections));
        body.insert("intersects".to_owned(), json!(search.outline.to_geojson()));
        body.insert("datetime".to_owned(), json!(format!("{start}T00:00:00Z/{end}T23:59:59Z")));
        body.insert("limit".to_owned(), json!(PAGE_SCENES));
        if let Some(percent) = search.max_cloud_percent {
            body.insert("query".to_owned(), json!({"eo:cloud_cover": {"lte": percent}}));
        }
        body
    }

    async fn fetch(&self, link: &Link) -> Result<Page, SearchError> {
        let request = match link.method {
            Method::Post => self.http.post(&link.href).json(&link.body),
            Method::Get => self.http.get(&link.href),
        };
        let response = request.send().await.map_err(SearchError::Transport)?;
        let status = response.status();
        let body = read_bounded(response, PAGE_BYTES_MAX).await.map_err(SearchError::Body)?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(body.get(..ERROR_BYTES_MAX).unwrap_or(&body));
            return Err(SearchError::Status { status, text: text.into_owned() });
        }
        serde_json::from_slice(&body).map_err(SearchError::Shape)
    }

    fn add(
        &self,
        found: &mut Found,
        features: Vec<Value>,
        search: &Search,
    ) -> Result<(), SearchError> {
        for feature in features {
            match item::scene(&feature) {
                Ok(scene) if matches(&scene, search) => found.scenes.push(scene),
                Ok(_other) => {}
                Err(error) => {
                    tracing::warn!(scene = error.id, why = error.why, "a scene cannot be used");
                    found.unusable.insert(error.id);
                }
            }
        }
        let listed = found.scenes.len() + found.unusable.len();
        // Two collections list an acquisition twice, and one copy of it is read.
        let read = || best_copies(found.scenes.clone()).len() + found.unusable.len();
        if listed > self.scenes_max && read() > self.scenes_max {
            return Err(SearchError::TooManyScenes { scenes_max: self.scenes_max });
        }
        Ok(())
    }
}

/// Collection and identifier of an item: an identifier may be in several collections.
fn identity(item: &Value) -> Option<(String, String)> {
    let text = |name| item.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((text("collection")?, text("id")?))
}

/// Catalogues may ignore a filter they do not know, so each is applied here as well.
fn matches(scene: &Scene, search: &Search) -> bool {
    let clear = match (scene.cloud_cover_percent, search.max_cloud_percent) {
        (Some(cover), Some(max)) => cover <= max,
        _ => true,
    };
    let here = scene.bounds.is_none_or(|bounds| search.outline.meets(bounds));
    clear && here && (search.start..=search.end).contains(&scene.day())
}

#[derive(Debug, Deserialize)]
struct Page {
    features: Vec<Value>,
    #[serde(default)]
    links: Vec<Link>,
    #[serde(rename = "numberMatched")]
    number_matched: Option<usize>,
}

/// How to get a page.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Link {
    rel: String,
    href: String,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    body: Map<String, Value>,
    #[serde(default)]
    merge: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Method {
    #[default]
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "POST")]
    Post,
}

impl Link {
    fn first(url: &str, body: Map<String, Value>) -> Self {
        let (rel, href) = ("first".to_owned(), url.to_owned());
        Self { rel, href, method: Method::Post, body, merge: false }
    }

    fn is_next(&self) -> bool {
        self.rel == "next"
    }

    /// This link as to be followed from `previous`: `merge` asks to add its body to the last one.
    fn after(self, previous: &Self) -> Self {
        if !self.merge {
            return self;
        }
        let mut body = previous.body.clone();
        body.extend(self.body);
        Self { body, ..self }
    }
}

/// Why the catalogue could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// No answer.
    #[error("the catalogue cannot be reached: {0}")]
    Transport(#[source] reqwest::Error),
    /// An answer that broke off or is too long.
    #[error("the catalogue's answer cannot be read: {0}")]
    Body(#[source] BodyError),
    /// A refusal.
    #[error("the catalogue answered {status}: {text}")]
    Status {
        /// HTTP status.
        status: StatusCode,
        /// The beginning of its body.
        text: String,
    },
    /// Not an item collection.
    #[error("the catalogue's answer is not an item collection: {0}")]
    Shape(#[source] serde_json::Error),
    /// A page that lists what was listed already, as a link to itself would give for ever.
    #[error("the catalogue leads from page to page in a circle")]
    Repeats,
    /// More pages than are read.
    #[error("the catalogue has more than {PAGES_MAX} pages for this search")]
    TooManyPages,
    /// More scenes than are computed for one request.
    #[error("the catalogue has more than {scenes_max} scenes for this search")]
    TooManyScenes {
        /// Most scenes allowed.
        scenes_max: usize,
    },
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use super::*;

    const RECORDED: &str = include_str!("../../tests/data/earthsearch_v1_search_recorded.json");

    fn link(json: Value) -> Link {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn n7_next_link_keeps_its_body() {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        let page: Page = serde_json::from_value(recorded["body"].clone()).unwrap();
        let next = page.links.into_iter().find(Link::is_next).unwrap();
        let first = Link::first("https://catalogue/search", Map::new());
        let followed = next.after(&first);
        assert_eq!(followed.method, Method::Post);
        assert_eq!(Value::Object(followed.body), recorded["body"]["links"][0]["body"]);
    }

    #[test]
    fn merged_link_adds_to_the_last_body() {
        let first = link(json!({"rel": "first", "href": "u", "body": {"limit": 5, "page": 1}}));
        let next = link(json!({"rel": "next", "href": "u", "merge": true, "body": {"page": 2}}));
        assert_eq!(Value::Object(next.after(&first).body), json!({"limit": 5, "page": 2}));
    }

    #[test]
    fn link_without_a_method_is_fetched_by_get() {
        assert_eq!(link(json!({"rel": "next", "href": "u"})).method, Method::Get);
    }
}
