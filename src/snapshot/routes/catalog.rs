//! Which APIs do the routes lead to, and where is each described?
//!
//! The list that the `api_catalog` endpoint answers: a set of links (RFC 9264) in which each API has
//! its document as `service-desc` (RFC 8631), as RFC 9727 asks for.

use bytes::Bytes;
use serde::Serialize;

use super::Compiler;
use crate::config::gateway::GatewayConfig;
use crate::config::route::{EndpointConfig, RouteConfig};
use crate::envelope;

#[derive(Serialize)]
struct LinkSet<'a> {
    linkset: Vec<Api<'a>>,
}

#[derive(Serialize)]
struct Api<'a> {
    anchor: &'a str,
    #[serde(rename = "service-desc")]
    service_desc: [Link<'a>; 1],
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    #[serde(rename = "type")]
    media_type: &'static str,
}

/// The list as it is sent.
///
/// # Errors
///
/// None in practice: texts can always be written.
pub(in crate::snapshot) fn catalog(config: &GatewayConfig) -> serde_json::Result<Bytes> {
    let linkset = config.routes.iter().filter_map(|route| {
        let href = route.api_document.as_ref()?.as_str();
        let link = Link { href, media_type: envelope::CONTENT_TYPE };
        Some(Api { anchor: first_path(route)?, service_desc: [link] })
    });
    serde_json::to_vec(&LinkSet { linkset: linkset.collect() }).map(Bytes::from)
}

fn first_path(route: &RouteConfig) -> Option<&str> {
    let prefix = route.path_prefix.as_ref().or_else(|| route.paths.first());
    prefix.map(|path| path.as_str())
}

impl Compiler<'_> {
    /// A document that is named must be one that clients can ask for, and somebody must list it.
    pub(super) fn check_documents(&mut self) {
        let routes = &self.source.value.routes;
        let is_listed =
            routes.iter().any(|route| route.endpoint == Some(EndpointConfig::ApiCatalog));
        let mut found = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let Some(document) = route.api_document.as_ref().map(|path| path.as_str()) else {
                continue;
            };
            let path = format!("routes[{index}].api_document");
            if !routes.iter().any(|route| leads_to(route, document)) {
                let problem = format!("no route takes {document}; add one that leads to it");
                found.push((path, problem));
            } else if !is_listed && self.source.document.is_whole("routes") {
                let problem = "nothing lists it; add a route with `endpoint: api_catalog`, such \
                               as /.well-known/api-catalog, or remove the key";
                found.push((path, problem.to_owned()));
            }
        }
        for (path, problem) in found {
            self.report(&path, problem);
        }
    }
}

/// Whether a route takes this path and has a pool to ask.
fn leads_to(route: &RouteConfig, path: &str) -> bool {
    let is_beneath = |prefix: &str| {
        let rest = path.strip_prefix(prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    route.pool.is_some()
        && (route.paths.iter().any(|exact| exact.as_str() == path)
            || route.path_prefix.as_ref().is_some_and(|prefix| is_beneath(prefix.as_str())))
}
