//! Does an answer look as the service's own OpenAPI document says?

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{Reply, Request};

/// A service's OpenAPI document, as it was served.
pub struct OpenApi {
    document: Value,
}

impl OpenApi {
    /// Fetches the document from `/openapi.json`.
    ///
    /// # Panics
    /// When the service does not serve one of version 3.1.
    pub async fn of(address: SocketAddr) -> Self {
        let reply = Request::to(address, "GET", "/openapi.json").send().await.expect_status(200);
        let document = reply.json();
        let version = document["openapi"].as_str().unwrap_or_default();
        assert!(version.starts_with("3.1."), "openapi: {version:?}");
        Self { document }
    }

    /// Every documented operation, such as `GET /api/v1/ndvi`.
    pub fn operations(&self) -> BTreeSet<String> {
        let paths = self.document["paths"].as_object().expect("a document has paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().expect("a path has operations").keys();
                let methods: Vec<String> = methods
                    .filter(|key| ["get", "put", "post", "delete", "patch"].contains(&key.as_str()))
                    .map(|method| format!("{} {path}", method.to_uppercase()))
                    .collect();
                methods
            })
            .collect()
    }

    /// The names of the parameters of an operation.
    pub fn parameters(&self, operation: &str) -> BTreeSet<String> {
        let parameters = self.operation(operation)["parameters"].as_array();
        let name = |parameter: &Value| parameter["name"].as_str().map(str::to_owned);
        parameters.into_iter().flatten().filter_map(name).collect()
    }

    /// Checks a JSON answer to an operation, given as `GET /path/{template}`, against the schema
    /// that is documented for its status, or else for every other status.
    ///
    /// # Panics
    /// When the operation is not documented or the answer does not fit, with what does not fit.
    pub fn check(&self, operation: &str, reply: &Reply) {
        let responses = &self.operation(operation)["responses"];
        let status = reply.status.to_string();
        let documented = responses.get(&status).unwrap_or(&responses["default"]);
        let schema = &documented["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{operation}: no schema for {status}");
        // References lead to the components, from the root of what is checked with.
        let schema = json!({ "allOf": [schema], "components": self.document["components"] });
        let validator = jsonschema::validator_for(&schema)
            .unwrap_or_else(|error| panic!("{operation}: the schema is broken: {error}"));
        let body = reply.json();
        let faults: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{operation} {status}: {faults:#?}\nin {body:#}");
    }

    fn operation(&self, operation: &str) -> &Value {
        let (method, path) = operation.split_once(' ').expect("a method and a path");
        let found = &self.document["paths"][path][method.to_lowercase()];
        assert!(!found.is_null(), "{operation} is not documented");
        found
    }
}
