//! Which scenes match a search, and how does the answer lead to the next page?
//!
//! The shape is that of Earth Search v1. As in its recording, newest items come first and every
//! page with items has a `next` link, the last one too: a client learns the end from an empty
//! page or from `numberMatched`.

use std::cmp::Reverse;
use std::path::Path;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::{BASE_PLACEHOLDER, json_response};
use crate::recorded::{DataError, read_json};
use crate::stac_search::{Bbox, Candidate, Search};

struct Item {
    id: String,
    collection: String,
    bbox: Bbox,
    datetime: String,
    at: Timestamp,
    cloud_cover: Option<f64>,
    /// The item as JSON text, with [`BASE_PLACEHOLDER`].
    text: String,
}

#[derive(Deserialize)]
struct WireItem {
    id: String,
    collection: String,
    bbox: Bbox,
    properties: WireProperties,
}

#[derive(Deserialize)]
struct WireProperties {
    datetime: String,
    #[serde(rename = "eo:cloud_cover")]
    cloud_cover: Option<f64>,
}

#[derive(Deserialize)]
struct WireCatalogue {
    features: Vec<Value>,
}

/// The local catalogue, newest item first.
pub(crate) struct Catalogue(Vec<Item>);

impl Catalogue {
    /// Reads `data/stac/local_catalogue.json`.
    pub(crate) fn load(data: &Path) -> Result<Self, DataError> {
        let path = data.join("stac").join("local_catalogue.json");
        let wire: WireCatalogue = read_json(&path)?;
        let mut items = wire
            .features
            .iter()
            .map(|feature| Item::new(feature).map_err(|reason| DataError::shape(&path, reason)))
            .collect::<Result<Vec<_>, _>>()?;
        items.sort_by(|a, b| (Reverse(a.at), &a.id).cmp(&(Reverse(b.at), &b.id)));
        Ok(Self(items))
    }

    /// The answer to a search, refusals included. `base` is the address the client reached.
    pub(crate) fn respond(&self, body: &[u8], base: &str) -> Response {
        match self.page(body, base) {
            Ok(page) => {
                let mut response = json_response(StatusCode::OK, page.to_string());
                let form = HeaderValue::from_static("application/geo+json; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, form);
                response
            }
            Err(description) => json_response(
                StatusCode::BAD_REQUEST,
                json!({"code": "BadRequest", "description": description}).to_string(),
            ),
        }
    }

    fn page(&self, body: &[u8], base: &str) -> Result<Value, String> {
        let search = Search::parse(body)?;
        let matched: Vec<&Item> =
            self.0.iter().filter(|item| search.matches(&item.candidate())).collect();
        let skipped = match &search.next {
            None => 0,
            Some(token) => {
                let last = matched.iter().position(|item| item.token() == *token);
                last.ok_or_else(|| format!("next {token:?} is not from this search"))? + 1
            }
        };
        let page: Vec<&Item> = matched.iter().skip(skipped).take(search.limit).copied().collect();
        let features: Vec<Value> =
            page.iter().map(|item| item.rendered(base)).collect::<Result<_, _>>()?;
        let mut links = Vec::new();
        if let Some(last) = page.last() {
            links.push(next_link(body, &last.token(), base)?);
        }
        links.push(json!({"rel": "root", "type": "application/json", "href": base}));
        Ok(json!({
            "type": "FeatureCollection",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "context": {"limit": search.limit, "matched": matched.len(), "returned": page.len()},
            "numberMatched": matched.len(),
            "numberReturned": page.len(),
            "features": features,
            "links": links,
        }))
    }
}

impl Item {
    fn new(feature: &Value) -> Result<Self, String> {
        let wire = WireItem::deserialize(feature).map_err(|error| error.to_string())?;
        let at =
            wire.properties.datetime.parse().map_err(|error: jiff::Error| error.to_string())?;
        Ok(Self {
            id: wire.id,
            collection: wire.collection,
            bbox: wire.bbox,
            datetime: wire.properties.datetime,
            at,
            cloud_cover: wire.properties.cloud_cover,
            text: feature.to_string(),
        })
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            id: &self.id,
            collection: &self.collection,
            bbox: self.bbox,
            at: self.at,
            cloud_cover: self.cloud_cover,
        }
    }

    /// The page token in the recorded form: `datetime,id,collection` of the last item.
    fn token(&self) -> String {
        format!("{},{},{}", self.datetime, self.id, self.collection)
    }

    fn rendered(&self, base: &str) -> Result<Value, String> {
        serde_json::from_str(&self.text.replace(BASE_PLACEHOLDER, base))
            .map_err(|error| error.to_string())
    }
}

/// A link whose body is to be sent as it is: the search again, with the token.
fn next_link(body: &[u8], token: &str, base: &str) -> Result<Value, String> {
    let mut body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if let Some(body) = body.as_object_mut() {
        body.insert("next".to_owned(), Value::String(token.to_owned()));
    }
    Ok(json!({
        "rel": "next",
        "title": "Next page of Items",
        "method": "POST",
        "type": "application/geo+json",
        "href": format!("{base}/search"),
        "merge": false,
        "body": body,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is the test's failure"
    )]
    use super::*;
    use crate::server::recorded_data_dir;

    fn page(body: &Value) -> Value {
        let catalogue = Catalogue::load(&recorded_data_dir()).unwrap();
        catalogue.page(body.to_string().as_bytes(), "http://replay.test:1").unwrap()
    }

    fn ids(page: &Value) -> Vec<&str> {
        let features = page["features"].as_array().unwrap();
        features.iter().map(|feature| feature["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn bodies_of_next_links_lead_through_all_items() {
        let first = page(&json!({"collections": ["sentinel-2-l2a"], "limit": 2}));
        assert_eq!(ids(&first), ["S2B_33UUP_20210925_0_L2A", "S2B_33UUP_20210617_0_L2A"]);
        let second = page(&first["links"][0]["body"]);
        assert_eq!(ids(&second), ["S2A_29RKH_20200219_0_L2A"]);
        assert_eq!(second["numberMatched"], 3);
        let third = page(&second["links"][0]["body"]);
        assert!(ids(&third).is_empty());
        assert_eq!(third["links"][0]["rel"], "root", "an empty page has no next link");
    }

    #[test]
    fn next_link_has_the_recorded_form() {
        let path = recorded_data_dir().join("stac/earthsearch_v1_search_recorded.json");
        let recorded: Value = read_json(&path).unwrap();
        let (said, real) = (page(&json!({})), &recorded["body"]);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&said), keys(real));
        assert_eq!(keys(&said["links"][0]), keys(&real["links"][0]));
        for key in ["rel", "method", "merge", "type", "title"] {
            assert_eq!(said["links"][0][key], real["links"][0][key]);
        }
        let token = real["links"][0]["body"]["next"].as_str().unwrap();
        let last = &real["features"][1];
        let [at, id, collection] =
            [&last["properties"]["datetime"], &last["id"], &last["collection"]]
                .map(|v| v.as_str().unwrap());
        assert_eq!(token, format!("{at},{id},{collection}"));
    }

    #[test]
    fn assets_point_to_the_base_the_client_reached() {
        let page = page(&json!({"ids": ["S2A_29RKH_20200219_0_L2A"]}));
        let href = page["features"][0]["assets"]["scl"]["href"].as_str().unwrap();
        assert_eq!(href, "http://replay.test:1/s2/S2A_29RKH_20200219_0_L2A/SCL.tif");
        assert!(!page.to_string().contains(BASE_PLACEHOLDER));
    }

    #[test]
    fn token_of_another_search_is_refused() {
        let catalogue = Catalogue::load(&recorded_data_dir()).unwrap();
        let refused = catalogue.page(br#"{"next":"x,y,z"}"#, "http://replay.test:1").unwrap_err();
        assert!(refused.contains("x,y,z"));
    }
}
