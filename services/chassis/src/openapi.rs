//! What can be asked of a service, in the words that programs read: OpenAPI 3.1.
//!
//! Handlers say what they take and give where they are written; a route cannot be served without
//! being documented when it is registered by `utoipa_axum::routes!`. What all documents share is
//! added here: failures, credentials, and where the service listens.

use axum::body::Bytes;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema, SecurityRequirement,
    ServerBuilder,
};

/// Where the document is served.
pub const PATH: &str = "/openapi.json";

/// Where it is served as well, beneath the service's own routes, so that what stands in front can
/// lead there by the path.
#[must_use]
pub fn path_of(service: &str) -> String {
    format!("/api/v1/{service}{PATH}")
}

/// Name of the schema of failures.
const FAILURE: &str = "Failure";

/// Response for every status that an operation does not list itself.
const EVERY_OTHER_STATUS: &str = "default";

/// The shape of a success, for documents; [`crate::envelope::success`] writes it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Envelope<T> {
    /// 0 for a success.
    status: u8,
    /// A word for people.
    message: String,
    /// What was asked for.
    data: T,
    /// Always null in a success.
    errors: Option<String>,
}

/// The document as it is sent; `None`, with the reason in the log, when it cannot be written.
pub(crate) fn written(mut document: OpenApi) -> Option<Bytes> {
    complete(&mut document);
    match document.to_json() {
        Ok(text) => Some(Bytes::from(text)),
        Err(error) => {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            None
        }
    }
}

fn complete(document: &mut OpenApi) {
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(FAILURE.to_owned(), RefOr::T(failure()));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let key = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(key));
    let none: [&str; 0] = [];
    document.security = Some(vec![
        SecurityRequirement::new("bearer", none),
        SecurityRequirement::new("api_key", none),
    ]);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        operation
            .responses
            .responses
            .entry(EVERY_OTHER_STATUS.to_owned())
            .or_insert_with(|| RefOr::T(refused()));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

fn refused() -> utoipa::openapi::Response {
    let schema = Ref::from_schema_name(FAILURE);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description("The request failed; `errors` says why.")
        .content("application/json", content)
        .build()
}

/// The shape of [`crate::envelope::Failure`].
fn failure() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some("Always 1."));
    let message = ObjectBuilder::new().schema_type(Type::String);
    let any = || Some(AdditionalProperties::FreeForm(true));
    let errors = ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("`detail`, or a list of texts for each field; null for a fault of ours."))
        .additional_properties(any());
    let data = ObjectBuilder::new().schema_type(Type::Null);
    ObjectBuilder::new()
        .property("status", number)
        .property("message", message)
        .property("data", data)
        .property("errors", errors)
        .required("status")
        .required("message")
        .required("errors")
        .into()
}
